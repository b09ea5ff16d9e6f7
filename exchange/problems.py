"""What needs a person, as `handover status` says it: a sentence each.

Nothing here fails because a folder cannot be read just when somebody looks: that is a sentence, too.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from config.home import Home
from exchange import approval_list, custody, held, landing, machine, pq_inventory, stuck, troubles
from exchange.envelope.numbers import in_words
from exchange.partner_trust import agreements_with
from exchange.questions import holds_now
from exchange.topology import Topology
from keys.trust import Trust
from ledger.closing import shown_former
from ledger.gaps import MAX_GAPS
from ledger.query import Row, confirmed_cards, is_quarantine_full, outage
from ledger.store import Ledger


@dataclass(frozen=True, slots=True)
class Known:
    """What the status has found out already."""

    home: Home
    ledger: Ledger
    trust: Trust
    rows: list[Row]
    """Every handover."""
    partners: Collection[str]
    """Those with whom there is an agreement."""
    gaps: dict[str, list[int]]
    now: datetime


def all_of(known: Known, about_keys: Iterable[str]) -> tuple[str, ...]:
    """Each sentence once."""
    home, ledger = known.home, known.ledger
    found = [
        *_counted(known.rows),
        *(_outage(partner, cause) for p in known.partners for partner, cause in _outages(ledger, p)),
        *about_keys,
        *no_way(home, known.trust),
        *_without_card(known),
        *_read("held/", lambda: _refused(home, known.rows)),
        *_read("a folder in which envelopes wait", lambda: _incoming(known)),
        *_read("the spool", lambda: stuck.problems(home, known.rows, known.now)),
        *_read("outbound/", lambda: stuck.without_service(home, known.rows, known.now)),
        *pq_inventory.problems(home.settings, ledger, known.trust, known.partners, known.now),
        *(_not_come(partner, missing) for partner, missing in known.gaps.items()),
        *_unfinished(ledger),
        *_former(known),
        *_read("a folder in which copies are kept", lambda: _in_custody(known)),
        *_reviews(ledger, known.now),
        *approval_list.problems(home, ledger, known.now),
        *troubles.problems(ledger, known.now),
        *of_the_home(home),
    ]
    return tuple(dict.fromkeys(found))


def of_the_home(home: Home) -> list[str]:
    """What can be told without the ledger."""
    return [*_read("outbound/", lambda: _marker(home)), *_read("a folder of the home", lambda: machine.troubles(home))]


def no_way(home: Home, trust: Trust) -> list[str]:
    """What is wrong with the ways between us and our partners."""
    ways = ((partner, Topology.of(home, trust.card(partner)).problem) for partner in agreements_with(home, trust))
    return [problem.format(partner=partner) for partner, problem in ways if problem is not None]


def _read(place: str, found: Callable[[], Iterable[str]]) -> list[str]:
    try:
        return list(found())
    except OSError as problem:
        return [f"{place} cannot be read: {problem.strerror}"]


def _counted(rows: list[Row]) -> Iterator[str]:
    if number := sum(row.overdue for row in rows):
        have = "handover has" if number == 1 else "handovers have"
        yield f"{number} {have} no receipt after the deadline: see 'handover list --state overdue'"
    for state in ("held", "quarantined"):
        if number := sum(row.state == state for row in rows):
            yield f"{number} {state}: see 'handover list --state {state}'"


def _outages(ledger: Ledger, partner: str) -> Iterator[tuple[str, str]]:
    cause = outage(ledger, partner)
    if cause is not None:
        yield partner, cause


def _outage(partner: str, cause: str) -> str:
    """What keeps us from using a partner's landing zone, in the words that the error had."""
    kind = getattr(landing, cause, None)
    if not (isinstance(kind, type) and issubclass(kind, landing.LandingError)):
        return f"{partner} cannot be reached"
    said = kind.said.format(place=partner)
    return f"{said}: nothing is sent to it" if kind is landing.HostKeyChanged else said


def _without_card(known: Known) -> Iterator[str]:
    """Partners that somebody has confirmed, and with whom nothing can be exchanged."""
    for partner in sorted(confirmed_cards(known.ledger).keys() - set(known.partners)):
        waiting = sum(row.partner == partner and not row.is_final for row in known.rows)
        missing = "there is no agreement" if partner in known.trust.partners else "its card is missing"
        wait = {0: "", 1: ", and 1 handover waits"}.get(waiting, f", and {waiting} handovers wait")
        yield f"nothing can be exchanged with {partner}, because {missing}{wait}"


def _refused(home: Home, rows: list[Row]) -> Iterator[str]:
    """Files that came back from a partner, and still lie where they came back to."""
    refused = {row.id: row.partner for row in rows if row.state == "rejected" and row.direction == "out"}
    there = held.with_files(home.held) & refused.keys() if refused else frozenset[str]()
    for partner, number in sorted(Counter(refused[identifier] for identifier in there).items()):
        lie = "file, which lies" if number == 1 else "files, which lie"
        yield f"{partner} refused {number} {lie} in held/: see 'handover list --state rejected'"


def _marker(home: Home) -> Iterator[str]:
    if not home.marker.is_file():
        yield "the outbound folder has lost its marker file"


def _incoming(known: Known) -> Iterator[str]:
    """What has come and cannot be taken, or not be opened, until a person does something."""
    home, partners = known.home, known.partners
    for partner in partners:
        if is_quarantine_full(known.ledger, partner):
            yield f"the quarantine of {partner} is full: nothing is taken from it until some is released or withdrawn"
    for partner in sorted({path.name for root in (home.landing, home.spool / "in") for path in root.glob("*/")}):
        waiting = [*home.landing.glob(f"{partner}/*.age"), *home.spool.glob(f"in/{partner}/*.age")]
        if waiting and partner not in partners:
            wait = "envelope waits" if len(waiting) == 1 else "envelopes wait"
            yield f"{len(waiting)} {wait} for the card of {partner}: see 'handover partner add'"


def _not_come(partner: str, missing: list[int]) -> str:
    number = f"{len(missing)} or more" if len(missing) == MAX_GAPS else str(len(missing))
    have, numbers = ("handover has", "number") if len(missing) == 1 else ("handovers have", "numbers")
    return f"{number} {have} not come from {partner}, although later ones did: {numbers} {in_words(missing)}"


def _unfinished(ledger: Ledger) -> Iterator[str]:
    """A crash while a person sealed something: it has no envelope that anybody could carry."""
    for handover in ledger.handovers(direction="out", states=("sealed",)):
        if "by_hand" in ledger.entry(handover.first_seq).detail:
            yield f"an envelope made by hand was not finished: 'handover withdraw {handover.id}', and seal it again"


def _former(known: Known) -> Iterator[str]:
    """What a new home is told until the partner has its card."""
    for partner in known.partners:
        if (size := shown_former(known.ledger, partner)) is not None:
            yield (
                f"{partner} witnesses another ledger of ours, of {size} entries: if this home is new, have {partner}"
                " run 'handover partner add' with our card; if not, an older copy may have been put in its place"
            )


def _in_custody(known: Known) -> Iterable[str]:
    return custody.problems(custody.listing(known.home, known.ledger, known.trust))


def _reviews(ledger: Ledger, now: datetime) -> list[str]:
    today = now.date().isoformat()
    reviewed = [(hold.seq, hold.review) for hold in holds_now(ledger).all if hold.review is not None]
    return [f"hold {seq} was to be reviewed by {day}" for seq, day in reviewed if day <= today]
