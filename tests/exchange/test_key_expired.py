"""A signing key ends before it was rotated: files wait, nothing is believed, and a new card is the way out."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from exchange.audit import verify_home
from exchange.partners import add_partner, make_card
from keys.key_errors import KeyExpired
from tests.exchange.test_key_rotation import chained, exchange_files, rotate
from tests.organisations import CASE, Organisation, Pair, restart


def give_card(giver: Organisation, taker: Organisation, path: Path, *, new_ledger: bool = False) -> None:
    """The other organisation gets the card of one as it is now, and its fingerprint was read out."""
    giver.parts.keyring.reload()
    made = make_card(giver.home, giver.parts.keyring, path)
    add_partner(taker.parts, path, made.fingerprint, new_ledger=new_ledger)


def restart_both(pair: Pair) -> None:
    """So that both read the cards that they have."""
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    chained(pair)


def pass_hours(pair: Pair, hours: int) -> None:
    """Both work as well as they can, as their services do: what fails now is tried again."""
    for _ in range(0, hours, 7):
        for one in (pair.lgsco, pair.ofsted):
            for work in (one.take, one.send, one.receive):
                with suppress(KeyExpired):
                    work()
        pair.clock.advance(hours=7)


def a_key_that_ends(pair: Pair, late: str, card: Path) -> Organisation:
    """One organisation's signing key ends in five days, and both know."""
    me, other = (pair.lgsco, pair.ofsted) if late == "lgsco" else (pair.ofsted, pair.lgsco)
    me.parts.keyring.end(me.parts.keyring.current("signing").fingerprint, pair.clock() + timedelta(days=5))
    give_card(me, other, card)
    restart_both(pair)
    return pair.lgsco if late == "lgsco" else pair.ofsted


@pytest.mark.parametrize("late", ["lgsco", "ofsted"])
def test_after_a_signing_key_has_expired_a_rotation_and_a_new_card_let_everything_go_on(
    pair: Pair, tmp_path: Path, late: str
) -> None:
    def both() -> tuple[Organisation, Organisation]:
        return (pair.lgsco, pair.ofsted) if late == "lgsco" else (pair.ofsted, pair.lgsco)

    a_key_that_ends(pair, late, tmp_path / "ends.toml")
    exchange_files(pair, "in time")
    pair.clock.advance(days=6)
    pair.lgsco.drop(b"too late", f"{CASE} too late.pdf")
    pass_hours(pair, 21)
    waits = ["acknowledged", "accepted" if late == "lgsco" else "sent"]
    assert pair.lgsco.states() == waits
    # what the new key alone vouches for changes nothing
    me, other = both()
    new = rotate(me, "signing")
    pass_hours(pair, 21)
    assert pair.lgsco.states() == waits
    assert "partner.key-accepted" not in other.events()
    assert new.public not in {key.line for key in other.parts.trust.card(late).signing_keys}
    give_card(me, other, tmp_path / "new.toml")
    restart_both(pair)
    pass_hours(pair, 42)
    assert pair.lgsco.states() == ["acknowledged"] * 2
    exchange_files(pair, "after")
    assert len(pair.ofsted.inbound()) == 3
    for one in both():
        assert verify_home(one.home).ok


def test_a_new_card_also_answers_for_a_key_that_waited_for_a_person(pair: Pair, tmp_path: Path) -> None:
    a_key_that_ends(pair, "lgsco", tmp_path / "ends.toml")
    settings = pair.ofsted.home.settings
    asks = settings.model_copy(update={"partners": {}})
    pair.ofsted.parts = replace(pair.ofsted.parts, home=replace(pair.ofsted.home, settings=asks))
    rotate(pair.lgsco, "signing")
    pair.settle()
    assert "partner.key-waiting" in pair.ofsted.events()
    pair.clock.advance(days=6)
    give_card(pair.lgsco, pair.ofsted, tmp_path / "new.toml")
    restart_both(pair)
    pair.ofsted.parts = replace(pair.ofsted.parts, home=replace(pair.ofsted.home, settings=asks))
    pass_hours(pair, 42)
    exchange_files(pair, "after")


def test_a_lost_receipt_is_sent_again_although_the_key_of_the_file_has_ended_since(pair: Pair, tmp_path: Path) -> None:
    me = a_key_that_ends(pair, "lgsco", tmp_path / "ends.toml")
    me.drop(b"in time", f"{CASE} in time.pdf")
    me.take()
    me.send()
    pair.ofsted.receive()
    pair.ofsted.send()
    for path in me.landing().iterdir():
        path.unlink()
    pair.clock.advance(days=6)
    pass_hours(pair, 21)
    assert me.states() == ["acknowledged"]
    assert pair.ofsted.states("in") == ["delivered"]


def test_an_encryption_key_that_has_expired_still_opens_and_is_rotated(pair: Pair) -> None:
    chained(pair)
    info = pair.ofsted.parts.keyring.current("encryption")
    pair.ofsted.parts.keyring.end(info.fingerprint, pair.clock() + timedelta(days=5))
    pair.clock.advance(days=6)
    exchange_files(pair, "ended")
    new = rotate(pair.ofsted, "encryption")
    pair.settle()
    exchange_files(pair, "after")
    assert pair.lgsco.handovers()[-1].key == new.fingerprint
