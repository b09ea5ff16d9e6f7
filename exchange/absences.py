"""What a partner says never came: sent once more, or explained.

    request -> gap.reported -> what is sent and still in the spool goes up once more       (exchange/rounds.py)
                            -> what will never go is named in an absence: gap.answered
                            -> what the partner has signed a receipt for: gap.contradicted, and named in the absence

A report counts for REPORTED_FOR, and is recorded at most once an hour; a partner that asks again and again gets each
envelope at most once for each report. Whatever changes in between (a withdrawal, a receipt) is seen: the answer is made
of the ledger as it is by then.
"""

from datetime import timedelta
from typing import Final

from config.times import from_text
from exchange import seldom
from exchange.control import Due, Message, MessageRefused
from exchange.envelope import numbers
from exchange.envelope.absence import ACKNOWLEDGED, BY_HAND, LOST, Absence
from exchange.envelope.request import Request
from exchange.parts import Parts
from ledger.entry import Draft, Entry
from ledger.gaps import ANSWERED, CONTRADICTED, REPORTED, entries_about, numbers_of
from ledger.handover import Handover

REPORTED_FOR: Final = timedelta(hours=24)
"""What has not been answered by then is asked for again."""

_NEVER_GOES: Final = ("withdrawn", "held", "rejected", "destroyed")
"""States in which a handover is not sent (any more), whatever its number."""


def accept(parts: Parts, message: Message) -> None:
    """Take in which numbers a partner is missing; refuse any that was never given."""
    request, partner = message.manifest.said, message.partner
    if not isinstance(request, Request):
        raise MessageRefused("a request asks for nothing", reason="no-request")
    if request.missing[-1] > parts.ledger.highest_sequence(partner, "out"):
        raise MessageRefused("a request names a number that was never given", reason="never-assigned")
    said_at = message.manifest.created
    reported = Draft(
        event=REPORTED,
        actor="daemon",
        partner=partner,
        direction="out",
        detail={"numbers": numbers.to_ranges(request.missing), "created": said_at, "message": message.manifest.id},
    )
    seldom.append(parts, reported)
    _note_contradictions(parts, partner, request, said_at)


def due(parts: Parts, partner: str) -> list[Due]:
    """The absence that answers a partner's newest request, if anything that it asked for will never come."""
    report = _newest(parts, partner)
    if report is None or entries_about(parts.ledger, ANSWERED, partner, "out", report.seq):
        return []
    absent: dict[str, list[int]] = {}
    for number in numbers_of(report):
        handover = parts.ledger.with_number(partner, "out", number)
        reason = None if handover is None else _why_not(parts, handover, str(report.detail["created"]))
        if reason is not None:
            absent.setdefault(reason, []).append(number)
    if not absent:
        return []
    absence = Absence({reason: tuple(some) for reason, some in absent.items()})
    named = numbers.to_ranges(number for some in absent.values() for number in some)
    sent = Draft(event=ANSWERED, actor="daemon", partner=partner, direction="out", detail={"numbers": named})
    return [Due("absence", lambda: absence, sent, lasts=REPORTED_FOR)]


def wanted(parts: Parts, partner: str) -> list[Handover]:
    """What was sent before the partner said that it never came, and lies in the spool: to be uploaded once more."""
    report = _newest(parts, partner)
    if report is None:
        return []
    found = (parts.ledger.with_number(partner, "out", number) for number in numbers_of(report))
    return [
        handover
        for handover in found
        if handover is not None
        and handover.state == "sent"
        and handover.last_seq < report.seq
        and parts.spool.envelope(handover.id).exists()
    ]


def _newest(parts: Parts, partner: str) -> Entry | None:
    reports = entries_about(parts.ledger, REPORTED, partner, "out")
    if not reports or seldom.ago(parts, reports[-1].at) >= REPORTED_FOR:
        return None
    return reports[-1]


def _why_not(parts: Parts, handover: Handover, asked_at: str) -> str | None:
    """Why it will never come; None if it may, or did after it was asked for."""
    if handover.acknowledged_at is not None:
        return ACKNOWLEDGED if _contradicts(handover, asked_at) else None
    if handover.state in _NEVER_GOES:
        return handover.state
    if handover.state == "sent" and not parts.spool.envelope(handover.id).exists():
        return BY_HAND if "by_hand" in parts.ledger.entry(handover.first_seq).detail else LOST
    return None


def _contradicts(handover: Handover, asked_at: str) -> bool:
    """Whether the partner's receipt is older than its request: both times are by the partner's clock."""
    return handover.delivered_at is not None and from_text(handover.delivered_at) < from_text(asked_at)


def _note_contradictions(parts: Parts, partner: str, request: Request, asked_at: str) -> None:
    """Record, once for each number, that the partner asks for what it has signed a receipt for."""
    known = {n for entry in entries_about(parts.ledger, CONTRADICTED, partner, "out") for n in numbers_of(entry)}
    fresh = []
    for number in request.missing:
        handover = parts.ledger.with_number(partner, "out", number)
        if number not in known and handover is not None and _contradicts(handover, asked_at):
            draft = Draft(event=CONTRADICTED, actor="daemon", handover=handover.id, partner=partner, direction="out")
            fresh.append(draft.replace(detail={"numbers": numbers.to_ranges([number]), "reason": ACKNOWLEDGED}))
    if fresh:
        parts.ledger.write(lambda tx: [tx.append(draft) for draft in fresh])
