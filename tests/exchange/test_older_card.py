"""A card that was made before what is known of a partner's keys: refused, or taken by order, and nothing that was
revoked comes back."""

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config.errors import NotNow, Refused
from exchange import key_desk
from exchange.audit import verify_home
from exchange.key_book import carried_forward
from exchange.partner_trust import confirmed_cards_of, trusted
from exchange.partners import add_partner, make_card
from keys import succession
from keys.announcement import Announcement
from keys.key_info import NEEDED, Purpose
from tests.exchange.test_key_expired import give_card
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


# --- at the same time -------------------------------------------------------------------------------------------------


def test_what_is_announced_while_a_card_is_confirmed_is_judged_by_the_new_card(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    chained(pair)
    exchange_files(pair, "before")
    pair.clock.advance(hours=1)
    fresh = rotate(pair.lgsco, "signing")
    check = succession.check

    def meanwhile(*arguments: Any, **options: Any) -> Announcement:
        monkeypatch.setattr(succession, "check", check)
        checked = check(*arguments, **options)
        give_card(pair.lgsco, pair.ofsted, pair.base / "meanwhile.toml")
        return checked

    monkeypatch.setattr(succession, "check", meanwhile)
    pair.lgsco.send()
    with pytest.raises(NotNow, match="what is known of the keys of lgsco has just changed"):
        pair.ofsted.receive()
    assert "partner.key-accepted" not in pair.ofsted.events()
    # as the service does when another process has written to the ledger
    parts = pair.ofsted.parts
    pair.ofsted.parts = dataclasses.replace(parts, cards=confirmed_cards_of(parts.home, parts.ledger))
    pair.settle()
    exchange_files(pair, "after")
    assert pair.ofsted.events().count("partner.key-accepted") == 1
    assert fresh.public in pair.ofsted.parts.trust.standing("lgsco").keys("signing", pair.clock())
    assert verify_home(pair.ofsted.home).ok


def test_a_key_that_a_person_accepts_while_another_card_is_confirmed_is_looked_at_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.clock.advance(hours=1)
    rotate(pair.lgsco, "witness")
    early = card(pair, pair.lgsco, "early")
    pair.clock.advance(hours=1)
    rotate(pair.lgsco, "signing")
    pair.settle()
    parts = pair.ofsted.parts
    [waits] = [one for one in key_desk.waiting(parts.ledger) if one.announcement.purpose == "signing"]
    chosen = key_desk.chosen

    def meanwhile(*arguments: Any) -> key_desk.Waiting:
        monkeypatch.setattr(key_desk, "chosen", chosen)
        found = chosen(*arguments)
        add_partner(parts, *early, older=True)
        return found

    monkeypatch.setattr(key_desk, "chosen", meanwhile)
    with pytest.raises(NotNow, match="what is known of the keys of lgsco has just changed"):
        key_desk.accept(parts, "lgsco", waits.announcement.fingerprint, "root")
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    key_desk.accept(pair.ofsted.parts, "lgsco", waits.announcement.fingerprint, "root")
    exchange_files(pair, "after")
    assert pair.ofsted.events().count("partner.key-accepted") == 1
