"""ledger/handover.py: the table, what an entry changes, and nothing that the table does not name."""

from dataclasses import replace
from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.entry import Direction, Entry
from ledger.handover import EVENTS, FINAL, TRANSITIONS, Handover, State, TransitionError, apply, is_life

ID = "01a205b3-d000-7000-8000-000000000000"


def entry(seq: int, event: str, direction: Direction = "out", **more: Any) -> Entry:
    at = f"2026-11-23T10:15:00.{seq:03d}Z"
    return Entry(
        seq=seq, at=at, event=event, actor="daemon", handover=ID, partner="ofsted", direction=direction, **more
    )


def lived(*entries: Entry) -> Handover:
    known: Handover | None = None
    for one in entries:
        known = apply(known, one)
    assert known is not None
    return known


def way_to(direction: Direction, state: State) -> list[str]:
    """The shortest list of events that leads to a state."""
    ways: dict[State | None, list[str]] = {None: []}
    while state not in ways:
        for (way, before, event), after in TRANSITIONS.items():
            if way == direction and before in ways and after not in ways:
                ways[after] = [*ways[before], event]
    return ways[state]


STATES = {
    direction: {state for (way, _, _), state in TRANSITIONS.items() if way == direction} for direction in ("out", "in")
}
ALL = [
    (direction, state, event)
    for direction in get_args(Direction)
    for state, event in product([None, *sorted(STATES[direction])], sorted(EVENTS))
]


@pytest.mark.parametrize(("direction", "state", "event"), ALL)
def test_exactly_the_table_is_allowed(direction: Direction, state: State | None, event: str) -> None:
    events = [] if state is None else way_to(direction, state)
    known = lived(*(entry(i, name, direction) for i, name in enumerate(events))) if events else None
    expected = TRANSITIONS.get((direction, state, event))
    if expected is not None:
        assert apply(known, entry(90, event, direction)).state == expected
        return
    with pytest.raises(TransitionError) as caught:
        apply(known, entry(90, event, direction))
    assert caught.value.reason == "wrong-state"
    assert event in caught.value.message
    assert state is None or state in caught.value.message


def test_what_came_damaged_and_then_whole_may_be_refused_and_is_answered() -> None:
    known = lived(
        entry(1, "quarantined", "in", bytes=999, detail={"reason": "cut-off"}),
        entry(2, "rejected", "in", bytes=100, detail={"reason": "expired", "sequence": 7}),
    )
    assert (known.state, known.reason, known.receipt, known.bytes) == ("rejected", "expired", "due", 100)
    assert known.sequence == 7


def test_a_withdrawal_that_crosses_with_a_delivery_ends_as_a_delivery() -> None:
    known = lived(
        *(entry(i, event) for i, event in enumerate(("accepted", "sealed"))),
        entry(2, "withdrawn", detail={"reason": "sent in error"}),
        entry(3, "acknowledged", detail={"delivered_at": "2026-11-23T12:00:00.000Z"}),
    )
    assert (known.state, known.reason, known.delivered_at) == ("acknowledged", None, "2026-11-23T12:00:00.000Z")


def test_every_state_of_the_type_can_be_reached() -> None:
    assert STATES["out"] | STATES["in"] == set(get_args(State))


def test_an_entry_without_a_handover_moves_nothing() -> None:
    bare = Entry(seq=0, at="2026-11-23T10:15:00.000Z", event="accepted", actor="daemon", direction="out")
    with pytest.raises(TransitionError):
        apply(None, bare)
    assert not is_life(bare.to_json())


def test_an_event_with_a_dot_only_mentions_a_handover() -> None:
    assert not is_life(entry(3, "retry.asked").to_json())
    assert is_life(entry(3, "sent").to_json())


def test_an_outgoing_life_fills_every_fact() -> None:
    known = lived(
        entry(
            1,
            "accepted",
            authority="E08000025",
            category="upheld-decision",
            bytes=100,
            detail={"sequence": 4, "dropped_at": "2026-11-23T09:00:00.000Z"},
        ),
        entry(
            2, "sealed", bytes=3000, envelope_sha256="ab" * 32, key="SHA256:k", detail={"manifest_sha256": "cd" * 32}
        ),
        entry(3, "sent"),
        entry(4, "acknowledged", detail={"delivered_at": "2026-11-23T10:15:00.003Z"}),
    )
    assert known == Handover(
        id=ID,
        partner="ofsted",
        direction="out",
        state="acknowledged",
        first_seq=1,
        last_seq=4,
        decided_seq=4,
        category="upheld-decision",
        authority="E08000025",
        sequence=4,
        dropped_at="2026-11-23T09:00:00.000Z",
        sealed_at="2026-11-23T10:15:00.002Z",
        sent_at="2026-11-23T10:15:00.003Z",
        delivered_at="2026-11-23T10:15:00.003Z",
        acknowledged_at="2026-11-23T10:15:00.004Z",
        bytes=100,
        envelope_sha256="ab" * 32,
        manifest_sha256="cd" * 32,
        key="SHA256:k",
    )
    assert known.is_final


def test_an_incoming_delivery_owes_a_receipt_until_it_went_and_again_when_asked_again() -> None:
    received = lived(entry(1, "received", "in", bytes=100, detail={"sequence": 9}))
    assert (received.receipt, received.is_final) == (None, False)
    delivered = apply(received, entry(2, "delivered", "in"))
    assert (delivered.receipt, delivered.delivered_at, delivered.is_final) == ("due", "2026-11-23T10:15:00.002Z", True)
    sent = apply(delivered, entry(3, "receipted", "in"))
    assert (sent.receipt, sent.acknowledged_at) == ("sent", "2026-11-23T10:15:00.003Z")
    again = apply(sent, entry(4, "repeated", "in"))
    assert (again.receipt, again.decided_seq, again.last_seq) == ("due", 2, 4)
    assert apply(again, entry(5, "receipted", "in")).acknowledged_at == "2026-11-23T10:15:00.003Z"


def test_a_refusal_owes_a_receipt_unless_it_says_that_it_does_not() -> None:
    assert lived(entry(1, "rejected", "in", detail={"reason": "wrong-recipient"})).receipt == "due"
    assert lived(entry(1, "rejected", "in", detail={"reason": "unknown-sender", "receipt": False})).receipt is None
    assert lived(entry(1, "accepted"), entry(2, "sealed"), entry(3, "rejected")).receipt is None


def test_the_reason_belongs_to_the_present_state() -> None:
    held = lived(entry(1, "held", detail={"reason": "missing-reference"}))
    assert (held.reason, held.decided_seq) == ("missing-reference", 1)
    assert apply(held, entry(2, "accepted", detail={"sequence": 1})).reason is None
    rejected = lived(entry(1, "rejected", "in", detail={"reason": "expired"}), entry(2, "receipted", "in"))
    assert (rejected.reason, rejected.decided_seq) == ("expired", 1)


def test_the_size_is_that_of_the_file_not_of_the_envelope() -> None:
    assert lived(entry(1, "quarantined", "in", bytes=999)).bytes == 999
    assert lived(entry(1, "quarantined", "in", bytes=999), entry(2, "received", "in", bytes=100)).bytes == 100
    assert lived(entry(1, "received", "in", bytes=100), entry(2, "quarantined", "in", bytes=999)).bytes == 100


def test_final_states_are_left_only_by_destruction_and_by_what_crosses_with_a_withdrawal() -> None:
    left = {arrow for arrow, after in TRANSITIONS.items() if arrow[1] in FINAL[arrow[0]] and after != arrow[1]}
    again = {("in", "withdrawn", event) for event in ("received", "quarantined", "rejected")}
    gone = {("out", "acknowledged", "destroyed"), ("in", "delivered", "destroyed")}
    assert left == {*gone, ("out", "withdrawn", "acknowledged"), *again}


@pytest.mark.parametrize("direction", get_args(Direction))
def test_a_destruction_changes_nothing_of_what_was_decided(direction: Direction) -> None:
    life = ("accepted", "sealed", "acknowledged") if direction == "out" else ("received", "delivered")
    decided = lived(*(entry(seq, event, direction) for seq, event in enumerate(life)))
    gone = apply(decided, entry(9, "destroyed", direction, bytes=1, detail={"reason": "other", "sequence": 9}))
    assert gone == replace(decided, state="destroyed", last_seq=9)
    assert gone.is_final


def test_what_was_destroyed_is_still_a_repetition_and_is_still_answered() -> None:
    gone = lived(entry(1, "received", "in"), entry(2, "delivered", "in"), entry(3, "destroyed", "in"))
    assert (gone.receipt, gone.decided_seq) == ("due", 2)
    answered = apply(gone, entry(4, "receipted", "in"))
    assert (answered.state, answered.receipt) == ("destroyed", "sent")
    assert answered.acknowledged_at == "2026-11-23T10:15:00.004Z"
    again = apply(answered, entry(5, "repeated", "in"))
    assert (again.state, again.receipt, again.decided_seq) == ("destroyed", "due", 2)


@settings(max_examples=200)
@given(st.lists(st.sampled_from(sorted(EVENTS)), max_size=8), st.sampled_from(get_args(Direction)))
def test_no_order_of_events_leads_outside_the_table(events: list[str], direction: Direction) -> None:
    known: Handover | None = None
    for seq, event in enumerate(events):
        before = None if known is None else known.state
        try:
            known = apply(known, entry(seq, event, direction))
        except TransitionError:
            assert (direction, before, event) not in TRANSITIONS
        else:
            assert known.state == TRANSITIONS[direction, before, event]
            assert known.last_seq == seq
            assert known.first_seq <= known.decided_seq <= known.last_seq
