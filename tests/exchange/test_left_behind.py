"""A rotation that a partner never accepts can be closed by order, where nothing is lost by that; a new card brings the
partner back."""

import contextlib
from datetime import timedelta

import pytest

from config.errors import Misuse, NotNow
from exchange import key_desk
from exchange.audit import verify_home
from exchange.key_list import problems
from exchange.partners import add_partner, make_card
from keys.key_info import NEEDED, Purpose
from tests.exchange.test_key_revocation import persist
from tests.exchange.test_key_rotation import exchange_files, rotate
from tests.organisations import CASE, Pair, restart


@pytest.mark.parametrize("purpose", NEEDED)
def test_a_partner_that_never_accepts_is_left_behind_by_order_and_comes_back_with_a_new_card(
    pair: Pair, purpose: Purpose
) -> None:
    exchange_files(pair, "before")
    new = rotate(pair.lgsco, purpose, timedelta(0))
    pair.settle()
    pair.clock.advance(days=60)
    key_desk.tend(pair.lgsco.parts)
    with pytest.raises(NotNow, match="ofsted has not accepted its successor"):
        key_desk.retire(pair.lgsco.parts, purpose, "root")
    key_desk.retire(pair.lgsco.parts, purpose, "root", ("ofsted",))
    assert [key.fingerprint for key in pair.lgsco.parts.own.usable(purpose)] == [new.fingerprint]
    [entry] = [e for e in pair.lgsco.parts.ledger.entries(0, pair.lgsco.parts.ledger.size) if e.event == "key.retired"]
    assert entry.detail["without"] == ["ofsted"]
    parts = pair.lgsco.parts
    said = problems(parts.keyring, parts.ledger, parts.trust, ("ofsted",), pair.lgsco.home.settings)
    assert any("the old one has ended: give it a new card" in problem for problem in said)
    path = pair.base / "new.toml"
    card = make_card(pair.lgsco.home, parts.keyring, path)
    add_partner(pair.ofsted.parts, path, card.fingerprint)
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    persist(pair)
    pair.clock.advance(hours=7)
    persist(pair)
    exchange_files(pair, "after")
    assert pair.lgsco.parts.own.fingerprints(purpose, "ofsted") == {new.fingerprint}
    for one in (pair.lgsco, pair.ofsted):
        assert verify_home(one.home).ok


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        (
            False,
            "the old one has ended, and what needs it waits for 'handover keys accept' there;"
            " if nothing waits there, give it a new card ('handover partner card')",
        ),
        (True, "the old one has ended: give it a new card ('handover partner card')"),
    ],
    ids=["stolen", "lost"],
)
def test_status_says_at_once_that_a_partner_does_not_know_the_key_after_a_revoked_one(
    pair: Pair, lost: bool, said: str
) -> None:
    parts = pair.lgsco.parts
    [key] = parts.own.usable("signing")
    key_desk.revoke(parts, key.fingerprint, None, "root", lost=lost)
    found = problems(parts.keyring, parts.ledger, parts.trust, ("ofsted",), pair.lgsco.home.settings, pair.clock)
    assert [one for one in found if "accepted" in one] == [f"ofsted has not accepted our signing key 2: {said}"]


def test_nobody_is_left_behind_while_something_is_under_way(pair: Pair) -> None:
    rotate(pair.lgsco, "signing", timedelta(0))
    pair.settle()
    pair.lgsco.drop(b"waits", f"{CASE} waits.pdf")
    pair.lgsco.take()
    for act in (pair.lgsco.send, pair.ofsted.receive, pair.ofsted.send):
        with pytest.raises(NotNow, match=r"handovers that were sealed|something is under way between ofsted and us"):
            key_desk.retire(pair.lgsco.parts, "signing", "root", ("ofsted",))
        with contextlib.suppress(NotNow):
            act()
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]
    assert key_desk.retire(pair.lgsco.parts, "signing", "root", ("ofsted",)).serial == 1


def test_only_a_partner_that_has_not_accepted_can_be_left_behind(pair: Pair) -> None:
    new = rotate(pair.lgsco, "witness", timedelta(0))
    pair.settle()
    with pytest.raises(Misuse, match="dfe is not a partner"):
        key_desk.retire(pair.lgsco.parts, "witness", "root", ("dfe",))
    key_desk.accept(pair.ofsted.parts, "lgsco", new.fingerprint, "root")
    pair.settle()
    with pytest.raises(Misuse, match="ofsted has accepted the new witness key"):
        key_desk.retire(pair.lgsco.parts, "witness", "root", ("ofsted",))
