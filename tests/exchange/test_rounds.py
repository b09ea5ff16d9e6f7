"""The rounds: one file that cannot go keeps nobody else waiting, and what failed goes on by itself."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from config.errors import NotNow
from exchange import files
from exchange.landing import ConnectionLost, Small
from exchange.rounds import Connection
from tests.organisations import CASE, DECISION, FolderLanding, Pair, restart


class Answering(FolderLanding):
    """A partner that is quicker than our own note that the upload was done."""

    def __init__(self, folder: Path, answer: Callable[[], None]) -> None:
        super().__init__(folder)
        self._answer = answer

    def put_many(
        self, files: Iterable[Small], done: Callable[[Small], None] | None = None, *, sync: bool = True
    ) -> None:
        for file in files:
            super().put_many([file])
            self._answer()
            if done is not None:
                done(file)

    def rename(self, old: str, new: str) -> None:
        super().rename(old, new)
        if new.endswith(".age"):
            self._answer()


class CutOff(FolderLanding):
    """A connection that is lost when a file lies there under its unfinished name."""

    def rename(self, old: str, new: str) -> None:
        raise ConnectionLost("sftp.lgsco.example:22")


@pytest.mark.parametrize("restarted", [False, True])
def test_a_receipt_whose_upload_was_cut_off_leaves_nothing_on_the_server(pair: Pair, *, restarted: bool) -> None:
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.ofsted.receive()
    folder = pair.lgsco.landing()
    for _ in range(2):
        pair.ofsted.connection = Connection("lgsco", CutOff(folder))
        with pytest.raises(ConnectionLost):
            pair.ofsted.send()
        assert [path.suffix for path in folder.iterdir()] == [".part"]
    pair.ofsted.connection.close()
    if restarted:
        pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    pair.ofsted.send()
    assert [path.suffix for path in folder.iterdir()] == [".age"]
    assert pair.ofsted.spooled() == []
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]


@pytest.mark.parametrize("size", [10, 300_000], ids=["small", "large"])
def test_a_receipt_that_comes_before_the_upload_is_recorded_decides_it(pair: Pair, size: int) -> None:
    def answer() -> None:
        pair.ofsted.receive()
        pair.ofsted.send()
        pair.lgsco.receive()

    folder = pair.ofsted.home.landing / "lgsco"
    pair.lgsco.connection = Connection("ofsted", Answering(folder, answer))
    pair.lgsco.drop(bytes(size))
    pair.lgsco.take()
    pair.lgsco.send()
    assert pair.lgsco.states() == ["acknowledged"]
    assert "sent" not in pair.lgsco.events()
    assert pair.lgsco.spooled() == []


def test_nothing_is_taken_while_the_marker_is_missing_and_all_of_it_afterwards(pair: Pair) -> None:
    path = pair.lgsco.drop(b"decision")
    marker = pair.lgsco.home.marker
    text = marker.read_bytes()
    marker.unlink()
    for _ in range(2):
        with pytest.raises(NotNow, match="marker"):
            pair.lgsco.take()
    assert path.read_bytes() == b"decision"
    assert pair.lgsco.handovers() == []
    marker.write_bytes(text)
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]


def test_an_unmounted_outbound_folder_is_not_an_empty_one(pair: Pair) -> None:
    pair.lgsco.drop(b"decision")
    outbound = pair.lgsco.home.outbound
    outbound.rename(outbound.with_name("elsewhere"))
    outbound.mkdir()
    with pytest.raises(NotNow, match="marker"):
        pair.lgsco.take()
    outbound.rmdir()
    with pytest.raises(NotNow, match="marker"):
        pair.lgsco.take()


def test_what_lies_under_an_unmounted_spool_is_not_an_empty_spool(pair: Pair) -> None:
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.ofsted.receive()
    pair.ofsted.send()
    pair.lgsco.drop(b"another", f"{CASE} another.pdf")
    spool = pair.lgsco.home.spool
    spool.rename(spool.with_name("share"))
    for missing in (True, False):
        if not missing:
            spool.mkdir()
        for act in (pair.lgsco.take, pair.lgsco.send, pair.lgsco.receive, pair.lgsco.retain):
            with pytest.raises(NotNow, match="spool is not the one"):
                act()
    assert list(spool.iterdir()) == []
    assert pair.lgsco.states() == ["sent"]
    spool.rmdir()
    spool.with_name("share").rename(spool)
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged", "acknowledged"]
    assert pair.lgsco.spooled() == []


def test_one_file_that_cannot_be_taken_keeps_no_other_waiting(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = pair.lgsco.drop(b"first", f"{CASE} a.pdf")
    pair.lgsco.drop(b"second", f"{CASE} b.pdf")
    rename = files.rename

    def refuse(source: Path, target: Path) -> None:
        if source == bad:
            raise PermissionError(13, "Permission denied")
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(files, "rename", refuse)
        with pytest.raises(PermissionError):
            pair.lgsco.take()
    assert bad.read_bytes() == b"first"
    assert pair.lgsco.states() == ["accepted"]
    assert len(list((pair.lgsco.home.spool / "out").iterdir())) == 1
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged", "acknowledged"]


def test_a_folder_that_goes_away_right_after_its_file_was_taken_costs_nothing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pair.lgsco.drop(b"decision")
    sync = files.sync_directory

    def gone(directory: Path) -> None:
        if directory == path.parent:
            raise FileNotFoundError(2, "No such file or directory")
        sync(directory)

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync_directory", gone)
        pair.lgsco.take()
    pair.settle()
    assert [p.read_bytes() for p in pair.ofsted.inbound()] == [b"decision"]


def test_a_file_that_could_not_be_held_yet_is_held_by_the_next_round(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.lgsco.drop(b"decision", "decision.exe")
    with monkeypatch.context() as patch:
        patch.setattr(files, "move_new", _full)
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                pair.lgsco.take()
    pair.settle()
    assert (pair.lgsco.home.held / "ofsted" / "decision.exe").read_bytes() == b"decision"
    assert pair.lgsco.spooled() == []
    assert pair.lgsco.events().count("held") == 1


def test_a_file_that_changed_and_could_not_be_held_yet_is_held_by_the_next_round(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    (payload,) = pair.lgsco.home.spool.rglob("payload")
    os.truncate(payload, 0)
    with monkeypatch.context() as patch:
        patch.setattr(files, "move_new", _full)
        with pytest.raises(OSError, match="No space"):
            pair.lgsco.send()
    pair.settle()
    assert (pair.lgsco.home.held / "ofsted" / f"{CASE} decision.pdf").exists()
    assert pair.lgsco.spooled() == []


def test_an_acknowledged_file_that_could_not_be_kept_yet_is_kept_by_the_next_round(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.ofsted.receive()
    pair.ofsted.send()
    with monkeypatch.context() as patch:
        patch.setattr(files, "move_new", _full)
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                pair.lgsco.receive()
    pair.settle()
    assert pair.lgsco.home.sent.joinpath(*DECISION, f"{CASE} decision.pdf").read_bytes() == b"decision"
    assert pair.lgsco.spooled() == []
    assert "receipt.refused" not in pair.lgsco.events()


def test_a_start_on_a_full_disk_goes_on_with_the_rest(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.lgsco.drop(b"decision", "decision.exe")
    with monkeypatch.context() as patch:
        patch.setattr(files, "move_new", _full)
        with pytest.raises(OSError, match="No space"):
            pair.lgsco.take()
        pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    pair.settle()
    assert (pair.lgsco.home.held / "ofsted" / "decision.exe").exists()


def test_a_restart_is_over_before_what_waits_in_the_spool_is_delivered(pair: Pair) -> None:
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.lgsco.send()
    (envelope,) = pair.ofsted.landing().iterdir()
    folder = pair.ofsted.home.spool / "in" / "lgsco"
    folder.mkdir(exist_ok=True)
    envelope.rename(folder / envelope.name)
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    assert pair.ofsted.states("in") == []
    assert pair.ofsted.receive() == 1
    assert pair.ofsted.states("in") == ["delivered"]


def test_a_repetition_that_waited_for_a_restart_is_still_answered(pair: Pair) -> None:
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.lgsco.send()
    (envelope,) = pair.ofsted.landing().iterdir()
    data = envelope.read_bytes()
    pair.settle()
    folder = pair.ofsted.home.spool / "in" / "lgsco"
    (folder / envelope.name).write_bytes(data)
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    pair.ofsted.receive()
    assert pair.ofsted.events()[-1] == "repeated"
    assert [h.receipt for h in pair.ofsted.handovers()] == ["due"]


def test_a_second_delivery_that_waited_for_a_restart_is_still_delivered(pair: Pair) -> None:
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.lgsco.send()
    (envelope,) = pair.ofsted.landing().iterdir()
    data = envelope.read_bytes()
    envelope.write_bytes(data[:-1])
    pair.ofsted.receive()
    assert pair.ofsted.states("in") == ["quarantined"]
    (pair.ofsted.home.spool / "in" / "lgsco" / envelope.name).write_bytes(data)
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    pair.settle()
    assert [p.read_bytes() for p in pair.ofsted.inbound()] == [b"decision"]
    assert pair.lgsco.states() == ["acknowledged"]


@pytest.mark.topologies("push", only=True)
def test_one_landed_file_that_cannot_be_taken_keeps_no_other_waiting(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        pair.lgsco.drop(name.encode(), f"{CASE} {name}.pdf")
    pair.lgsco.take()
    pair.lgsco.send()
    first = min(pair.ofsted.landing().iterdir())
    bring = files.bring

    def refuse(source: Path, target: Path, limit: int) -> None:
        if source == first:
            raise OSError(28, "No space left on device")
        bring(source, target, limit)

    with monkeypatch.context() as patch:
        patch.setattr(files, "bring", refuse)
        with pytest.raises(OSError, match="No space"):
            pair.ofsted.receive()
    assert len(pair.ofsted.inbound()) == 1
    assert first.exists()
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged", "acknowledged"]


def _full(*_: object) -> Path:
    raise OSError(28, os.strerror(28))
