"""Steps 2 and 3 of the receiver: what does not open, or not exactly as agreed, teaches and changes nothing."""

import base64
import dataclasses
from collections.abc import Callable
from datetime import timedelta

import pytest

from exchange.envelope.manifest import parse
from keys import age
from keys.age.header import Stanza
from tests.exchange.envelopes import member
from tests.exchange.hostile import CONTENT, encrypted, envelope, land, manifest, receive, refusal, signed, silence
from tests.exchange.messages import changed
from tests.organisations import Pair, record_key

Forge = Callable[[Pair, bytes], bytes]


class Both:
    """A recipient that wraps for a strong and a weak key."""

    kind = "pq"

    def __init__(self, *recipients: age.Recipient) -> None:
        self._recipients = recipients

    def wrap(self, file_key: bytes) -> tuple[Stanza, ...]:
        return tuple(stanza for recipient in self._recipients for stanza in recipient.wrap(file_key))


def strong(pair: Pair) -> age.Recipient:
    return pair.lgsco.parts.trust.recipients("ofsted", pair.lgsco.parts.effects.clock())[0]


def for_somebody_else(pair: Pair, said: bytes) -> bytes:
    return envelope(pair, said, recipients=[age.HybridIdentity.generate().recipient()])


def for_a_weak_key_too(pair: Pair, said: bytes) -> bytes:
    return envelope(pair, said, recipients=[Both(strong(pair), age.X25519Identity.generate().recipient())])


def with_a_broken_header(pair: Pair, said: bytes) -> bytes:
    data = envelope(pair, said)
    return data.replace(b"\n--- ", b"\n--- A", 1)


def with_a_changed_header(pair: Pair, said: bytes) -> bytes:
    data = envelope(pair, said)
    return data.replace(b"\n--- ", b"\n-> joke\n\n--- ", 1)


def cut_in_the_header(pair: Pair, said: bytes) -> bytes:
    return envelope(pair, said)[:100]


def armoured(pair: Pair, said: bytes) -> bytes:
    body = base64.encodebytes(envelope(pair, said)).replace(b"\n", b"")
    lines = b"\n".join(body[i : i + 64] for i in range(0, len(body), 64))
    return b"-----BEGIN AGE ENCRYPTED FILE-----\n" + lines + b"\n-----END AGE ENCRYPTED FILE-----\n"


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        (lambda pair, said: b"", "age-header"),
        (lambda pair, said: b"PK\x03\x04" + bytes(1000), "age-header"),
        (cut_in_the_header, "age-header"),
        (with_a_broken_header, "age-header"),
        (with_a_changed_header, "age-header-mac"),
        (for_somebody_else, "age-no-match"),
        (armoured, "armoured"),
    ],
)
def test_step_2_what_does_not_open_as_it_must_is_quarantined(pair: Pair, forge: Forge, reason: str) -> None:
    said = manifest(pair)
    data = forge(pair, said.encode())
    land(pair, data, f"{said.id}.age")
    assert receive(pair) == silence(data, reason)


def test_step_5_a_weaker_envelope_than_the_card_asks_for_is_refused_although_we_could_open_it(pair: Pair) -> None:
    then = pair.clock() - timedelta(days=1)
    ofsted = pair.ofsted.parts
    weak = record_key(ofsted, ofsted.keyring.add("encryption", "ofsted", then, valid_from=then, encryption="x25519"))
    said = manifest(pair, recipient_key=weak.fingerprint)
    data = envelope(pair, said, recipients=[age.parse_recipient(weak.public)])
    land(pair, data, f"{said.id}.age")
    assert receive(pair) == refusal("downgrade", learnt=False)
    # of somebody else nothing is said
    said = manifest(pair, recipient_key=weak.fingerprint)
    forged = signed(pair.ofsted, said.encode())
    data = envelope(pair, said, recipients=[age.parse_recipient(weak.public)], signature=forged)
    land(pair, data, f"{said.id}.age")
    assert dataclasses.replace(receive(pair), answers=0) == silence(data, "unknown-key")


def test_step_5_an_envelope_that_a_weaker_key_opens_too_is_refused(pair: Pair) -> None:
    said = manifest(pair)
    land(pair, for_a_weak_key_too(pair, said.encode()), f"{said.id}.age")
    assert receive(pair) == refusal("mixed-recipients", learnt=False)


def reordered(pair: Pair, said: bytes) -> bytes:
    members = member("manifest.json.sig", signed(pair.lgsco, said)) + member("manifest.json", said)
    return encrypted(members + member("payload", CONTENT) + bytes(1024), [strong(pair)])


def without_its_payload(pair: Pair, said: bytes) -> bytes:
    return envelope(pair, said, content=None)


def named_otherwise(pair: Pair, said: bytes) -> bytes:
    members = member("manifest.json", said) + member("manifest.json.sig", signed(pair.lgsco, said))
    return encrypted(members + member("../payload", CONTENT) + bytes(1024), [strong(pair)])


def of_another_size(pair: Pair, said: bytes) -> bytes:
    return envelope(pair, said, content=CONTENT + b"x")


def spoiled(**fields: object) -> Forge:
    def forge(pair: Pair, said: bytes) -> bytes:
        return envelope(pair, changed(parse(said), **fields))

    return forge


def with_name(name: str) -> Forge:
    def forge(pair: Pair, said: bytes) -> bytes:
        return envelope(pair, changed(parse(said), "payload", name=name))

    return forge


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        (reordered, "wrong-member"),
        (without_its_payload, "wrong-member"),
        (named_otherwise, "wrong-member"),
        (of_another_size, "wrong-size"),
        (lambda pair, said: encrypted(b"", [strong(pair)]), "truncated"),
        (lambda pair, said: encrypted(bytes(1024), [strong(pair)]), "wrong-member"),
        (lambda pair, said: envelope(pair, said + b"\n"), "not-canonical"),
        (lambda pair, said: envelope(pair, b"[" * 60_000), None),
        (lambda pair, said: envelope(pair, said.replace(b'"kind"', b'"kind":"concern","kind"', 1)), None),
        (lambda pair, said: envelope(pair, said + bytes(65537)), "manifest-too-large"),
        (spoiled(version="handover/2"), "unknown-version"),
        (spoiled(kind="command"), "unknown-kind"),
        (spoiled(id="../../etc/cron.d/x"), "bad-manifest"),
        (spoiled(sender="../lgsco"), "bad-manifest"),
        (spoiled(sequence=0), "bad-manifest"),
        (spoiled(sequence=True), "bad-manifest"),
        (spoiled(payload=...), "bad-manifest"),
        (spoiled(expires="2020-01-01T00:00:00Z"), "bad-manifest"),
        (with_name("../../etc/passwd"), "bad-name"),
        (with_name("/etc/passwd"), "bad-name"),
        (with_name(".."), "bad-name"),
        (with_name(""), "bad-name"),
        (with_name("a\x00.pdf"), "bad-name"),
        (with_name("a\n24 015 493.pdf"), "bad-name"),
        (with_name("é" * 128), "bad-name"),
        (with_name("e\u0301.pdf"), "bad-name"),
        (with_name("fdp.\u202egpj.exe"), "bad-name"),
    ],
)
def test_step_3_what_has_not_the_agreed_form_is_quarantined(pair: Pair, forge: Forge, reason: str | None) -> None:
    said = manifest(pair)
    data = forge(pair, said.encode())
    land(pair, data, f"{said.id}.age")
    outcome = receive(pair)
    assert outcome == silence(data, outcome.reason or "" if reason is None else reason)
