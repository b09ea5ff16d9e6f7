"""Every login is decided as sshd would: by the keys that the landing zone of the partner prints at that moment."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from config.errors import NotNow
from exchange import key_desk
from exchange.assembly import assemble, login_keys
from exchange.landing import AuthenticationRefused, Landing
from exchange.landing_zone import authorized_keys
from exchange.partners import add_partner, make_card
from keys.card import Card
from keys.key_info import NEEDED, Purpose
from tests.exchange.test_key_revocation import revoke
from tests.exchange.test_key_rotation import rotate
from tests.organisations import (
    CASE,
    NAMES,
    PASSPHRASE,
    TOPOLOGIES,
    ManualClock,
    Pair,
    Template,
    introduce,
    make_home,
    restart,
    start,
)

Connect = Callable[[Card], Landing]


def behind_sshd(pair: Pair) -> None:
    """Whoever logs in offers the keys that the program would; a pick-up folder of ours is on our own disk."""
    for one, other in (("lgsco", "ofsted"), ("ofsted", "lgsco")):
        mine = getattr(pair, one)
        effects = mine.parts.effects
        logs_in = getattr(pair, other).home.settings.landing.host is not None
        connect = _asked(pair, one, other, effects.connect) if logs_in else effects.connect
        effects = replace(effects, connect=connect, collect=_asked(pair, one, other, effects.collect))
        mine.parts = replace(mine.parts, effects=effects)


def _asked(pair: Pair, one: str, other: str, inner: Connect) -> Connect:
    def connect(card: Card) -> Landing:
        client, server = getattr(pair, one).parts, getattr(pair, other).parts
        offered = {_public(key) for key in login_keys(client.keyring, client.book.own(), other)}
        user = server.home.settings.landing.user.replace("{partner}", one)
        lines = authorized_keys(server.home, server.trust, user, pair.clock())
        if not offered & {" ".join(line.split(" ")[1:3]) for line in lines}:
            raise AuthenticationRefused(f"{other} does not let {one} in")
        return inner(card)

    return connect


def _public(private: bytes) -> str:
    key = load_ssh_private_key(private, None).public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def live(pair: Pair, rounds: int, *, accept: bool = True) -> None:
    """Each round seven hours later, with new connections, and a person who accepts what waits."""
    for _ in range(rounds):
        for one in (pair.lgsco, pair.ofsted):
            for act in (one.take, one.send, one.receive):
                one.connection.close()
                one.pickup.close()
                with contextlib.suppress(NotNow):
                    act()
            for waiting in key_desk.waiting(one.parts.ledger) if accept else ():
                key_desk.accept(one.parts, waiting.partner, waiting.announcement.fingerprint, "root")
        pair.clock.advance(hours=7)


@pytest.fixture(params=list(TOPOLOGIES))
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    (tmp_path / "template").mkdir()
    with Template(tmp_path / "template", request.param).pair(tmp_path / "pair") as pair:
        behind_sshd(pair)
        pair.lgsco.drop(b"before", f"{CASE} before.pdf")
        live(pair, 3)
        assert pair.lgsco.states() == ["acknowledged"]
        yield pair


@pytest.mark.parametrize("who", ["lgsco", "ofsted"])
@pytest.mark.parametrize("what", ["rotated", "rotated without overlap", "revoked", "revoked, and nobody there"])
def test_files_go_on_through_every_end_of_a_transport_key(guarded: Pair, who: str, what: str) -> None:
    pair, one = guarded, getattr(guarded, who)
    if what.startswith("rotated"):
        rotate(one, "transport", timedelta(days=0 if "without" in what else 30))
    else:
        revoke(one, "transport")
    pair.lgsco.drop(b"meanwhile", f"{CASE} meanwhile.pdf")
    if "nobody" in what:
        live(pair, 5, accept=False)
    live(pair, 12)
    for _ in range(2):
        for each in (pair.lgsco, pair.ofsted):
            key_desk.tend(each.parts)
        live(pair, 3)
    pair.lgsco.drop(b"after", f"{CASE} after.pdf")
    live(pair, 6)
    assert pair.lgsco.states() == ["acknowledged"] * 3


@pytest.mark.parametrize("who", ["lgsco", "ofsted"])
def test_a_partner_that_was_left_behind_lets_us_in_when_it_has_our_new_card(
    guarded: Pair, tmp_path: Path, who: str
) -> None:
    pair, one = guarded, getattr(guarded, who)
    other = pair.ofsted if who == "lgsco" else pair.lgsco
    rotate(one, "transport", timedelta(0))
    live(pair, 3, accept=False)
    key_desk.retire(one.parts, "transport", "root", (other.parts.me,))
    card = tmp_path / "card.toml"
    made = make_card(one.home, one.parts.keyring, card)
    add_partner(other.parts, card, made.fingerprint)
    pair.clock.advance(hours=1)
    setattr(pair, other.parts.me, restart(other, one, pair.clock))
    behind_sshd(pair)
    pair.lgsco.drop(b"after", f"{CASE} after.pdf")
    live(pair, 8)
    assert pair.lgsco.states() == ["acknowledged"] * 2


@pytest.mark.parametrize("purpose", NEEDED)
@pytest.mark.parametrize("how", ["retired", "being replaced", "revoked"])
def test_a_partner_that_is_added_after_a_key_was_replaced_gets_files(
    tmp_path: Path, purpose: Purpose, how: str
) -> None:
    homes = {name: make_home(tmp_path, name) for name in NAMES}
    parts = assemble(homes["lgsco"], lambda: PASSPHRASE)
    with parts.ledger:
        if how == "revoked":
            key_desk.revoke(parts, parts.own.usable(purpose)[0].fingerprint, None, "root")
        else:
            key_desk.rotate(parts, purpose, timedelta(0), None, "root")
        if how == "retired":
            key_desk.retire(parts, purpose, "root")
    introduce(homes, tmp_path)
    clock = ManualClock()
    lgsco, ofsted = (start(homes[one], homes[other], clock) for one, other in (NAMES, reversed(NAMES)))
    pair = Pair(lgsco, ofsted, clock, tmp_path)
    with contextlib.closing(pair):
        behind_sshd(pair)
        lgsco.drop(b"first", f"{CASE} first.pdf")
        live(pair, 6, accept=False)
        assert lgsco.states() == ["acknowledged"]
