"""What has to be on the disk, for good, before the next thing happens: a power cut may come between the two."""

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from exchange import collect as collecting
from exchange import files
from exchange.collect import collect
from exchange.landing import Landing, Small
from exchange.pickup import PickupFolder
from exchange.spool import Spool
from ledger.store import Ledger, Transaction
from tests.organisations import CASE, FolderLanding, Pair


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The inodes of everything that was synced so far."""
    found: set[int] = set()
    real = os.fsync

    def fsync(handle: int) -> None:
        real(handle)
        found.add(os.fstat(handle).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_what_a_person_dropped_is_on_the_disk_before_it_is_recorded(
    pair: Pair, synced: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    inode = pair.lgsco.drop(b"content").stat().st_ino
    was_synced: list[bool] = []
    real = Ledger.write

    def write(ledger: Ledger, work: Callable[[Transaction], None]) -> None:
        was_synced.append(inode in synced)
        real(ledger, work)

    monkeypatch.setattr(Ledger, "write", write)
    pair.lgsco.take()
    assert was_synced == [True]
    assert pair.lgsco.states() == ["accepted"]


def test_a_dropped_link_is_held_and_what_it_points_to_is_not_touched(
    pair: Pair, synced: set[int], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    path = pair.lgsco.drop(b"content")
    path.unlink()
    path.symlink_to(secret)
    pair.lgsco.take()
    assert pair.lgsco.states() == ["held"]
    assert secret.stat().st_ino not in synced


def test_the_name_of_a_message_is_on_the_disk_before_any_of_it_is_uploaded(
    pair: Pair, synced: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By that name a part that was left on the partner's server is found after a power cut."""
    pair.lgsco.drop(b"content")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.ofsted.receive()
    was_synced: list[bool] = []
    way = FolderLanding if pair.lgsco.elsewhere is None else PickupFolder
    real: Callable[..., None] = way.put_many

    def put_many(landing: Landing, messages: Iterable[Small], done: Callable[[Small], None], **kwargs: bool) -> None:
        for message in messages:
            (path,) = pair.ofsted.home.spool.rglob(message.final)
            was_synced.append(path.parent.stat().st_ino in synced)
            real(landing, [message], done)

    monkeypatch.setattr(way, "put_many", put_many)
    pair.ofsted.send()
    assert was_synced == [True]


@pytest.mark.topologies("lgsco-hosts", only=True)
@pytest.mark.parametrize("size", [1000, 2 * collecting.SMALL], ids=["side by side", "alone"])
def test_what_is_collected_has_its_content_and_its_name_on_the_disk_before_it_is_removed_from_the_partners_server(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    for number in range(3):
        pair.lgsco.drop(os.urandom(size), f"{CASE} {number}.pdf")
    pair.lgsco.take()
    pair.lgsco.send()
    contents: set[int] = set()
    names: set[str] = set()
    removed: list[tuple[bool, bool]] = []
    real, remove = os.fsync, FolderLanding.remove

    def fsync(handle: int) -> None:
        real(handle)
        contents.add(os.fstat(handle).st_ino)
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            names.update(os.listdir(handle))

    def look_and_remove(landing: FolderLanding, name: str) -> None:
        (path,) = pair.ofsted.home.spool.rglob(name)
        removed.append((path.stat().st_ino in contents, name in names))
        remove(landing, name)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(FolderLanding, "remove", look_and_remove)
    assert collect(pair.ofsted.parts, pair.ofsted.pickup) == 3
    assert removed == [(True, True)] * 3


def test_the_note_of_a_placement_is_gone_for_good_before_anything_else_of_it(
    tmp_path: Path, synced: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut could leave the note and nothing that tells what it was about."""
    spool = Spool(tmp_path)
    spool.create()
    identifier = "01a205b3-d000-7000-8000-000000000000"
    folder = spool.note(identifier).parent
    folder.mkdir()
    spool.note(identifier).write_text("{}")
    was_synced: list[bool] = []
    real = files.remove_tree

    def remove_tree(directory: Path) -> None:
        was_synced.append(folder.stat().st_ino in synced)
        real(directory)

    monkeypatch.setattr(files, "remove_tree", remove_tree)
    spool.clear(identifier)
    assert was_synced == [True]
    assert not folder.exists()
