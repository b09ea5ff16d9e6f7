"""What is kept, until when, by which rule, and why: every copy of a file that we have, or had.

kept        its time is not over               under-way   its destruction has been begun
due         destroyed in the next round        failed      it was not there, or changed: a person has to look
review      received, its time is over         no-time     nobody said how long
on-hold     a legal hold is on it              elsewhere   never was in sent/: an envelope made by hand, or put aside
destroyed   with the number of the certificate
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, fields

from config.agreement import Agreement
from config.home import Home
from config.times import from_text, system_clock, to_text
from exchange.keeping import Rule, longer, rule_for, rule_for_received
from exchange.partner_trust import agreements_with
from exchange.questions import deadlines, holds_now
from keys.trust import Trust
from ledger.canonical import Json
from ledger.copies import Copy, Event, copies
from ledger.query import Filter, Row, query
from ledger.store import Ledger

STATUSES = ("kept", "due", "review", "on-hold", "under-way", "failed", "no-time", "elsewhere", "destroyed")

LONG = datetime.timedelta(hours=1)
"""No destruction takes so long by itself."""

_NEVER = "9999"


@dataclass(frozen=True, slots=True)
class Line:
    """One copy. Times are ISO 8601 in UTC, absent is None."""

    id: str
    direction: str
    partner: str
    category: str | None
    authority: str | None
    reference: str | None
    name: str | None
    state: str
    status: str
    until: str | None
    rule: str | None
    """settings, agreement, order, or none."""
    keep: str | None
    agreement: str | None
    hold: str | None
    problem: str | None
    """Why it could not be destroyed: not-found, changed, ambiguous, not-verifiable; unfinished: begun long ago."""
    certificate: Mapping[str, Json] | None

    def to_json(self) -> dict[str, object]:
        """Stable field names for programs."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @property
    def why(self) -> str | None:
        """For people: the rule, the hold, the problem or the certificate."""
        if self.certificate is not None:
            left = self.certificate.get("links")
            told = "stated by a person" if self.certificate.get("method") == "stated" else ""
            told = f"{left} other names of the file are left" if left else told
            said = f"certificate {self.certificate['seq']} of {str(self.certificate['at'])[:10]}"
            return f"{said} ({told})" if told else said
        if self.status == "on-hold":
            return f"hold {self.hold}"
        return self.problem or (None if self.keep is None else f"{self.keep} by {self.agreement or self.rule}")


def listing(
    home: Home, ledger: Ledger, trust: Trust, status: str | None = None, *, now: datetime.datetime | None = None
) -> list[Line]:
    """Every copy, or those of one status, as it is now; what is due first comes first."""
    now = now or system_clock()
    holds = holds_now(ledger)
    rows = query(ledger, Filter(), now=now, deadlines=deadlines(home, trust), holds=holds)
    known, agreements = copies(ledger), agreements_with(home, trust)
    kept = [row for row in rows if row.state in ("acknowledged", "delivered", "destroyed")]
    lines = [
        _line(row, known.get((row.partner, row.direction, row.id), Copy()), home, agreements.get(row.partner), now)
        for row in kept
    ]
    chosen = [line for line in lines if status in (None, line.status)]
    return sorted(chosen, key=lambda line: (line.until or _NEVER, line.id))


def _line(row: Row, copy: Copy, home: Home, agreement: Agreement | None, now: datetime.datetime) -> Line:
    rule, until = _rule(row, copy, home, agreement)
    certificate = None if copy.certificate is None else _certificate(copy.certificate)
    detail = rule.to_detail() if copy.certificate is None else copy.certificate.detail
    return Line(
        id=row.id,
        direction=row.direction,
        partner=row.partner,
        category=row.category,
        authority=row.authority,
        reference=row.reference,
        name=row.name,
        state=row.state,
        status=_status(row, copy, until, now),
        until=_text(detail, "until") if certificate else (None if until is None else to_text(until)),
        rule=_text(detail, "rule"),
        keep=_text(detail, "keep"),
        agreement=_text(detail, "agreement"),
        hold=row.hold,
        problem=_problem(copy, now),
        certificate=certificate,
    )


def _rule(row: Row, copy: Copy, home: Home, agreement: Agreement | None) -> tuple[Rule, datetime.datetime | None]:
    if row.direction == "in":
        rule = rule_for_received(agreement, row.category)
        return rule, rule.until(row.delivered_at)
    today = rule_for(home.settings.partner(row.partner), agreement, row.category)
    rule = longer(copy.kept.detail if copy.kept else {}, today)
    return rule, rule.until(row.acknowledged_at)


def _status(row: Row, copy: Copy, until: datetime.datetime | None, now: datetime.datetime) -> str:
    if row.state == "destroyed":
        return "destroyed"
    if copy.begun is not None:
        return "under-way"
    if row.hold is not None:
        return "on-hold"
    if copy.failure is not None:
        return "failed"
    if row.direction == "out" and copy.placed is None:
        return "elsewhere"
    if until is None:
        return "no-time"
    if until > now:
        return "kept"
    return "due" if row.direction == "out" else "review"


def _problem(copy: Copy, now: datetime.datetime) -> str | None:
    if copy.begun is not None:
        return "unfinished" if now - from_text(copy.begun.at) > LONG else None
    return None if copy.failure is None else _text(copy.failure.detail, "reason")


def _certificate(event: Event) -> dict[str, Json]:
    told = ("method", "removed", "links", "rule", "order")
    return {"seq": event.seq, "at": event.at, **{name: event.detail[name] for name in told if name in event.detail}}


def _text(detail: Mapping[str, Json], name: str) -> str | None:
    value = detail.get(name)
    return None if value is None else str(value)


def problems(lines: list[Line]) -> list[str]:
    """What of this needs a person, for the status."""
    told = {
        "failed": "{0} not destroyed although it was time or ordered: see 'handover retention --status failed'",
        "under-way": "{0} not yet destroyed: see 'handover retention --status under-way'",
        "review": "{0} received and kept for the agreed time: see 'handover retention --status review'",
    }
    found = [line.status for line in lines if line.status == "review" or line.problem is not None]
    counted = {status: found.count(status) for status in told}
    return [text.format(counted[status]) for status, text in told.items() if counted[status]]
