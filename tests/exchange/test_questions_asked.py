"""What the daemon asks its ledger in every round must not take longer, the more has happened."""

from typing import Any

import pytest

from exchange import overdue
from ledger import transaction
from ledger.known import Rows, rows_of
from tests.organisations import CASE, Pair


def test_no_question_of_a_round_goes_through_all_that_ever_happened_with_a_partner(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, tuple[object, ...]] = {}

    def noted(rows: Rows) -> Rows:
        def note(sql: str, *values: object) -> list[tuple[Any, ...]]:
            asked[sql] = values
            return rows(sql, *values)

        return note

    explain = pair.ofsted.parts.ledger.rows
    for organisation in (pair.lgsco, pair.ofsted):
        monkeypatch.setattr(organisation.parts.ledger, "rows", noted(organisation.parts.ledger.rows))
    monkeypatch.setattr(transaction, "rows_of", lambda connection: noted(rows_of(connection)))
    for number in range(3):
        pair.lgsco.drop(b"decision", f"{CASE} {number}.pdf")
        pair.lgsco.take()
        pair.lgsco.send()
        if number == 0:
            (lost,) = pair.ofsted.landing().iterdir()
            lost.unlink()
        if number == 1:
            (pair.ofsted.landing() / "junk").symlink_to("/etc/passwd")
        pair.ofsted.receive()
    for hours in (0, 1, 6):
        pair.clock.advance(hours=hours)
        pair.settle()
        overdue.note_overdue(pair.lgsco.parts)
    assert {"gap.closed", "gap.reported"} & set(pair.lgsco.events())
    plans = {
        sql: " ".join(str(step[-1]) for step in explain(f"EXPLAIN QUERY PLAN {sql}", *values))
        for sql, values in asked.items()
        if sql.startswith("SELECT") and "entries" in sql
    }
    assert len(plans) > 10
    assert {sql: plan for sql, plan in plans.items() if "entries_partner" in plan or "SCAN entries" in plan} == {}
