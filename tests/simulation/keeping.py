"""Originals whose time comes, and people who forbid or order that a copy is destroyed; what must hold of all that.

when it begins     no hold covers it, and its time is over by the rule that was recorded, or somebody ordered it
when it is done    it is gone, also after a power cut, and no hold was there while the file was
at rest            whatever was due is destroyed, and has one certificate

A clock that is wrong may deceive a service that was started with it, or for longer than it stays in doubt; never one
that saw it jump.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from config.errors import HandoverError
from config.times import from_text
from config.units import parse_keep
from exchange import legal_holds, retention
from exchange.legal_holds import Scope
from exchange.troubles import SHOWN
from ledger.copies import BEGUN, DESTROYED, FAILED, copy_of, digest_of
from ledger.entry import Entry
from ledger.handover import Handover
from ledger.store import Ledger
from tests.simulation.commands import beside_service, set_for_partner
from tests.simulation.network import DAY, HOUR

if TYPE_CHECKING:
    from tests.simulation.node import Node
    from tests.simulation.world import World

TIMES = ("none", "1d", "1d", "3d", "7d")
"""How long originals are kept."""

COUNCILS = {"Birmingham": "E08000025", "Leeds": "E08000035"}
LATEST = timedelta(hours=14)
"""So long after its time an original is destroyed at the latest: the service may be at its laziest."""


@dataclass
class HeldBack:
    """A hold, as the people remember it."""

    scope: Scope
    came_too_late: set[str] = field(default_factory=set)
    """Handovers whose file was destroyed already, though nothing had certified it yet."""

    def covers(self, handover: Handover) -> bool:
        """Whether it does; every file that may go is about the one reference."""
        return (
            self.scope.identifier in (None, handover.id)
            and self.scope.partner in (None, handover.partner)
            and (self.scope.authority is None or COUNCILS[self.scope.authority] == handover.authority)
        )


class Keeping:
    """What is kept, in one run."""

    def __init__(self, world: "World", chance: random.Random) -> None:
        self._world, self._chance = world, chance
        self._holds: dict[str, dict[int, HeldBack]] = {name: {} for name in world.nodes}
        self._keep: dict[tuple[str, str], timedelta] = {}
        for name in sorted(world.nodes):
            for partner in world.setting.partners(name):
                self._tell(world.nodes[name], partner)

    def _tell(self, node: "Node", partner: str) -> None:
        said = self._chance.choice(TIMES)
        with self._world.calls.by(None):
            set_for_partner(node.root, partner, f'keep_sent = "{said}"')
        self._keep[node.name, partner] = parse_keep(said)

    # --- people -----------------------------------------------------------------------------------------------------

    def change(self, node: "Node") -> None:
        """An administrator changes how long originals are kept; the service reads that when it starts."""
        self._tell(node, self._chance.choice(self._world.setting.partners(node.name)))
        self._world.say(node.name, "keep_sent is another")
        self._world.count("keep_sent changed")
        if node.daemon is not None:
            node.stop()
            node.start()

    def hold(self, node: "Node") -> None:
        """Somebody places a hold, and somebody may lift it."""
        with beside_service(self._world, node) as parts:
            if parts is None:
                return
            known = [h.id for h in parts.ledger.handovers(states=("acknowledged", "delivered"))]
            scopes = [
                Scope(authority=self._chance.choice(sorted(COUNCILS))),
                Scope(partner=self._chance.choice(self._world.setting.partners(node.name))),
                Scope(reference="24015493"),
                *([Scope(identifier=self._chance.choice(known))] * 3 if known else ()),
            ]
            placed = HeldBack(self._chance.choice(scopes))
            try:
                number = int(str(legal_holds.place(parts, placed.scope, "Kim Example", "an appeal")["hold"]))
            except HandoverError as problem:
                self._world.say(node.name, f"a hold fails: {problem}")
                return
            placed.came_too_late |= {
                handover.id
                for handover in parts.ledger.handovers()
                if (begun := copy_of(parts.ledger, handover).begun) is not None
                and _is_gone(node.root / "spool" / "destroy" / str(begun.seq))
            }
        self._holds[node.name][number] = placed
        self._world.say(node.name, f"hold {number} is placed")
        self._world.count("hold placed")
        if self._chance.random() < 0.5:
            self._world.after(self._chance.uniform(HOUR, 5 * DAY), lambda: self._lift(node, number))
        self._world.after(self._chance.uniform(0, 1), node.look)

    def _lift(self, node: "Node", number: int) -> None:
        with beside_service(self._world, node) as parts:
            if parts is None:
                self._world.after(HOUR, lambda: self._lift(node, number))
                return
            legal_holds.lift(parts, number, "Kim Example", "the appeal is over")
        del self._holds[node.name][number]
        self._world.say(node.name, f"hold {number} is lifted")
        self._world.count("hold lifted")
        self._world.after(self._chance.uniform(0, 1), node.look)

    def destroy(self, node: "Node") -> None:
        """Somebody orders that a copy is destroyed before its time."""
        with beside_service(self._world, node) as parts:
            known = [] if parts is None else parts.ledger.handovers(states=("acknowledged", "delivered"))
            if parts is None or not known:
                return
            chosen = self._chance.choice(known)
            try:
                retention.order(parts, chosen.id, "Kim Example", "asked for by the person", elsewhere=False)
            except HandoverError as problem:
                self._world.say(node.name, f"a destruction is not ordered: {problem.message[:20]}")
                return
        self._world.say(node.name, f"somebody orders: destroy #{self._world.number(chosen.id)}")
        self._world.orders += 1
        self._world.count("destruction ordered")
        self._world.after(self._chance.uniform(0, 1), node.look)

    # --- what must hold ---------------------------------------------------------------------------------------------

    def of_entry(self, node: "Node", ledger: Ledger, entry: Entry) -> Iterator[str]:
        """What is wrong with a new entry about a copy."""
        if entry.event not in (BEGUN, DESTROYED, FAILED) or entry.handover is None or entry.direction is None:
            return
        handover = ledger.handover(str(entry.partner), entry.direction, entry.handover)
        assert handover is not None
        if handover.id in self._world.lied_about:
            return
        who = f"{node.name} entry {entry.seq}: #{self._world.number(handover.id)}"
        if entry.event == FAILED:
            yield f"{who} could not be destroyed: {entry.detail['reason']}"
        elif entry.event == BEGUN:
            yield from self._begun(node, ledger, entry, handover, who)
        elif entry.event == DESTROYED:
            yield from self._destroyed(node, ledger, entry, handover, who)

    def _begun(self, node: "Node", ledger: Ledger, entry: Entry, handover: Handover, who: str) -> Iterator[str]:
        if any(hold.covers(handover) for number, hold in self._holds[node.name].items() if number < entry.seq):
            yield f"{who} is on hold, and is to be destroyed"
        if entry.detail["rule"] == "order":
            return
        keep = self._keep[node.name, handover.partner]
        recorded = copy_of(ledger, handover).kept
        if recorded is not None:
            keep = max(keep, parse_keep(str(recorded.detail["keep"])))
        if handover.acknowledged_at is None:
            yield f"{who} has no receipt, and is to be destroyed"
        elif keep and from_text(handover.acknowledged_at) + keep > self._world.date and not node.is_deceived(SHOWN):
            # what is destroyed at once is destroyed by no clock
            yield f"{who} is to be destroyed before its time"

    def _destroyed(self, node: "Node", ledger: Ledger, entry: Entry, handover: Handover, who: str) -> Iterator[str]:
        begun = int(str(entry.detail["begun"]))
        for number, hold in self._holds[node.name].items():
            if hold.covers(handover) and begun < number < entry.seq and handover.id not in hold.came_too_late:
                yield f"{who} is on hold since its destruction began, and is destroyed"
        sha256 = digest_of(ledger, handover)
        if self._others_of(node, ledger, sha256):
            return
        if any(_copies(node, sha256)):
            yield f"{who} is destroyed, and its file is there"
        if any(_sha256(data) == sha256 for data in node.machine.disk.may_come_back()):
            yield f"{who} is destroyed, and a power cut could bring it back"

    def _others_of(self, node: "Node", ledger: Ledger, sha256: str | None) -> int:
        """How many files of the same content there may be: people drop, and send, the same twice."""
        dropped = sum(
            file.organisation == node.name and _sha256(file.content) == sha256 for file in self._world.people.dropped
        )
        same = [one for one in ledger.handovers() if digest_of(ledger, one) == sha256]
        gone = sum(one.direction == "out" and one.state == "destroyed" for one in same)
        came = sum(one.direction == "in" and one.state in ("received", "delivered") for one in same)
        return dropped - gone + came

    def at_rest(self, node: "Node", ledger: Ledger) -> Iterator[str]:
        """What was due, and the certificates."""
        certificates = Counter(
            entry.handover for entry in ledger.entries_saying((DESTROYED,)) if entry.direction is not None
        )
        if set(certificates) != {h.id for h in ledger.handovers(states=("destroyed",))} or certificates.total() > len(
            certificates
        ):
            yield "certificates and destroyed handovers are not the same"
        if node.was_ever_wrong or ledger.entries_saying(("clock.disagrees", "clock.jumped")):
            # a clock that was ahead leaves it in doubt for as long; a partner's leaves it in doubt for a day
            return
        for handover in ledger.handovers(direction="out", states=("acknowledged",)):
            kept = copy_of(ledger, handover).kept
            if kept is None or handover.acknowledged_at is None:
                continue
            keep = max(self._keep[node.name, handover.partner], parse_keep(str(kept.detail["keep"])))
            if from_text(handover.acknowledged_at) + keep + LATEST < self._world.date and not any(
                hold.covers(handover) for hold in self._holds[node.name].values()
            ):
                yield f"#{self._world.number(handover.id)} is kept although its time is over"


def _is_gone(work: Path) -> bool:
    """Whether a destruction has got as far as that there is nothing left to hold back."""
    return (work / "verified").exists() and not (work / "payload").exists()


def _copies(node: "Node", sha256: str | None) -> Iterator[str]:
    """Where a file of that content lies in plain."""
    for folder in ("sent", "inbound", "spool", "held", "outbound"):
        for path in (node.root / folder).rglob("*"):
            if path.is_file() and _sha256(path.read_bytes()) == sha256:
                yield str(path)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
