"""Legal holds: what must not be destroyed, as the entries `hold.placed` and `hold.lifted` say.

A hold is known by the number of the entry that placed it. It covers every handover, past and future, of which all that
it names is true:

    hold.placed   handover, direction        this one
                  authority                  this council, its predecessors included
                  partner                    with this partner
                  committed.reference        about this complaint; the reference itself lies in the opening only
                  detail.review              the day on which somebody is to look at it again
    hold.lifted   detail.hold                the number of the hold that ends

Holds are counted one by one: lifting one leaves the others. Who placed or lifted one, and why, is committed to. What
cannot be read any more (a redacted reference) is taken for a match: a hold that nobody can read holds rather more.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ledger.entry import Entry
from ledger.handover import Handover
from ledger.view import View

PLACED, LIFTED = "hold.placed", "hold.lifted"

Codes = Callable[[str], frozenset[str]]
"""The GSS codes under which something about a council may be recorded."""

_OPEN = (
    "SELECT a.seq FROM entries a WHERE a.event = 'hold.placed' AND NOT EXISTS (SELECT 1 FROM entries b "
    "WHERE b.event = 'hold.lifted' AND json_extract(CAST(b.entry AS TEXT), '$.detail.hold') = a.seq) ORDER BY a.seq"
)
_REFERENCES = (
    "SELECT value FROM openings WHERE field = 'reference' AND seq IN "
    "(SELECT seq FROM entries WHERE handover = ? AND +partner = ? AND direction = ?)"
)
_HAD_ONE = (
    "SELECT 1 FROM entries WHERE handover = ? AND +partner = ? AND direction = ? "
    "AND json_extract(CAST(entry AS TEXT), '$.committed.reference') IS NOT NULL LIMIT 1"
)


def plain_reference(reference: str) -> str:
    """A reference as it is compared: letters and digits only, whatever the case."""
    return "".join(c for c in reference.casefold() if c.isalnum())


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold that lasts."""

    entry: Entry
    codes: frozenset[str] | None
    """Every code of the council and its predecessors; None where it names no council."""
    opened: dict[str, str]
    """`by`, `reason` and `reference`, as far as they have not been redacted."""

    @property
    def seq(self) -> int:
        """Its number."""
        return self.entry.seq

    @property
    def review(self) -> str | None:
        """The day on which somebody is to look at it again."""
        review = self.entry.detail.get("review")
        return None if review is None else str(review)

    @property
    def is_about_a_reference(self) -> bool:
        """Whether it names a complaint, readable or not."""
        return "reference" in self.entry.committed

    def may_cover(self, handover: Handover) -> bool:
        """Whether all that it names is true of a handover, the reference left aside."""
        entry = self.entry
        return (
            entry.handover in (None, handover.id)
            and entry.direction in (None, handover.direction)
            and entry.partner in (None, handover.partner)
            and (self.codes is None or handover.authority in self.codes)
        )


@dataclass(frozen=True, slots=True)
class Holds:
    """Every hold that lasts, oldest first."""

    view: View
    all: tuple[Hold, ...]

    def over(self, handover: Handover) -> tuple[Hold, ...]:
        """The holds that cover a handover."""
        possible = [hold for hold in self.all if hold.may_cover(handover)]
        if not any(hold.is_about_a_reference for hold in possible):
            return tuple(possible)
        known = self._references(handover)
        return tuple(hold for hold in possible if _is_about(hold, known))

    def _references(self, handover: Handover) -> frozenset[str] | None:
        """Its references in their plain form; None where it had one that cannot be read any more."""
        life = (handover.id, handover.partner, handover.direction)
        found = frozenset(plain_reference(str(value)) for (value,) in self.view.rows(_REFERENCES, *life))
        return found if found or not self.view.rows(_HAD_ONE, *life) else None


def open_holds(view: View, codes: Codes) -> Holds:
    """The holds that last, read from a ledger or inside a transaction."""
    return Holds(view, tuple(_read(view, codes)))


def _read(view: View, codes: Codes) -> Iterator[Hold]:
    for (seq,) in view.rows(_OPEN):
        entry = view.entry(seq)
        opened = {field: str(value) for field, value in view.openings(seq).items()}
        yield Hold(entry, None if entry.authority is None else codes(entry.authority), opened)


def _is_about(hold: Hold, known: frozenset[str] | None) -> bool:
    if not hold.is_about_a_reference or known is None or "reference" not in hold.opened:
        return True
    return plain_reference(hold.opened["reference"]) in known
