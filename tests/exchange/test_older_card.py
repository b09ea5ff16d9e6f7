"""A card that was made before what is known of a partner's keys: refused, or taken by order, and nothing that was
revoked comes back."""

from datetime import timedelta
from pathlib import Path

import pytest

from config.errors import Refused
from exchange import key_desk
from exchange.key_book import carried_forward
from exchange.partner_trust import trusted
from exchange.partners import add_partner, make_card
from keys.key_info import NEEDED, Purpose
from tests.exchange.test_key_revocation import persist, revoke
from tests.exchange.test_key_rotation import chained, exchange_files, quiet, rotate
from tests.exchange.test_reseal import accepted
from tests.organisations import Organisation, Pair, restart

TWO: tuple[Purpose, ...] = ("signing", "encryption")
THREE: tuple[Purpose, ...] = (*TWO, "witness")


def card(pair: Pair, one: Organisation, name: str) -> tuple[Path, str]:
    """Its card as it is now, and the fingerprint that is read out."""
    path = pair.base / f"{name}.toml"
    return path, make_card(one.home, one.parts.keyring, path).fingerprint


def add(pair: Pair, made: tuple[Path, str], *, older: bool = False, new_ledger: bool = False) -> None:
    """LGSCO confirms a card of Ofsted, and starts again."""
    add_partner(pair.lgsco.parts, *made, older=older, new_ledger=new_ledger)
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    chained(pair)


def known(pair: Pair, purpose: Purpose) -> tuple[str, ...]:
    return pair.lgsco.parts.trust.standing("ofsted").keys(purpose, pair.clock())


def test_a_card_made_before_a_key_was_announced_is_refused_and_what_was_announced_counts_on(pair: Pair) -> None:
    chained(pair)
    pair.clock.advance(hours=1)
    rotate(pair.ofsted, "witness")
    old = card(pair, pair.ofsted, "old")
    pair.clock.advance(hours=1)
    for purpose in TWO:
        rotate(pair.ofsted, purpose, timedelta(0))
    pair.settle()
    before = {purpose: known(pair, purpose) for purpose in TWO}
    with pytest.raises(Refused, match="before what ofsted has said of its keys") as refused:
        add(pair, old)
    assert refused.value.reason == "older-card"
    assert {purpose: known(pair, purpose) for purpose in TWO} == before
    # the way out: a card that is made now
    pair.clock.advance(hours=1)
    add(pair, card(pair, pair.ofsted, "new"))
    exchange_files(pair, "after")
    quiet(pair.lgsco)


def test_a_card_older_than_the_confirmed_one_is_refused_and_the_same_one_is_not(pair: Pair) -> None:
    one = card(pair, pair.ofsted, "one")
    pair.clock.advance(hours=1)
    rotate(pair.ofsted, "witness")
    two = card(pair, pair.ofsted, "two")
    add(pair, two)
    add(pair, two)
    with pytest.raises(Refused, match="before what ofsted has said of its keys"):
        add(pair, one)
    add(pair, one, older=True)
    ledger = pair.lgsco.parts.ledger
    added = [entry for entry in ledger.entries(0, ledger.size) if entry.event == "partner.added"]
    assert [entry.detail.get("older", False) for entry in added] == [False, False, False, True]


def test_no_card_brings_back_a_key_that_was_revoked(pair: Pair) -> None:
    chained(pair)
    pair.clock.advance(hours=1)
    rotate(pair.ofsted, "transport")
    old = card(pair, pair.ofsted, "old")
    pair.clock.advance(hours=1)
    for purpose in THREE:
        revoke(pair.ofsted, purpose)
        persist(pair)
        accepted(pair.lgsco, pair.ofsted)
        pair.clock.advance(hours=7)
        persist(pair)
    gone = pair.lgsco.parts.trust.standing("ofsted").revoked
    assert len(gone) == 3
    add(pair, old, older=True)
    standing = pair.lgsco.parts.trust.standing("ofsted")
    assert standing.revoked == gone
    assert not gone & {key for purpose in THREE for key in standing.keys(purpose, pair.clock())}
    assert standing.recipient_texts(pair.clock()) == ()
    # nor does one that was made after it
    add(pair, card(pair, pair.ofsted, "new"))
    assert pair.lgsco.parts.trust.standing("ofsted").revoked == gone
    assert carried_forward(trusted(pair.lgsco.home, None), pair.lgsco.parts.ledger).standing("ofsted").revoked == gone
    persist(pair)
    pair.clock.advance(hours=7)
    exchange_files(pair, "after")


@pytest.mark.parametrize("purpose", NEEDED)
def test_nor_one_whose_revocation_came_only_after_a_newer_card(pair: Pair, purpose: Purpose) -> None:
    chained(pair)
    exchange_files(pair, "before")
    old = card(pair, pair.ofsted, "old")
    [stolen] = known(pair, purpose)
    pair.clock.advance(hours=1)
    revoke(pair.ofsted, purpose)
    pair.clock.advance(hours=1)
    add(pair, card(pair, pair.ofsted, "quick"), new_ledger=purpose == "ledger")
    for _ in range(3):
        persist(pair)
        pair.clock.advance(hours=7)
    assert stolen not in known(pair, purpose)
    add(pair, old, older=True, new_ledger=purpose == "ledger")
    assert stolen in pair.lgsco.parts.trust.standing("ofsted").revoked
    assert stolen not in known(pair, purpose)


def test_a_key_that_waits_for_a_person_waits_on_when_the_same_card_is_added_again(pair: Pair) -> None:
    made = card(pair, pair.ofsted, "one")
    add_partner(pair.lgsco.parts, *made)
    pair.clock.advance(hours=1)
    new = rotate(pair.ofsted, "signing")
    pair.settle()
    [waiting] = key_desk.waiting(pair.lgsco.parts.ledger)
    assert waiting.announcement.fingerprint == new.fingerprint
    add_partner(pair.lgsco.parts, *made)
    assert key_desk.waiting(pair.lgsco.parts.ledger) == [waiting]
    key_desk.accept(pair.lgsco.parts, "ofsted", new.fingerprint, "root")
    pair.clock.advance(hours=1)
    add_partner(pair.lgsco.parts, *card(pair, pair.ofsted, "two"))
    assert key_desk.waiting(pair.lgsco.parts.ledger) == []
