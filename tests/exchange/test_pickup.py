"""The pick-up folder that we keep for a partner, who may do there whatever it likes: nothing of it hurts us."""

import gc
import io
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from exchange.landing import (
    ConnectionLost,
    LandingError,
    PickupFull,
    PickupOccupied,
    PickupUnusable,
    Small,
    SourceChanged,
)
from exchange.pickup import BATCH, PickupFolder
from tests.organisations import CASE, Pair, restart
from tests.tmpfs import mount, tmpfs

FINAL, UNFINISHED = "id.age", "id.age.part"
CONTENT = os.urandom(3_000_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "collect" / "lgsco"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file of ours that the partner would like to reach."""
    path = tmp_path / "ours"
    path.write_bytes(b"ours")
    return path


def put(folder: Path, content: bytes = CONTENT) -> None:
    pickup = PickupFolder(folder, "lgsco")
    pickup.put(io.BytesIO(content), len(content), UNFINISHED)
    pickup.rename(UNFINISHED, FINAL)
    pickup.close()


def test_a_file_is_placed_whole_and_the_partner_may_read_it_whatever_our_umask(folder: Path) -> None:
    before = os.umask(0o077)
    try:
        put(folder)
    finally:
        os.umask(before)
    (placed,) = folder.iterdir()
    assert placed.name == FINAL
    assert placed.read_bytes() == CONTENT
    assert stat.S_IMODE(placed.stat().st_mode) == 0o644


def test_many_small_files_are_told_of_when_their_names_are_on_the_disk(folder: Path) -> None:
    smalls = [Small(os.urandom(100), f"{n}.age.part", f"{n}.age") for n in range(2 * BATCH + 3)]
    told: list[Small] = []
    pickup = PickupFolder(folder, "lgsco")
    pickup.put_many(smalls, told.append)
    assert told == smalls
    assert pickup.list() == sorted((small.final, 100) for small in smalls)
    pickup.remove("0.age")
    pickup.remove("0.age")
    assert pickup.size("0.age") is None
    pickup.close()


def _directory(path: Path) -> None:
    path.mkdir()
    (path / "in it").touch()


PLANTED: dict[str, Callable[[Path, Path], object]] = {
    "a link to a file": lambda path, outside: path.symlink_to(outside),
    "a link to nowhere": lambda path, outside: path.symlink_to(outside.with_name("nowhere")),
    "a hard link": lambda path, outside: path.hardlink_to(outside),
    "a pipe": lambda path, outside: os.mkfifo(path),
    "a file": lambda path, outside: path.write_bytes(bytes(len(CONTENT))),
}


@pytest.mark.parametrize("planted", PLANTED)
@pytest.mark.parametrize("name", [FINAL, UNFINISHED])
def test_whatever_lies_under_our_names_is_replaced_and_never_followed(
    folder: Path, outside: Path, planted: str, name: str
) -> None:
    PLANTED[planted](folder / name, outside)
    put(folder)
    (placed,) = folder.iterdir()
    assert not placed.is_symlink()
    assert placed.read_bytes() == CONTENT
    assert outside.read_bytes() == b"ours"
    assert outside.stat().st_nlink == 1
    assert not outside.with_name("nowhere").exists()


@pytest.mark.parametrize("planted", [name for name in PLANTED if name != "a file"])
def test_only_a_file_of_our_own_counts_as_one_that_was_placed(folder: Path, outside: Path, planted: str) -> None:
    PLANTED[planted](folder / FINAL, outside)
    pickup = PickupFolder(folder, "lgsco")
    assert pickup.size(FINAL) is None
    assert pickup.list() == []
    (folder / "other.age").write_bytes(b"of the partner's user")
    os.chown(folder / "other.age", 65534, 65534)
    assert pickup.size("other.age") is None
    pickup.close()


@pytest.mark.parametrize("name", [FINAL, UNFINISHED])
def test_a_folder_under_our_name_is_in_the_way_of_that_file_only(folder: Path, name: str) -> None:
    _directory(folder / name)
    with pytest.raises(PickupOccupied) as told:
        put(folder)
    assert told.value.of_one_file
    assert str(folder) not in told.value.for_people()
    pickup = PickupFolder(folder, "lgsco")
    finished: list[str] = []
    smalls = [Small(b"x", f"{n}.age.part", f"{n}.age") for n in ("a", "id", "b")]
    with pytest.raises(PickupOccupied):
        pickup.put_many(smalls, lambda small: finished.append(small.final))
    assert finished == ["a.age"]
    pickup.close()


def test_a_file_that_the_partner_exchanges_while_it_is_written_is_its_own_loss(folder: Path, outside: Path) -> None:
    def exchange(written: int) -> None:
        (folder / UNFINISHED).unlink()
        (folder / UNFINISHED).symlink_to(outside)

    pickup = PickupFolder(folder, "lgsco")
    with_first_piece = iter([exchange])
    pickup.put(
        io.BytesIO(CONTENT), len(CONTENT), UNFINISHED, progress=lambda n: next(with_first_piece, lambda _: None)(n)
    )
    pickup.rename(UNFINISHED, FINAL)
    assert (folder / FINAL).is_symlink()
    assert outside.read_bytes() == b"ours"
    pickup.close()


def test_a_file_that_the_partner_deletes_before_it_has_its_name_is_placed_by_the_next_try(folder: Path) -> None:
    pickup = PickupFolder(folder, "lgsco")
    pickup.put(io.BytesIO(CONTENT), len(CONTENT), UNFINISHED)
    (folder / UNFINISHED).unlink()
    with pytest.raises(LandingError):
        pickup.rename(UNFINISHED, FINAL)
    pickup.close()
    put(folder)
    assert (folder / FINAL).read_bytes() == CONTENT


def test_a_rename_that_was_done_already_is_done(folder: Path) -> None:
    put(folder)
    pickup = PickupFolder(folder, "lgsco")
    pickup.rename(UNFINISHED, FINAL)
    pickup.close()


def test_a_missing_a_locked_and_a_closed_folder_each_have_their_words(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PickupUnusable, match="our pick-up folder for lgsco cannot be used: no such file or directory"):
        PickupFolder(tmp_path / "nothing", "lgsco")
    pickup = PickupFolder(folder, "lgsco")
    folder.rmdir()
    with pytest.raises(PickupUnusable):
        pickup.put(io.BytesIO(b"x"), 1, UNFINISHED)
    folder.mkdir()
    with pytest.raises(ConnectionLost, match="exchanged"):
        pickup.put(io.BytesIO(b"x"), 1, UNFINISHED)
    pickup.close()
    pickup.close()
    with pytest.raises(ConnectionLost, match="closed"):
        pickup.size(FINAL)


def open_handles(folder: Path) -> list[Path]:
    """This process's handles of a folder."""
    handles = Path("/proc/self/fd")
    return [path for path in handles.iterdir() if path.is_symlink() and os.path.realpath(path) == str(folder)]


def put_while_it_is_closed(folder: Path) -> None:
    pickup = PickupFolder(folder, "lgsco")
    pickup.put(io.BytesIO(CONTENT), len(CONTENT), UNFINISHED, progress=lambda _: pickup.close())
    with pytest.raises(ConnectionLost, match="closed"):
        pickup.rename(UNFINISHED, FINAL)


def test_a_file_under_way_while_another_thread_closes_the_folder_goes_nowhere_else(folder: Path) -> None:
    put_while_it_is_closed(folder)
    assert [path.name for path in folder.iterdir()] == [UNFINISHED]
    gc.collect()
    assert open_handles(folder) == []


def test_a_full_disk_takes_what_fits_and_keeps_no_half_file(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "size=4m") as small:
        filler = small / "filler"
        filler.write_bytes(bytes(2_000_000))
        with pytest.raises(PickupFull) as told:
            put(small)
        assert told.value.of_one_file
        put(small, CONTENT[:500_000])
        filler.unlink()
        put(small, CONTENT[:2_000_000])
        assert [path.name for path in small.iterdir()] == [FINAL]


def test_a_quota_that_ends_in_the_middle_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tmpfs(tmp_path / "small", "size=2m") as small:
        monkeypatch.setattr(PickupFolder, "_require_room", lambda self, size: None)
        with pytest.raises(PickupFull):
            put(small)
        assert list(small.iterdir()) == []


def test_a_read_only_disk_has_its_words(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "size=8m") as small:
        mount(small, "remount,ro")
        with pytest.raises(PickupUnusable, match="read-only file system"):
            put(small)


def test_an_envelope_that_is_shorter_than_it_was_is_not_placed(folder: Path) -> None:
    pickup = PickupFolder(folder, "lgsco")
    with pytest.raises(SourceChanged):
        pickup.put(io.BytesIO(CONTENT), len(CONTENT) + 1, UNFINISHED)
    pickup.close()
    assert list(folder.iterdir()) == []


# --- both organisations -----------------------------------------------------------------------------------------------


@pytest.mark.topologies("lgsco-hosts", only=True)
@pytest.mark.parametrize("size", [10, 300_000], ids=["small", "large"])
def test_a_collector_that_deletes_what_it_never_read_gets_it_again(pair: Pair, size: int) -> None:
    pair.lgsco.drop(bytes(size))
    pair.lgsco.take()
    pair.lgsco.send()
    (waiting,) = pair.ofsted.landing().iterdir()
    waiting.unlink()
    pair.settle()
    assert pair.lgsco.states() == ["sent"]
    pair.clock.advance(hours=6)
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]
    assert [path.read_bytes() for path in pair.ofsted.inbound()] == [bytes(size)]


@pytest.mark.topologies("lgsco-hosts", only=True)
def test_a_name_that_the_collector_has_occupied_keeps_no_other_file(pair: Pair) -> None:
    for name in ("a", "b"):
        pair.lgsco.drop(name.encode(), f"{CASE} {name}.pdf")
    pair.lgsco.take()
    first = min(handover.id for handover in pair.lgsco.handovers())
    _directory(pair.ofsted.landing() / f"{first}.age")
    for _ in range(2):
        with pytest.raises(PickupOccupied):
            pair.lgsco.send()
        pair.ofsted.receive()
    assert len(pair.ofsted.inbound()) == 1
    (pair.ofsted.landing() / f"{first}.age" / "in it").unlink()
    (pair.ofsted.landing() / f"{first}.age").rmdir()
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged", "acknowledged"]
    assert {path.read_bytes() for path in pair.ofsted.inbound()} == {b"a", b"b"}


@pytest.mark.topologies("lgsco-hosts", only=True)
def test_a_pickup_folder_that_is_missing_loses_nothing(pair: Pair) -> None:
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.ofsted.landing().rmdir()
    with pytest.raises(PickupUnusable):
        pair.lgsco.send()
    assert pair.lgsco.states() == ["sealed"]
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    pair.ofsted.landing().mkdir()
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]
