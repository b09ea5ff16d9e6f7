"""What must hold when a storm is over."""

from collections import Counter
from collections.abc import Iterator

from exchange.audit import read_ledger, verify_home
from keys.key_info import NEEDED, OPTIONAL
from keys.rotation import of_ledger
from ledger.view import View
from tests.faults.attempt import NOT_FOR_PEOPLE
from tests.faults.invariant import UNWANTED
from tests.system.daemons import Running

PARTNER = {"lgsco": "ofsted", "ofsted": "lgsco"}
REFUSALS = UNWANTED | {"rejected", "held", "withdrawn", "message.refused", "gap.contradicted", "key.discarded"}


def violations(
    both: dict[str, Running], dropped: dict[str, list[bytes]], but: frozenset[str] = frozenset()
) -> list[str]:
    """Everything that is against it; events in `but` may be."""
    return [
        *(what for name in both for what in _files(both, name, dropped[name])),
        *(f"{name}: {what}" for name, one in both.items() for what in _ledger(one, but)),
        *(f"{name}: {what}" for name, one in both.items() for what in _keys(one)),
        *(what for name in both for what in _agree(both, name)),
    ]


def _files(both: dict[str, Running], sender: str, dropped: list[bytes]) -> Iterator[str]:
    """Every file once, byte for byte, and nothing else."""
    there = both[PARTNER[sender]]
    came = Counter(path.read_bytes() for path in there.files(there.home.inbound))
    for content, number in (came - Counter(dropped)).items():
        yield f"{PARTNER[sender]}: {number} more of {content[:20]!r} than {sender} has dropped"
    for content, number in (Counter(dropped) - came).items():
        yield f"{PARTNER[sender]}: {number} fewer of {content[:20]!r} than {sender} has dropped"
    states = Counter(both[sender].states())
    if states != Counter(acknowledged=len(dropped)):
        yield f"{sender}: {states} of {len(dropped)}"
    yield from (f"{sender}: {path} is left over" for path in both[sender].files(both[sender].home.spool))


def _ledger(one: Running, but: frozenset[str]) -> Iterator[str]:
    report = verify_home(one.home)
    yield from map(str, report.problems)
    if not report.ok:
        yield "the ledger does not verify"
    events = Counter(one.events())
    yield from (f"{events[event]} times {event}" for event in sorted(REFUSALS & set(events) - but))
    if one.files(one.home.quarantine) and "quarantined" not in but:
        yield "something lies in quarantine"
    log = one.log_file.read_text()
    if NOT_FOR_PEOPLE.search(log) or "round.broken" in log:
        yield "the log shows a fault"


def _keys(one: Running) -> Iterator[str]:
    """Every rotation is closed, and of what ended no private half is left."""
    with read_ledger(one.home) as ledger:
        own = of_ledger(ledger)
    yield from (f"{making} is not made" for making in own.making)
    yield from (f"announcement {sent.number} was not accepted" for sent in own.announcements if not sent.taken)
    for purpose in (*NEEDED, *(purpose for purpose in OPTIONAL if own.usable(purpose))):
        (*older, last) = own.usable(purpose)
        if older or last.replaces is None:
            yield f"{len(older) + 1} {purpose} keys in use, the last replaces {last.replaces}"
    # a thief's message may lie in quarantine that only a revoked key opens
    kept = [key for key in own.keys if key.ended == "retired" and not key.destroyed and key.purpose != "host"]
    yield from (f"{key.purpose} key {key.serial} is not destroyed" for key in kept)
    alive = {f"{key.purpose}-{key.serial}" for key in own.keys if not key.destroyed}
    yield from (f"{path.name} is still there" for path in one.home.keys.glob("*-*.age") if path.stem not in alive)


def _agree(both: dict[str, Running], sender: str) -> Iterator[str]:
    """The partner's ledger tells of the same files, each once, and what it has witnessed of ours is still ours."""
    partner = PARTNER[sender]
    with read_ledger(both[sender].home) as mine, read_ledger(both[partner].home) as theirs:
        sent, came = _told(mine, "acknowledged", "out"), _told(theirs, "delivered", "in")
        for handover in sent.keys() | came.keys():
            if (sent[handover], came[handover]) != (1, 1):
                yield f"{sender}: {handover} is acknowledged {sent[handover]} and delivered {came[handover]} times"
        known = theirs.witnessed(sender)
        if known is None or known.size == 0:
            yield f"{partner} has witnessed nothing of {sender}"
        elif mine.root(known.size) != known.root:
            yield f"{sender}: what {partner} has witnessed is not in the ledger"


def _told(ledger: View, event: str, direction: str) -> Counter[str | None]:
    entries = ledger.entries(0, ledger.size)
    return Counter(entry.handover for entry in entries if (entry.event, entry.direction) == (event, direction))
