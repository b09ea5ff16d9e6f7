"""What must hold at the end of a soak: every dropped file arrived once and was acknowledged, or is visibly held."""

import hashlib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from exchange.audit import read_ledger, verify_home
from exchange.questions import all_rows
from ledger.entry import Entry
from ledger.query import Row
from tests.faults.invariant import UNWANTED
from tests.soak.health import bounded
from tests.soak.load import Dropped, Load
from tests.soak.people import Order
from tests.system.daemons import Running

PARTNER = {"lgsco": "ofsted", "ofsted": "lgsco"}
PLACES = {"acknowledged": "sent", "held": "held", "rejected": "held", "withdrawn": "held"}
"""State -> where the original lies at the end."""


def violations(both: dict[str, Running], load: Load, orders: list[Order]) -> list[str]:
    """Everything that is against the promise; empty if it was kept."""
    found = list(_ledgers(both))
    lives: dict[str, defaultdict[str, list[Row]]] = {of: defaultdict(list) for of in both}
    for of, one in both.items():
        for row in all_rows(one.home):
            if row.direction == "out":
                lives[of][str(row.name)].append(row)
    places = {of: _places(one) for of, one in both.items()}
    withdrawn = {order.handover for order in orders if order.what == "withdraw"}
    for file in load.files.values():
        found += fate(file, lives[file.sender].pop(file.name, []), withdrawn)
        found += copies(file, places)
    found += [f"{of}: a handover of {name!r}, which nobody dropped" for of in both for name in lives[of]]
    found += [f"{of}: {path} is left over" for of, one in both.items() for path in _left_over(one)]
    found += _answers(both, orders)
    return found


def fate(file: Dropped, rows: list[Row], withdrawn: set[str]) -> Iterator[str]:
    """What is wrong with the state of a file; afterwards `file.outcome` is what it really became."""
    # a held file that is released comes back under a new id, which may be known before the old one is closed
    standing = [row for row in rows if row.state != "withdrawn"] or rows[-1:]
    if len(standing) != 1:
        yield f"{file.name}: {len(standing)} handovers: {[(row.id, row.state) for row in standing]}"
        return
    (last,) = standing
    if last.state != file.outcome and not (last.state == "withdrawn" and last.id in withdrawn):
        yield f"{file.name}: {last.state} instead of {file.outcome}: {[(row.id, row.reason) for row in rows]}"
    file.outcome = last.state


def _places(one: Running) -> dict[str, list[str]]:
    """Digest -> every path below the home and its zone that holds such a content."""
    found = defaultdict(list)
    for root in (one.home.root, one.sshd.zone):
        for path in root.rglob("*"):
            if path.is_file() and not path.is_symlink() and not path.name.startswith("ledger.db"):
                found[hashlib.sha256(path.read_bytes()).hexdigest()].append(str(path.relative_to(root)))
    return found


def copies(file: Dropped, places: dict[str, dict[str, list[str]]]) -> Iterator[str]:
    """Where a file lies that should not, or does not where it should."""
    if not file.size:
        return  # every empty file has the same digest
    wanted = {file.sender: PLACES.get(file.outcome, "nowhere"), PARTNER[file.sender]: "inbound"}
    if file.outcome != "acknowledged":
        wanted[PARTNER[file.sender]] = "nowhere"
    for of, place in wanted.items():
        there = places[of].get(file.sha256, [])
        right = [
            path
            for path in there
            if path.startswith(f"{place}/") and unicodedata.normalize("NFC", path).endswith(f"/{file.name}")
        ]
        if len(right) != (place != "nowhere") or len(there) != len(right):
            named = [path for paths in places[of].values() for path in paths if path.endswith(f"/{file.name}")]
            yield f"{file.name} ({file.outcome}): at {of} there is {there} instead of one in {place}; named so: {named}"


def at_work(one: Running) -> Iterator[Path]:
    """What somebody still has to do something about. An upload that was cut short when its file had arrived already
    stays unfinished in the zone, until the receiver removes it for its age."""
    yield from one.files(one.home.spool)
    yield from (path for path in one.files(one.sshd.zone) if not path.name.endswith(".age.part"))


def _left_over(one: Running) -> Iterator[Path]:
    home = one.home
    yield from at_work(one)
    yield from one.files(home.quarantine)
    yield from (path for path in one.files(home.outbound) if not path.name.endswith(".concern.toml"))


def _ledgers(both: dict[str, Running]) -> Iterator[str]:
    events: dict[str, list[Entry]] = {}
    for of, one in both.items():
        report = verify_home(one.home)
        yield from (f"{of}: {problem}" for problem in report.problems)
        if not report.ok:
            yield f"{of}: the ledger does not verify"
        with read_ledger(one.home) as ledger:
            events[of] = list(ledger.entries(0, ledger.size))
            for handover in ledger.handovers():
                if handover.direction == "in" and handover.receipt != "sent":
                    yield f"{of}: the receipt of {handover.id} is {handover.receipt}"
        for event in UNWANTED & {entry.event for entry in events[of]}:
            yield f"{of}: {event}"
        yield from bounded(of, events[of])
    for of, partner in PARTNER.items():
        for mine, theirs in (("acknowledged", "delivered"), ("rejected", "rejected")):
            here, there = _of(events[of], mine, "out"), _of(events[partner], theirs, "in")
            for identifier in here.keys() | there.keys():
                counts = (here[identifier], there[identifier])
                if counts != (1, 1):
                    yield f"{of}: {identifier} is {mine} and {theirs} {counts} times"


def _of(entries: list[Entry], event: str, direction: str) -> Counter[str | None]:
    return Counter(one.handover for one in entries if (one.event, one.direction) == (event, direction))


def _answers(both: dict[str, Running], orders: list[Order]) -> Iterator[str]:
    """Every order was recorded with who gave it, and answered."""
    for of, one in both.items():
        with read_ledger(one.home) as ledger:
            entries = list(ledger.entries(0, ledger.size))
            asked = [entry for entry in entries if entry.event.endswith(".asked") and entry.actor == "operator"]
            answered = {entry.detail.get("order") for entry in entries}
            for entry in asked:
                if entry.seq not in answered:
                    yield f"{of}: {entry.event} {entry.seq} was not answered"
                if not ledger.openings(entry.seq).get("by"):
                    yield f"{of}: {entry.event} {entry.seq} by nobody"
        given = Counter((f"{order.what}.asked", order.handover) for order in orders if order.of == of)
        for key in given - Counter((entry.event, str(entry.handover)) for entry in asked):
            yield f"{of}: an order was not recorded: {key}"
