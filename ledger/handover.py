"""The life of a handover: one table of events and states, and nothing else decides what state a handover is in.

A handover is identified by partner, direction and id. Its state is a pure function of its ledger entries in their
order; whatever the table does not name is a TransitionError. docs/states.svg is drawn from the same table.

    out:  accepted -> sealed -> sent -> acknowledged | rejected         (held and withdrawn beside them)
    in:   received -> delivered | rejected                              (quarantined and withdrawn beside them)

What was acknowledged or delivered ends as destroyed when our copy of the file is: what was decided stays decided.

An event with a dot in its name (`envelope.quarantined`, `retry.asked`) may mention a handover but never moves it.

>>> from ledger.entry import Entry
>>> one = Entry(seq=4, at="2026-11-23T10:15:00.123Z", event="accepted", actor="daemon", partner="ofsted",
...             handover="01a205b3-d000-7000-8000-000000000000", direction="out", detail={"sequence": 1})
>>> apply(None, one).state
'accepted'
>>> apply(apply(None, one), one)
Traceback (most recent call last):
ledger.handover.TransitionError: the event accepted does not follow the state accepted of an outgoing handover
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from config.errors import Refused
from ledger.canonical import Json
from ledger.entry import Direction, Entry

State = Literal[
    "accepted",
    "held",
    "sealed",
    "sent",
    "acknowledged",
    "withdrawn",
    "destroyed",
    "received",
    "quarantined",
    "delivered",
    "rejected",
]

TRANSITIONS: Mapping[tuple[Direction, State | None, str], State] = {
    ("out", None, "accepted"): "accepted",
    ("out", None, "held"): "held",
    ("out", "held", "accepted"): "accepted",
    ("out", "accepted", "sealed"): "sealed",
    ("out", "accepted", "held"): "held",
    ("out", "sealed", "sealed"): "sealed",
    ("out", "sealed", "sent"): "sent",
    ("out", "sent", "sent"): "sent",
    # a key of the envelope has ended: the same file in another one (exchange/reseal.py)
    ("out", "sent", "sealed"): "sealed",
    # the receipt can overtake our own note that the upload was done: a crash lies between the two
    ("out", "sealed", "acknowledged"): "acknowledged",
    ("out", "sent", "acknowledged"): "acknowledged",
    ("out", "sealed", "rejected"): "rejected",
    ("out", "sent", "rejected"): "rejected",
    ("out", "accepted", "withdrawn"): "withdrawn",
    ("out", "sealed", "withdrawn"): "withdrawn",
    ("out", "held", "withdrawn"): "withdrawn",
    # a withdrawal can cross with a delivery, of an envelope that had arrived although its upload seemed to fail
    ("out", "withdrawn", "acknowledged"): "acknowledged",
    # the partner's ledger began anew, and its numbers with it (ledger/closing.py)
    ("out", "accepted", "renumbered"): "accepted",
    ("out", "sealed", "renumbered"): "sealed",
    ("out", "sent", "renumbered"): "sent",
    ("out", "acknowledged", "destroyed"): "destroyed",
    ("in", None, "received"): "received",
    ("in", None, "quarantined"): "quarantined",
    ("in", None, "rejected"): "rejected",
    ("in", "received", "delivered"): "delivered",
    ("in", "received", "rejected"): "rejected",
    ("in", "received", "quarantined"): "quarantined",
    ("in", "quarantined", "received"): "received",
    # it came damaged, and then whole, but is not allowed
    ("in", "quarantined", "rejected"): "rejected",
    ("in", "quarantined", "withdrawn"): "withdrawn",
    # a person threw away what came under this id; what comes under it after that may be the true one
    ("in", "withdrawn", "received"): "received",
    ("in", "withdrawn", "quarantined"): "quarantined",
    ("in", "withdrawn", "rejected"): "rejected",
    ("in", "delivered", "repeated"): "delivered",
    ("in", "rejected", "repeated"): "rejected",
    ("in", "delivered", "receipted"): "delivered",
    ("in", "rejected", "receipted"): "rejected",
    # the ledger that would have to know the receipt is no more (ledger/closing.py)
    ("in", "delivered", "unanswered"): "delivered",
    ("in", "rejected", "unanswered"): "rejected",
    ("in", "destroyed", "unanswered"): "destroyed",
    # our copy is gone, and the same message is still answered with the same receipt: deduplication is for ever
    ("in", "delivered", "destroyed"): "destroyed",
    ("in", "destroyed", "repeated"): "destroyed",
    ("in", "destroyed", "receipted"): "destroyed",
}
"""(direction, state, event) -> state. The key's state None stands for a handover that is not known yet."""

EVENTS = frozenset(event for _, _, event in TRANSITIONS)
"""Every event that is part of a handover's life."""

FINAL: Mapping[Direction, frozenset[State]] = {
    "out": frozenset({"acknowledged", "rejected", "withdrawn", "destroyed"}),
    "in": frozenset({"delivered", "rejected", "withdrawn", "destroyed"}),
}
"""States in which nothing is left to do with the file; an incoming one may still owe a receipt."""

_ANSWERS: Mapping[str, str | None] = {"repeated": "due", "receipted": "sent", "unanswered": None}
"""Events that are about the receipt and change nothing that was decided -> what becomes of it."""

_OF_THE_ENVELOPE = frozenset({"sealed", "quarantined"})
"""Events whose `bytes` is the size of the envelope; a handover's is that of the file, where it is known."""


class TransitionError(Refused):
    """An event that does not follow the state in which the handover is."""

    reason = "wrong-state"


@dataclass(frozen=True, slots=True)
class Handover:
    """What is known of one handover now. Times are texts as in the entries; None: has not happened."""

    id: str
    partner: str
    direction: Direction
    state: State
    first_seq: int
    last_seq: int
    decided_seq: int
    """The entry that decided what became of the handover: the one to prove. A destruction decides nothing of that."""
    category: str | None = None
    authority: str | None = None
    sequence: int | None = None
    """The running number between the two organisations, from 1."""
    dropped_at: str | None = None
    sealed_at: str | None = None
    sent_at: str | None = None
    received_at: str | None = None
    delivered_at: str | None = None
    """When the receiver delivered it; for an outgoing one, as its receipt says."""
    acknowledged_at: str | None = None
    """When the receipt came (outgoing) or first went (incoming)."""
    bytes: int | None = None
    envelope_sha256: str | None = None
    manifest_sha256: str | None = None
    key: str | None = None
    reason: str | None = None
    receipt: Literal["due", "sent"] | None = None
    """Incoming only: whether the partner is still owed an answer."""

    @property
    def is_final(self) -> bool:
        """Whether nothing is left to do with its file."""
        return self.state in FINAL[self.direction]

    @property
    def is_answered(self) -> bool:
        """Whether the same message again is only a repetition: what is received was decided, and gets one answer."""
        return (self.direction, self.state, "repeated") in TRANSITIONS


_FIELDS = tuple(f.name for f in fields(Handover))
_CARRIED = ("category", "authority", "envelope_sha256", "key")
_TIMES: Mapping[str, str] = {"sealed": "sealed_at", "sent": "sent_at", "received": "received_at"}


def is_life(record: Mapping[str, Json]) -> bool:
    """Whether an entry (in its JSON form) is part of a handover's life."""
    return "handover" in record and "." not in str(record["event"])


def apply(handover: Handover | None, entry: Entry) -> Handover:
    """The handover after `entry`; raises TransitionError. Pure: same entries, same handover."""
    facts = {} if handover is None else {name: getattr(handover, name) for name in _FIELDS}
    advance(facts, entry.to_json())
    return Handover(**facts)


def advance(facts: dict[str, Any], record: Mapping[str, Any]) -> None:
    """The same, in place, on the fields of a Handover ({} for a new one) and an entry in its JSON form.

    Verifying a ledger replays every entry, and building an object for each would be most of the time it takes.
    """
    event, seq = record["event"], record["seq"]
    direction: Any = record.get("direction")
    before: Any = facts.get("state")
    state = TRANSITIONS.get((direction, before, event))
    if state is None or "handover" not in record:
        raise _refusal(direction, before, event)
    detail = record.get("detail", {})
    if before is None:
        facts.update(id=record["handover"], partner=record["partner"], direction=direction, first_seq=seq)
    facts["state"] = state
    facts["last_seq"] = seq
    if event in _ANSWERS:
        facts["receipt"] = _ANSWERS[event]
        if event == "receipted" and state in ("delivered", "destroyed"):
            facts.setdefault("acknowledged_at", None)
            facts["acknowledged_at"] = facts["acknowledged_at"] or record["at"]
        return
    if event == "destroyed":
        return
    facts["decided_seq"] = seq
    for name in _CARRIED:
        if name in record:
            facts[name] = record[name]
    for name in ("sequence", "manifest_sha256"):
        if name in detail:
            facts[name] = detail[name]
    if "bytes" in record and (event not in _OF_THE_ENVELOPE or facts.get("bytes") is None):
        facts["bytes"] = record["bytes"]
    facts["reason"] = detail.get("reason")
    _note_times(facts, record, detail)


def _note_times(facts: dict[str, Any], record: Mapping[str, Any], detail: Mapping[str, Any]) -> None:
    event, at = record["event"], record["at"]
    if event in _TIMES:
        facts[_TIMES[event]] = at
    elif event in ("accepted", "held") and facts.get("dropped_at") is None:
        facts["dropped_at"] = detail.get("dropped_at", at)
    elif event == "acknowledged":
        facts["acknowledged_at"] = at
        facts["delivered_at"] = detail.get("delivered_at")
    elif event == "delivered":
        facts["delivered_at"] = at
        facts["receipt"] = "due"
    elif event == "rejected" and record["direction"] == "in":
        # a refusal of something that nobody can be answered for (no sender, no id) owes no receipt
        facts["receipt"] = None if detail.get("receipt") is False else "due"


def _refusal(direction: str | None, state: str | None, event: str) -> TransitionError:
    kind = {"out": "an outgoing", "in": "an incoming"}.get(direction or "", "a")
    if state is None:
        return TransitionError(f"the event {event} does not begin {kind} handover")
    return TransitionError(f"the event {event} does not follow the state {state} of {kind} handover")
