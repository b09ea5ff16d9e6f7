"""Questions about handovers: a filter, answered by SQL over columns that are generated from the hashed bytes.

A row is one handover as scripts and people see it. Names and references come from the openings; a redacted one is None.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from config.times import from_text, to_text
from ledger.handover import FINAL, Handover
from ledger.holds import Holds, plain_reference
from ledger.schema import CACHED
from ledger.store import Ledger
from ledger.view import View

Deadlines = Mapping[tuple[str, str], timedelta]
"""(partner, category) -> how long a receipt may take."""

UNKNOWN_DEADLINE = timedelta(days=7)
"""Where nothing says so, because the agreement or the partner's card has gone: whoever waits is told all the same."""

_LIFE = "FROM entries e WHERE e.handover = h.id AND +e.partner = h.partner AND e.direction = h.direction"
_OPENED = (
    "coalesce((SELECT o.value FROM openings o WHERE o.seq = h.first_seq AND o.field = '{0}'), "
    f"(SELECT o.value FROM openings o WHERE o.seq IN (SELECT e.seq {_LIFE}) AND o.field = '{{0}}' "
    "ORDER BY o.seq LIMIT 1))"
)

_WAITING = ("accepted", "sealed", "sent")
"""For a receipt; only what goes out is ever in these states."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a handover must be to be in the answer; None asks nothing."""

    handover: str | None = None
    authorities: frozenset[str] | None = None
    partner: str | None = None
    category: str | None = None
    event: str | None = None
    state: str | None = None
    direction: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    reference: str | None = None
    text: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One handover. Times are ISO 8601 in UTC, `size` is in bytes, absent is None."""

    id: str
    direction: str
    partner: str
    category: str | None
    authority: str | None
    reference: str | None
    name: str | None
    size: int | None
    state: str
    dropped_at: str | None
    sealed_at: str | None
    sent_at: str | None
    received_at: str | None
    delivered_at: str | None
    acknowledged_at: str | None
    overdue: bool
    hold: str | None
    """The numbers of the legal holds that keep our copy from being destroyed."""
    reason: str | None
    key: str | None
    seq: int

    @property
    def is_final(self) -> bool:
        """Whether nothing is left to do with its file."""
        return self.state in FINAL["out" if self.direction == "out" else "in"]

    @property
    def shown_state(self) -> str:
        """For people: the state, and whether a hold is on it."""
        return f"{self.state} (on hold)" if self.hold else self.state

    def to_json(self) -> dict[str, str | int | bool | None]:
        """Stable field names for programs."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def query(
    ledger: Ledger, wanted: Filter, *, now: datetime, deadlines: Deadlines, holds: Holds | None = None
) -> list[Row]:
    """The handovers that match, newest first; with the `holds` that cover each."""
    sql, values = _select(wanted)
    found = (_row(record, now, deadlines, holds) for record in ledger.rows(sql, *values))
    matching = (row for row in found if _matches(row, wanted))
    return list(islice(matching, None if wanted.limit is None else max(0, wanted.limit)))


def _select(wanted: Filter) -> tuple[str, list[object]]:
    columns = ", ".join(f"h.{name}" for name in CACHED)
    conditions, values = ["1"], list[object]()
    for condition, value in _conditions(wanted):
        conditions.append(condition)
        values += value
    # the first entry mostly holds them; not that of an envelope that was quarantined before it could be read
    return (
        f"SELECT {columns}, {_OPENED.format('name')}, {_OPENED.format('reference')} "
        f"FROM handovers h WHERE {' AND '.join(conditions)} ORDER BY h.first_seq DESC"
    ), values


def _conditions(wanted: Filter) -> Iterator[tuple[str, Sequence[object]]]:
    for name in ("partner", "category", "direction"):
        if (value := getattr(wanted, name)) is not None:
            yield f"h.{name} = ?", [_bindable(value)]
    if wanted.handover is not None:
        yield "h.id = ?", [_bindable(wanted.handover)]
    if wanted.state == "overdue":
        # how late a handover may be depends on partner and category: `_matches` decides among these
        yield f"h.direction = 'out' AND h.state IN ({', '.join('?' * len(_WAITING))})", _WAITING
    elif wanted.state is not None:
        yield "h.state = ?", [_bindable(wanted.state)]
    if wanted.authorities is not None:
        codes = [_bindable(code) for code in sorted(wanted.authorities)]
        yield f"h.authority IN ({', '.join('?' * len(codes))})", codes
    if wanted.event is not None:
        yield f"EXISTS (SELECT 1 {_LIFE} AND e.event = ?)", [_bindable(wanted.event)]
    if wanted.since is not None:
        yield "coalesce(h.dropped_at, h.received_at, '9') >= ?", [to_text(wanted.since)]
    if wanted.until is not None:
        yield "coalesce(h.dropped_at, h.received_at, '') <= ?", [to_text(wanted.until)]


def _bindable(text: str) -> str | None:
    """`text` as SQLite can take it; what is not Unicode becomes NULL, which equals nothing."""
    return None if any("\ud800" <= c <= "\udfff" for c in text) else text


def _matches(row: Row, wanted: Filter) -> bool:
    """What SQL does not decide: values that lie in openings, and whether a handover is late now."""
    if wanted.state == "overdue" and not row.overdue:
        return False
    if wanted.reference is not None and (
        row.reference is None or plain_reference(row.reference) != plain_reference(wanted.reference)
    ):
        return False
    if wanted.text is not None:
        inside = (row.name or "", row.reference or "", row.id)
        return any(wanted.text.casefold() in text.casefold() for text in inside)
    return True


def _row(record: tuple[Any, ...], now: datetime, deadlines: Deadlines, holds: Holds | None) -> Row:
    h = Handover(**dict(zip(CACHED, record[:-2], strict=True)))
    name, reference = (json.loads(value) if value is not None else None for value in record[-2:])
    return Row(
        id=h.id,
        direction=h.direction,
        partner=h.partner,
        category=h.category,
        authority=h.authority,
        reference=reference,
        name=name,
        size=h.bytes,
        state=h.state,
        dropped_at=h.dropped_at,
        sealed_at=h.sealed_at,
        sent_at=h.sent_at,
        received_at=h.received_at,
        delivered_at=h.delivered_at,
        acknowledged_at=h.acknowledged_at,
        overdue=_is_overdue(h, now, deadlines),
        hold=", ".join(str(hold.seq) for hold in holds.over(h)) or None if holds is not None and holds.all else None,
        reason=h.reason,
        key=h.key,
        seq=h.first_seq,
    )


def _is_overdue(h: Handover, now: datetime, deadlines: Deadlines) -> bool:
    if h.state not in _WAITING or h.dropped_at is None:
        return False
    allowed = deadlines.get((h.partner, h.category or ""), UNKNOWN_DEADLINE)
    return now - from_text(h.dropped_at) > allowed


def reachability(ledger: View, partner: str) -> str:
    """`unreachable` while an outage that was recorded lasts, else `reachable`; `unknown` before any contact."""
    if outage(ledger, partner) is not None:
        return "unreachable"
    sql = (
        "SELECT 1 FROM entries WHERE partner = ? "
        "AND event IN ('sent', 'receipted', 'partner.reachable', 'partner.reached') LIMIT 1"
    )
    return "reachable" if ledger.rows(sql, partner) else "unknown"


def outage(ledger: View, partner: str) -> str | None:
    """The cause, as it was recorded last, of an outage that lasts; None if there is none."""
    sql = (
        "SELECT event, json_extract(CAST(entry AS TEXT), '$.detail.cause') FROM entries WHERE +partner = ? "
        "AND event IN ('partner.unreachable', 'partner.still-unreachable', 'partner.reachable') "
        "ORDER BY seq DESC LIMIT 1"
    )
    for event, cause in ledger.rows(sql, partner):
        if event != "partner.reachable":
            return str(cause or "")
    return None


def is_quarantine_full(ledger: View, partner: str) -> bool:
    """Whether nothing is taken from a partner because its part of the quarantine was used up."""
    sql = (
        "SELECT event FROM entries WHERE +partner = ? AND event IN ('quarantine.full', 'quarantine.has-room') "
        "ORDER BY seq DESC LIMIT 1"
    )
    return ledger.rows(sql, partner) == [("quarantine.full",)]


def confirmed_cards(ledger: View) -> dict[str, str]:
    """SHA-256 of the card of each partner, as a person confirmed it last."""
    sql = (
        "SELECT partner, json_extract(CAST(entry AS TEXT), '$.detail.card_sha256') FROM entries "
        "WHERE event = 'partner.added' ORDER BY seq"
    )
    return {str(partner): str(digest) for partner, digest in ledger.rows(sql)}


def handovers_signed_with(ledger: Ledger, fingerprint: str) -> int:
    """How many of our handovers were signed with a key."""
    sql = (
        "SELECT count(DISTINCT handover) FROM entries WHERE event = 'sealed' "
        "AND json_extract(CAST(entry AS TEXT), '$.detail.signed_by') = ?"
    )
    return int(ledger.rows(sql, fingerprint)[0][0])


def handovers_under_key(ledger: Ledger, fingerprint: str) -> int:
    """How many handovers were sealed to a key."""
    return int(ledger.rows("SELECT count(*) FROM handovers WHERE key = ?", fingerprint)[0][0])
