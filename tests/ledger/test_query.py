"""ledger/query.py: each filter alone and together, lateness, and what a redaction takes away."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from config.times import from_text
from ledger.entry import Draft
from ledger.query import Filter, Row, handovers_under_key, query, reachability
from ledger.store import Ledger
from tests.ledger.ledgers import LGSCO, START, Organisation, add, fresh_id, incoming, outgoing, sqlite3

SOON = START + timedelta(hours=1)
LATE = START + timedelta(days=30)
ALLOWED = {("ofsted", "upheld-decision"): timedelta(days=5)}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """1 acknowledged to ofsted, 2 sent to ofsted, 3 held, 4 received from ofsted, 5 accepted for another partner."""
    with Organisation("lgsco").create(tmp_path / "ledger.db") as ledger:
        add(ledger, *outgoing(fresh_id(), 1))
        add(ledger, *list(outgoing(fresh_id(), 2))[:3])
        held = next(outgoing(fresh_id(), 3))
        add(ledger, held.replace(event="held", authority="E06000066", detail={"reason": "missing-reference"}))
        add(ledger, *incoming(fresh_id(), 7))
        add(ledger, next(outgoing(fresh_id(), 1, partner="other")).replace(category="other-category"))
        yield ledger


def ask(ledger: Ledger, now: datetime = SOON, **wanted: Any) -> list[Row]:
    return query(ledger, Filter(**wanted), now=now, deadlines=ALLOWED)


def states(rows: list[Row]) -> list[str]:
    return [row.state for row in rows]


def test_without_a_filter_every_handover_comes_newest_first(ledger: Ledger) -> None:
    assert states(ask(ledger)) == ["accepted", "delivered", "held", "sent", "acknowledged"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"partner": "other"}, ["accepted"]),
        ({"direction": "in"}, ["delivered"]),
        ({"category": "other-category"}, ["accepted"]),
        ({"state": "held"}, ["held"]),
        ({"event": "sealed"}, ["sent", "acknowledged"]),
        ({"event": "sealed", "partner": "other"}, []),
        ({"authorities": frozenset({"E06000066", "E10000027"})}, ["held"]),
        ({"authorities": frozenset()}, []),
        ({"reference": "24 015 002"}, ["sent"]),
        ({"reference": "24-015-002"}, ["sent"]),
        ({"reference": "24 015 00"}, []),
        ({"text": "DECISION 3"}, ["held"]),
        ({"text": "24 015 001"}, ["accepted", "acknowledged"]),
        ({"limit": 2}, ["accepted", "delivered"]),
        ({"direction": "out", "limit": 1, "state": "sent"}, ["sent"]),
        ({"text": "%"}, []),
    ],
)
def test_a_filter_leaves_what_matches(ledger: Ledger, wanted: dict[str, Any], expected: list[str]) -> None:
    assert states(ask(ledger, **wanted)) == expected


def test_a_range_of_time_includes_its_ends(ledger: Ledger) -> None:
    sent = ask(ledger, state="sent")[0]
    assert sent.dropped_at is not None
    moment = from_text(sent.dropped_at)
    assert states(ask(ledger, since=moment, until=moment)) == ["sent"]
    assert states(ask(ledger, until=moment - timedelta(milliseconds=1))) == ["acknowledged"]
    assert "sent" not in states(ask(ledger, since=moment + timedelta(milliseconds=1)))


def test_one_handover_is_found_by_its_id(ledger: Ledger) -> None:
    row = ask(ledger)[1]
    assert ask(ledger, handover=row.id) == ask(ledger, text=row.id) == [row]
    assert ask(ledger, handover=row.id[:-1]) == []


def test_a_row_says_what_scripts_rely_on(ledger: Ledger) -> None:
    row = ask(ledger, state="acknowledged")[0].to_json()
    stable = (
        *("id", "direction", "partner", "category", "authority", "reference", "name", "size", "state", "dropped_at"),
        *("sent_at", "delivered_at", "acknowledged_at", "overdue", "key", "seq"),
    )
    assert set(stable) <= set(row)
    assert {name: row[name] for name in stable if not name.endswith("_at") and name != "id"} == {
        "direction": "out",
        "partner": "ofsted",
        "category": "upheld-decision",
        "authority": "E08000025",
        "reference": "24 015 001",
        "name": "decision 1.pdf",
        "size": 81_234,
        "state": "acknowledged",
        "overdue": False,
        "key": "SHA256:key",
        "seq": 0,
    }
    assert row["delivered_at"] == "2026-11-23T12:00:00.000Z"


def test_overdue_is_what_waits_longer_than_its_deadline(ledger: Ledger) -> None:
    assert ask(ledger, state="overdue") == []
    late = START + timedelta(days=6)
    assert states(ask(ledger, now=late, state="overdue")) == ["sent"]
    assert [row.overdue for row in ask(ledger, now=late)] == [False, False, False, True, False]


def test_where_nothing_says_how_long_a_receipt_may_take_it_is_a_week(ledger: Ledger) -> None:
    assert states(ask(ledger, now=LATE, state="overdue")) == ["accepted", "sent"]
    rows = query(ledger, Filter(state="overdue"), now=LATE, deadlines={})
    assert states(rows) == ["accepted", "sent"]


def test_what_can_never_be_overdue_is_not_even_read(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    rows = ledger.rows

    def counted(sql: str, *values: object) -> list[tuple[Any, ...]]:
        found = rows(sql, *values)
        read.extend(found)
        return found

    monkeypatch.setattr(ledger, "rows", counted)
    add(ledger, *incoming(fresh_id(), 8))
    assert states(ask(ledger, now=LATE, state="overdue")) == ["accepted", "sent"]
    assert len(read) == 2  # sent and accepted


def test_the_deadline_itself_is_not_late(ledger: Ledger) -> None:
    sent = ask(ledger, state="sent")[0]
    assert sent.dropped_at is not None
    end = from_text(sent.dropped_at) + timedelta(days=5)
    assert not ask(ledger, now=end, state="sent")[0].overdue
    assert ask(ledger, now=end + timedelta(milliseconds=1), state="sent")[0].overdue


def test_a_redacted_value_is_absent_and_no_longer_found(ledger: Ledger) -> None:
    row = ask(ledger, state="held")[0]
    sqlite3(ledger.path, f"DELETE FROM openings WHERE seq = {row.seq}")
    again = ask(ledger, state="held")[0]
    assert (again.name, again.reference, again.id) == (None, None, row.id)
    assert ask(ledger, text="decision 3") == []


def test_a_name_that_was_learnt_after_a_quarantine_is_shown(ledger: Ledger) -> None:
    received = next(incoming(fresh_id(), 8))
    add(ledger, received.replace(event="quarantined", private={}, detail={"reason": "unknown-key"}), received)
    assert ask(ledger)[0].name == "decision 8.pdf"


def test_a_filter_is_never_read_as_sql_and_may_be_any_text(ledger: Ledger) -> None:
    everything = ask(ledger)
    for text in ("' OR 1=1 --", '"', "\0", "é", "%", "", "\ud800", "held\udcff"):
        for field in ("handover", "partner", "category", "event", "state", "direction", "reference"):
            wanted: dict[str, Any] = {field: text}
            assert ask(ledger, **wanted) == [], wanted
        assert ask(ledger, authorities=frozenset({text})) == []
        assert ask(ledger, text=text) == ([] if text else everything)


def test_a_limit_is_never_exceeded(ledger: Ledger) -> None:
    for limit, number in ((-1, 0), (0, 0), (1, 1), (5, 5), (6, 5)):
        assert len(ask(ledger, limit=limit)) == number


def test_no_reference_is_like_none_that_was_given(ledger: Ledger) -> None:
    assert ask(ledger, state="delivered")[0].reference is None
    for nothing in ("", "-", " / "):
        assert ask(ledger, reference=nothing) == []


def test_a_partner_is_reachable_as_it_was_recorded_last(ledger: Ledger) -> None:
    unreachable = Draft(event="partner.unreachable", actor="daemon", partner="ofsted")
    assert reachability(ledger, "nobody") == "unknown"
    add(ledger, unreachable)
    assert reachability(ledger, "ofsted") == "unreachable"
    add(ledger, unreachable.replace(event="partner.reachable"))
    assert reachability(ledger, "ofsted") == "reachable"


def test_handovers_are_counted_under_the_key_that_protects_them(ledger: Ledger) -> None:
    assert handovers_under_key(ledger, "SHA256:key") == 2
    assert handovers_under_key(ledger, "SHA256:other") == 0


def test_the_clock_of_these_tests_is_in_utc() -> None:
    assert LGSCO.clock().tzinfo == UTC
