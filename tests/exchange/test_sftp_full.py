"""A landing zone that takes no more: reported as what it is, and never counted as sent."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest

from exchange.landing import LandingFull, LandingReadOnly, Small
from exchange.sftp import client as sftp
from exchange.sftp.client import SftpLanding
from tests.sshd import Sshd
from tests.tmpfs import mount, tmpfs

MIB = 1024 * 1024


@contextmanager
def _disk(options: str, sftp_options: str = "") -> Iterator[tuple[Path, SftpLanding]]:
    """A landing zone on a disk of its own."""
    with (
        Sshd(sftp_options=sftp_options) as sshd,
        tmpfs(sshd.base / "disk", f"uid={sshd.uid},mode=0700,{options}") as disk,
    ):
        address = sshd.address(path="disk" if sshd.is_root else str(disk))
        landing = sftp.connect(address, sshd.user_key, timeout=20, keepalive=30)
        yield disk, landing
        landing.close()


def test_a_file_larger_than_the_disk_is_refused_as_full_and_goes_on_when_there_is_room() -> None:
    data = os.urandom(3 * MIB)
    with _disk("size=1m") as (disk, landing):
        counted: list[int] = []
        with pytest.raises(LandingFull, match=r"\d+ bytes are still to be sent, \d+ are free") as caught:
            landing.put(BytesIO(data), len(data), "one.age.part", progress=counted.append)
        assert caught.value.reason == "landing-full"
        there = (disk / "one.age.part").read_bytes()
        assert data.startswith(there)
        assert counted[-1] <= len(there) < MIB + 1
        mount(disk, "remount,size=8m")
        offset = landing.resume_offset(BytesIO(data), len(data), "one.age.part")
        assert offset == len(there) > 0
        landing.put(BytesIO(data), len(data), "one.age.part", offset=offset)
        assert (disk / "one.age.part").read_bytes() == data


def test_no_write_is_lost_silently_however_the_file_fits() -> None:
    """Sizes around the room that there is: each either stands whole on the disk, or is an error."""
    with _disk("size=1m") as (disk, landing):
        outcomes: set[bool] = set()
        for size in range(MIB - 3 * 4096, MIB + 3 * 4096, 2048):
            data = os.urandom(size)
            try:
                landing.put(BytesIO(data), size, "one.age.part")
            except LandingFull:
                outcomes.add(False)
            else:
                assert (disk / "one.age.part").read_bytes() == data
                outcomes.add(True)
            landing.remove("one.age.part")
        assert outcomes == {True, False}


def test_small_files_that_do_not_fit_are_refused_and_only_whole_ones_are_called_done() -> None:
    files = [Small(os.urandom(20_000), f"{n:03}.age.part", f"{n:03}.age") for n in range(100)]
    with _disk("size=1m") as (disk, landing):
        finished: list[Small] = []
        with pytest.raises(LandingFull):
            landing.put_many(files, finished.append)
        assert 30 < len(finished) < 60
        final = {path.name: path.read_bytes() for path in disk.glob("*.age")}
        assert final == {one.final: one.data for one in finished}
        assert landing.size("000.age") == 20_000


def test_a_server_that_does_not_tell_its_room_is_asked_by_a_second_try() -> None:
    with _disk("size=1m", "-P statvfs") as (disk, landing):
        data = os.urandom(2 * MIB)
        with pytest.raises(LandingFull, match="it takes no more bytes"):
            landing.put(BytesIO(data), len(data), "one.age.part")
        assert data.startswith((disk / "one.age.part").read_bytes())
        with pytest.raises(LandingFull, match="it takes no more bytes"):
            landing.put_many([Small(data, "two.age.part", "two.age")])
        assert not (disk / "two.age").exists()


def test_a_disk_without_a_file_left_to_make_is_full() -> None:
    with _disk("size=1m,nr_inodes=3") as (_, landing):
        with pytest.raises(LandingFull):
            landing.put_many(Small(b"abc", f"{n}.part", f"{n}") for n in range(5))
        with pytest.raises(LandingFull):
            landing.put(BytesIO(b"abc"), 3, "one.age.part")


def test_a_disk_that_is_mounted_read_only_is_not_called_full() -> None:
    with _disk("size=1m") as (disk, landing):
        mount(disk, "remount,ro")
        with pytest.raises(LandingReadOnly) as caught:
            landing.put(BytesIO(b"abc"), 3, "one.age.part")
        assert caught.value.reason == "landing-read-only"
