"""ledger/gaps.py: which running numbers are missing, and which of them are explained."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.entry import Draft
from ledger.gaps import CLOSED, CONTRADICTED, explained, missing, sequence_gaps
from ledger.store import Ledger
from tests.ledger.ledgers import Organisation, add, fresh_id, incoming


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """One handover came from Ofsted, with the number 7."""
    with Organisation("lgsco").create(tmp_path / "ledger.db") as ledger:
        add(ledger, *incoming(fresh_id(), 7))
        yield ledger


def said(event: str, *ranges: list[int], reason: str = "withdrawn", direction: str = "in") -> Draft:
    draft = Draft(event=event, actor="daemon", partner="ofsted", detail={"numbers": list(ranges), "reason": reason})
    return draft.replace(direction=direction)


def test_missing_running_numbers_are_named(ledger: Ledger) -> None:
    assert sequence_gaps(ledger, "ofsted") == [1, 2, 3, 4, 5, 6]
    add(ledger, next(incoming(fresh_id(), 2)))
    assert sequence_gaps(ledger, "ofsted") == [1, 3, 4, 5, 6]
    assert sequence_gaps(ledger, "other") == []


def test_of_very_many_missing_numbers_the_lowest_are_named(ledger: Ledger) -> None:
    for number in (2, 4, 2**53 - 1):
        add(ledger, next(incoming(fresh_id(), number)))
    assert sequence_gaps(ledger, "ofsted") == [1, 3, 5, 6, *range(8, 104)]


def test_no_number_is_missing_where_all_came_even_if_one_came_twice(ledger: Ledger) -> None:
    for number in (2, 1, 2, 3):
        add(ledger, next(incoming(fresh_id(), number, "other")))
    assert sequence_gaps(ledger, "other") == []


def test_an_explained_number_is_not_missing_any_more(ledger: Ledger) -> None:
    add(ledger, said(CLOSED, [1, 2], [5, 5]), said(CONTRADICTED, [4, 4], reason="acknowledged"))
    assert sequence_gaps(ledger, "ofsted") == [3, 6]
    assert explained(ledger, "ofsted") == {1: "withdrawn", 2: "withdrawn", 5: "withdrawn", 4: "acknowledged"}
    assert explained(ledger, "other") == {}


def test_what_is_said_of_our_own_numbers_explains_none_of_the_partners(ledger: Ledger) -> None:
    add(ledger, said(CONTRADICTED, [1, 6], direction="out"))
    assert sequence_gaps(ledger, "ofsted") == [1, 2, 3, 4, 5, 6]


def test_explained_numbers_do_not_hide_the_missing_ones_behind_them(ledger: Ledger) -> None:
    add(ledger, next(incoming(fresh_id(), 500)), said(CLOSED, [1, 6], [8, 250]))
    assert sequence_gaps(ledger, "ofsted") == list(range(251, 351))


def test_a_number_is_missing_since_the_next_higher_one_came(ledger: Ledger) -> None:
    add(ledger, next(incoming(fresh_id(), 9)), next(incoming(fresh_id(), 3)))
    first = {h.sequence: h.first_seq for h in ledger.handovers(direction="in")}
    assert {one.number: one.since for one in missing(ledger, "ofsted")} == {
        **dict.fromkeys((1, 2), first[3]),
        **dict.fromkeys((4, 5, 6), first[7]),
        8: first[9],
    }
