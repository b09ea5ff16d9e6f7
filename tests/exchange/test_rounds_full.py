"""A full disk, and folders that cannot be written to: nothing is lost, and it goes on by itself when there is room.

The disk is a small one in memory, mounted by the test; that needs root, as the machines have on which tests run.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from config.errors import NotNow
from config.home import Home
from tests.organisations import CASE, Organisation, Pair, Template, start

CONTENT = os.urandom(1_000_000)


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[None]:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, f"these tests mount a small disk and need root for it: {done.stderr}"
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def small_disk(template: Template, base: Path, small: str) -> Iterator[Pair]:
    """A pair of which one home lies on a disk of its own, of 16 MiB."""
    disk = base / "disk"
    disk.mkdir()
    with template.pair(base / "pair") as pair, mounted(disk, "16m"):
        pair.close()
        old = getattr(pair, small).home.root
        subprocess.run(["cp", "-a", f"{old}/.", str(disk)], check=True)
        homes = {name: Home.open(disk if name == small else getattr(pair, name).home.root) for name in PARTNER}
        for name, partner in PARTNER.items():
            setattr(pair, name, start(homes[name], homes[partner], pair.clock))
        yield pair
        pair.close()


PARTNER = {"lgsco": "ofsted", "ofsted": "lgsco"}


def fill(home: Home, leave: int) -> Path:
    """Fill the disk but for `leave` bytes."""
    filler = home.root / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(65536))
    os.truncate(filler, max(0, filler.stat().st_size - leave))
    return filler


def try_everything(pair: Pair) -> list[str]:
    """Rounds while the disk is full: failures may only be those that pass."""
    failures = []
    for _ in range(3):
        for organisation in (pair.lgsco, pair.ofsted):
            for act in (Organisation.take, Organisation.send, Organisation.receive):
                try:
                    act(organisation)
                except (OSError, NotNow) as problem:
                    failures.append(type(problem).__name__)
    return failures


def copies(home: Home) -> int:
    """In how many places the file is, by its whole content."""
    size = len(CONTENT)
    parts = ("outbound", "spool", "held", "sent", "inbound")
    found = [path for part in parts for path in (home.root / part).rglob("*") if path.is_file()]
    return sum(path.stat().st_size == size and path.read_bytes() == CONTENT for path in found)


@pytest.mark.parametrize("leave", [0, 16_384, 300_000, 1_050_000])
def test_a_sender_whose_disk_is_full_loses_nothing_and_goes_on_when_there_is_room(
    template: Template, tmp_path: Path, leave: int
) -> None:
    with small_disk(template, tmp_path, "lgsco") as pair:
        pair.lgsco.drop(CONTENT)
        pair.lgsco.drop(CONTENT, f"{CASE} other.exe")
        filler = fill(pair.lgsco.home, leave)
        failures = try_everything(pair)
        assert failures or leave > 1_000_000
        assert copies(pair.lgsco.home) == 2
        filler.unlink()
        pair.settle()
        assert sorted(pair.lgsco.states()) == ["acknowledged", "held"]
        assert [p.read_bytes() for p in pair.ofsted.inbound()] == [CONTENT]
        assert copies(pair.lgsco.home) == 2
        assert pair.lgsco.spooled() == []
        assert list((pair.lgsco.home.spool / "out").iterdir()) == []
        assert len(list(pair.lgsco.home.held.rglob("*.why.txt"))) == 1


@pytest.mark.parametrize("leave", [0, 16_384, 600_000, 1_050_000])
def test_a_receiver_whose_disk_is_full_delivers_once_when_there_is_room(
    template: Template, tmp_path: Path, leave: int
) -> None:
    with small_disk(template, tmp_path, "ofsted") as pair:
        pair.lgsco.drop(CONTENT)
        pair.lgsco.take()
        pair.lgsco.send()
        filler = fill(pair.ofsted.home, leave)
        try_everything(pair)
        filler.unlink()
        pair.settle()
        assert pair.lgsco.states() == ["acknowledged"]
        assert [p.read_bytes() for p in pair.ofsted.inbound()] == [CONTENT]
        assert pair.ofsted.events().count("delivered") == 1
        assert pair.ofsted.spooled() == []
        assert "quarantined" not in pair.ofsted.events()


@pytest.mark.topologies("push", only=True)
def test_a_disk_that_is_full_in_the_middle_of_the_content_keeps_none_of_it(template: Template, tmp_path: Path) -> None:
    with small_disk(template, tmp_path, "ofsted") as pair:
        pair.lgsco.drop(CONTENT)
        pair.lgsco.take()
        pair.lgsco.send()
        filler = fill(pair.ofsted.home, 800_000)
        with pytest.raises(OSError, match="No space"):
            pair.ofsted.receive()
        assert [path.suffix for path in pair.ofsted.spooled()] == [".age"]
        assert pair.ofsted.inbound() == []
        filler.unlink()
        pair.settle()
        assert pair.lgsco.states() == ["acknowledged"]


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder on which nothing can be changed, not even by root."""
    for command in (["mount", "--bind"], ["mount", "-o", "remount,ro,bind"]):
        done = subprocess.run([*command, str(folder), str(folder)], capture_output=True, text=True)
        assert done.returncode == 0, f"these tests mount folders and need root for it: {done.stderr}"
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("part", ["inbound", "spool"])
def test_a_receivers_folder_that_is_read_only_for_a_while_costs_nothing(pair: Pair, part: str) -> None:
    pair.lgsco.drop(b"content")
    pair.lgsco.take()
    pair.lgsco.send()
    with read_only(pair.ofsted.home.root / part):
        assert try_everything(pair)
        assert pair.ofsted.inbound() == []
    pair.settle()
    assert [p.read_bytes() for p in pair.ofsted.inbound()] == [b"content"]
    assert pair.lgsco.states() == ["acknowledged"]
    assert pair.ofsted.spooled() == []


@pytest.mark.parametrize("part", ["outbound", "spool", "sent", "held"])
def test_a_senders_folder_that_is_read_only_for_a_while_costs_nothing(pair: Pair, part: str) -> None:
    pair.lgsco.drop(b"content")
    pair.lgsco.drop(b"program", "x.exe")
    with read_only(pair.lgsco.home.root / part):
        assert try_everything(pair)
    pair.settle()
    assert sorted(pair.lgsco.states()) == ["acknowledged", "held"]
    assert [p.read_bytes() for p in pair.ofsted.inbound()] == [b"content"]
    assert pair.lgsco.spooled() == []
    assert len(list(pair.lgsco.home.sent.rglob("*.pdf"))) == 1
    assert len(list(pair.lgsco.home.held.rglob("*.exe"))) == 1
