"""A simulated world: organisations, people and a network, one queue of events, and nothing that is not from the seed.

    world = World(seed, folder, homes)
    world.run()
    world.violations                 what must never be, and was

Events happen in the order of their simulated times; those of one time in an order that the seed decides. An event may
take time itself: a server that stalls keeps the whole world waiting, and what was due meanwhile comes late.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from exchange.service.daemon import Daemon
from ledger.entry import Entry
from ledger.store import Ledger
from tests.simulation import checks, troubles
from tests.simulation.calls import Calls
from tests.simulation.disk import Disk
from tests.simulation.homes import START, Homes
from tests.simulation.keeping import Keeping
from tests.simulation.key_life import KeyLife
from tests.simulation.machine import Machine
from tests.simulation.network import Link
from tests.simulation.node import Node
from tests.simulation.people import MAGIC, People
from tests.simulation.plan import DAY, plan
from tests.simulation.zones import Zones

PATIENCE = 4 * DAY
"""So long after the last trouble everything must have come to rest."""

LOOK = 3600.0
"""Seconds between two looks whether it has."""


COLLECTED = 30.0
"""Seconds after which, at the latest, somebody looks for what waits on a partner's server."""


class World:
    """One run."""

    def __init__(self, seed: int, folder: Path, homes: Homes) -> None:
        self.seed = seed
        self.now = 0.0
        self.faults: Counter[str] = Counter()
        self.files = self.orders = 0
        self.entries = 0
        self.violations: list[str] = []
        self.trace: list[str] = []
        self.plan = plan(seed)
        self.delivered: dict[str, str] = {}
        self.lied_about: set[str] = set()
        self.came_late: set[str] = set()
        self.key_life: KeyLife | None = None
        self.accepted: dict[str, float] = {}
        self.outages: dict[tuple[str, str], str] = {}
        self._events: list[tuple[float, float, int, Callable[[], None]]] = []
        self._numbers: dict[str, int] = {}
        self._order = random.Random(f"{seed} order")
        self.setting = self.plan.setting
        homes.copy(self.setting, folder / "homes")
        self.folder = folder / "homes"
        machines = {
            name: Machine(Disk(self.folder / name, folder / f"graves-{name}", lambda: self.now), self.faults)
            for name in self.setting.organisations
        }
        self.calls = Calls(list(machines.values()), random.Random(f"{seed} names"))
        self.nodes = {
            name: Node(self, name, self.folder / name, machine, random.Random(f"{seed} {name}"))
            for name, machine in machines.items()
        }
        self.links = {
            (one, other): Link(self, one, other, random.Random(f"{seed} {one} {other}"))
            for one, other in sorted(self.setting.ways)
        }
        self.zones = Zones(self)
        self.people = People(self, random.Random(f"{seed} people"))
        keeping = "keeping" in self.plan.troubles
        self.keeping = Keeping(self, random.Random(f"{seed} what is kept")) if keeping else None

    # --- time -------------------------------------------------------------------------------------------------------

    @property
    def date(self) -> datetime:
        """The true time."""
        return START + timedelta(seconds=self.now)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Let something happen later."""
        heapq.heappush(self._events, (self.now + seconds, self._order.random(), len(self._events), act))

    def run(self) -> None:
        """From the first start until everything has come to rest, or something is wrong."""
        with self.calls.installed():
            try:
                for node in self.nodes.values():
                    node.start()
                troubles.arrange(self)
                self._pass(self.plan.days * DAY)
                troubles.end(self)
                self._come_to_rest()
                if not self.violations and sum(map(self.people.take_back, self.nodes.values())):
                    self._come_to_rest()
            finally:
                for node in self.nodes.values():
                    node.stop()
                self.entries = sum(node.seen for node in self.nodes.values())

    def _come_to_rest(self) -> None:
        end = self.now + PATIENCE
        while not self.violations:
            self._pass(self.now + LOOK)
            restless = checks.restless(self)
            if not restless:
                checks.at_rest(self)
                return
            if self.now >= end:
                self.violate(f"never comes to rest: {restless}")

    def _pass(self, until: float) -> None:
        while self._events and self._events[0][0] <= until and not self.violations:
            at, _, _, act = heapq.heappop(self._events)
            self.now = max(self.now, at)
            act()
        self.now = max(self.now, until)

    # --- what happened ----------------------------------------------------------------------------------------------

    def count(self, fault: str) -> None:
        """One more fault of a kind."""
        self.faults[fault] += 1
        self.say("network", fault) if fault not in ("kill", "power cut") else None

    def say(self, who: str, what: str) -> None:
        """A line of the trace."""
        days, rest = divmod(self.now, DAY)
        hours, rest = divmod(rest, 3600)
        self.trace.append(f"day {days:2.0f} {hours:02.0f}:{rest // 60:02.0f}:{rest % 60:06.3f}  {who:8} {what}")

    def violate(self, what: str) -> None:
        """Something must never be, and is."""
        self.violations.append(what)
        self.say("VIOLATED", what)

    def observe(self, node: Node, ledger: Ledger) -> None:
        """See what a ledger has got since the last look, and whether it may say so."""
        for entry in node.new_entries(ledger):
            self.say(node.name, self._line(entry))
            for problem in checks.of_entry(self, node, ledger, entry):
                self.violate(problem)

    def _line(self, entry: Entry) -> str:
        name = "" if entry.handover is None else f" #{self.number(entry.handover)}"
        reason = f" ({entry.detail['reason']})" if "reason" in entry.detail else ""
        return f"{entry.seq:4} {entry.at} {entry.event}{name}{reason}"

    @property
    def handovers(self) -> int:
        """How many there were."""
        return len(self._numbers)

    def number(self, handover: str) -> int:
        """Handovers in the order in which they appeared."""
        return self._numbers.setdefault(handover, len(self._numbers) + 1)

    def stuck(self) -> frozenset[str]:
        """Handovers that will never be acknowledged, and are seen to be so."""
        return frozenset(
            handover.id
            for node in self.nodes.values()
            if node.daemon is not None
            for handover in node.daemon.parts.ledger.handovers(direction="out", states=("sent",))
            if checks.is_refused_for_ever(self, handover)
        )

    # --- between the organisations ----------------------------------------------------------------------------------

    def link(self, sender: str, receiver: str) -> Link:
        """The way from one to the other."""
        return self.links[sender, receiver]

    def landed(self, link: Link) -> None:
        """The receiver may hear at once that something came, or finds it when it looks."""
        if link.server == link.sender:
            self.nodes[link.receiver].expect(f"co:{link.sender}", COLLECTED)
        elif link.chance.random() < 0.8 or self.plan.spared is not None:
            self.nodes[link.receiver].hint(_landed)

    def watch_wire(self, data: bytes) -> None:
        """Nothing readable leaves an organisation."""
        if MAGIC in data or b"24 015 493" in data:
            self.violate("plaintext was uploaded")


def _landed(daemon: Daemon) -> None:
    daemon.landed(None)
