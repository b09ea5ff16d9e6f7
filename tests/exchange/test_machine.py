"""What a machine keeps the service from, told without the ledger."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config.errors import Misuse, NotNow
from exchange import machine
from exchange.status import check_home
from tests.organisations import Pair
from tests.tmpfs import tmpfs


@contextmanager
def mounted_again(folder: Path, base: Path) -> Iterator[None]:
    """A folder of the same disk in the place of `folder`, as containers are given theirs."""
    other = base / f"other {folder.name}"
    other.mkdir(0o700)
    subprocess.run(["mount", "--bind", other, folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("name", ["outbound", "inbound", "held", "sent", "quarantine"])
def test_a_folder_that_is_mounted_for_itself_is_told_of_although_it_is_the_same_disk(
    pair: Pair, name: str, tmp_path: Path
) -> None:
    home = pair.lgsco.home
    assert machine.on_other_disks(home) == []
    before = {path: path.stat().st_mtime_ns for path in home.root.rglob("*")}
    with mounted_again(getattr(home, name), tmp_path):
        assert machine.on_other_disks(home) == [name]
        assert machine.troubles(home) == [f"on another disk than the spool, so that no file can be moved: {name}"]
        with pytest.raises(Misuse, match=f"between the spool and {name}") as caught:
            check_home(home)
        assert "on one file system" in caught.value.hint
    assert machine.troubles(home) == []
    assert {path: path.stat().st_mtime_ns for path in home.root.rglob("*")} == before


def test_another_disk_in_the_place_of_the_outbound_folder_is_told_of(pair: Pair) -> None:
    home = pair.lgsco.home
    home.outbound.rename(home.root / "before")
    with tmpfs(home.outbound, "size=1m"):
        (home.root / "before" / ".handover-outbound").rename(home.root / "marker")
        home.marker.write_bytes((home.root / "marker").read_bytes())
        pair.lgsco.drop(b"decision")
        with pytest.raises(NotNow, match="another file system"):
            pair.lgsco.take()
        assert machine.on_other_disks(home) == ["outbound"]


def test_folders_that_are_gone_are_said_to_be_gone_and_nothing_else(pair: Pair) -> None:
    home = pair.lgsco.home
    home.held.rmdir()
    assert machine.troubles(home) == ["the held folder is missing"]
