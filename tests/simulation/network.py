"""The network between two organisations, and what may happen to a message in a landing zone.

A `Link` leads from one organisation to another: into the receiver's landing zone, or, where the receiver has no server,
through a pick-up folder on the sender's (`pickups.py`). What it raises is what the real one raises:

    away, refused, another host key, unknown key     nothing can be connected
    cut at any byte, reply lost, stalled             the connection is lost; what arrived stays
    full, not permitted                              of one file; the next may be taken

A finished message may then be late, come twice (days later, too), be lost, or be damaged.
"""

import os
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from exchange.landing import (
    AuthenticationRefused,
    ConnectionLost,
    HostKeyChanged,
    LandingError,
    LandingFailed,
    LandingFull,
    PermissionDenied,
    Small,
    UnfinishedChanged,
    Unreachable,
)
from tests.organisations import FolderLanding

if TYPE_CHECKING:
    from tests.simulation.world import World

WINDOW = 32
"""Small files that are under way at once."""

STALL = 30.0
"""Seconds after which a server that is silent counts as lost."""

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass
class Link:
    """The way from one organisation into another's landing zone, and how it is at present."""

    world: "World"
    sender: str
    receiver: str
    chance: random.Random
    breaking: float = 0.0
    """How likely a connection is to break, at each operation."""
    refusing: float = 0.0
    """How likely one file is to be refused."""
    hazard: float = 0.0
    """How likely something happens to a message that has arrived."""
    collected: set[str] = field(default_factory=set)
    """What was safe with the receiver when it was removed from the sender's server."""
    until: dict[str, float] = field(default_factory=dict)
    """What keeps everything out, and when that ends: away, host key, login, full."""

    @property
    def server(self) -> str:
        """On whose server messages wait."""
        return self.world.setting.server(self.sender, self.receiver)

    @property
    def place(self) -> str:
        """The server, as an error names it."""
        return f"sftp.{self.server}.example:22"

    @property
    def zone(self) -> Path:
        """The landing zone or pick-up folder, as the folder that it is."""
        root = self.world.nodes[self.server].root
        return root / "landing" / self.sender if self.server == self.receiver else root / "collect" / self.receiver

    def is_now(self, what: str) -> bool:
        """Whether something that was said to last is still so."""
        return self.until.get(what, 0.0) > self.world.now

    def check(self) -> None:
        """Raise what keeps everything out."""
        place = self.place
        if self.is_now("away") or not self.world.nodes[self.server].has_power:
            self.world.count("away")
            self.stall()
            raise Unreachable(place)
        if self.is_now("host key"):
            self.world.count("host key changed")
            raise HostKeyChanged(place)
        if self.is_now("login"):
            self.world.count("login refused")
            raise AuthenticationRefused(place)
        if self.chance.random() < self.breaking:
            self.world.count("connection lost")
            self.stall()
            raise ConnectionLost(place)

    def stall(self) -> None:
        """Some servers keep one waiting before one knows. Where only one partner fails, nobody else may notice that."""
        if self.chance.random() < 0.3 and self.world.plan.spared is None:
            self.world.now += STALL

    def refuse(self) -> None:
        """Raise what keeps one file out: LandingFull, PermissionDenied, LandingFailed."""
        if self.is_now("full") or self.world.nodes[self.server].machine.full:
            self.world.count("zone full")
            raise LandingFull(self.place)
        if self.chance.random() < self.refusing:
            self.world.count("file refused")
            raise self.chance.choice((PermissionDenied, LandingFailed))(self.place)

    def heal(self) -> None:
        """From now on nothing fails."""
        self.breaking = self.refusing = self.hazard = 0.0
        self.until.clear()


class OverLink(FolderLanding):
    """One connection over a link; whoever opens it has seen that nothing keeps it out."""

    def __init__(self, link: Link) -> None:
        super().__init__(link.zone)
        self._link = link
        self._place = link.place
        self._open = True

    def size(self, name: str) -> int | None:
        with self._using():
            return super().size(name)

    def remove(self, name: str) -> None:
        with self._using():
            super().remove(name)

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Around one operation: the zone is another machine's, so nothing in it is a step of the one that connects."""
        self._begin()
        with self._link.world.calls.by(None):
            yield

    def _begin(self) -> None:
        if self._open:
            try:
                self._link.check()
            except LandingError:
                # an open connection does not learn why
                self._open = False
        if not self._open:
            raise ConnectionLost(self._place)

    def _break(self, how: str) -> None:
        self._link.world.count(how)
        self._open = False
        self._link.stall()
        raise ConnectionLost(self._place)

    def _zone_file(self, name: str) -> Path:
        return self._link.zone / name


class SimulatedLanding(OverLink):
    """A connection into the receiver's landing zone."""

    def put(
        self, source: BinaryIO, size: int, name: str, *, offset: int = 0, progress: Callable[[int], None] | None = None
    ) -> None:
        with self._using():
            self._link.refuse()
            source.seek(offset)
            data = source.read()
            assert offset + len(data) == size
            there = self._zone_file(name).stat().st_size if self._zone_file(name).exists() else 0
            if offset not in (0, there):
                raise UnfinishedChanged(self._place)
            cut = self._link.chance.random() < self._link.breaking
            self._write(name, data[: self._link.chance.randrange(len(data) + 1)] if cut else data, offset, not cut)
            if cut:
                self._break("upload cut")

    def put_many(
        self, files: Iterable[Small], done: Callable[[Small], None] | None = None, *, sync: bool = True
    ) -> None:
        first: LandingError | None = None
        waiting = iter(files)
        while window := list(islice(waiting, WINDOW)):
            for file in window:
                try:
                    self._put_small(file)
                except LandingError as problem:
                    first = first or problem
                    if not problem.of_one_file:
                        raise
                else:
                    if done is not None:
                        done(file)
        if first is not None:
            raise first

    def _put_small(self, file: Small) -> None:
        with self._using():
            self._link.refuse()
            if self._link.chance.random() < self._link.breaking:
                self._write(file.name, file.data[: self._link.chance.randrange(len(file.data) + 1)], 0, False)
                self._break("upload cut")
            self._write(file.name, file.data, 0, True)
        self.rename(file.name, file.final)

    def resume_offset(self, source: BinaryIO, size: int, name: str) -> int:
        with self._using():
            path = self._zone_file(name)
            there = path.read_bytes() if path.exists() else b""
            source.seek(0)
            return len(there) if source.read(len(there)) == there else 0

    def rename(self, old: str, new: str) -> None:
        with self._using():
            if self._link.chance.random() < self._link.breaking / 2:
                self._break("rename lost")
            if self._zone_file(old).exists() or not self._zone_file(new).exists():
                self._zone_file(old).replace(self._zone_file(new))
            self._link.world.zones.arrived(self._link, new)
            if self._link.chance.random() < self._link.breaking:
                self._break("rename reply lost")

    def _write(self, name: str, data: bytes, offset: int, synced: bool) -> None:
        self._link.world.watch_wire(data)
        flags = os.O_WRONLY | os.O_CREAT | (0 if offset else os.O_TRUNC)
        handle = os.open(self._zone_file(name), flags, 0o600)
        try:
            os.lseek(handle, offset, os.SEEK_SET)
            os.write(handle, data)
            os.utime(handle, (self._link.world.date.timestamp(),) * 2)
            if synced:
                os.fsync(handle)
        finally:
            os.close(handle)
