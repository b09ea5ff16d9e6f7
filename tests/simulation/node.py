"""One organisation in the simulation: its machine, its clock, and the real daemon, whose workers take their turns here.

`Daemon`, `Worker`, `Outgoing`, `Backoff`, `Pauses` and `Completeness` are the program's own. Only the threads are not
there: the world decides when a worker's pause is over, by what the worker itself said.
"""

import json
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from config.errors import HandoverError
from config.home import Home
from exchange import rounds
from exchange.assembly import assemble
from exchange.parts import Effects, Parts
from exchange.service.daemon import Daemon
from exchange.service.worker import Worker
from ledger.entry import Entry
from ledger.store import Ledger
from tests.exchange.crashes import Crash
from tests.organisations import PASSPHRASE
from tests.simulation import pickups
from tests.simulation.machine import Machine
from tests.simulation.share import Share

if TYPE_CHECKING:
    from tests.simulation.world import World

RESTART = 60.0
"""Seconds until the service manager starts a service again."""

LAZIEST = 12 * 3600.0
"""Seconds that a worker waits at most between two rounds that find nothing: nothing happens meanwhile."""

EXPECTED_LOOKS = ("NotNow", "OSError", "KeyExpired", "KeyNotYetValid")


class Node:
    """An organisation: running, or between a stop and the next start."""

    def __init__(self, world: "World", name: str, root: Path, machine: Machine, chance: random.Random) -> None:
        self.world, self.name, self.root, self.machine = world, name, root, machine
        self.chance = chance
        self.offset = timedelta()
        self.was_ever_wrong = False
        self._turned: tuple[float, int] | None = None
        self.has_power = True
        self.daemon: Daemon | None = None
        self.share: Share | None = None
        self.seen = 0
        self._recorded = frozenset[str]()
        self._life = 0
        self._idle: dict[str, int] = {}
        self._due: dict[str, float] = {}

    # --- effects ----------------------------------------------------------------------------------------------------

    def clock(self) -> datetime:
        """What this machine takes for the time."""
        return self.world.date + self.offset

    def turn_clock(self, offset: timedelta) -> None:
        """From now on its clock is so much off."""
        self.offset = offset
        self.was_ever_wrong = True
        self._turned = self.world.now, self._life

    def is_deceived(self, doubt: timedelta) -> bool:
        """Whether its clock is ahead and the service cannot know: it began after that, or its doubt is over."""
        if self._turned is None or self.offset <= timedelta():
            return False
        at, life = self._turned
        return life != self._life or self.world.now - at >= doubt.total_seconds()

    def effects(self) -> Effects:
        """Everything from outside, simulated."""
        return Effects(
            clock=self.clock,
            monotonic=lambda: self.world.now,
            random=self.chance.randbytes,
            jitter=lambda: self.chance.uniform(0.5, 1.0),
            connect=lambda card: pickups.connect(self.world.link(self.name, card.organisation)),
            collect=lambda card: pickups.collect(self.world.link(card.organisation, self.name)),
        )

    # --- life -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the service, if it does not run; it is started again if it cannot run now."""
        if self.daemon is not None:
            return
        self.has_power, self.machine.dead = True, False
        parts: Parts | None = None
        try:
            with self.world.calls.by(self.machine):
                parts = assemble(Home.open(self.root), lambda: PASSPHRASE, self.effects())
                rounds.recover(parts)
                daemon = Daemon(parts, self._log, {}, launch=lambda _: None)
                daemon.begin()
        except Crash as crash:
            self._stopped(parts, str(crash))
            return
        except (HandoverError, OSError) as problem:
            self.world.say(self.name, f"cannot start: {problem}")
            self._close(parts)
            self.world.after(RESTART, self.start)
            return
        self.daemon = daemon
        self._life += 1
        self._idle.clear()
        for worker in daemon.workers.values():
            self._schedule(worker, self.chance.uniform(0, 1))
        self.world.observe(self, parts.ledger)

    def stop(self) -> None:
        """Stop the service in an orderly way."""
        if self.daemon is not None:
            self._close(self.daemon.parts)

    def look(self) -> None:
        """The supervisor's look at what people have ordered."""
        if self.daemon is not None:
            daemon = self.daemon
            if self._guarded(daemon.look):
                self._heed()

    def turn(self, worker: Worker, life: int, due: float) -> None:
        """One round of one worker, if it has not been called before its time meanwhile."""
        if self.daemon is None or life != self._life or self._due[worker.name] != due:
            return
        before = self.seen
        pauses: list[float] = []
        if not self._guarded(lambda: pauses.append(worker.turn())):
            return
        if worker.name.startswith("co:"):
            pickups.note_collected(self.world.link(worker.name[3:], self.name))
        idle = 0 if self.seen > before else self._idle.get(worker.name, 0) + 1
        self._idle[worker.name] = idle
        self._schedule(worker, min(max(pauses[0], 8.0**idle if idle > 2 else 0), max(pauses[0], LAZIEST)))
        self._heed()

    def hint(self, act: Callable[[Daemon], None]) -> None:
        """An event of the file system."""
        if self.daemon is not None:
            act(self.daemon)
            self._heed()

    def expect(self, worker: str, within: float) -> None:
        """What a worker looks for is there, and it will see it within so many seconds: it looks that often."""
        if self.daemon is not None and worker in self.daemon.workers:
            self._idle[worker] = 0
            self._schedule(self.daemon.workers[worker], self.chance.uniform(0, within))

    def _guarded(self, act: Callable[[], None]) -> bool:
        assert self.daemon is not None
        daemon = self.daemon
        try:
            with self.world.calls.by(self.machine):
                act()
        except Crash as crash:
            self._stopped(daemon.parts, str(crash))
            return False
        self.world.observe(self, daemon.parts.ledger)
        if daemon.stopping.is_set():
            self.world.violate(f"{self.name} stopped: {daemon.error}")
        return True

    def _stopped(self, parts: Parts | None, how: str) -> None:
        """The machine has stopped in the middle of something: by a kill, or because its power went."""
        with self.world.calls.by(None):
            if parts is not None:
                self.world.observe(self, parts.ledger)
                self._recorded = _names(parts.ledger)
            self._close(parts)
            power = self.chance.random() < 0.6
            if power:
                self.has_power = False
                lost = self.machine.disk.lose_power(self.chance)
                self.world.people.lost_power(self, self._recorded)
                self.world.count("power cut")
                self.world.say(self.name, f"power cut {how}; {lost} changes lost")
            else:
                self.world.count("kill")
                self.world.say(self.name, f"killed {how}")
        self.machine.dead = False
        self.world.after(self.chance.choice((1.0, 60.0, 3600.0, 86400.0)) * self.chance.random(), self.start)

    def _close(self, parts: Parts | None) -> None:
        self.daemon = None
        self._life += 1
        if parts is not None:
            with self.world.calls.by(None):
                parts.ledger.close()

    def claimed(self, name: str) -> Iterator[Path]:
        """Where a dropped file lies in the spool."""
        for claim in self.root.glob("spool/out/*/claim.json"):
            if json.loads(claim.read_bytes())["name"] == name:
                yield claim.with_name("payload")

    # --- when -------------------------------------------------------------------------------------------------------

    def _schedule(self, worker: Worker, pause: float) -> None:
        due = self.world.now + pause
        self._due[worker.name] = due
        life = self._life
        self.world.after(pause, lambda: self.turn(worker, life, due))

    def _heed(self) -> None:
        """Workers that were woken run soon, in whatever order."""
        if self.daemon is None:
            return
        for name, worker in self.daemon.workers.items():
            if name not in self._due or (worker.waker.is_set() and self._due[name] > self.world.now + 1):
                self._idle[name] = 0
                self._schedule(worker, self.chance.uniform(0, 0.5))

    def _log(self, event: str, **ids: object) -> None:
        if event in ("round.broken", "worker-died") or (
            event == "look.failed" and ids.get("error") not in EXPECTED_LOOKS
        ):
            self.world.violate(f"{self.name}: {event} {ids}")
        elif event in ("round.failed", "look.failed"):
            self.world.say(self.name, f"{event} {ids.get('worker', '')} {ids.get('error')}")

    def new_entries(self, ledger: Ledger) -> list[Entry]:
        """What the ledger holds since the last call."""
        size = ledger.size
        entries = list(ledger.entries(self.seen, size)) if size != self.seen else []
        self.seen += len(entries)
        return entries


def _names(ledger: Ledger) -> frozenset[str]:
    """Of every file that the ledger knows as one to be sent."""
    return frozenset(str(ledger.openings(h.first_seq).get("name")) for h in ledger.handovers(direction="out"))
