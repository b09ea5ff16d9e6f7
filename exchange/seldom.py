"""Entries that somebody else can cause: however often that happens, the ledger says it once an hour.

Whoever repeats a message for ever, or sends what is refused, must not be able to fill our disk with what we say of it.
"""

from datetime import timedelta
from typing import Final

from config.times import from_text
from exchange.parts import Parts
from ledger.entry import Draft

PAUSE: Final = timedelta(hours=1)


def append(parts: Parts, draft: Draft, *fields: str) -> bool:
    """Record `draft` unless it was said lately; returns whether it was recorded."""
    if lately(parts, draft, *fields):
        return False
    parts.ledger.write(lambda tx: tx.append(draft))
    return True


def lately(parts: Parts, draft: Draft, *fields: str) -> bool:
    """Whether the last entry of that event, partner and handover (None: any), with the same text in these `fields` of
    its detail, is younger than PAUSE."""
    sql = ["SELECT at FROM entries WHERE event = ? AND +partner = ?"]
    values: list[object] = [draft.event, draft.partner]
    if draft.handover is not None:
        sql.append("AND handover = ?")
        values.append(draft.handover)
    for field in fields:
        sql.append("AND json_extract(CAST(entry AS TEXT), ?) = ?")
        values += [f"$.detail.{field}", draft.detail[field]]
    sql.append("ORDER BY seq DESC LIMIT 1")
    return any(ago(parts, at) < PAUSE for (at,) in parts.ledger.rows(" ".join(sql), *values))


def ago(parts: Parts, at: str) -> timedelta:
    """How long ago an entry was recorded; at least 0: a clock that was put back must not keep us silent for as long."""
    return abs(parts.effects.clock() - from_text(at))
