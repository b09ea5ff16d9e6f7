"""What happens to messages after a server has said that it has them: late, twice, lost, damaged."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from exchange.sender import ENDING
from tests.simulation.network import DAY, HOUR, MINUTE, Link

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass
class Zones:
    """All landing zones of a world."""

    world: "World"

    def __post_init__(self) -> None:
        self._under_way: list[Callable[[], None]] = []

    def arrived(self, link: Link, name: str) -> None:
        """A message has got its final name."""
        self._require_meant(link, name)
        if link.chance.random() < link.hazard:
            what = link.chance.choice((self._late, self._twice, self._lost, self._damaged))
            with self.world.calls.by(None):
                what(link, name)
        self.world.landed(link)

    def _require_meant(self, link: Link, name: str) -> None:
        """Not even an envelope that only another could open goes to somebody else."""
        daemon = self.world.nodes[link.sender].daemon
        known = [] if daemon is None else daemon.parts.ledger.find_handovers(name.removesuffix(ENDING))
        if any(one.direction == "out" and one.partner != link.receiver for one in known):
            self.world.violate(f"{link.sender} sends {link.receiver} what is for another")

    def settle(self) -> None:
        """Whatever is still under way arrives now."""
        waiting, self._under_way = self._under_way, []
        for arrive in waiting:
            arrive()

    def put(self, link: Link, name: str, data: bytes) -> None:
        """A message appears in a zone."""
        with self.world.calls.by(None):
            self._write(link, name, data)
        self.world.landed(link)

    def _late(self, link: Link, name: str) -> None:
        self.world.count("message late")
        path = link.zone / name
        self._later(link, name, path.read_bytes(), link.chance.choice((MINUTE, HOUR, DAY, 7 * DAY)))
        path.unlink()

    def _twice(self, link: Link, name: str) -> None:
        self.world.count("message doubled")
        self._later(link, name, (link.zone / name).read_bytes(), link.chance.choice((5.0, HOUR, DAY, 7 * DAY)))

    def _lost(self, link: Link, name: str) -> None:
        self.world.count("message lost")
        (link.zone / name).unlink()

    def _damaged(self, link: Link, name: str) -> None:
        self.world.count("message damaged")
        data = bytearray((link.zone / name).read_bytes())
        if not data:
            return
        position = link.chance.randrange(len(data))
        if link.chance.random() < 0.5:
            del data[position:]
        else:
            data[position] ^= 1 << link.chance.randrange(8)
        self._write(link, name, bytes(data))

    def _later(self, link: Link, name: str, data: bytes, longest: float) -> None:
        arrive = partial(self.put, link, name, data)
        self._under_way.append(arrive)

        def act() -> None:
            if arrive in self._under_way:
                self._under_way.remove(arrive)
                arrive()

        self.world.after(link.chance.uniform(0, longest), act)

    def _write(self, link: Link, name: str, data: bytes) -> None:
        handle = os.open(link.zone / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fsync(file.fileno())
