"""Files of a partner that never came, although later ones did: asked for, until they come or are explained.

    missing for GRACE -> gap.asked -> the same sealed envelopes once more, or an absence: gap.closed
                             |
                             +---- nothing: asked again after FIRST, then twice as long, at most MOST times

Everything here is in the ledger: which numbers are missing, since when, when they were asked for. One request names all
that are missing by then, and one entry says so.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from exchange import seldom
from exchange.control import Due, Message, MessageRefused
from exchange.envelope import numbers
from exchange.envelope.absence import ACKNOWLEDGED, BY_HAND, Absence
from exchange.envelope.request import Request
from exchange.parts import Parts
from exchange.retry import growing
from ledger.canonical import Json
from ledger.entry import Draft, Entry
from ledger.gaps import ASKED, CLOSED, CONTRADICTED, entries_about, explained, missing, numbers_of, sequence_gaps
from ledger.store import Transaction

GRACE: Final = timedelta(minutes=15)
"""Messages overtake each other: a number that is missing for less than this is under way."""

FIRST: Final = timedelta(hours=2)
"""Between a request and the next: longer than a partner takes one request for another's repetition."""

LONGEST: Final = timedelta(hours=24)

MOST: Final = 10
"""So often is one number asked for: for about a week. After that it is for people to ask."""

CAME_ANYWAY: Final = "came-anyway"


def due(parts: Parts, partner: str) -> list[Due]:
    """A request for everything that has been missing for a while, if any of it is to be asked for now."""
    gaps = missing(parts.ledger, partner)
    began = {seq: parts.ledger.entry(seq).at for seq in {one.since for one in gaps}}
    wanted = [one for one in gaps if seldom.ago(parts, began[one.since]) >= GRACE]
    asked = entries_about(parts.ledger, ASKED, partner, "in", min((one.since for one in wanted), default=0))
    if asked and seldom.ago(parts, asked[-1].at) < FIRST:
        return []
    named = [(entry, set(numbers_of(entry))) for entry in asked]
    if not any(_is_time(parts, [entry for entry, numbers in named if one.number in numbers]) for one in wanted):
        return []
    request = Request(tuple(one.number for one in wanted))
    return [Due("request", lambda: request, _draft(ASKED, partner, request.missing), lasts=LONGEST)]


def _is_time(parts: Parts, asked: Sequence[Entry]) -> bool:
    """Whether to ask for a number for which these requests have gone already."""
    if not asked:
        return True
    return len(asked) < MOST and seldom.ago(parts, asked[-1].at) >= growing(FIRST, LONGEST, len(asked))


def accept(parts: Parts, message: Message) -> None:
    """Take in that some of the numbers that we asked for will never come. What came meanwhile stays as it is."""
    absence = message.manifest.said
    if not isinstance(absence, Absence):
        raise MessageRefused("an absence says nothing", reason="no-absence")
    partner = message.partner
    asked = entries_about(parts.ledger, ASKED, partner, "in")

    def record(tx: Transaction) -> None:
        # only what we asked for: nobody makes us write down more than that
        open_now = set(numbers_of(asked[-1])) & set(sequence_gaps(tx, partner))
        for reason, absent in absence.absent.items():
            if found := open_now.intersection(absent):
                event = CONTRADICTED if reason == ACKNOWLEDGED else CLOSED
                tx.append(_draft(event, partner, found, reason=reason, message=message.manifest.id))

    if asked:
        parts.ledger.write(record)


def note_arrival(tx: Transaction, partner: str, handover: str, number: int | None) -> None:
    """Record that a number came of which the partner had signed that it never would; it counts all the same."""
    reason = None if number is None else explained(tx, partner).get(number)
    if number is not None and reason is not None and reason != BY_HAND:
        tx.append(_draft(CONTRADICTED, partner, [number], reason=CAME_ANYWAY, said=reason).replace(handover=handover))


def _draft(event: str, partner: str, named: Iterable[int], **detail: Json) -> Draft:
    ranges = numbers.to_ranges(named)
    return Draft(event=event, actor="daemon", partner=partner, direction="in", detail={"numbers": ranges, **detail})
