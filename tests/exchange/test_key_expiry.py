"""People hear of a key that ends, or is due to be replaced, three times, each time once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from config.times import from_text, to_text
from exchange import key_desk, key_expiry
from exchange.key_expiry import Ending, endings
from keys.card_rules import SigningKey
from keys.trust import Trust
from tests.exchange.test_key_rotation import chained, rotate
from tests.organisations import Pair


def told(pair: Pair) -> list[tuple[str, object]]:
    ledger = pair.lgsco.parts.ledger
    return [(e.event, e.detail["days"]) for e in ledger.entries(0, ledger.size) if e.event.endswith("expiring")]


def warned(pair: Pair) -> list[Ending]:
    parts = pair.lgsco.parts
    return endings(parts.keyring, parts.own, parts.trust, timedelta(days=730), pair.clock())


def test_each_warning_is_recorded_once_for_each_key_and_none_for_one_that_is_being_replaced(pair: Pair) -> None:
    chained(pair)
    pair.clock.advance(days=600)
    assert key_expiry.tell(pair.lgsco.parts) == 0
    for days, expected in ((80, 60), (30, 30), (15, 7), (40, None)):
        pair.clock.advance(days=days)
        fresh = key_expiry.tell(pair.lgsco.parts)
        assert fresh == (0 if expected is None else 5)
        assert key_expiry.tell(pair.lgsco.parts) == 0
    assert told(pair) == [("key.expiring", days) for days in (60, 30, 7) for _ in range(5)]
    # nothing ends by itself: a person reads what to do, and by when
    said = [one.said for one in warned(pair) if one.purpose == "signing"]
    by = to_text(pair.clock() - timedelta(days=765 - 730))[:10]
    assert said == [f"the signing key is to be replaced by {by}: 'handover keys rotate signing'"]
    rotate(pair.lgsco, "signing", overlap=timedelta(0))
    assert sorted(one.purpose for one in warned(pair)) == ["encryption", "ledger", "transport", "witness"]


def test_a_partners_last_signing_key_that_ends_is_told_too(pair: Pair) -> None:
    parts = pair.lgsco.parts
    card = parts.trust.card("ofsted")
    [only] = card.signing_keys
    end = (pair.clock() + timedelta(days=20)).replace(microsecond=0)
    ending = replace(card, signing_keys=(SigningKey(only.line, only.valid_from, to_text(end)),))
    pair.lgsco.parts = replace(parts, cards=Trust([ending]))
    assert key_expiry.tell(pair.lgsco.parts) == 1
    assert told(pair) == [("partner.key-expiring", 30)]
    [one] = endings(parts.keyring, parts.own, pair.lgsco.parts.trust, timedelta(days=9999), pair.clock())
    assert (one.ends, one.said) == (from_text(to_text(end)), f"the signing key of ofsted ends on {to_text(end)[:10]}")


@pytest.mark.parametrize("which", [0, 1])
def test_nobody_is_warned_of_a_partners_key_that_was_revoked_while_another_one_counts(pair: Pair, which: int) -> None:
    chained(pair)
    pair.clock.advance(days=1)
    rotate(pair.ofsted, "signing")
    pair.settle()
    stolen = pair.ofsted.parts.own.usable("signing")[which]
    key_desk.revoke(pair.ofsted.parts, stolen.fingerprint, None, "root")
    pair.settle()
    assert stolen.public in pair.lgsco.parts.trust.standing("ofsted").revoked
    assert warned(pair) == []
    assert key_expiry.tell(pair.lgsco.parts) == 0


def test_of_a_partners_signing_keys_the_one_that_counts_longest_is_told(pair: Pair) -> None:
    parts = pair.lgsco.parts
    card = parts.trust.card("ofsted")
    [only] = card.signing_keys
    other = parts.keyring.signer("transport").public.line
    ends = [to_text((pair.clock() + timedelta(days=days)).replace(microsecond=0)) for days in (20, 3)]
    keys = tuple(SigningKey(line, only.valid_from, end) for line, end in zip((only.line, other), ends, strict=True))
    pair.lgsco.parts = replace(parts, cards=Trust([replace(card, signing_keys=keys)]))
    assert [(one.key, to_text(one.ends)) for one in warned(pair)] == [(only.line, ends[0])]
    endless = (SigningKey(only.line, only.valid_from), keys[1])
    pair.lgsco.parts = replace(parts, cards=Trust([replace(card, signing_keys=endless)]))
    assert warned(pair) == []


def test_people_are_told_anew_when_the_end_was_moved(pair: Pair) -> None:
    pair.clock.advance(days=725)
    assert key_expiry.tell(pair.lgsco.parts) == 5
    settings = pair.lgsco.home.settings
    longer = settings.model_copy(update={"keys": settings.keys.model_copy(update={"renew": timedelta(days=1000)})})
    pair.lgsco.parts = replace(pair.lgsco.parts, home=replace(pair.lgsco.home, settings=longer))
    assert key_expiry.tell(pair.lgsco.parts) == 0
    pair.clock.advance(days=270)
    assert [key_expiry.tell(pair.lgsco.parts) for _ in range(2)] == [5, 0]
    assert told(pair) == [("key.expiring", 7)] * 10
