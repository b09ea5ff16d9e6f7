"""Pick-up folders: where the receiver has no server, what is for it waits on the sender's until it is collected.

Placing is the program's own, on the sender's machine: its steps may fail, and a power cut takes back what was not
synced. Collecting goes over the network:

    cut in the middle of a fetch             some bytes came; the next try may go on behind them
    not removable, reply to a removal lost   what was collected lies there still, or does not
    lost, damaged, twice, late               the partner's people, too, delete and put things there

What is removed there must be safe here, or have been: that is checked at every removal.
"""

from collections.abc import Callable, Iterable
from typing import BinaryIO

from exchange.landing import NotThere, PermissionDenied, PickupFull, Small, TooLong
from exchange.pickup import PickupFolder
from tests.simulation.network import Link, OverLink, SimulatedLanding


def connect(link: Link) -> "SimulatedLanding | SimulatedPickup":
    """The place into which goes what is sent over a link; raises LandingError."""
    if link.server == link.sender:
        return SimulatedPickup(link)
    link.check()
    return SimulatedLanding(link)


def collect(link: Link) -> "SimulatedCollection":
    """The pick-up folder at the other end; raises LandingError."""
    link.check()
    return SimulatedCollection(link)


def note_collected(link: Link) -> None:
    """Remember what is safe with the receiver now: it may have had its use when it is removed at the sender."""
    node = link.world.nodes[link.receiver]
    for envelope in (node.root / "spool" / "in" / link.sender).glob("*.age"):
        if node.machine.disk.is_safe(envelope):
            link.collected.add(envelope.name)


class SimulatedPickup(PickupFolder):
    """The sender's own folder, which may be full, and in which things happen to what was placed."""

    def __init__(self, link: Link) -> None:
        super().__init__(link.zone, link.receiver)
        self._link = link

    def put_many(
        self, files: Iterable[Small], done: Callable[[Small], None] | None = None, *, sync: bool = True
    ) -> None:
        def placed(small: Small) -> None:
            self._link.world.zones.arrived(self._link, small.final)
            if done is not None:
                done(small)

        super().put_many(files, placed, sync=sync)

    def rename(self, old: str, new: str) -> None:
        super().rename(old, new)
        self._link.world.zones.arrived(self._link, new)

    def _require_room(self, size: int) -> None:
        link = self._link
        if link.is_now("full") or link.chance.random() < link.refusing:
            link.world.count("pick-up folder full")
            raise PickupFull(link.receiver)
        super()._require_room(size)


class SimulatedCollection(OverLink):
    """A connection to the folder in which the receiver's messages wait."""

    def list(self) -> list[tuple[str, int]]:
        with self._using():
            return super().list()

    def get(
        self, name: str, dst: BinaryIO, *, most: int | None = None, progress: Callable[[int], None] | None = None
    ) -> int:
        link = self._link
        with self._using():
            path = self._zone_file(name)
            if not path.exists():
                raise NotThere(self._place)
            data = path.read_bytes()
        before = _what_stays(dst, data)
        if progress is not None:
            progress(before)
        cut = link.chance.random() < link.breaking
        end = link.chance.randrange(before, len(data) + 1) if cut else len(data)
        if most is not None and end > most:
            dst.write(data[before : most + 1])
            raise TooLong(self._place)
        dst.write(data[before:end])
        if progress is not None:
            progress(end)
        if before:
            link.world.count("fetch went on")
        if cut:
            self._break("fetch cut")
        return len(data)

    def remove(self, name: str) -> None:
        link = self._link
        self._require_safe(name)
        with self._using():
            if link.chance.random() < link.refusing:
                link.world.count("not removable")
                raise PermissionDenied(self._place)
        super().remove(name)
        if link.chance.random() < link.breaking:
            self._break("removal reply lost")

    def _require_safe(self, name: str) -> None:
        """What the partner has no more must be safe here from a power cut, or must have been."""
        link, path = self._link, self._zone_file(name)
        if not path.exists():
            return
        if name in link.collected:
            return
        note_collected(link)
        if name not in link.collected:
            link.world.violate(f"{link.receiver} removes an envelope at {link.sender} that a power cut here could take")


def _what_stays(dst: BinaryIO, data: bytes) -> int:
    """How much of what came earlier is the beginning of the file."""
    dst.seek(0)
    had = dst.read()
    if data.startswith(had):
        return len(had)
    dst.seek(0)
    dst.truncate()
    return 0
