"""The newest answers about keys, and what it costs to ask for them."""

from collections.abc import Iterator
from typing import Any

import pytest

from exchange import key_desk
from exchange.key_book import KeyBook, carried_forward
from keys import own_keys
from ledger.entry import Draft
from ledger.key_events import OF_OURS, key_entries
from ledger.view import View
from tests.exchange.test_key_rotation import chained, rotate
from tests.organisations import Organisation, Pair


class Counted(View):
    """A ledger's answers, and how many rows they had."""

    def __init__(self, one: Organisation) -> None:
        self.count = 0

        def rows(sql: str, *values: object) -> list[tuple[Any, ...]]:
            found = one.parts.ledger.rows(sql, *values)
            self.count += len(found)
            return found

        super().__init__(rows)


def story(pair: Pair) -> Iterator[None]:
    """Keys come and go on both sides."""
    chained(pair)
    for purpose in ("ledger", "signing", "encryption"):
        rotate(pair.lgsco, purpose)
        yield
    pair.settle()
    yield
    key_desk.retire(pair.lgsco.parts, "signing", "root")
    yield
    rotate(pair.ofsted, "witness")
    pair.settle()
    yield
    [key, _] = pair.ofsted.parts.own.usable("witness")
    key_desk.revoke(pair.ofsted.parts, key.fingerprint, None, "root")
    pair.settle()
    yield


@pytest.mark.parametrize("name", ["lgsco", "ofsted"])
def test_what_is_read_on_is_what_would_be_read_anew(pair: Pair, name: str) -> None:
    one = pair.lgsco if name == "lgsco" else pair.ofsted
    ledger = one.parts.ledger
    book = KeyBook(ledger)
    cards = one.parts.trust
    for _ in story(pair):
        assert book.own() == own_keys.from_entries(key_entries(ledger, OF_OURS))
        assert [book.trust(cards).standing(partner) for partner in cards.partners] == [
            carried_forward(cards, ledger).standing(partner) for partner in cards.partners
        ]
    assert len(book.own().keys) > 5


def test_an_entry_of_no_consequence_costs_no_reading_of_all_the_others(pair: Pair) -> None:
    for _ in story(pair):
        pass
    seen = Counted(pair.lgsco)
    book, cards = KeyBook(seen), pair.lgsco.parts.trust
    book.own(), book.trust(cards)
    repeated = Draft(event="key.announced", actor="daemon", partner="ofsted", detail={"number": 1})
    for _ in range(3):
        pair.lgsco.parts.ledger.write(lambda tx: tx.append(repeated))
        before = seen.count
        book.own(), book.trust(cards)
        # one row for each of two questions for the last number, and the entry
        assert seen.count - before == 3


def test_a_ledger_that_is_not_what_it_was_is_read_from_its_beginning(pair: Pair) -> None:
    seen = Counted(pair.lgsco)
    book = KeyBook(seen)
    whole = book.own()
    rotate(pair.lgsco, "signing")
    assert book.own() != whole
    older = pair.lgsco.parts.ledger.size - 2
    rows = seen.rows

    def shorter(sql: str, *values: object) -> list[tuple[Any, ...]]:
        found = rows(sql, *values)
        return (
            [(min(found[0][0], older),)]
            if sql.startswith("SELECT max(seq)")
            else [row for row in found if row[0] <= older]
        )

    seen.rows = shorter
    assert book.own() == own_keys.from_entries(key_entries(seen, OF_OURS))
