"""Step 4 of the receiver: whoever is not proved to be the partner learns nothing and changes nothing."""

import dataclasses
import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from config.times import to_text
from keys import sshsig
from keys.trust import Trust
from tests.exchange.hostile import CONTENT, described, envelope, land, manifest, receive, signed, silence
from tests.organisations import Pair

Forge = Callable[[Pair, bytes], bytes]


def by_a_stranger(pair: Pair, said: bytes) -> bytes:
    text = sshsig.sign(Ed25519PrivateKey.generate(), io.BytesIO(said), "manifest@handover").encode()
    return envelope(pair, said, signature=text)


def by_the_recipient(pair: Pair, said: bytes) -> bytes:
    return envelope(pair, said, signature=signed(pair.ofsted, said))


def for_another_purpose(pair: Pair, said: bytes) -> bytes:
    return envelope(pair, said, signature=signed(pair.lgsco, said, "receipt@handover"))


def of_another_manifest(pair: Pair, said: bytes) -> bytes:
    return envelope(pair, said, signature=signed(pair.lgsco, manifest(pair).encode()))


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        (by_a_stranger, "unknown-key"),
        (by_the_recipient, "unknown-key"),
        (for_another_purpose, "wrong-namespace"),
        (of_another_manifest, "bad-signature"),
        (lambda pair, said: envelope(pair, said, signature=b""), "not-a-signature"),
        (lambda pair, said: envelope(pair, said, signature=b"signed, LGSCO"), "not-a-signature"),
    ],
)
def test_step_4_what_the_partner_did_not_sign_is_quarantined_and_nobody_is_answered(
    pair: Pair, forge: Forge, reason: str
) -> None:
    said = manifest(pair)
    data = forge(pair, said.encode())
    land(pair, data, f"{said.id}.age")
    assert receive(pair) == silence(data, reason)


def test_step_4_a_manifest_in_the_name_of_another_sender_is_quarantined(pair: Pair) -> None:
    said = manifest(pair, sender="dfe")
    data = envelope(pair, said)
    land(pair, data, f"{said.id}.age")
    assert receive(pair) == silence(data, "wrong-sender")


def test_step_4_a_message_in_the_landing_zone_of_nobody_we_know_is_quarantined(pair: Pair) -> None:
    said = manifest(pair)
    folder = pair.ofsted.home.landing / "stranger"
    folder.mkdir()
    (folder / f"{said.id}.age").write_bytes(envelope(pair, said))
    pair.ofsted.partner = "stranger"
    pair.ofsted.receive()
    (handover,) = pair.ofsted.handovers()
    assert (handover.partner, handover.state, handover.reason) == ("stranger", "quarantined", "unknown-sender")


@pytest.mark.parametrize(("days", "reason"), [(-1, "key-expired"), (1, "key-not-yet-valid")])
def test_step_4_a_key_that_is_not_valid_now_proves_nothing(pair: Pair, days: int, reason: str) -> None:
    pair.clock.now = pair.clock.now.replace(microsecond=0)  # OpenSSH knows no fractions of a second
    card = pair.ofsted.parts.trust.card("lgsco")
    key, moment = card.signing_keys[0], to_text(pair.clock() + timedelta(days=days))
    start = to_text(pair.clock() - timedelta(days=9))
    times = {"valid_from": moment} if days > 0 else {"valid_from": start, "valid_until": moment}
    changed_card = dataclasses.replace(card, signing_keys=(dataclasses.replace(key, **times),))
    pair.ofsted.parts = dataclasses.replace(pair.ofsted.parts, cards=Trust([changed_card]))
    said = manifest(pair)
    data = envelope(pair, said)
    land(pair, data, f"{said.id}.age")
    assert receive(pair) == silence(data, reason)


def test_a_forgery_does_not_keep_the_true_message_of_that_id_from_being_delivered(pair: Pair) -> None:
    said = manifest(pair)
    land(pair, by_a_stranger(pair, said.encode()), f"{said.id}.age")
    receive(pair)
    land(pair, envelope(pair, said), f"{said.id}.age")
    outcome = receive(pair)
    assert outcome.events == ["received", "delivered", "quarantined"]
    assert (outcome.reason, outcome.delivered) == ("overtaken", [CONTENT])


def test_a_forgery_after_the_delivery_changes_nothing_of_it(pair: Pair) -> None:
    said = manifest(pair)
    land(pair, envelope(pair, said), f"{said.id}.age")
    receive(pair)
    state = pair.ofsted.parts.ledger.handover("lgsco", "in", said.id)
    land(pair, by_a_stranger(pair, said.encode()), f"{said.id}.age")
    assert receive(pair).events == ["quarantined"]
    assert pair.ofsted.parts.ledger.handover("lgsco", "in", said.id) == state


def test_the_honest_message_that_all_of_these_spoil_is_delivered(pair: Pair) -> None:
    said = manifest(pair, payload=described())
    land(pair, envelope(pair, said), f"{said.id}.age")
    outcome = receive(pair)
    assert outcome.events == ["received", "delivered"]
    assert (outcome.answers, outcome.learnt, outcome.delivered, outcome.kept) == (1, True, [CONTENT], [])
