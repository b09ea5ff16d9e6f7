"""A download that a restart interrupts goes on behind what is surely on the disk, whatever happened to the file.

LGSCO's real OpenSSH offers the file, and a line between it and Ofsted is cut after CUT bytes of it.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pytest

from exchange import fetched
from exchange.collect import PickUp, collect
from exchange.fetched import Fetched, Part
from exchange.landing import ConnectionLost
from exchange.sftp import client as sftp
from exchange.sftp.resume import spots
from tests.exchange.loopback import MIB
from tests.line import Line
from tests.organisations import CASE, Pair, restart
from tests.sshd import Sshd

COLLECTING = pytest.mark.topologies("lgsco-hosts", only=True)
SIZE, CUT = 16 * MIB, 10 * MIB
READ_BACK = 3 * MIB
"""At most so much of what came is looked at again, and as much may come before the cut is noticed."""


@dataclass
class Server:
    """LGSCO's, with a folder for Ofsted, and the line to it."""

    pair: Pair
    sshd: Sshd
    line: Line

    def connect(self) -> None:
        """Ofsted's daemon has started, or its connection was lost."""
        self.pair.ofsted.pickup.close()
        landing = sftp.connect(self.sshd.address(port=self.line.port), self.sshd.user_key, timeout=10, keepalive=30)
        self.pair.ofsted.pickup = PickUp("lgsco", landing)

    def offer(self, content: bytes) -> Path:
        """LGSCO drops a file for Ofsted; where it then waits."""
        self.pair.lgsco.drop(content)
        self.pair.lgsco.take()
        return self.place()

    def place(self) -> Path:
        """What LGSCO has for Ofsted comes onto the server."""
        self.pair.lgsco.send()
        (placed,) = self.pair.ofsted.landing().iterdir()
        shutil.chown(placed, self.sshd.uid)
        return Path(shutil.move(placed, self.sshd.zone / placed.name))

    def fetch_half(self) -> None:
        """Ofsted fetches until the line is cut."""
        self.line.cuts.append((None, CUT))
        self.connect()
        with pytest.raises(ConnectionLost):
            collect(self.pair.ofsted.parts, self.pair.ofsted.pickup)

    def restart(self) -> None:
        """Ofsted's daemon starts again."""
        self.pair.ofsted = restart(self.pair.ofsted, self.pair.lgsco, self.pair.clock)
        self.line.sessions.clear()
        self.connect()

    def downloaded(self) -> int:
        """Bytes that came since the restart."""
        return sum(session.down for session in self.line.sessions)


@pytest.fixture
def server(pair: Pair) -> Iterator[Server]:
    line = Line()
    try:
        with Sshd() as sshd:
            line.target = sshd.port
            yield Server(pair, sshd, line)
            pair.ofsted.pickup.close()
    finally:
        line.close()


def came(pair: Pair) -> list[bytes]:
    return [path.read_bytes() for path in pair.ofsted.inbound()]


def parts_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- what a crash leaves ----------------------------------------------------------------------------------------------


def test_after_a_restart_only_what_is_noted_as_synced_is_kept_and_of_that_the_longest(tmp_path: Path) -> None:
    folder = Fetched(tmp_path)
    notes = {"unnoted": (90, None), "longer": (80, b"70"), "whole": (60, b"60"), "shorter": (50, b"51")}
    notes |= {"negative": (95, b"-1"), "garbage": (95, b"7O"), "empty": (95, b"")}
    for name, (size, note) in notes.items():
        part = folder.part(f"{name}.age")
        part.path.write_bytes(bytes(size))
        if note is not None:
            part.note.write_bytes(note)
    folder.part("moved.age").note.write_bytes(b"10")
    folder.recover()
    assert parts_in(tmp_path) == [".longer.age.fetched", ".longer.age.synced"]
    assert folder.part("longer.age").size() == 70


def test_the_note_never_speaks_of_bytes_that_were_written_over(tmp_path: Path) -> None:
    part = Fetched(tmp_path).part("x.age")
    with part.path.open("ab+") as file:
        file.write(bytes(100))
        part.keep(file)
        part.grows(file, 100)
        assert part.read_note() == 100
        # another file lies on the server by now: it begins anew
        file.truncate(0)
        part.grows(file, 0)
        assert part.read_note() is None
        file.write(bytes(200))
        part.grows(file, 200)
    Fetched(tmp_path).recover()
    assert parts_in(tmp_path) == []


# --- going on ---------------------------------------------------------------------------------------------------------


@COLLECTING
def test_a_download_goes_on_after_a_restart(pair: Pair, server: Server) -> None:
    content = os.urandom(SIZE)
    waiting = server.offer(content)
    server.fetch_half()
    server.restart()
    pair.ofsted.receive()
    assert came(pair) == [content]
    assert server.downloaded() < SIZE - CUT + 2 * READ_BACK
    assert not waiting.exists()
    assert pair.ofsted.spooled() == []


@COLLECTING
def test_a_kill_at_any_moment_costs_no_more_than_what_was_not_synced_yet(
    pair: Pair, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetched, "SYNC_EVERY", 2 * MIB)
    content = os.urandom(SIZE)
    server.offer(content)
    spool = pair.ofsted.home.spool / "in" / "lgsco"
    killed = tmp_path / "killed"

    grows = Part.grows

    def as_a_kill_leaves_it(part: Part, file: BinaryIO, size: int) -> None:
        grows(part, file, size)
        if size > CUT and not killed.exists():
            shutil.copytree(spool, killed)

    # in the thread that writes: a copy made beside it would be of several moments
    monkeypatch.setattr(Part, "grows", as_a_kill_leaves_it)
    server.connect()
    collect(pair.ofsted.parts, pair.ofsted.pickup)
    (taken,) = spool.iterdir()
    server.sshd.zone.joinpath(taken.name).write_bytes(taken.read_bytes())
    shutil.rmtree(spool)
    shutil.copytree(killed, spool)
    assert [path.suffix for path in sorted(spool.iterdir())] == [".fetched", ".synced"]
    server.restart()
    pair.ofsted.receive()
    assert came(pair) == [content]
    assert server.downloaded() < SIZE - CUT + 2 * READ_BACK + 2 * MIB


# --- attacks, and accidents -------------------------------------------------------------------------------------------


def _other_bytes(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def _shorter(path: Path) -> None:
    os.truncate(path, CUT // 2)


def _other_beginning(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(1000))


@COLLECTING
@pytest.mark.parametrize("exchange", [_other_bytes, _shorter, _other_beginning])
def test_a_file_that_was_exchanged_meanwhile_is_fetched_as_it_is_now(
    pair: Pair, server: Server, exchange: Callable[[Path], None]
) -> None:
    waiting = server.offer(os.urandom(SIZE))
    server.fetch_half()
    exchange(waiting)
    now = waiting.read_bytes()
    server.restart()
    collect(pair.ofsted.parts, pair.ofsted.pickup)
    (spooled,) = pair.ofsted.spooled()
    assert spooled.read_bytes() == now
    pair.ofsted.receive()
    assert (came(pair), pair.ofsted.events()[-1]) == ([], "quarantined")


@COLLECTING
def test_another_message_under_the_same_name_is_not_mixed_with_the_first(pair: Pair, server: Server) -> None:
    waiting = server.offer(os.urandom(SIZE))
    server.fetch_half()
    pair.lgsco.drop(os.urandom(SIZE), f"{CASE} another.pdf")
    pair.lgsco.take()
    another = server.place().read_bytes()
    waiting.write_bytes(another)
    server.restart()
    collect(pair.ofsted.parts, pair.ofsted.pickup)
    assert another in [path.read_bytes() for path in pair.ofsted.spooled() if path.name == waiting.name]
    pair.ofsted.receive()
    assert len(came(pair)) <= 1
    assert pair.ofsted.events().count("quarantined") == 1


@COLLECTING
@pytest.mark.parametrize("where", ["there", "here"])
def test_a_wrong_beginning_that_no_sample_shows_is_never_let_out_and_the_file_comes_once_it_is_sent_again(
    pair: Pair, server: Server, where: str
) -> None:
    content = os.urandom(SIZE)
    waiting = server.offer(content)
    server.fetch_half()
    (part,) = (path for path in pair.ofsted.spooled() if path.suffix == ".fetched")
    looked_at = {at for offset, count in spots(part.stat().st_size) for at in range(offset, offset + count)}
    unseen = next(at for at in range(part.stat().st_size) if at not in looked_at)
    with (waiting if where == "there" else part).open("r+b") as file:
        file.seek(unseen)
        byte = file.read(1)
        file.seek(unseen)
        file.write(bytes([byte[0] ^ 1]))
    server.restart()
    pair.ofsted.receive()
    # a change on the server that lies before what was still to come does no harm; one here does, and is noticed
    assert came(pair) == ([content] if where == "there" else [])
    if where == "here":
        assert pair.ofsted.events()[-1] == "quarantined"
        pair.clock.advance(hours=7)
        server.place()
        pair.ofsted.receive()
        assert came(pair) == [content]


@COLLECTING
def test_what_is_not_offered_any_more_goes(pair: Pair, server: Server) -> None:
    waiting = server.offer(os.urandom(SIZE))
    server.fetch_half()
    server.restart()
    assert len(pair.ofsted.spooled()) == 2
    waiting.unlink()
    collect(pair.ofsted.parts, pair.ofsted.pickup)
    assert pair.ofsted.spooled() == []


@pytest.mark.topologies("push", only=True)
def test_where_we_collect_no_more_nothing_half_fetched_stays(pair: Pair) -> None:
    part = pair.ofsted.parts.spool.fetched("lgsco").part("x.age")
    part.path.write_bytes(b"x")
    collect(pair.ofsted.parts, pair.ofsted.pickup)
    assert not part.path.exists()
