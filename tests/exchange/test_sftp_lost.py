"""Connections that break: each is an error, soon, and what was done before counts when it is tried again."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO

import pytest

from exchange.landing import ConnectionLost, Small
from exchange.sftp import client as sftp
from exchange.sftp.client import SftpLanding
from tests.line import Line
from tests.sshd import Sshd

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with Sshd() as server:
        yield server


@pytest.fixture
def line(sshd: Sshd) -> Iterator[Line]:
    sshd.new_zone()
    with closing(Line(sshd.port)) as between:
        yield between


def _connect(sshd: Sshd, line: Line | None = None, timeout: float = 10) -> SftpLanding:
    port = line.port if line else sshd.port
    return sftp.connect(sshd.address(port=port), sshd.user_key, timeout=timeout, keepalive=1)


@pytest.mark.parametrize("after", [100_000, 5 * MIB, 15 * MIB])
def test_an_upload_that_is_cut_midway_is_lost_and_goes_on_over_a_new_connection(
    sshd: Sshd, line: Line, after: int
) -> None:
    data = os.urandom(16 * MIB)
    landing = _connect(sshd, line)
    line.sessions[-1].cut_up = after
    counted: list[int] = [0]
    with pytest.raises(ConnectionLost) as caught:
        landing.put(BytesIO(data), len(data), "one.age.part", progress=counted.append)
    assert caught.value.reason == "connection-lost"
    assert counted[-1] < after
    again = _connect(sshd)
    offset = again.resume_offset(BytesIO(data), len(data), "one.age.part")
    assert counted[-1] <= offset < len(data)
    again.put(BytesIO(data), len(data), "one.age.part", offset=offset)
    assert (sshd.zone / "one.age.part").read_bytes() == data
    again.close()


def test_many_files_that_are_cut_midway_are_done_or_not_but_never_called_done_wrongly(sshd: Sshd, line: Line) -> None:
    files = [Small(os.urandom(20_000), f"{n:03}.age.part", f"{n:03}.age") for n in range(200)]
    landing = _connect(sshd, line)
    line.sessions[-1].cut_up = 2_000_000
    finished: list[Small] = []
    with pytest.raises(ConnectionLost):
        landing.put_many(files, finished.append)
    assert 0 < len(finished) < 200
    assert all((sshd.zone / one.final).read_bytes() == one.data for one in finished)


def test_a_rename_whose_answer_was_lost_has_succeeded(sshd: Sshd, line: Line) -> None:
    landing = _connect(sshd, line)
    landing.put(BytesIO(b"abc"), 3, "one.age.part")
    line.before_answer = lambda: True
    with pytest.raises(ConnectionLost):
        landing.rename("one.age.part", "one.age")
    again = _connect(sshd)
    assert again.list() == [("one.age", 3)]
    again.rename("one.age.part", "one.age")
    assert again.list() == [("one.age", 3)]
    again.close()


@pytest.mark.parametrize("operation", ["put", "put_many", "get", "list", "size", "remove", "rename"])
def test_every_operation_on_a_connection_that_was_cut_is_lost(sshd: Sshd, line: Line, operation: str) -> None:
    landing = _connect(sshd, line)
    landing.put(BytesIO(b"abc"), 3, "one.age")
    line.cut()
    with pytest.raises(ConnectionLost):
        _operate(landing, operation)


@pytest.mark.parametrize("operation", ["put", "put_many", "get", "list"])
def test_every_operation_on_a_connection_that_fell_silent_is_lost_after_the_timeout(
    sshd: Sshd, line: Line, operation: str
) -> None:
    landing = _connect(sshd, line, timeout=0.5)
    landing.put(BytesIO(b"abc"), 3, "one.age")
    line.fall_silent()
    began = time.monotonic()
    with pytest.raises(ConnectionLost):
        _operate(landing, operation)
    assert time.monotonic() - began < 10


def test_a_server_that_stalls_with_full_buffers_does_not_hold_an_upload_for_ever(sshd: Sshd) -> None:
    landing = _connect(sshd, timeout=1)
    landing.list()
    stopped = sshd.sessions()
    for process in stopped:
        os.kill(process, signal.SIGSTOP)
    began = time.monotonic()
    try:
        with pytest.raises(ConnectionLost):
            landing.put(BytesIO(bytes(64 * MIB)), 64 * MIB, "one.age.part")
        assert time.monotonic() - began < 15
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)


def test_a_network_that_takes_no_more_bytes_does_not_hold_an_upload_for_ever(sshd: Sshd, line: Line) -> None:
    line.rate = 64 * MIB
    landing = _connect(sshd, line, timeout=1)
    line.fall_silent()
    began = time.monotonic()
    with pytest.raises(ConnectionLost):
        landing.put(BytesIO(bytes(8 * MIB)), 8 * MIB, "one.age.part")
    assert time.monotonic() - began < 15


def test_a_server_that_only_says_that_it_is_there_is_not_waited_for_like_a_slow_line() -> None:
    with Sshd(lines=("ClientAliveInterval 1",)) as talkative:
        # opening it never comes to an end
        fifo = talkative.zone / "one.age"
        os.mkfifo(fifo)
        fifo.chmod(0o666)
        # a client that says something itself is not asked
        landing = sftp.connect(talkative.address(), talkative.user_key, timeout=3, keepalive=60)
        with pytest.raises(ConnectionLost, match="no answer within 3 seconds"):
            landing.get("one.age", BytesIO())
        # the process of sshd that waits there would outlive the server
        os.close(os.open(fifo, os.O_RDWR))


def test_an_answer_that_is_long_in_coming_is_waited_for_as_long_as_it_comes(sshd: Sshd, line: Line) -> None:
    """A packet of SSH is up to 32 KiB, and only whole ones can be read: at 8 KiB a second that takes 4 seconds."""
    data = os.urandom(32_000)
    (sshd.zone / "one.age").write_bytes(data)
    landing = _connect(sshd, line, timeout=1)
    for rate in (None, None, 8192):
        line.rate = rate
        landing.get("one.age", came := BytesIO())
        assert came.getvalue() == data
    assert len(line.sessions) == 1


def test_closing_from_another_thread_ends_an_upload(sshd: Sshd, line: Line) -> None:
    landing = _connect(sshd, line, timeout=30)
    line.fall_silent()
    closer = threading.Timer(0.3, landing.close)
    closer.start()
    began = time.monotonic()
    with pytest.raises(ConnectionLost):
        landing.put(BytesIO(bytes(MIB)), MIB, "one.age.part")
    assert time.monotonic() - began < 5
    closer.join()


def test_an_idle_connection_is_kept_alive_and_still_of_use(sshd: Sshd) -> None:
    landing = _connect(sshd)
    time.sleep(2.5)
    assert isinstance(landing.list(), list)
    landing.close()


def _operate(landing: SftpLanding, operation: str) -> None:
    match operation:
        case "put":
            landing.put(BytesIO(bytes(MIB)), MIB, "two.age.part")
        case "put_many":
            landing.put_many([Small(b"abc", "two.age.part", "two.age")])
        case "get":
            landing.get("one.age", BytesIO())
        case "list":
            landing.list()
        case "size":
            landing.size("one.age")
        case "remove":
            landing.remove("one.age")
        case _:
            landing.rename("one.age", "two.age")
