"""What a machine keeps the service from, told without the ledger."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from config.errors import Misuse, NotNow
from exchange import machine
from exchange.drop import scan
from exchange.problems import of_the_home
from exchange.service.alerts import EVENTS
from exchange.status import check_home, status
from exchange.troubles import Troubles
from ledger.identifier import new_id
from tests.organisations import Pair
from tests.tmpfs import tmpfs

NOBODY = 65534


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


@pytest.mark.parametrize("name", ["outbound", "inbound", "held", "sent", "spool"])
def test_a_folder_that_is_mounted_for_itself_is_told_of_although_it_is_the_same_disk(
    pair: Pair, name: str, tmp_path: Path
) -> None:
    home = pair.lgsco.home
    assert machine.on_other_disks(home) == []
    before = {path: path.stat().st_mtime_ns for path in home.root.rglob("*")}
    with mounted_again(getattr(home, name), tmp_path):
        apart = machine.on_other_disks(home)
        assert apart == [name] if name != "spool" else ["outbound", "inbound", "held", "sent"]
        assert machine.troubles(home) == [machine.folders_apart(", ".join(apart))]
        with pytest.raises(Misuse, match=f"between the spool and {apart[0]}") as caught:
            check_home(home)
        assert "on one file system" in caught.value.hint
    assert machine.troubles(home) == []
    assert {path: path.stat().st_mtime_ns for path in home.root.rglob("*")} == before


@contextmanager
def as_somebody() -> Iterator[None]:
    """Root may do everything."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("mode", "closed"), [(0o777, 0), (0o333, 1), (0o555, 1), (0o666, 2), (0o000, 1)])
def test_folders_that_may_not_be_read_or_emptied_are_counted(pair: Pair, mode: int, closed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        outbound = Path(name) / "outbound"
        (outbound / "ofsted" / "upheld-decision" / "Leeds").mkdir(parents=True)
        (outbound / "ofsted" / ".trash").mkdir(0)
        (outbound / "ofsted" / "upheld-decision" / "Leeds" / "decision.pdf").write_bytes(b"")
        (outbound / "ofsted" / "upheld-decision" / "Leeds" / "inner").mkdir()
        for folder in (Path(name), outbound, *outbound.rglob("[!.]*")):
            folder.chmod(0o777)
        (outbound / "ofsted" / "upheld-decision" / "Leeds").chmod(mode)
        # nothing has to be taken from here
        (outbound / "ofsted" / "upheld-decision").chmod(0o755)
        home = replace(pair.lgsco.home, root=Path(name))
        assert home.outbound == outbound
        with as_somebody():
            assert machine.closed_folders(home) == closed
            found = [candidate.path.name for candidate in scan(home.outbound)]
        assert found == (["decision.pdf"] if mode in (0o777, 0o555) else [])
    assert machine.closed_folders(home) == 0


def test_a_closed_folder_in_outbound_is_recorded_and_told_until_it_is_opened(pair: Pair, tmp_path: Path) -> None:
    parts, service = pair.lgsco.parts, Troubles()
    folder = parts.home.outbound / "ofsted" / "Kim Example"
    folder.mkdir(parents=True)

    def said() -> list[str]:
        found = status(parts.home, parts.ledger, parts.keyring, parts.trust).problems
        return [problem for problem in found if "may not read, or not empty" in problem]

    with mounted_again(folder, tmp_path):
        (folder / "decision.pdf").write_bytes(b"")
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        for _ in range(2):
            service.note(parts, True)
        assert len(said()) == 1
    for _ in range(2):
        service.note(parts, True)
    assert said() == []
    ledger = parts.ledger
    found = [entry for entry in ledger.entries(0, ledger.size) if entry.event in ("folders.closed", "folders.opened")]
    assert [(entry.event, entry.detail) for entry in found] == [
        ("folders.closed", {"number": 1}),
        ("folders.opened", {}),
    ]
    assert {"folders.closed", "folders.opened"} <= EVENTS


@pytest.mark.parametrize("place", ["outbound", "spool", "landing", "inbound"])
def test_a_folder_that_cannot_be_read_is_a_sentence_and_hides_no_other(pair: Pair, place: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        for folder in machine.WORK:
            (root / folder).mkdir()
        (root / place).chmod(0)
        with as_somebody():
            said = of_the_home(replace(pair.lgsco.home, root=root))
    assert (place == "outbound") == ("outbound/ cannot be read: Permission denied" in said)
    assert (place != "outbound") == ("the outbound folder has lost its marker file" in said)


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


@pytest.mark.parametrize("where", ["outbound/ofsted", "spool/out", "inbound/ofsted/a name", "sent/a\\b\tc"])
def test_a_mount_somewhere_in_a_folder_is_found(pair: Pair, tmp_path: Path, where: str) -> None:
    home = pair.lgsco.home
    (home.root / where).mkdir(parents=True, exist_ok=True)
    with mounted_again(home.root / where, tmp_path):
        assert machine.on_other_disks(home) == [where.split("/")[0]]


def test_where_linux_does_not_tell_of_mounts_the_folders_themselves_are_looked_at(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = pair.lgsco.home
    monkeypatch.setattr(machine, "_MOUNTS", tmp_path / "nothing")
    assert machine.on_other_disks(home) == []
    with mounted_again(home.held, tmp_path):
        assert machine.on_other_disks(home) == ["held"]


def test_a_folder_that_is_a_link_to_one_of_the_same_disk_is_as_good_as_that(pair: Pair, tmp_path: Path) -> None:
    home = pair.lgsco.home
    home.held.rename(tmp_path / "held elsewhere")
    home.held.symlink_to(tmp_path / "held elsewhere")
    assert machine.on_other_disks(home) == []
    (tmp_path / "held elsewhere" / "ofsted").mkdir(exist_ok=True)
    with mounted_again(tmp_path / "held elsewhere" / "ofsted", tmp_path):
        assert machine.on_other_disks(home) == ["held"]


def test_a_quarantine_and_a_landing_zone_may_lie_anywhere(pair: Pair, tmp_path: Path) -> None:
    home = pair.ofsted.home
    with mounted_again(home.quarantine, tmp_path), mounted_again(home.landing, tmp_path):
        assert machine.troubles(home) == []
        assert check_home(home)["ok"]
        zone = home.landing / "lgsco"
        zone.mkdir()
        name = f"{new_id(pair.clock(), pair.ofsted.parts.effects.random)}.age"
        (zone / name).write_bytes(b"no envelope")
        pair.ofsted.receive()
        assert (home.quarantine / "lgsco" / name).read_bytes() == b"no envelope"


def test_what_only_the_service_sees_is_recorded_once_and_the_status_says_it(pair: Pair, tmp_path: Path) -> None:
    parts, service = pair.lgsco.parts, Troubles()
    with mounted_again(parts.home.sent, tmp_path):
        for _ in range(3):
            assert service.note(parts, True) == ()
        said = status(parts.home, parts.ledger, parts.keyring, parts.trust).problems
        assert said.count(machine.folders_apart("sent")) == 1
    # a shell, in which it is not mounted
    said = status(parts.home, parts.ledger, parts.keyring, parts.trust).problems
    assert said.count(machine.folders_apart("sent")) == 1
    for _ in range(3):
        service.note(parts, True)
    assert [event for event in pair.lgsco.events() if "folders" in event] == ["folders.apart", "folders.together"]
    assert machine.folders_apart("sent") not in status(parts.home, parts.ledger, parts.keyring, parts.trust).problems


def test_folders_that_are_gone_are_said_to_be_gone_and_nothing_else(pair: Pair) -> None:
    home = pair.lgsco.home
    home.held.rmdir()
    assert machine.troubles(home) == ["the held folder is missing"]
