"""What must hold once everything has come to rest, whatever broke on the way: nothing lost, doubled, or left over."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from config.home import Home
from exchange.audit import read_ledger, verify_home
from ledger.entry import Entry
from ledger.handover import Handover
from tests.faults.scene import FILES, Dropped

KINDS = ("lost", "doubled", "unverifiable", "left over")
"""Of findings; the sweep's table has a column for each."""

LAST_PLACE = {"acknowledged": "sent", "held": "held", "rejected": "held"}
UNWANTED = {"witness.conflict", "witness.rolled-back", "envelope.quarantined", "quarantined"}

_FOLDER_OF_A_PARTNER = re.compile(r"homes/\w+/spool/(control|in)/\w+")

ORGANISATIONS = ("lgsco", "ofsted")

Life = tuple[Handover, list[Entry], dict[str, object]]


class Rest(Protocol):
    """Two organisations that have come to rest."""

    homes: Path
    """The folder of both homes."""
    tidy: frozenset[str]
    """What `paths` gives if nothing broke."""
    kept: bool
    """Whether the sender keeps what has arrived."""

    def zones(self) -> list[Path]:
        """Landing zones that lie outside the homes."""

    def home(self, organisation: str) -> Home:
        """The home of one."""

    def paths(self) -> frozenset[str]:
        """Every path that matters."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One way in which the invariant does not hold."""

    kind: str
    what: str


def findings(rest: Rest) -> list[Finding]:
    """Everything that is against the invariant."""
    return [*_places(rest), *_ledgers(rest), *_left_over(rest)]


def _places(rest: Rest) -> list[Finding]:
    found = []
    for file in FILES:
        holders = sorted(
            str(path.relative_to(rest.homes))
            for root in (rest.homes, *rest.zones())
            for path in root.rglob("*")
            if path.is_file() and not path.is_symlink() and file.mark in path.read_bytes()
        )
        mine = f"lgsco/{LAST_PLACE[file.outcome]}/"
        wanted = [mine] if rest.kept or file.outcome != "acknowledged" else []
        wanted += ["ofsted/inbound/"] if file.outcome == "acknowledged" else []
        for place in wanted:
            there = [path for path in holders if path.startswith(place)]
            if len(there) != 1:
                found.append(Finding("lost" if not there else "doubled", f"{file.name}: {there} in {place}"))
        if len(holders) > len(wanted):
            found.append(Finding("doubled", f"{file.name}: {holders}"))
        found += [
            Finding("lost", f"{path} is not what was dropped")
            for path in holders
            if (rest.homes / path).read_bytes() != file.content
        ]
    return found


def _ledgers(rest: Rest) -> list[Finding]:
    found = []
    for name in ORGANISATIONS:
        report = verify_home(rest.home(name))
        found += [Finding("unverifiable", f"{name}: {problem}") for problem in report.problems]
        if not report.ok and not report.problems:
            found.append(Finding("unverifiable", name))
        with read_ledger(rest.home(name)) as ledger:
            events = [entry.event for entry in ledger.entries(0, ledger.size)]
        found += [Finding("unverifiable", f"{name}: {event}") for event in events if event in UNWANTED]
    lgsco, ofsted = (_lives(rest, name) for name in ORGANISATIONS)
    for file in FILES:
        mine = [life for life in lgsco if life[2].get("name") == file.name]
        if len(mine) != 1:
            found.append(Finding("doubled" if mine else "lost", f"{file.name}: {len(mine)} handovers"))
            continue
        theirs = [life for life in ofsted if life[0].id == mine[0][0].id]
        found += _agree(file, mine[0], theirs, kept=rest.kept)
    if len(lgsco) != len(FILES):
        found.append(Finding("doubled", f"{len(lgsco)} handovers for {len(FILES)} files"))
    return found


def _agree(file: Dropped, mine: Life, theirs: list[Life], *, kept: bool) -> list[Finding]:
    handover, entries, _ = mine
    found = []
    if handover.state != (file.outcome if kept or file.outcome != "acknowledged" else "destroyed"):
        found.append(Finding("lost", f"{file.name} is {handover.state}"))
    count = [entry.event for entry in entries].count(file.outcome)
    if count != 1:
        found.append(Finding("doubled" if count else "lost", f"{file.name}: {count} times {file.outcome}"))
    if file.outcome == "held":
        return found + [Finding("doubled", f"{file.name} is known to the partner")] * len(theirs)
    if len(theirs) != 1:
        return [*found, Finding("lost", f"{file.name}: the partner knows of {len(theirs)}")]
    answer, told, _ = theirs[0]
    wanted = "delivered" if file.outcome == "acknowledged" else "rejected"
    times = [entry.event for entry in told].count(wanted)
    if times != 1:
        found.append(Finding("doubled" if times else "lost", f"{file.name}: {times} times {wanted}"))
    if answer.receipt != "sent":
        found.append(Finding("lost", f"{file.name}: the receipt is {answer.receipt}"))
    if (answer.manifest_sha256, answer.envelope_sha256) != (handover.manifest_sha256, handover.envelope_sha256):
        found.append(Finding("unverifiable", f"{file.name}: the ledgers disagree about its digests"))
    return found


def _lives(rest: Rest, organisation: str) -> list[Life]:
    with read_ledger(rest.home(organisation)) as ledger:
        return [
            (handover, list(ledger.entries_of(handover)), dict(ledger.openings(handover.first_seq)))
            for handover in ledger.handovers()
        ]


def _left_over(rest: Rest) -> list[Finding]:
    there = rest.paths()
    more, less = sorted(there - rest.tidy), sorted(rest.tidy - there)
    ends = [path for path in more if path + "/" not in "".join(more)]
    return [
        # a partner's empty folder in the spool stays once something had to be asked or answered
        *(Finding("left over", path) for path in ends if not _FOLDER_OF_A_PARTNER.fullmatch(path)),
        *(Finding("lost", f"{path} is missing") for path in less),
    ]
