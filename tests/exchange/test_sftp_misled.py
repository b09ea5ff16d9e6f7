"""A server that misbehaves: nothing that it answers is taken for success."""

import os
import stat
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest

from exchange.landing import (
    ConnectionLost,
    LandingFailed,
    Small,
)
from exchange.sftp import packets as say
from exchange.sftp import server as sftp_server
from exchange.sftp.client import SftpLanding
from exchange.sftp.folder import LONGEST_NAME, MOST_BYTES, MOST_NAMES
from exchange.sftp.requests import MOST_AT_ONCE
from exchange.sftp.server import Server
from exchange.sftp.session import Session
from exchange.sftp.wire import MAX_PACKET, Splitter, encode
from tests.exchange.loopback import MIB, connect, make_folder, serving


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path)


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with serving(folder) as running:
        yield running


def _misbehave(monkeypatch: pytest.MonkeyPatch, change: "type[Session]") -> None:
    monkeypatch.setattr(sftp_server, "Session", change)


def test_one_failed_write_among_many_is_an_error(monkeypatch: pytest.MonkeyPatch, folder: Path, server: Server) -> None:
    class Once(Session):
        writes = 0
        refused_at = 0

        def answer(self, packet: say.Packet) -> bytes:
            if isinstance(packet, say.Write):
                Once.writes += 1
                if Once.writes == 7:
                    Once.refused_at = packet.offset
                    return encode(say.Status(packet.id, say.FAILURE))
            return super().answer(packet)

    _misbehave(monkeypatch, Once)
    data = os.urandom(20 * MIB)
    landing = connect(server)
    with pytest.raises(LandingFailed, match="does not say why"):
        landing.put(BytesIO(data), len(data), "one.age.part")
    assert 0 < Once.refused_at < len(data)
    assert (folder / "lgsco" / "one.age.part").read_bytes() == data[: Once.refused_at]
    landing.put(BytesIO(data), len(data), "one.age.part", offset=Once.refused_at)
    assert (folder / "lgsco" / "one.age.part").read_bytes() == data
    landing.close()


def test_a_small_file_whose_write_failed_once_is_tried_again_alone(
    monkeypatch: pytest.MonkeyPatch, folder: Path, server: Server
) -> None:
    class Once(Session):
        writes = 0

        def answer(self, packet: say.Packet) -> bytes:
            if isinstance(packet, say.Write):
                Once.writes += 1
                if Once.writes == 7:
                    return encode(say.Status(packet.id, say.FAILURE))
            return super().answer(packet)

    _misbehave(monkeypatch, Once)
    files = [Small(os.urandom(5000), f"{n}.part", f"{n}.age") for n in range(60)]
    landing = connect(server)
    finished: list[Small] = []
    landing.put_many(files, finished.append)
    landing.close()
    assert sorted(finished, key=files.index) == files
    assert all((folder / "lgsco" / one.final).read_bytes() == one.data for one in files)


def test_answers_in_any_order_are_matched_by_their_numbers(
    monkeypatch: pytest.MonkeyPatch, folder: Path, server: Server
) -> None:
    class Backwards(Session):
        held: bytes = b""

        def answer(self, packet: say.Packet) -> bytes:
            reply = super().answer(packet)
            last = isinstance(packet, say.Write) and packet.offset + len(packet.data) == 2 * 261_120
            if isinstance(packet, say.Write) and not self.held and not last:
                self.held = reply
                return b""
            reply, self.held = reply + self.held, b""
            return reply

    _misbehave(monkeypatch, Backwards)
    data = os.urandom(8 * MIB)
    landing = connect(server)
    landing.put_many([Small(data[:n], f"{n}.part", f"{n}.age") for n in (0, 1, 5000, 261_121)])
    landing.put(BytesIO(data[: 2 * 261_120]), 2 * 261_120, "one.age")
    landing.close()
    assert (folder / "lgsco" / "one.age").read_bytes() == data[: 2 * 261_120]


def test_a_server_that_loses_bytes_and_says_ok_is_found_out_by_the_length(
    monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    class Liar(Session):
        def answer(self, packet: say.Packet) -> bytes:
            if isinstance(packet, say.Write) and packet.offset:
                return encode(say.Status(packet.id, say.OK))
            return super().answer(packet)

    _misbehave(monkeypatch, Liar)
    landing = connect(server)
    with pytest.raises(LandingFailed, match="has not the length that was sent"):
        landing.put(BytesIO(bytes(MIB)), MIB, "one.age.part")
    with pytest.raises(LandingFailed, match="has not the length that was sent"):
        landing.put_many([Small(bytes(MIB), "two.age.part", "two.age")])
    landing.close()


@pytest.mark.parametrize(
    "answer",
    [
        encode(say.Status(0xFFFF, say.OK)),
        encode(say.Init(3)),
        b"\0\0\0\x01\xff",
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
    ],
)
def test_an_answer_that_nobody_asked_for_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, server: Server, answer: bytes
) -> None:
    class Stray(Session):
        def answer(self, packet: say.Packet) -> bytes:
            if isinstance(packet, say.Write | say.Readdir | say.Read | say.Lstat):
                return answer
            return super().answer(packet)

    _misbehave(monkeypatch, Stray)
    operations: list[Callable[[SftpLanding], object]] = [
        lambda landing: landing.put(BytesIO(b"abc"), 3, "one.age"),
        lambda landing: landing.put_many([Small(b"abc", "one.part", "one.age")]),
        lambda landing: landing.get("one.age", BytesIO()),
        lambda landing: landing.list(),
        lambda landing: landing.size("one.age"),
    ]
    for operate in operations:
        landing = connect(server)
        with pytest.raises(ConnectionLost):
            operate(landing)
        with pytest.raises(ConnectionLost):
            landing.list()


FILE = say.Attributes(size=1, permissions=stat.S_IFREG | 0o644)


def _listing(monkeypatch: pytest.MonkeyPatch, *lines: say.Name) -> list[say.Packet]:
    """Every listing has these lines, over and over; gives the requests for more of them."""
    asked: list[say.Packet] = []

    class Endless(Session):
        def answer(self, packet: say.Packet) -> bytes:
            if isinstance(packet, say.Readdir):
                asked.append(packet)
                return encode(say.Names(packet.id, lines))
            return super().answer(packet)

    _misbehave(monkeypatch, Endless)
    return asked


@pytest.mark.parametrize(
    "huge",
    [
        say.Name(b"x" * (MAX_PACKET - 200), b"", FILE),
        say.Name(b"one.age", b"x" * (MAX_PACKET - 200), FILE),
        say.Name(
            b"one.age", b"", say.Attributes(size=1, permissions=FILE.permissions, extended=((b"x" * 200_000, b""),))
        ),
    ],
    ids=["name", "long name", "attributes"],
)
def test_a_listing_of_more_bytes_than_ten_thousand_files_need_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, server: Server, huge: say.Name
) -> None:
    asked = _listing(monkeypatch, huge)
    landing = connect(server)
    with pytest.raises(ConnectionLost, match="it lists more bytes than any folder needs"):
        landing.list()
    assert len(asked) <= MOST_BYTES // 200_000 + 1


def test_names_longer_than_any_of_ours_are_left_out_and_the_longest_possible_ones_are_not_too_many(
    monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    fitting, longer = b"a" * LONGEST_NAME, b"b" * 3 * LONGEST_NAME
    lines = [
        say.Name(name, b"-rw-r--r--    1 1000     1000            1 Jan 01  2026 " + name, FILE)
        for name in (fitting, longer)
    ]
    _listing(monkeypatch, *lines * 50)
    landing = connect(server)
    assert landing.list() == [(fitting.decode(), 1)] * (MOST_NAMES // 2)
    landing.close()


def test_a_flood_of_answers_is_not_taken_to_its_end(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    flood = encode(say.Data(0xFFFF, bytes(200_000))) * 100
    taken: list[int] = []
    feed = Splitter.feed

    def counted(splitter: Splitter, data: bytes) -> Iterator[say.Packet]:
        taken.append(len(data))
        # a server that is always quicker than we are
        deadline = time.monotonic() + 1
        while not landing._talk._channel.recv_ready() and time.monotonic() < deadline:
            time.sleep(0.001)
        return feed(splitter, data)

    class Flooding(Session):
        def answer(self, packet: say.Packet) -> bytes:
            return flood if isinstance(packet, say.Lstat) else super().answer(packet)

    _misbehave(monkeypatch, Flooding)
    landing = connect(server)
    monkeypatch.setattr("exchange.sftp.requests.Splitter.feed", counted)
    with pytest.raises(ConnectionLost, match="it answered what nobody asked"):
        landing.size("one.age")
    assert sum(taken) < MOST_AT_ONCE + 2 * MAX_PACKET < len(flood) / 3


def test_short_reads_are_read_on(monkeypatch: pytest.MonkeyPatch, folder: Path, server: Server) -> None:
    class Short(Session):
        def answer(self, packet: say.Packet) -> bytes:
            if isinstance(packet, say.Read):
                packet = say.Read(packet.id, packet.handle, packet.offset, min(packet.length, 77_777))
            return super().answer(packet)

    _misbehave(monkeypatch, Short)
    data = os.urandom(3 * MIB + 1)
    (folder / "lgsco" / "one.age").write_bytes(data)
    landing, down = connect(server), BytesIO()
    assert landing.get("one.age", down) == len(data)
    assert down.getvalue() == data
    assert landing.resume_offset(BytesIO(data), len(data), "one.age") == len(data)
    landing.close()
