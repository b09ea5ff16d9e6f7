"""Half a copy in an outbound folder is cleared away when nobody writes to it any more, and nothing else is."""

import errno
import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exchange import half_copy, rounds
from exchange.submit import submit
from tests.deep import TREES, nested
from tests.organisations import CASE, DECISION, Pair


def die_in(act: Callable[[], object]) -> None:
    """In another process, which kills itself before `act` has ended."""
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            # whatever it raises: there are not to be two that run these tests
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


def killed(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("where", ["sync_file", "move_new"])
def test_what_a_killed_submit_left_goes_when_the_service_starts_and_what_others_write_stays(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    home = pair.lgsco.home
    path = tmp_path / f"{CASE} submitted.pdf"
    path.write_bytes(b"personal data")

    def killed_in_between() -> None:
        monkeypatch.setattr(f"exchange.files.{where}", killed)
        submit(home, pair.lgsco.parts.trust, [path], *DECISION, CASE)

    die_in(killed_in_between)
    (left, *_) = [name for name in below(home.outbound) if name.endswith(".submit.part")]
    theirs = (".decision.pdf.part", "~$decision.docx", f"{left}.crdownload", ".submit.part")
    for name in theirs:
        (home.outbound / name).write_bytes(b"being written")
    rounds.recover(pair.lgsco.parts)
    kept = [name for name in below(home.outbound) if not name.endswith(".concern.toml")]
    assert kept == sorted((home.marker.name, *theirs))
    submit(home, pair.lgsco.parts.trust, [path], *DECISION, CASE)
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]


def test_a_copy_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    with half_copy.half_copy(tmp_path) as copy:
        copy.file.write(b"half")
        half_copy.clear(tmp_path)
        assert copy.path.exists()
        copy.finish()
        # until it has its name
        half_copy.clear(tmp_path)
        copy.path.rename(tmp_path / "decision.pdf")
    assert below(tmp_path) == ["decision.pdf"]


def test_a_copy_that_is_cleared_before_it_is_locked_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock
    first: list[Path] = []

    def late(handle: int, how: int) -> None:
        if not first:
            (path,) = tmp_path.iterdir()
            first.append(path)
            half_copy.clear(tmp_path)
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with half_copy.half_copy(tmp_path) as copy:
        assert not first[0].exists()
        assert copy.path.exists()
        copy.file.write(b"whole")
        copy.finish()
        assert copy.path.read_bytes() == b"whole"
    assert below(tmp_path) == []


def test_a_link_of_such_a_name_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"x")
    link = tmp_path / "outbound" / f".{'0' * 16}.submit.part"
    link.parent.mkdir()
    link.symlink_to(precious)
    half_copy.clear(link.parent)
    assert link.is_symlink()
    assert precious.read_bytes() == b"x"


def left_in(folder: Path) -> Path:
    """A half copy without its writer."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".{'0' * 16}.submit.part"
    path.write_bytes(b"personal data")
    return path


@pytest.mark.parametrize(("levels", "name"), TREES)
def test_folders_that_nest_without_end_keep_no_service_from_starting(pair: Pair, levels: int, name: str) -> None:
    outbound = pair.lgsco.home.outbound
    left = left_in(outbound.joinpath(*DECISION))
    with nested(outbound, levels, name):
        rounds.recover(pair.lgsco.parts)
        assert not left.exists()
        pair.lgsco.drop(b"content")
        pair.settle()
        assert pair.lgsco.states() == ["acknowledged"]


def test_a_folder_that_cannot_be_listed_keeps_no_other_from_being_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = [left_in(tmp_path / name) for name in ("Birmingham", "Leeds", "York")]
    scandir = os.scandir

    def fails(folder: Path) -> Iterator[os.DirEntry[str]]:
        if Path(folder).name == "Leeds":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", fails)
    half_copy.clear(tmp_path)
    assert [copy.exists() for copy in copies] == [False, True, False]


def test_what_cannot_be_cleared_keeps_nothing_else_from_recovery(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    went_on: list[bool] = []
    monkeypatch.setattr(half_copy, "clear", fails)
    monkeypatch.setattr(rounds, "_finish", lambda *_: went_on.append(True))
    rounds.recover(pair.lgsco.parts)
    assert went_on == [True]
