"""What must hold: of every entry at the moment at which it is there, and of everything when it has come to rest.

while it runs   delivered: the file is there, whole, once, and would survive a power cut now
                acknowledged: the partner has delivered just this
                a partner that is away is recorded once; nobody is suspected of a forked ledger
at rest         every file is in one place; acknowledged here and delivered there are the same
                both ledgers verify and agree, nothing is left over, and no entry was written over and over
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from exchange.audit import verify_home
from exchange.drop import SIDECAR, WHY
from ledger.entry import Entry
from ledger.handover import Handover
from ledger.store import Ledger
from tests.simulation.people import MAGIC

if TYPE_CHECKING:
    from tests.simulation.node import Node
    from tests.simulation.world import World

NOTES = (WHY, ".receipt.txt", SIDECAR, ".handover-outbound")
PUT_ASIDE = ("quarantined", "withdrawn")
"""States of what came and was not believed; somebody may have thrown it away."""
DECIDED = ("acknowledged", "destroyed")
"""States of what was sent and has its receipt."""
DELIVERED = ("delivered", "destroyed")
"""States of what came and was let out."""
PROMPT = 600.0
"""Seconds from taking a file to its receipt at most, where nothing goes wrong."""
ALARMS = ("witness.conflict", "witness.rolled-back")


def of_entry(world: "World", node: "Node", ledger: Ledger, entry: Entry) -> Iterator[str]:
    """What is wrong with a new entry."""
    who = f"{node.name} entry {entry.seq}"
    if entry.event in ALARMS:
        yield f"{who}: {entry.event} of an honest partner"
    yield from _outage(world, node.name, entry, who)
    if entry.handover is None:
        return
    if world.key_life is not None:
        yield from world.key_life.of_entry(node, entry)
    if entry.event.endswith("quarantined") and entry.detail["reason"] == "key-expired":
        world.came_late.add(str(entry.detail.get("about", entry.handover)))
    if world.keeping is not None:
        yield from world.keeping.of_entry(node, ledger, entry)
    yield from _in_time(world, entry, who)
    if entry.event in ("accepted", "held") and "foreign" in str(ledger.openings(entry.seq).get("name", "")):
        yield f"{who}: took a file from a folder without its marker"
    if entry.event == "delivered" and entry.handover not in world.lied_about:
        yield from _delivered(world, node, ledger, entry, who)
    if entry.event == "acknowledged":
        sha256 = _payload_sha256(ledger, entry)
        if world.delivered.get(entry.handover) != sha256:
            yield f"{who}: #{world.number(entry.handover)} is acknowledged and was not delivered"


def _outage(world: "World", name: str, entry: Entry, who: str) -> Iterator[str]:
    between, cause = (name, str(entry.partner)), str(entry.detail.get("cause"))
    before = world.outages.get(between)
    if entry.event == "partner.unreachable" and before is not None:
        yield f"{who}: the same outage is recorded twice"
    if entry.event == "partner.still-unreachable" and before in (None, cause):
        yield f"{who}: an outage that there is not goes on" if before is None else f"{who}: {cause} is recorded twice"
    if entry.event in ("partner.unreachable", "partner.still-unreachable"):
        world.outages[between] = cause
    if entry.event == "partner.reachable":
        world.outages.pop(between, None)


def _in_time(world: "World", entry: Entry, who: str) -> Iterator[str]:
    """Whatever happens to one partner, the exchange with another is as quick as ever."""
    identifier = str(entry.handover)
    if entry.event == "accepted":
        world.accepted[identifier] = world.now
    if (
        entry.event == "acknowledged"
        and world.plan.spared in (entry.partner, who.split()[0])
        and world.now - world.accepted[identifier] > PROMPT
    ):
        yield f"{who}: #{world.number(identifier)} took {world.now - world.accepted[identifier]:.0f} s"


def _delivered(world: "World", node: "Node", ledger: Ledger, entry: Entry, who: str) -> Iterator[str]:
    identifier, partner = str(entry.handover), str(entry.partner)
    number = world.number(identifier)
    if identifier in world.delivered:
        yield f"{who}: #{number} is delivered twice"
    sha256 = _payload_sha256(ledger, entry)
    world.delivered[identifier] = sha256
    all_delivered = ledger.handovers(direction="in", partner=partner, states=("delivered",))
    wanted = sum(_payload_sha256(ledger, other) == sha256 for other in all_delivered)
    there = [path for path in _files(node.root / "inbound" / partner) if _sha256(path) == sha256]
    if len(there) != wanted:
        yield f"{who}: #{number} is delivered, and its content lies {len(there)} times in inbound, not {wanted} times"
    if not all(node.machine.disk.is_safe(path) for path in there):
        yield f"{who}: #{number} is delivered, and a power cut could take it"


def _payload_sha256(ledger: Ledger, about: Entry | Handover) -> str:
    """What the ledger commits to: the digest of the content when it was sealed, or received."""
    identifier = about.handover if isinstance(about, Entry) else about.id
    handover = ledger.handover(str(about.partner), about.direction or "in", str(identifier))
    assert handover is not None
    said = [ledger.openings(entry.seq).get("payload_sha256") for entry in ledger.entries_of(handover)]
    return next((str(one) for one in reversed(said) if one is not None), "")


def restless(world: "World") -> list[str]:
    """What has not come to rest, in words."""
    found = []
    for node in world.nodes.values():
        if node.daemon is None:
            found.append(f"{node.name} does not run")
            continue
        for handover in node.daemon.parts.ledger.handovers():
            if not _rests(world, node, handover):
                found.append(f"{node.name}: #{world.number(handover.id)} {handover.state} {handover.receipt or ''}")
        waiting = [path for path in _files(node.root / "outbound") if path.name != NOTES[3]]
        zones = [link.zone for link in world.links.values() if link.server == node.name]
        waiting += [path for zone in zones for path in zone.iterdir() if not path.name.endswith(".part")]
        waiting += [path for path in _files(node.root / "spool") if not _belongs_to_a_lie(world, path)]
        found += [f"{node.name}: {path.relative_to(node.root).parts[:2]}" for path in waiting]
    return found


def _rests(world: "World", node: "Node", handover: Handover) -> bool:
    if handover.direction == "in":
        return handover.receipt != "due" and (handover.is_final or handover.state == "quarantined")
    return handover.is_final or handover.state == "held" or is_refused_for_ever(world, handover)


def is_refused_for_ever(world: "World", handover: Handover) -> bool:
    """Visible on both sides and never acknowledged: the partner lies, or the key had ended when the file came."""
    return handover.state == "sent" and handover.id in world.lied_about | world.came_late


def _belongs_to_a_lie(world: "World", path: Path) -> bool:
    return any(identifier in path.parts for identifier in world.stuck())


def at_rest(world: "World") -> None:
    """Everything that must hold at the end; what does not is a violation."""
    for node in world.nodes.values():
        assert node.daemon is not None
        keeping = () if world.keeping is None else world.keeping.at_rest(node, node.daemon.parts.ledger)
        for problem in (
            *keeping,
            *_places(world, node),
            *_ledger(world, node),
            *_agreement(world, node),
            *_left_over(world, node),
        ):
            world.violate(f"{node.name} at rest: {problem}")


def _places(world: "World", node: "Node") -> Iterator[str]:
    """Every file is in exactly one place, unchanged, and in the place that the ledger says."""
    assert node.daemon is not None
    ledger = node.daemon.parts.ledger
    ours = ledger.handovers(direction="out")
    contents = {
        part: Counter(_sha256(path) for path in _files(node.root / part) if _is_drop(path, path.read_bytes()))
        for part in ("outbound", "spool", "held", "sent")
    }
    contents["destroyed"] = Counter(_payload_sha256(ledger, h) for h in ours if h.state == "destroyed")
    dropped = Counter(_digest(file.content) for file in world.people.dropped if file.organisation == node.name)
    found = sum(contents.values(), Counter[str]())
    if found != dropped:
        yield f"{(dropped - found).total()} files lost, {(found - dropped).total()} too many"
    for partner in world.setting.partners(node.name):
        acknowledged = [h for h in ours if h.state in ("acknowledged", "destroyed") and h.partner == partner]
        inbound = Counter(map(_sha256, _files(world.nodes[partner].root / "inbound" / node.name)))
        inbound += _destroyed_there(world.nodes[partner], node.name)
        if Counter(_payload_sha256(ledger, one) for one in acknowledged) != inbound:
            yield f"acknowledged {len(acknowledged)}, and {inbound.total()} lie in the inbound of {partner}"
        meant = {_digest(f.content) for f in world.people.dropped if f.partner == partner}
        if not inbound.keys() <= meant:
            yield f"something lies in the inbound of {partner} that was not for it"
    if known := {path.name for path in (node.root / "inbound").iterdir()} - {*world.setting.partners(node.name)}:
        yield f"{len(known)} folders of strangers in inbound"
    returned = [
        h for h in ours if h.state in ("held", "rejected", "withdrawn") and h.reason not in ("released", "file-gone")
    ]
    crossed = [h for h in ours if h.state == "acknowledged" and _was_withdrawn(ledger, h)]
    if contents["held"].total() != len(returned) + len(crossed):
        yield f"{contents['held'].total()} files are held, and the ledger says {len(returned) + len(crossed)}"


def _destroyed_there(other: "Node", sender: str) -> Counter[str]:
    """What a receiver had, until somebody ordered that it is destroyed."""
    assert other.daemon is not None
    ledger = other.daemon.parts.ledger
    gone = ledger.handovers(direction="in", partner=sender, states=("destroyed",))
    return Counter(_payload_sha256(ledger, handover) for handover in gone)


def _was_withdrawn(ledger: Ledger, handover: Handover) -> bool:
    return any(entry.event == "withdrawn" for entry in ledger.entries_of(handover))


def _ledger(world: "World", node: "Node") -> Iterator[str]:
    assert node.daemon is not None
    report = verify_home(node.daemon.parts.home)
    for problem in report.problems:
        yield f"the ledger does not verify: {problem}"
    known = len(node.daemon.parts.ledger.handovers())
    most = (
        40 + 25 * known + 3 * world.faults.total() + 10 * world.orders + 8 * int(world.now / 86400) * len(world.stuck())
    )
    if report.size > most:
        yield f"{report.size} entries for {known} handovers"


def _agreement(world: "World", node: "Node") -> Iterator[str]:
    """Each handover is in both ledgers what it must be."""
    for partner in world.setting.partners(node.name):
        yield from _agreement_with(world, node, world.nodes[partner])


def _agreement_with(world: "World", node: "Node", other: "Node") -> Iterator[str]:
    assert node.daemon is not None
    assert other.daemon is not None
    theirs = {h.id: h for h in other.daemon.parts.ledger.handovers(partner=node.name, direction="in")}
    numbers = Counter[int]()
    for handover in node.daemon.parts.ledger.handovers(direction="out", partner=other.name):
        answer = theirs.pop(handover.id, None)
        if handover.sequence is not None:
            numbers[handover.sequence] += 1
        if (answer.state if answer else None) not in _expected(handover.state):
            yield f"#{world.number(handover.id)} is {handover.state}, there {answer.state if answer else 'not known'}"
        elif answer is not None and handover.state in (*DECIDED, "rejected"):
            if (answer.manifest_sha256, answer.envelope_sha256) != (handover.manifest_sha256, handover.envelope_sha256):
                yield f"#{world.number(handover.id)}: the ledgers disagree about its digests"
            if handover.sequence != answer.sequence:
                yield f"#{world.number(handover.id)}: the ledgers disagree about its running number"
    if any(number > 1 for number in numbers.values()) or set(numbers) != set(range(1, len(numbers) + 1)):
        yield f"running numbers are not each used once: {sorted(numbers.elements())}"
    for answer in theirs.values():
        if answer.state not in PUT_ASIDE:
            yield f"the partner knows #{world.number(answer.id)}, which was never sent"


def _expected(state: str) -> tuple[str | None, ...]:
    """What the receiver may say of a file that the sender knows as this."""
    if state in DECIDED:
        return DELIVERED
    if state == "rejected":
        return ("rejected",)
    return (None, *PUT_ASIDE, *(DELIVERED if state == "sent" else ()))


def _left_over(world: "World", node: "Node") -> Iterator[str]:
    for path in sorted(node.root.rglob("*.part")):
        # what a partner gave up, or a server forgot to rename, may lie in a landing zone for a while
        if path.parent.parent.name not in ("landing", "collect"):
            yield f"left over: {path.relative_to(node.root)}"
    for folder in sorted((node.root / "spool" / "out").iterdir()):
        if folder.name not in world.stuck():
            yield f"left over: spool/out of #{world.number(folder.name)}"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _is_drop(path: Path, data: bytes) -> bool:
    return not path.name.endswith(NOTES) and (data.startswith(MAGIC) or MAGIC.startswith(data))


def _sha256(path: Path) -> str:
    return _digest(path.read_bytes())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
