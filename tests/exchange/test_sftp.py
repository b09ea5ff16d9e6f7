"""A landing zone on a real OpenSSH server: what goes up is there, whole, under its final name."""

import os
import threading
from collections.abc import Iterator
from io import BytesIO

import pytest

from exchange.landing import ConnectionLost, NotThere, PermissionDenied, Small, SourceChanged, UnfinishedChanged
from exchange.sftp import client as sftp
from exchange.sftp.client import SftpLanding
from tests.sshd import Sshd

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with Sshd() as server:
        yield server


@pytest.fixture
def landing(sshd: Sshd) -> Iterator[SftpLanding]:
    sshd.new_zone()
    connected = sftp.connect(sshd.address(), sshd.user_key, timeout=20, keepalive=30)
    yield connected
    connected.close()


@pytest.mark.parametrize("size", [0, 1, 261_120, 261_121, 9 * MIB + 1])
def test_a_file_goes_up_whole_and_comes_down_the_same(sshd: Sshd, landing: SftpLanding, size: int) -> None:
    data = os.urandom(size)
    landing.put(BytesIO(data), size, "one.age.part")
    landing.rename("one.age.part", "one.age")
    assert (sshd.zone / "one.age").read_bytes() == data
    assert landing.list() == [("one.age", size)]
    down = BytesIO()
    assert landing.get("one.age", down) == size
    assert down.getvalue() == data


def test_progress_counts_acknowledged_bytes_up_to_the_size(landing: SftpLanding) -> None:
    counted: list[int] = []
    landing.put(BytesIO(os.urandom(2 * MIB)), 2 * MIB, "one.age.part", progress=counted.append)
    assert counted == sorted(counted)
    assert counted[-1] == 2 * MIB
    assert len(counted) > 8


def test_a_put_replaces_an_older_longer_file(sshd: Sshd, landing: SftpLanding) -> None:
    landing.put(BytesIO(b"the older one"), 13, "one.age.part")
    landing.put(BytesIO(b"new"), 3, "one.age.part")
    assert (sshd.zone / "one.age.part").read_bytes() == b"new"


def test_a_rename_replaces_a_file_of_that_name(sshd: Sshd, landing: SftpLanding) -> None:
    (sshd.zone / "one.age").write_bytes(b"old")
    landing.put(BytesIO(b"new"), 3, "one.age.part")
    landing.rename("one.age.part", "one.age")
    assert (sshd.zone / "one.age").read_bytes() == b"new"
    assert landing.list() == [("one.age", 3)]


def test_a_rename_that_is_done_already_counts_as_done(landing: SftpLanding) -> None:
    landing.put(BytesIO(b"new"), 3, "one.age.part")
    landing.rename("one.age.part", "one.age")
    landing.rename("one.age.part", "one.age")
    assert landing.list() == [("one.age", 3)]


def test_a_rename_of_nothing_to_nothing_is_an_error(landing: SftpLanding) -> None:
    with pytest.raises(NotThere):
        landing.rename("one.age.part", "one.age")


def test_an_upload_goes_on_where_it_was_cut(sshd: Sshd, landing: SftpLanding) -> None:
    data = os.urandom(6 * MIB)
    landing.put(BytesIO(data[: 5 * MIB]), 5 * MIB, "one.age.part")
    source = BytesIO(data)
    assert landing.resume_offset(source, len(data), "one.age.part") == 5 * MIB
    counted: list[int] = []
    landing.put(source, len(data), "one.age.part", offset=5 * MIB, progress=counted.append)
    assert (sshd.zone / "one.age.part").read_bytes() == data
    assert counted[0] > 5 * MIB


def test_an_upload_goes_on_before_bytes_that_are_not_to_stay(sshd: Sshd, landing: SftpLanding) -> None:
    landing.put(BytesIO(b"abcdXXXXXXXX"), 12, "one.age.part")
    landing.put(BytesIO(b"abcdef"), 6, "one.age.part", offset=4)
    assert (sshd.zone / "one.age.part").read_bytes() == b"abcdef"


@pytest.mark.parametrize("at", [0, 700_000, 4 * MIB - 1])
def test_an_unfinished_file_that_differs_is_not_built_upon(sshd: Sshd, landing: SftpLanding, at: int) -> None:
    data = bytearray(os.urandom(4 * MIB))
    source = BytesIO(bytes(data))
    data[at] ^= 1
    (sshd.zone / "one.age.part").write_bytes(data)
    (sshd.zone / "one.age.part").chmod(0o644)
    assert landing.resume_offset(source, len(data), "one.age.part") == 0


def test_an_unfinished_file_that_is_longer_or_missing_is_not_built_upon(sshd: Sshd, landing: SftpLanding) -> None:
    assert landing.resume_offset(BytesIO(b"abc"), 3, "one.age.part") == 0
    landing.put(BytesIO(b"abcd"), 4, "one.age.part")
    assert landing.resume_offset(BytesIO(b"abc"), 3, "one.age.part") == 0


def test_a_put_behind_bytes_that_are_gone_is_refused_and_the_connection_stays_of_use(landing: SftpLanding) -> None:
    landing.put(BytesIO(b"ab"), 2, "one.age.part")
    with pytest.raises(UnfinishedChanged):
        landing.put(BytesIO(b"abcdef"), 6, "one.age.part", offset=4)
    assert landing.list() == [("one.age.part", 2)]


def test_a_source_that_is_shorter_than_said_is_no_success(landing: SftpLanding) -> None:
    with pytest.raises(SourceChanged) as caught:
        landing.put(BytesIO(os.urandom(MIB)), MIB + 1, "one.age.part")
    assert caught.value.reason == "file-changed"
    assert landing.size("one.age.part") == MIB


def test_a_source_that_breaks_closes_the_connection(landing: SftpLanding) -> None:
    class Broken(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > MIB:
                raise OSError("our disk")
            return super().read(size)

    with pytest.raises(OSError, match="our disk"):
        landing.put(Broken(bytes(2 * MIB)), 2 * MIB, "one.age.part")
    with pytest.raises(ConnectionLost):
        landing.list()


@pytest.mark.parametrize("sync", [True, False])
def test_many_small_files_go_up_together_each_under_its_final_name(
    sshd: Sshd, landing: SftpLanding, sync: bool
) -> None:
    files = [Small(os.urandom(n * 1000), f"{n:03}.age.part", f"{n:03}.age") for n in range(300)]
    finished: list[Small] = []
    landing.put_many(iter(files), finished.append, sync=sync)
    assert sorted(one.final for one in finished) == [one.final for one in files]
    assert {path.name: path.read_bytes() for path in sshd.zone.iterdir()} == {one.final: one.data for one in files}


def test_many_files_may_be_none_or_empty(landing: SftpLanding) -> None:
    landing.put_many([])
    landing.put_many([Small(b"", "one.age.part", "one.age")])
    assert landing.list() == [("one.age", 0)]


def test_small_files_replace_older_ones(sshd: Sshd, landing: SftpLanding) -> None:
    for data in (b"the older one", b"new"):
        landing.put_many([Small(data, "one.age.part", "one.age")])
    assert (sshd.zone / "one.age").read_bytes() == b"new"


def test_only_regular_files_are_listed_with_their_sizes_and_all_of_them(sshd: Sshd, landing: SftpLanding) -> None:
    landing.put_many(Small(bytes(n), f"{n:04}.part", f"{n:04}") for n in range(250))
    (sshd.zone / "folder").mkdir()
    (sshd.zone / "link").symlink_to("/etc/passwd")
    try:
        assert landing.list() == [(f"{n:04}", n) for n in range(250)]
    finally:
        (sshd.zone / "folder").rmdir()


def test_the_size_of_a_file_that_is_not_there_is_none(landing: SftpLanding) -> None:
    landing.put(BytesIO(b"abc"), 3, "one.age")
    assert (landing.size("one.age"), landing.size("two.age")) == (3, None)


def test_removing_twice_is_removing(sshd: Sshd, landing: SftpLanding) -> None:
    landing.put(BytesIO(b"abc"), 3, "one.age")
    landing.remove("one.age")
    landing.remove("one.age")
    assert list(sshd.zone.iterdir()) == []


def test_getting_what_is_not_there_is_an_error_and_the_connection_stays_of_use(landing: SftpLanding) -> None:
    with pytest.raises(NotThere):
        landing.get("one.age", BytesIO())
    assert landing.list() == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "a\0b"])
def test_a_name_is_never_a_path(landing: SftpLanding, name: str) -> None:
    with pytest.raises(ValueError, match="plain name"):
        landing.put(BytesIO(b""), 0, name)


def test_a_landing_folder_that_does_not_exist_is_said_so(sshd: Sshd) -> None:
    missing = sftp.connect(sshd.address(path="nowhere"), sshd.user_key, timeout=20, keepalive=30)
    try:
        with pytest.raises(NotThere):
            missing.put(BytesIO(b"abc"), 3, "one.age.part")
        with pytest.raises(NotThere):
            missing.list()
        with pytest.raises(NotThere):
            missing.put_many([Small(b"abc", "one.age.part", "one.age")])
    finally:
        missing.close()


def test_a_folder_that_does_not_belong_to_us_is_said_so(sshd: Sshd, landing: SftpLanding) -> None:
    sshd.zone.chmod(0o500)
    try:
        with pytest.raises(PermissionDenied) as caught:
            landing.put(BytesIO(b"abc"), 3, "one.age.part")
        assert caught.value.reason == "permission-denied"
        with pytest.raises(PermissionDenied):
            landing.put_many([Small(b"abc", "one.age.part", "one.age")])
    finally:
        sshd.zone.chmod(0o700)


def test_a_closed_connection_leaves_no_thread_and_says_that_it_is_closed(sshd: Sshd) -> None:
    before = set(threading.enumerate())
    connected = sftp.connect(sshd.address(), sshd.user_key, timeout=20, keepalive=30)
    connected.close()
    connected.close()
    assert set(threading.enumerate()) == before
    with pytest.raises(ConnectionLost):
        connected.list()
    with pytest.raises(ConnectionLost):
        connected.put(BytesIO(b"abc"), 3, "one.age.part")


def test_new_files_can_be_read_by_the_group_that_fetches_them(sshd: Sshd, landing: SftpLanding) -> None:
    landing.put(BytesIO(b"abc"), 3, "one.age")
    assert (sshd.zone / "one.age").stat().st_mode & 0o777 == 0o640


def test_a_server_without_any_extension_is_enough() -> None:
    silent = "-P posix-rename,statvfs,fsync,limits"
    with Sshd(sftp_options=silent) as server:
        connected = sftp.connect(server.address(), server.user_key, timeout=20, keepalive=30)
        (server.zone / "one.age").write_bytes(b"old")
        data = os.urandom(MIB)
        connected.put(BytesIO(data), MIB, "one.age.part")
        connected.rename("one.age.part", "one.age")
        connected.put_many([Small(b"abc", "two.age.part", "two.age")])
        connected.put_many([Small(b"abcd", "two.age.part", "two.age")])
        assert connected.list() == [("one.age", MIB), ("two.age", 4)]
        connected.close()
