"""Notices handovers whose receipt did not come within the agreement's deadline, and records it once for each."""

from exchange.parts import Parts
from exchange.questions import deadlines
from ledger.entry import Draft
from ledger.query import Filter, query
from ledger.store import Transaction

EVENT = "receipt.overdue"

_NOTED = "SELECT DISTINCT handover FROM entries WHERE event = ?"


def note_overdue(parts: Parts) -> int:
    """Append one `receipt.overdue` for each handover that has become overdue; returns how many."""
    late = query(
        parts.ledger,
        Filter(state="overdue", direction="out"),
        now=parts.effects.clock(),
        deadlines=deadlines(parts.home, parts.trust),
    )
    if not late:
        return 0
    noted = {row[0] for row in parts.ledger.rows(_NOTED, EVENT)}
    fresh = [row for row in late if row.id not in noted]

    def record(tx: Transaction) -> None:
        for row in fresh:
            tx.append(Draft(event=EVENT, actor="daemon", handover=row.id, partner=row.partner, direction="out"))

    if fresh:
        parts.ledger.write(record)
    return len(fresh)
