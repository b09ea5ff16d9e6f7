"""A token is lost with the key in it: nothing vouches for a new one, and a new card is the way out."""

from contextlib import suppress
from pathlib import Path

import pytest

from config.errors import Misuse, NotNow
from exchange import key_desk
from exchange.audit import verify_home
from keys.key_errors import TokenAway
from tests import softhsm
from tests.exchange import test_token_exchange
from tests.exchange.test_key_expired import give_card, restart_both
from tests.exchange.test_key_rotation import exchange_files, rotate, signed_by
from tests.exchange.test_token_exchange import move
from tests.organisations import CASE, Pair
from tests.softhsm import SoftHsm

hsm, equipped = test_token_exchange.hsm, test_token_exchange.equipped


def pass_hours(pair: Pair, hours: int) -> None:
    """Both work as well as they can, as their services do: what fails now is tried again."""
    for _ in range(0, hours, 7):
        for one in (pair.lgsco, pair.ofsted):
            for work in (one.take, one.send, one.receive):
                with suppress(NotNow):
                    work()
        pair.clock.advance(hours=7)


def test_after_a_token_was_lost_a_revocation_and_a_new_card_let_everything_go_on(
    equipped: Pair, hsm: SoftHsm, tmp_path: Path
) -> None:
    pair = equipped
    old = move(pair, "signing", in_token=True)
    hsm.take_away()
    softhsm.forget()
    pair.clock.advance(days=1)
    pair.lgsco.drop(b"waits", f"{CASE} waits.pdf")
    pass_hours(pair, 14)
    assert pair.lgsco.states()[-1] != "acknowledged"
    # the key itself cannot say that another one takes its place
    with pytest.raises(TokenAway):
        rotate(pair.lgsco, "signing")
    with pytest.raises(TokenAway):
        key_desk.revoke(pair.lgsco.parts, old.fingerprint, None, "root")
    done = key_desk.revoke(pair.lgsco.parts, old.fingerprint, None, "root", lost=True)
    key_desk.tend(pair.lgsco.parts)
    pass_hours(pair, 21)
    # what the new key alone vouches for changes nothing
    assert pair.lgsco.states()[-1] != "acknowledged"
    assert str(done["successor"]) not in str(pair.ofsted.parts.trust.standing("lgsco"))
    give_card(pair.lgsco, pair.ofsted, tmp_path / "new.toml")
    restart_both(pair)
    pass_hours(pair, 42)
    assert set(pair.lgsco.states()) == {"acknowledged"}
    pair.clock.advance(days=1)
    exchange_files(pair, "after")
    [left] = pair.lgsco.parts.own.usable("signing")
    assert left.fingerprint == done["successor"]
    assert "ofsted" in left.partners
    assert signed_by(pair.lgsco) == left.fingerprint
    hsm.bring_back()
    key_desk.tend(pair.lgsco.parts)
    assert hsm.labels() == [], "found again, it is destroyed"
    assert not [p.what for one in (pair.lgsco, pair.ofsted) for p in verify_home(one.home).problems]


def test_a_lost_ledger_key_cannot_be_revoked(equipped: Pair, hsm: SoftHsm) -> None:
    pair = equipped
    old = move(pair, "ledger", in_token=True)
    hsm.take_away()
    size = pair.lgsco.parts.ledger.size
    with pytest.raises(Misuse, match="a ledger whose key is lost cannot say so"):
        key_desk.revoke(pair.lgsco.parts, old.fingerprint, None, "root", lost=True)
    assert pair.lgsco.parts.ledger.size == size
