"""Every kind of control message: who owes one, and what is done when one comes.

    receive: exchange/receiver.py -> accept -> the kind's own   (after sender, address and witness have been checked)
    send:    exchange/rounds.py   -> due    -> exchange/control.py

A new kind is a line here and one in `KINDS` (exchange/envelope/manifest.py); what is common to all is in
exchange/control.py.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from exchange import absences, control, gaps, key_messages, receipts, seldom
from exchange.control import Accept, Due, Message, MessageRefused, Source
from exchange.envelope.manifest import KINDS
from exchange.failures import Failures
from exchange.landing import Landing
from exchange.parts import Parts
from ledger.canonical import Json
from ledger.entry import Draft


@dataclass(frozen=True, slots=True)
class Control:
    """One kind: the source of what is owed, and what is done with what comes."""

    due: Source
    accept: Accept
    seconds: float = 0.0
    """How long to leave the source alone after it was asked."""


CONTROLS: Final[Mapping[str, Control]] = {
    # first what says with which keys the others are made
    "announcement": Control(key_messages.due, key_messages.be_told),
    "acceptance": Control(key_messages.answers_due, key_messages.take_answer),
    "receipt": Control(receipts.due, receipts.accept),
    # which numbers are missing takes longer to find out, the more have come
    "request": Control(gaps.due, absences.accept, seconds=60.0),
    "absence": Control(absences.due, gaps.accept),
}


def is_control(kind: str) -> bool:
    """Whether messages of this kind have no payload."""
    return kind in CONTROLS


def send(parts: Parts, partner: str, open_landing: Callable[[], Landing], asked: dict[str, float]) -> int:
    """Send a partner everything that it is owed; returns how many messages that were. Raises LandingError.

    A source that fails keeps no other kind from being sent. `asked` remembers when each was asked.
    """
    failures = Failures()
    due: list[Due] = []
    now = parts.effects.monotonic()
    for name, kind in CONTROLS.items():
        if now - asked.get(name, -math.inf) < kind.seconds:
            continue
        asked[name] = now
        with failures.kept():
            due += kind.due(parts, partner)
    if due or parts.spool.cut_off(partner):
        with failures.kept():
            landing = open_landing()
            control.clear(parts, landing, partner)
            control.upload(parts, landing, partner, due)
    failures.raise_first()
    return len(due)


def accept(parts: Parts, message: Message) -> None:
    """Act upon a control message. One that is refused is recorded, at most once an hour for each reason."""
    kind = message.manifest.kind
    try:
        # a receipt counts whenever it comes, and says itself when it does not
        if "expires" in KINDS[kind].must:
            control.check_times(parts, message.manifest)
        CONTROLS[kind].accept(parts, message)
    except MessageRefused as problem:
        detail: dict[str, Json] = {"kind": kind, "reason": problem.reason, "message": message.manifest.id}
        refused = Draft(event="message.refused", actor="daemon", partner=message.partner, detail=detail)
        seldom.append(parts, refused, "kind", "reason")
