"""Running numbers of a partner that never came although higher ones did, and what became of asking for them.

    gap.asked          we asked the partner for `numbers`
    gap.closed         the partner signed that `numbers` will never come, because of `reason`
    gap.contradicted   two signed messages about `numbers` cannot both be true

    gap.reported       the partner asked us for `numbers`
    gap.answered       we told it which of them will never come
    gap.contradicted   it asked for what it has signed a receipt for

The first three have the direction `in`, the others `out`. `numbers` are ranges, `[[5,6],[9,9]]`. A gap that was closed,
or of which the partner says that we acknowledged it, is explained: it is no gap any more. What comes in spite of that
is delivered like anything else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from ledger.entry import Direction, Entry
from ledger.known import NUMBERED_SINCE
from ledger.view import View

MAX_GAPS = 100
"""Missing numbers that are named: enough to ask a partner about."""

ASKED, CLOSED, CONTRADICTED = "gap.asked", "gap.closed", "gap.contradicted"
REPORTED, ANSWERED = "gap.reported", "gap.answered"


@dataclass(frozen=True, slots=True)
class Missing:
    """A number that never came."""

    number: int
    since: int
    """The first entry of what has the next higher number that came: the number was not missing before."""


def missing(ledger: View, partner: str) -> list[Missing]:
    """The lowest numbers that never came and are not explained, at most MAX_GAPS of them."""
    known = explained(ledger, partner)
    # as ranges: a partner chooses its numbers, and between two of them there can be more than a machine can hold
    sql = (
        "SELECT before + 1, sequence FROM (SELECT sequence, lag(sequence, 1, 0) OVER (ORDER BY sequence) AS before",
        "FROM handovers WHERE partner = ? AND direction = 'in' AND sequence IS NOT NULL AND",
        NUMBERED_SINCE,
        ") WHERE sequence > before + 1 ORDER BY sequence LIMIT ?",
    )
    begun = ledger.begun(partner)
    gaps = ledger.rows(" ".join(sql), partner, begun, begun, begun, MAX_GAPS + len(known))
    numbers = chain.from_iterable(((number, end) for number in range(first, end)) for first, end in gaps)
    lowest = islice(((number, end) for number, end in numbers if number not in known), MAX_GAPS)
    return [Missing(number, _first_seq(ledger, partner, end)) for number, end in lowest]


def sequence_gaps(ledger: View, partner: str) -> list[int]:
    """The same, as mere numbers."""
    return [one.number for one in missing(ledger, partner)]


def _first_seq(ledger: View, partner: str, number: int) -> int:
    found = ledger.with_number(partner, "in", number)
    return 0 if found is None else found.first_seq


def explained(ledger: View, partner: str) -> dict[int, str]:
    """Number -> why it never came, as the partner has signed; with those that have come in spite of it."""
    found: dict[int, str] = {}
    for event in (CLOSED, CONTRADICTED):
        for entry in entries_about(ledger, event, partner, "in"):
            if entry.handover is None:
                found |= dict.fromkeys(numbers_of(entry), str(entry.detail.get("reason")))
    return found


def entries_about(ledger: View, event: str, partner: str, direction: Direction, start: int = 0) -> list[Entry]:
    """The entries of one event about the numbers of one direction from entry `start` on, in order.

    What was said of the numbers of a ledger that the partner had before is not among them.
    """
    first = max(start, ledger.begun(partner))
    sql = "SELECT seq FROM entries WHERE event = ? AND +partner = ? AND direction = ? AND +seq >= ? ORDER BY seq"
    return [ledger.entry(seq) for (seq,) in ledger.rows(sql, event, partner, direction, first)]


def numbers_of(entry: Entry) -> Iterator[int]:
    """The numbers that an entry is about."""
    ranges: Any = entry.detail.get("numbers", ())
    for first, last in ranges:
        yield from range(first, last + 1)
