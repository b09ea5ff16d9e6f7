"""Numbers that never came: noticed, asked for, sent again or explained; on both sides, whatever comes between."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange import absences, gaps, orders, rounds, sender
from exchange.by_hand import seal_by_hand
from exchange.envelope.absence import Absence
from exchange.envelope.request import Request
from exchange.status import Status, status
from ledger.entry import Draft
from ledger.gaps import explained, sequence_gaps
from tests.exchange import said
from tests.exchange.said import land, message, take
from tests.organisations import CASE, Pair, restart


def drop(pair: Pair, name: str) -> None:
    pair.lgsco.drop(name.encode(), f"{CASE} {name}.pdf")
    pair.lgsco.take()


def lost(pair: Pair) -> Path:
    """LGSCO has sent two files, and the first never came; returns where it would have lain."""
    drop(pair, "first")
    pair.lgsco.send()
    (path,) = pair.ofsted.landing().iterdir()
    path.unlink()
    drop(pair, "second")
    pair.lgsco.send()
    pair.ofsted.receive()
    return path


def count(pair: Pair) -> dict[str, int]:
    """How often each side has recorded something of gaps."""
    events = pair.lgsco.events() + pair.ofsted.events()
    return {event: events.count(event) for event in sorted(set(events)) if event.startswith("gap.")}


def after(pair: Pair, **time: float) -> None:
    """Let time pass, and both do whatever they can."""
    pair.clock.advance(**time)
    pair.settle()


def missing(pair: Pair) -> list[int]:
    return sequence_gaps(pair.ofsted.parts.ledger, "lgsco")


def why(pair: Pair) -> dict[int, str]:
    return explained(pair.ofsted.parts.ledger, "lgsco")


# --- noticed and asked for ------------------------------------------------------------------------------------------


def test_a_lost_file_is_asked_for_and_the_same_envelope_comes_once_more(pair: Pair) -> None:
    path = lost(pair)
    sealed = pair.lgsco.handovers()[0].envelope_sha256
    after(pair, minutes=14)
    assert (missing(pair), count(pair)) == ([1], {})
    after(pair, minutes=1)
    assert (missing(pair), count(pair)) == ([], {"gap.asked": 1, "gap.reported": 1})
    assert pair.lgsco.states() == ["acknowledged", "acknowledged"]
    assert sorted(p.read_bytes() for p in pair.ofsted.inbound()) == [b"first", b"second"]
    (first,) = [h for h in pair.ofsted.handovers() if h.sequence == 1]
    assert (first.id, first.envelope_sha256) == (path.stem, sealed)
    assert pair.lgsco.spooled() == pair.ofsted.spooled() == []


def test_files_that_only_overtake_each_other_are_never_asked_for(pair: Pair) -> None:
    path = lost(pair)
    pair.clock.advance(minutes=14)
    pair.ofsted.send()
    path.write_bytes(pair.lgsco.parts.spool.envelope(path.stem).read_bytes())
    pair.settle()
    after(pair, days=1)
    assert (missing(pair), count(pair)) == ([], {})


def test_a_request_that_is_lost_is_made_again_with_growing_pauses_and_not_for_ever(pair: Pair) -> None:
    lost(pair)
    began, asked = pair.clock(), []
    for _ in range(8 * 12):
        pair.clock.advance(hours=2)
        before = pair.ofsted.events().count("gap.asked")
        pair.ofsted.send()
        if pair.ofsted.events().count("gap.asked") > before:
            asked.append((pair.clock() - began) / timedelta(hours=1))
    assert asked == [2, 4, 8, 16, 32, 56, 80, 104, 128, 152]
    assert len(asked) == gaps.MOST
    pair.settle()
    assert missing(pair) == []


def test_one_request_names_all_that_is_missing_by_then(pair: Pair) -> None:
    for number in range(1, 8):
        drop(pair, str(number))
        pair.lgsco.send()
        if number in (2, 3, 5):
            max(pair.ofsted.landing().iterdir()).unlink()
        pair.ofsted.receive()
    after(pair, minutes=15)
    (asked,) = [e for e in pair.ofsted.parts.ledger.entries(0, pair.ofsted.parts.ledger.size) if e.event == "gap.asked"]
    assert asked.detail["numbers"] == [[2, 3], [5, 5]]
    assert (missing(pair), len(pair.ofsted.inbound())) == ([], 7)


def test_a_gap_is_listed_in_the_status_with_its_numbers_until_it_is_closed(pair: Pair) -> None:
    lost(pair)
    seen = _status(pair)
    assert (seen["gaps"], seen["explained"]) == ({"lgsco": [1]}, {})
    assert "1 handover has not come from lgsco, although later ones did: number 1" in seen["problems"]
    after(pair, minutes=15)
    assert _status(pair)["gaps"] == {}


def _state(pair: Pair) -> Status:
    parts = pair.ofsted.parts
    return status(parts.home, parts.ledger, parts.keyring, parts.trust)


def _status(pair: Pair) -> dict[str, Any]:
    return _state(pair).to_json()


def test_after_a_restart_it_is_known_what_was_asked(pair: Pair) -> None:
    lost(pair)
    pair.clock.advance(minutes=15)
    pair.ofsted.send()
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    pair.ofsted.send()
    assert count(pair) == {"gap.asked": 1}
    pair.lgsco.receive()
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    pair.settle()
    assert (missing(pair), count(pair)) == ([], {"gap.asked": 1, "gap.reported": 1})


# --- what will never come -------------------------------------------------------------------------------------------


def withdrawn(pair: Pair) -> None:
    drop(pair, "first")
    orders.place(pair.lgsco.parts.ledger, pair.lgsco.handovers()[0], "withdraw", "Kim Example")


def held(pair: Pair) -> None:
    drop(pair, "first")
    (pair.lgsco.parts.spool.payload(pair.lgsco.handovers()[0].id)).write_bytes(b"")


def rejected(pair: Pair) -> None:
    drop(pair, "first")
    pair.lgsco.send()
    (path,) = pair.ofsted.landing().iterdir()
    path.unlink()
    draft = Draft(event="rejected", actor="daemon", handover=path.stem, partner="ofsted", direction="out")
    pair.lgsco.parts.ledger.write(lambda tx: tx.append(draft.replace(detail={"reason": "sequence-jump"})))


def by_hand(pair: Pair) -> None:
    path = pair.base / f"{CASE} first.pdf"
    path.write_bytes(b"first")
    seal_by_hand(pair.lgsco.parts, path, pair.base / "x.age", "ofsted", "upheld-decision", "Birmingham", None)


def not_kept(pair: Pair) -> None:
    drop(pair, "first")
    pair.lgsco.send()
    (path,) = pair.ofsted.landing().iterdir()
    path.unlink()
    pair.lgsco.parts.spool.envelope(path.stem).unlink()


@pytest.mark.parametrize(
    ("never_sent", "reason"),
    [
        (withdrawn, "withdrawn"),
        (held, "held"),
        (rejected, "rejected"),
        (by_hand, "by-hand"),
        (not_kept, "lost"),
    ],
)
def test_what_will_never_come_is_explained_and_asked_for_no_more(
    pair: Pair, never_sent: Callable[[Pair], None], reason: str
) -> None:
    never_sent(pair)
    pair.settle()
    drop(pair, "second")
    pair.settle()
    assert missing(pair) == [1]
    after(pair, minutes=15)
    closed = {"gap.answered": 1, "gap.asked": 1, "gap.closed": 1, "gap.reported": 1}
    assert (missing(pair), why(pair), count(pair)) == ([], {1: reason}, closed)
    seen = _status(pair)
    assert (seen["gaps"], seen["explained"]) == ({}, {"lgsco": {reason: [1]}})
    assert _state(pair).to_lines()["never to come"] == f"lgsco: 1 ({reason})"
    after(pair, days=3)
    assert count(pair) == closed


def test_an_answer_that_is_lost_is_given_again_when_the_partner_asks_again(pair: Pair) -> None:
    withdrawn(pair)
    drop(pair, "second")
    pair.settle()
    for hours, answers in ((0.25, 1), (2, 2)):
        pair.clock.advance(hours=hours)
        pair.ofsted.send()
        pair.lgsco.receive()
        pair.lgsco.send()
        assert pair.lgsco.events().count("gap.answered") == answers
        for path in pair.ofsted.landing().iterdir():
            path.unlink()
    after(pair, hours=4)
    assert (missing(pair), why(pair)) == ([], {1: "withdrawn"})


def test_what_is_withdrawn_after_it_was_asked_for_is_explained_all_the_same(pair: Pair) -> None:
    drop(pair, "first")
    drop(pair, "second")
    rounds.seal_accepted(pair.lgsco.parts, "ofsted")
    first, second = pair.lgsco.handovers()
    landing = pair.lgsco.connection.open(pair.lgsco.parts)
    sender.upload(pair.lgsco.parts, landing, second)
    pair.ofsted.receive()
    pair.clock.advance(minutes=15)
    pair.ofsted.send()
    pair.lgsco.receive()
    assert (pair.lgsco.states(), count(pair)) == (["sealed", "acknowledged"], {"gap.asked": 1, "gap.reported": 1})
    orders.place(pair.lgsco.parts.ledger, first, "withdraw", "Kim Example")
    pair.settle()
    assert (pair.lgsco.states(), missing(pair), why(pair)) == (["withdrawn", "acknowledged"], [], {1: "withdrawn"})


def test_the_same_answer_again_and_again_is_recorded_once(pair: Pair) -> None:
    withdrawn(pair)
    drop(pair, "second")
    pair.settle()
    after(pair, minutes=15)
    for _ in range(3):
        land(pair.lgsco, pair.ofsted, message(pair.lgsco, "absence", Absence({"withdrawn": (1,)})))
        assert take(pair.ofsted) == []


# --- what cannot be true --------------------------------------------------------------------------------------------


def test_a_file_of_which_it_was_said_that_it_would_never_come_is_delivered_and_the_contradiction_recorded(
    pair: Pair,
) -> None:
    path = lost(pair)
    pair.clock.advance(minutes=15)
    pair.ofsted.send()
    land(pair.lgsco, pair.ofsted, message(pair.lgsco, "absence", Absence({"withdrawn": (1,)})))
    assert take(pair.ofsted) == [("gap.closed", "withdrawn")]
    path.write_bytes(pair.lgsco.parts.spool.envelope(path.stem).read_bytes())
    assert take(pair.ofsted) == [("received", None), ("gap.contradicted", "came-anyway"), ("delivered", None)]
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged", "acknowledged"]
    assert (missing(pair), _status(pair)["explained"]) == ([], {})


def test_a_file_that_was_carried_by_a_courier_may_come_by_the_landing_zone_too(pair: Pair) -> None:
    by_hand(pair)
    drop(pair, "second")
    pair.settle()
    after(pair, minutes=15)
    identifier = pair.lgsco.handovers()[0].id
    (pair.base / "x.age").rename(pair.ofsted.landing() / f"{identifier}.age")
    assert take(pair.ofsted) == [("received", None), ("delivered", None)]


def acknowledged_but_never_received(pair: Pair) -> str:
    """LGSCO's ledger says that Ofsted has signed a receipt for the first file; Ofsted's ledger knows nothing of it."""
    path = lost(pair)
    ledger = pair.lgsco.parts.ledger
    draft = Draft(event="acknowledged", actor="daemon", handover=path.stem, partner="ofsted", direction="out")
    at = ledger.entry(ledger.size - 1).at
    ledger.write(lambda tx: tx.append(draft.replace(detail={"delivered_at": at, "their_entry": 1})))
    return path.stem


def test_a_missing_file_that_was_acknowledged_is_an_incident_on_both_sides_and_changes_no_state(pair: Pair) -> None:
    first = acknowledged_but_never_received(pair)
    after(pair, minutes=15)
    assert (missing(pair), why(pair)) == ([], {1: "acknowledged"})
    assert count(pair) == {"gap.answered": 1, "gap.asked": 1, "gap.contradicted": 2, "gap.reported": 1}
    assert _status(pair)["explained"] == {"lgsco": {"acknowledged": [1]}}
    assert pair.lgsco.states() == ["acknowledged", "acknowledged"]
    (noted,) = [
        e for e in pair.lgsco.parts.ledger.entries(0, pair.lgsco.parts.ledger.size) if e.event == "gap.contradicted"
    ]
    assert (noted.handover, noted.detail["reason"]) == (first, "acknowledged")
    after(pair, days=3)
    assert count(pair)["gap.contradicted"] == 2


def test_a_request_that_crossed_with_the_receipt_is_no_incident(pair: Pair) -> None:
    path = lost(pair)
    pair.settle()
    pair.clock.advance(minutes=15)
    pair.ofsted.send()
    (request,) = pair.lgsco.landing().iterdir()
    kept = request.rename(pair.base / request.name)
    path.write_bytes(pair.lgsco.parts.spool.envelope(path.stem).read_bytes())
    pair.clock.advance(minutes=1)
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged", "acknowledged"]
    kept.rename(request)
    pair.settle()
    assert count(pair) == {"gap.asked": 1, "gap.reported": 1}


# --- attacks --------------------------------------------------------------------------------------------------------


def ask(pair: Pair, *numbers: int, **changes: Any) -> list[tuple[str, object]]:
    """Ofsted asks for numbers; what LGSCO records."""
    land(pair.ofsted, pair.lgsco, message(pair.ofsted, "request", Request(numbers), **changes))
    return take(pair.lgsco)


def test_a_request_for_a_number_that_was_never_given_is_refused_and_recorded_once_an_hour(pair: Pair) -> None:
    lost(pair)
    assert ask(pair, 1, 3) == [("message.refused", "never-assigned")]
    assert ask(pair, 3) == ask(pair, 2**53 - 1) == []
    assert absences.wanted(pair.lgsco.parts, "ofsted") == []


def test_a_partner_that_asks_endlessly_gets_each_envelope_once_an_hour_and_makes_us_write_it_down_once_an_hour(
    pair: Pair,
) -> None:
    path = lost(pair)
    for _ in range(5):
        pair.clock.advance(minutes=10)
        ask(pair, 1)
        pair.lgsco.send()
    assert pair.lgsco.events().count("gap.reported") == 1
    assert pair.lgsco.events().count("sent") == 3
    path.unlink()
    pair.clock.advance(minutes=30)
    assert ask(pair, 1) == [("gap.reported", None)]
    pair.lgsco.send()
    assert path.exists()


def test_a_partner_that_asks_for_what_it_has_acknowledged_is_noted_once_and_gets_nothing_again(pair: Pair) -> None:
    lost(pair)
    after(pair, minutes=15)
    pair.clock.advance(hours=2)
    assert ask(pair, 1) == [("gap.reported", None), ("gap.contradicted", "acknowledged")]
    assert pair.lgsco.send() == 1
    assert take(pair.ofsted) == []
    pair.clock.advance(hours=2)
    assert ask(pair, 1) == [("gap.reported", None)]
    assert pair.lgsco.states() == ["acknowledged", "acknowledged"]


def test_nobody_can_explain_what_was_not_asked_for(pair: Pair) -> None:
    lost(pair)
    land(pair.lgsco, pair.ofsted, message(pair.lgsco, "absence", Absence({"withdrawn": (1, 2, 3)})))
    assert take(pair.ofsted) == []
    pair.clock.advance(minutes=15)
    pair.ofsted.send()
    drop(pair, "third")
    pair.lgsco.send()
    (third,) = pair.ofsted.landing().iterdir()
    third.unlink()
    drop(pair, "fourth")
    pair.lgsco.send()
    pair.ofsted.receive()
    assert missing(pair) == [1, 3]
    land(pair.lgsco, pair.ofsted, message(pair.lgsco, "absence", Absence({"withdrawn": (2, 3, 4)})))
    assert take(pair.ofsted) == []
    assert (missing(pair), pair.ofsted.states("in")) == ([1, 3], ["delivered", "delivered"])


@pytest.mark.parametrize("kind", ["request", "absence"])
def test_what_somebody_else_signed_is_quarantined_and_asks_and_explains_nothing(pair: Pair, kind: str) -> None:
    lost(pair)
    pair.clock.advance(minutes=15)
    pair.ofsted.send()
    by, at = (pair.ofsted, pair.lgsco) if kind == "request" else (pair.lgsco, pair.ofsted)
    what = Request((1,)) if kind == "request" else Absence({"withdrawn": (1,)})
    for path in at.landing().iterdir():
        path.unlink()
    land(by, at, message(by, kind, what), at.parts.keyring)
    assert said.take(at) == [("quarantined", "unknown-key")]
    assert (missing(pair), count(pair)) == ([1], {"gap.asked": 1})


def test_an_old_request_is_refused(pair: Pair) -> None:
    lost(pair)
    manifest = message(pair.ofsted, "request", Request((1,)))
    pair.clock.advance(days=1)
    land(pair.ofsted, pair.lgsco, manifest)
    assert take(pair.lgsco) == [("message.refused", "expired")]
