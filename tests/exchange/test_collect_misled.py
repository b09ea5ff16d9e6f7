"""Collecting, over real SFTP, from a server that lies about what it has: it costs little, and nobody but its owner."""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from config.errors import NotNow
from exchange import files, quarantine
from exchange.collect import collect
from exchange.landing import ConnectionLost, LandingError
from exchange.sftp import packets as say
from exchange.sftp import server as sftp_server
from exchange.sftp.download import READS_IN_FLIGHT
from exchange.sftp.folder import MOST_NAMES
from exchange.sftp.resume import SAMPLE, SAMPLES
from exchange.sftp.server import Server
from exchange.sftp.session import Session
from exchange.sftp.wire import encode
from ledger.identifier import new_id
from tests.exchange.loopback import MIB, connect, make_folder, serving
from tests.organisations import Pair

pytestmark = pytest.mark.topologies("lgsco-hosts", only=True)

Answer = Callable[[say.Packet], say.Reply | None]


class Hostile(Session):
    """LGSCO's server: a test says how it answers, or None where it is honest."""

    lie: ClassVar[list[Answer]] = []
    asked: ClassVar[list[say.Packet]] = []

    def answer(self, packet: say.Packet) -> bytes:
        Hostile.asked.append(packet)
        made = next((made for lie in Hostile.lie if (made := lie(packet)) is not None), None)
        return super().answer(packet) if made is None else encode(made)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ofsted's pick-up folder, as the server offers it."""
    return make_folder(tmp_path) / "ofsted"


@pytest.fixture
def server(folder: Path, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(sftp_server, "Session", Hostile)
    Hostile.lie.clear()
    Hostile.asked.clear()
    with serving(folder.parent) as running:
        call(pair, running)
        yield running
        pair.ofsted.pickup.close()


def call(pair: Pair, server: Server) -> None:
    """Connect anew, as the daemon does after every lost connection."""
    pair.ofsted.pickup.close()
    pair.ofsted.pickup.landing = connect(server, "ofsted")


def an_id(pair: Pair) -> str:
    return f"{new_id(pair.clock(), os.urandom)}.age"


def offer(pair: Pair, folder: Path, content: bytes) -> Path:
    """A message that LGSCO has sealed for Ofsted, on the server."""
    pair.lgsco.drop(content)
    pair.lgsco.take()
    pair.lgsco.send()
    (placed,) = pair.ofsted.landing().iterdir()
    return placed.rename(folder / placed.name)


def line(name: str, kind: int = stat.S_IFREG, size: int = 10) -> say.Name:
    return say.Name(name.encode("utf-8", "surrogateescape"), b"", say.Attributes(size=size, permissions=kind | 0o644))


def listing(*lines: say.Name, again: bool = False) -> Answer:
    """A listing with these lines, once or without end."""
    left = [lines]

    def answer(packet: say.Packet) -> say.Reply | None:
        if not isinstance(packet, say.Readdir):
            return None
        if again or left:
            return say.Names(packet.id, lines if again else left.pop())
        return say.Status(packet.id, say.EOF)

    return answer


def fetched(kind: type[say.Packet]) -> int:
    return sum(isinstance(packet, kind) for packet in Hostile.asked)


def reads() -> list[say.Read]:
    return [packet for packet in Hostile.asked if isinstance(packet, say.Read)]


def test_a_listing_without_end_ends(pair: Pair, server: Server) -> None:
    Hostile.lie.append(listing(*[line(f"{n}.txt") for n in range(100)], again=True))
    assert collect(pair.ofsted.parts, pair.ofsted.pickup) == 0
    assert fetched(say.Readdir) == MOST_NAMES // 100 + 1


def test_a_listing_of_nothing_without_end_is_no_sftp(pair: Pair, server: Server) -> None:
    Hostile.lie.append(listing(again=True))
    with pytest.raises(ConnectionLost):
        collect(pair.ofsted.parts, pair.ofsted.pickup)


def test_names_that_are_no_id_and_kinds_that_are_no_file_are_never_asked_for(pair: Pair, server: Server) -> None:
    names = [
        "../../x.age",
        "/etc/passwd",
        "a/b.age",
        ".age",
        "..",
        "",
        "x.age\0",
        f"./{an_id(pair)}",
        an_id(pair).upper(),
    ]
    names += [
        an_id(pair).upper(),
        an_id(pair) + "x",
        an_id(pair).removesuffix(".age"),
        f"{an_id(pair)}.part",
        "\udcff.age",
        "x" * 5000,
    ]
    kinds = [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR, 0]
    Hostile.lie.append(listing(*map(line, names), *[line(an_id(pair), kind) for kind in kinds]))
    assert collect(pair.ofsted.parts, pair.ofsted.pickup) == 0
    assert fetched(say.Open) == fetched(say.Remove) == 0
    assert pair.ofsted.spooled() == []


def test_a_file_without_end_is_cut_off_recorded_once_and_not_kept(
    pair: Pair, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "limit", lambda parts: 3 * MIB)
    name = an_id(pair)

    def endless(packet: say.Packet) -> say.Reply | None:
        match packet:
            case say.Open():
                return say.Handle(packet.id, b"endless")
            case say.Read():
                return say.Data(packet.id, bytes(packet.length))
            case say.Close() | say.Remove():
                return say.Status(packet.id, say.OK)
        return None

    Hostile.lie += [listing(line(name)), endless]
    assert collect(pair.ofsted.parts, pair.ofsted.pickup) == 1
    # with those that were under way when it was noticed
    assert 3 * MIB < sum(read.length for read in reads()) <= 3 * MIB + (READS_IN_FLIGHT + 1) * 256 * 1024
    assert fetched(say.Remove) == 1
    assert pair.ofsted.events()[-1] == "quarantined"
    assert pair.ofsted.spooled() == []
    assert [path for path in pair.ofsted.home.quarantine.rglob("*") if path.is_file()] == []


def test_a_file_without_end_cannot_fill_the_disk(
    pair: Pair, server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(pair, folder, os.urandom(3 * MIB))
    monkeypatch.setattr(files, "require_room", lambda directory, size: None)
    monkeypatch.setattr(files, "room_in", lambda directory: MIB)
    with pytest.raises(NotNow, match="no room"):
        collect(pair.ofsted.parts, pair.ofsted.pickup)
    assert pair.ofsted.spooled() == []
    assert "quarantined" not in pair.ofsted.events()


def test_a_file_that_grows_while_it_is_fetched_ends_where_it_first_ended(
    pair: Pair, server: Server, folder: Path
) -> None:
    path = offer(pair, folder, b"decision")
    size = path.stat().st_size

    def grow(packet: say.Packet) -> say.Reply | None:
        # the first read gets the whole file; those behind it were answered when it had grown
        if isinstance(packet, say.Read) and packet.offset > size:
            return say.Data(packet.id, b"more")
        return None

    Hostile.lie.append(grow)
    pair.ofsted.receive()
    assert [path.read_bytes() for path in pair.ofsted.inbound()] == [b"decision"]


def test_a_file_that_was_exchanged_since_it_was_listed_is_whatever_it_is_now(
    pair: Pair, server: Server, folder: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"of the server's owner")
    into: list[Callable[[Path], object]] = [
        Path.mkdir,
        lambda path: path.symlink_to(secret),
        lambda path: path.write_bytes(b"x"),
    ]
    for exchange in into:
        path = folder / an_id(pair)
        path.write_bytes(b"listed")

        def exchanged(packet: say.Packet, path: Path = path, exchange: Callable[[Path], object] = exchange) -> None:
            if isinstance(packet, say.Open) and path.is_file() and path.read_bytes() == b"listed":
                path.unlink()
                exchange(path)

        Hostile.lie[:] = [exchanged]
        with contextlib.suppress(LandingError):
            pair.ofsted.receive()
        assert path.is_dir() or path.is_symlink() or not path.exists()
    assert pair.ofsted.inbound() == []
    assert [handover.state for handover in pair.ofsted.handovers()] == ["quarantined"]
    assert pair.ofsted.spooled() == []


def cut_after(size: int) -> Answer:
    """The connection ends when so many bytes were read."""
    left = [size]

    def answer(packet: say.Packet) -> say.Reply | None:
        if isinstance(packet, say.Read):
            left[0] -= packet.length
            if left[0] < 0:
                raise EOFError
        return None

    return answer


def fetched_part(pair: Pair) -> tuple[Path, int]:
    """What came of a file, and how much that is."""
    (part,) = (path for path in pair.ofsted.spooled() if path.suffix == ".fetched")
    return part, part.stat().st_size


@pytest.mark.parametrize("changed", [False, True], ids=["the same file", "another file"])
def test_a_download_that_broke_off_goes_on_behind_what_came_if_that_is_its_beginning(
    pair: Pair, server: Server, folder: Path, *, changed: bool
) -> None:
    content = os.urandom(8 * MIB)
    path = offer(pair, folder, content)
    Hostile.lie.append(cut_after(6 * MIB))
    with pytest.raises(ConnectionLost):
        pair.ofsted.receive()
    part, came = fetched_part(pair)
    # all but what was under way
    assert came >= 4 * MIB
    if changed:
        part.write_bytes(os.urandom(came))
    Hostile.lie.clear()
    Hostile.asked.clear()
    call(pair, server)
    pair.ofsted.receive()
    assert [arrived.read_bytes() for arrived in pair.ofsted.inbound()] == [content]
    # both ends of what came are read back in any case, and a part of what is between them
    between = range(MIB, came - MIB)
    again = sum(read.length for read in reads() if read.offset in between)
    assert again > len(between) - MIB / 4 if changed else again <= SAMPLES * SAMPLE
    assert not path.exists()
