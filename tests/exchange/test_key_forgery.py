"""Announcements that are not a partner's own: each comes as a well-made message, and changes nothing."""

import dataclasses
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest

from config.times import to_text
from exchange import key_desk
from exchange.envelope.key_news import Announced
from keys import sshsig
from keys.announcement import NAMESPACE, Announcement, Signed, sign
from keys.key_info import Purpose
from keys.openssh import KeySigner
from ledger import canonical
from tests.exchange import said
from tests.exchange.test_key_rotation import chained, exchange_files, rotate
from tests.keys.cards import X25519, private, public
from tests.keys.test_announcement import WEAK_KEYS
from tests.organisations import Pair


def rotation(pair: Pair, **changes: Any) -> Announcement:
    """LGSCO's signing key is to be followed by a thief's."""
    now = to_text(pair.clock())
    old = pair.lgsco.parts.own.usable("signing")[0].public
    made = Announcement("lgsco", 1, now, "rotate", "signing", public("thief").line, old, now)
    return replace(made, **changes)


def by(pair: Pair, one: Announcement, *names: str) -> Signed:
    """Signed by keys of LGSCO's, by their purpose, or by others, by their name."""
    parts = pair.lgsco.parts
    ours: dict[str, str] = {key.purpose: key.fingerprint for key in reversed(parts.own.keys)}
    return sign(one, *(parts.keyring.signer_of(ours[n]) if n in ours else KeySigner(private(n)) for n in names))


Forge = Callable[[Pair], Signed]

FORGED: dict[str, tuple[Forge, str]] = {
    "by the old key only": (lambda pair: by(pair, rotation(pair), "signing"), "not-signed-by-new"),
    "by the new key only": (lambda pair: by(pair, rotation(pair), "thief"), "not-signed-by-old"),
    "by a key of another purpose": (lambda pair: by(pair, rotation(pair), "ledger", "thief"), "not-signed-by-old"),
    "of another organisation": (
        lambda pair: by(pair, rotation(pair, organisation="ofsted"), "signing", "thief"),
        "wrong-organisation",
    ),
    "old and new exchanged": (
        lambda pair: by(
            pair,
            rotation(pair, key=rotation(pair).replaces, replaces=rotation(pair).key),
            "signing",
            "thief",
        ),
        "unknown-key",
    ),
    "with a signature of another text": (
        lambda pair: dataclasses.replace(
            by(pair, rotation(pair), "signing"),
            signatures=by(pair, rotation(pair, number=2), "signing", "thief").signatures,
        ),
        "bad-signature",
    ),
    "a retirement by the key itself": (
        lambda pair: by(pair, rotation(pair, action="retire", key=rotation(pair).replaces, replaces=None), "signing"),
        "not-signed-by-old",
    ),
}


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_announcement_changes_nothing_and_is_answered_with_no(pair: Pair, how: str) -> None:
    chained(pair)
    forge, reason = FORGED[how]
    before = pair.ofsted.parts.trust.standing("lgsco")
    said.land(pair.lgsco, pair.ofsted, said.message(pair.lgsco, "announcement", Announced(forge(pair))))
    events = said.take(pair.ofsted)
    assert ("partner.key-refused", reason) in events
    assert pair.ofsted.parts.trust.standing("lgsco") == before
    exchange_files(pair, "as before")


def test_an_older_announcement_after_a_newer_one_undoes_nothing(pair: Pair) -> None:
    chained(pair)
    first = rotate(pair.lgsco, "signing", overlap=timedelta(0))
    pair.settle()
    pair.clock.advance(days=1)
    key_desk.tend(pair.lgsco.parts)
    pair.settle()
    rotate(pair.lgsco, "signing", overlap=timedelta(0))
    pair.settle()
    now = pair.ofsted.parts.trust.standing("lgsco")
    for sent in pair.lgsco.parts.own.announcements:
        said.land(pair.lgsco, pair.ofsted, said.message(pair.lgsco, "announcement", Announced(sent.signed)))
    pair.ofsted.receive()
    assert pair.ofsted.parts.trust.standing("lgsco") == now
    assert first.public in {key.line for key in now.card.signing_keys}


VOUCHING: tuple[Purpose, ...] = ("signing", "ledger")


@pytest.mark.parametrize("purpose", ["signing", "transport", "encryption"])
def test_a_partners_weak_key_changes_nothing_and_its_refusal_says_why(
    pair: Pair, purpose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chained(pair)
    before = pair.ofsted.parts.trust.standing("lgsco")
    key, old = WEAK_KEYS[purpose][0], first(pair, purpose)
    # what no announcement of ours can be made to say
    text = canonical.encode({"v": 1, **dataclasses.asdict(rotation(pair, purpose=purpose, key=key, replaces=old))})
    own, keyring = pair.lgsco.parts.own, pair.lgsco.parts.keyring
    signers = [keyring.signer_of(own.usable(known)[0].fingerprint) for known in VOUCHING]
    signed = Signed(text.decode(), tuple(sshsig.sign(signer, BytesIO(text), NAMESPACE) for signer in signers))
    with monkeypatch.context() as careless:
        careless.setattr("keys.announcement.parse", lambda _: None)
        said.land(pair.lgsco, pair.ofsted, said.message(pair.lgsco, "announcement", Announced(signed)))
    assert ("quarantined", "weak-key") in said.take(pair.ofsted)
    assert pair.ofsted.parts.trust.standing("lgsco") == before
    exchange_files(pair, "as before")


def first(pair: Pair, purpose: str) -> str:
    return next(key.public for key in pair.lgsco.parts.own.keys if key.purpose == purpose)


def test_weaker_encryption_waits_for_a_person_even_where_the_chain_is_trusted(pair: Pair) -> None:
    chained(pair)
    old = pair.lgsco.parts.own.usable("encryption")[0].public
    weaker = rotation(pair, purpose="encryption", key=X25519, replaces=old)
    signed = by(pair, weaker, "signing", "ledger")
    said.land(pair.lgsco, pair.ofsted, said.message(pair.lgsco, "announcement", Announced(signed)))
    assert [event for event, _ in said.take(pair.ofsted)] == ["partner.key-waiting"]
    assert sealed_to(pair) == b"mlkem768x25519"
    [waiting] = key_desk.waiting(pair.ofsted.parts.ledger)
    key_desk.accept(pair.ofsted.parts, "lgsco", waiting.announcement.fingerprint, "root")
    assert sealed_to(pair) == b"X25519"


def sealed_to(pair: Pair) -> bytes:
    """The kind of recipient in the next envelope from Ofsted, which LGSCO does not get to see."""
    pair.ofsted.drop(b"concern")
    pair.ofsted.take()
    pair.ofsted.send()
    [landed] = pair.lgsco.landing().iterdir()
    kinds = re.findall(rb"^-> (\S+) ", landed.read_bytes().split(b"\n---", 1)[0], re.MULTILINE)
    landed.unlink()
    assert len(kinds) == 1
    return bytes(kinds[0])


def test_whoever_has_a_signing_key_cannot_use_up_the_numbers_of_what_will_be_announced(pair: Pair) -> None:
    chained(pair)
    exchange_files(pair, "before")
    [stolen] = pair.lgsco.parts.own.usable("signing")
    issued = pair.ofsted.parts.trust.confirmed("lgsco").issued
    for number in range(1, 8):
        # as old as the card, which says all that it says; signed by nobody who counts
        keys = public("thief").line, public("nobody").line
        one = Announcement("lgsco", number, issued, "rotate", "transport", *keys, issued)
        signed = sign(one, KeySigner(private("thief")))
        said.land(pair.lgsco, pair.ofsted, said.message(pair.lgsco, "announcement", Announced(signed)))
    said.take(pair.ofsted)
    pair.clock.advance(hours=1)
    key_desk.revoke(pair.lgsco.parts, stolen.fingerprint, None, "root")
    pair.settle()
    exchange_files(pair, "after")
    standing = pair.ofsted.parts.trust.standing("lgsco")
    assert stolen.public in standing.revoked
    assert stolen.public not in standing.keys("signing", pair.clock())
    assert all(sent.taken == {"ofsted"} for sent in pair.lgsco.parts.own.announcements)


def test_a_number_is_used_once(pair: Pair) -> None:
    chained(pair)
    rotate(pair.lgsco, "signing")
    pair.settle()
    other = by(pair, rotation(pair, number=1), "signing", "thief")
    said.land(pair.lgsco, pair.ofsted, said.message(pair.lgsco, "announcement", Announced(other)))
    assert ("partner.key-refused", "superseded") in said.take(pair.ofsted)
