"""The questions that people ask of one home: what is in flight, what happened to a handover, what matches a filter.

The ledger answers; this adds what only the home knows: the councils' predecessors and each partner's deadline.
"""

import contextlib
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.authorities import Register
from config.errors import Misuse, Refused
from config.home import Home
from config.times import from_text, system_clock
from exchange import held
from exchange.audit import read_ledger
from exchange.orders import HINTS, the_one
from exchange.partner_trust import agreements_with, trusted
from exchange.refusals import meaning
from keys.trust import Trust
from ledger.canonical import Json
from ledger.entry import Entry
from ledger.holds import Holds, open_holds
from ledger.query import Filter, Row, query
from ledger.store import Ledger

__all__ = ["Row", "Story", "all_rows", "ask", "deadlines", "in_flight", "life"]

MIN_ID = 4
"""Fewer characters of an id than this name too many handovers."""


def deadlines(home: Home, trust: Trust) -> dict[tuple[str, str], datetime.timedelta]:
    """(partner, category) -> how long a receipt may take: the partner's own setting, else the agreement's."""
    found = {}
    for partner, agreement in agreements_with(home, trust).items():
        own = home.settings.partner(partner).receipt_deadline
        for flow in agreement.flows:
            found[partner, flow.category] = own or flow.receipt_deadline
    return found


def in_flight(
    home: Home,
    ledger: Ledger,
    trust: Trust,
    *,
    state: str | None = None,
    partner: str | None = None,
    everything: bool = False,
) -> list[Row]:
    """Handovers that are not finished (or in `state`, or all of them), oldest first."""
    rows = query(
        ledger,
        Filter(state=state, partner=partner),
        now=system_clock(),
        deadlines=deadlines(home, trust),
        holds=holds_now(ledger),
    )
    return [row for row in reversed(rows) if everything or state is not None or not row.is_final]


def ask(home: Home, ledger: Ledger, trust: Trust, **filters: Any) -> list[Row]:
    """Handovers that match the command's filters, newest first; raises Misuse for a filter that makes no sense."""
    authority = filters.pop("authority")
    codes: frozenset[str] | None = None
    if authority is not None:
        register = Register.shipped()
        found = register.resolve(str(authority), system_clock().date())
        codes = frozenset(register.with_predecessors(found.gss))
    since, until = moment(filters.pop("since"), end=False), moment(filters.pop("until"), end=True)
    return query(
        ledger,
        Filter(authorities=codes, since=since, until=until, **filters),
        now=system_clock(),
        deadlines=deadlines(home, trust),
        holds=holds_now(ledger),
    )


def holds_now(ledger: Ledger) -> Holds:
    """The legal holds that last."""
    return open_holds(ledger, Register.shipped().with_predecessors)


def moment(text: str | int | None, *, end: bool) -> datetime.datetime | None:
    """A day or a time; a day as the end of a range means all of that day. Raises Misuse for anything else."""
    if text is None:
        return None
    try:
        day = datetime.datetime.combine(datetime.date.fromisoformat(str(text)), datetime.time(), datetime.UTC)
    except ValueError:
        try:
            return from_text(str(text))
        except Refused:
            raise Misuse(
                f"{text} is neither a day nor a time", hint="write 2026-11-23 or 2026-11-23T10:15:00Z"
            ) from None
    return day + datetime.timedelta(days=1, milliseconds=-1) if end else day


@dataclass(frozen=True, slots=True)
class Story:
    """One handover and everything that was recorded about it."""

    row: Row
    events: tuple[Mapping[str, Json], ...]
    came_back: bool = False
    """Whether its file, which the partner refused, still lies in held/."""

    def to_json(self) -> dict[str, object]:
        """The fields of `list`, and `events`."""
        return {**self.row.to_json(), "events": list(self.events)}

    def facts(self) -> dict[str, str | int | bool | None]:
        """Labels and values for a person."""
        return {key: value for key, value in self.row.to_json().items() if value is not None}

    def lines(self) -> Sequence[tuple[str | int | None, ...]]:
        """One row an event."""
        return [
            (str(e["seq"]), str(e["at"]), str(e["event"]), ", ".join(f"{k}={v}" for k, v in _details(e)))
            for e in self.events
        ]

    @property
    def hint(self) -> str | None:
        """What to do about a refusal, by the partner or of an order, as long as nothing has happened since."""
        last = self.events[-1] if self.events else {}
        detail = last.get("detail")
        if self.came_back:
            said = meaning(self.row.reason)
            return f"{said.why} {said.what_to_do}"
        if last.get("event") != "order.refused" or not isinstance(detail, dict):
            return None
        return HINTS.get(str(detail.get("reason")))


def _details(event: Mapping[str, Json]) -> list[tuple[str, object]]:
    detail = event.get("detail")
    by: list[tuple[str, object]] = [("by", event["by"])] if "by" in event else []
    more = detail.items() if isinstance(detail, dict) else ()
    return by + [(k, v) for k, v in more if not isinstance(v, (dict, list))]


def life(home: Home, ledger: Ledger, trust: Trust, identifier: str) -> Story:
    """The one handover whose id begins with `identifier`; raises Misuse if there is none or more than one."""
    if len(identifier) < MIN_ID:
        raise Misuse(f"give at least {MIN_ID} characters of the id")
    handover = the_one(ledger, identifier)
    rows = query(
        ledger,
        Filter(handover=handover.id),
        now=system_clock(),
        deadlines=deadlines(home, trust),
        holds=holds_now(ledger),
    )
    row = next(r for r in rows if (r.partner, r.direction) == (handover.partner, handover.direction))
    events = tuple(_told(ledger, entry) for entry in ledger.entries_of(handover))
    return Story(row, events, came_back=_came_back(home, row))


def _came_back(home: Home, row: Row) -> bool:
    if (row.state, row.direction) != ("rejected", "out"):
        return False
    with contextlib.suppress(OSError):
        return row.id in held.with_files(home.held)
    return False


def _told(ledger: Ledger, entry: Entry) -> Mapping[str, Json]:
    """An entry, and who gave the order if it is one: that is committed to, and told as long as it was not redacted."""
    by = ledger.openings(entry.seq).get("by")
    return entry.to_json() if by is None else {**entry.to_json(), "by": by}


def all_rows(home: Home) -> list[Row]:
    """Every handover of a home, oldest first, read without any private key."""
    with read_ledger(home) as ledger:
        return in_flight(home, ledger, trusted(home, ledger), everything=True)
