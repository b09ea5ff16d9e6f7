"""What a hostile or careless partner leaves in its landing zone costs little, and is recorded once."""

import errno
import os
from pathlib import Path

import pytest

from exchange import files, landed, rounds
from tests.organisations import CASE, Pair, restart
from tests.tmpfs import tmpfs


def test_a_file_that_grows_while_it_is_copied_is_not_kept(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "other", "size=16m") as other:
        source = other / "landed"
        source.write_bytes(b"x" * 5_000_000)
        with pytest.raises(files.TooLarge):
            files.bring(source, tmp_path / "taken", 1_000_000)
        assert [path.name for path in tmp_path.iterdir()] == ["other"]
        assert source.exists()
        files.bring(source, tmp_path / "taken", 5_000_000)
        assert (tmp_path / "taken").stat().st_size == 5_000_000
        assert not source.exists()


@pytest.mark.topologies("push", only=True)
def test_what_cannot_be_put_into_quarantine_is_recorded_once_and_not_in_every_round(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.ofsted.landing().mkdir(exist_ok=True)
    (pair.ofsted.landing() / "junk").write_bytes(b"junk")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "bring_aside", full)
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                pair.ofsted.receive()
    assert pair.ofsted.states("in") == []
    pair.settle()
    assert pair.ofsted.states("in") == ["quarantined"]


@pytest.mark.topologies("push", only=True)
def test_a_crash_between_putting_aside_and_recording_is_made_good_at_the_start(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.ofsted.landing().mkdir(exist_ok=True)
    (pair.ofsted.landing() / "junk").write_bytes(b"junk")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(pair.ofsted.parts.ledger), "write", crash)
        with pytest.raises(KeyboardInterrupt):
            pair.ofsted.receive()
    for _ in range(2):
        pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    assert [(h.state, h.reason) for h in pair.ofsted.handovers()] == [("quarantined", "interrupted")]


def test_rubbish_under_the_id_of_our_own_handover_does_not_become_its_twin(pair: Pair) -> None:
    pair.lgsco.drop(b"x")
    pair.settle()
    (ours,) = pair.lgsco.handovers()
    (pair.lgsco.landing() / f"{ours.id}.age").write_bytes(b"rubbish")
    pair.settle()
    assert [h.direction for h in pair.lgsco.parts.ledger.find_handovers(ours.id)] == ["out"]
    other = next(h for h in pair.lgsco.handovers() if h.direction == "in")
    entry = pair.lgsco.parts.ledger.entry(other.first_seq)
    assert entry.detail["about"] == ours.id


@pytest.mark.topologies("push", only=True)
def test_a_landed_file_that_may_not_be_read_is_recorded_once_and_keeps_nobody_waiting(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        pair.lgsco.drop(name.encode(), f"{CASE} {name}.pdf")
    pair.lgsco.take()
    pair.lgsco.send()
    first = min(pair.ofsted.landing().iterdir())
    bring = files.bring

    def forbidden(source: Path, target: Path, limit: int) -> None:
        if source == first:
            raise PermissionError(errno.EACCES, "Permission denied")
        bring(source, target, limit)

    with monkeypatch.context() as patch:
        patch.setattr(files, "bring", forbidden)
        for _ in range(3):
            pair.ofsted.receive()
    assert pair.ofsted.events().count(landed.UNREADABLE) == 1
    assert pair.ofsted.states("in") == ["delivered"]
    pair.settle()
    assert pair.ofsted.states("in") == ["delivered", "delivered"]


def test_a_file_that_was_claimed_while_it_was_written_goes_back_after_a_crash(pair: Pair) -> None:
    path = pair.lgsco.drop(b"half ")
    pair.lgsco.parts.ledger.close()
    from exchange.drop import Sighting, scan
    from exchange.intake import take

    candidate = next(scan(pair.lgsco.home.outbound))
    assert candidate.sighting == Sighting.of(path.lstat())
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    writer = path.open("ab")
    spool = pair.lgsco.parts.spool
    put_back = type(spool).put_back
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(spool), "put_back", _fail)
            with pytest.raises(OSError, match="No space"):
                take(pair.lgsco.parts, candidate)
        pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
        writer.write(b"whole")
    finally:
        writer.close()
    assert put_back is type(spool).put_back
    pair.settle()
    assert [p.read_bytes() for p in pair.ofsted.inbound()] == [b"half whole"]


def _fail(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_that_does_not_fit_on_the_disk_leaves_no_half_envelope(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.lgsco.drop(b"x" * 100_000)
    pair.lgsco.take()
    with monkeypatch.context() as patch:
        patch.setattr("exchange.sender.seal", _fail_sealing)
        with pytest.raises(OSError, match="No space"):
            rounds.seal_accepted(pair.lgsco.parts, "ofsted")
    assert sorted(p.name for p in pair.lgsco.spooled()) == ["claim.json", "payload"]
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]


def _fail_sealing(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.topologies("push", only=True)
def test_an_upload_that_nobody_finishes_goes_after_a_month_and_not_before(pair: Pair) -> None:
    pair.ofsted.landing().mkdir(exist_ok=True)
    unfinished = pair.ofsted.landing() / f"{CASE}.age.part"
    unfinished.write_bytes(b"half an envelope")
    (pair.ofsted.landing() / "folder.part").mkdir()
    pair.clock.advance(days=29)
    pair.settle()
    assert unfinished.exists()
    pair.clock.advance(days=2)
    pair.settle()
    assert [path.name for path in pair.ofsted.landing().iterdir()] == ["folder.part"]
