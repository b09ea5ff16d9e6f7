"""Every refusal of FORMATS 1: envelopes that are right but for one thing, encrypted and signed by those who may."""

import base64
import dataclasses
import hashlib
import io

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from config.errors import Refused
from exchange.envelope import tar
from exchange.envelope.manifest import MAX_BYTES, ManifestError, Payload
from exchange.envelope.sealing import EnvelopeError
from exchange.envelope.tar import END, TarError
from keys import age, sshsig
from tests.exchange.envelopes import (
    CONTENT,
    PARTNER,
    PARTNER_PQ,
    RECEIPT,
    archive,
    concern,
    content_of,
    encrypted,
    member,
    opened,
    signature,
    to_seal,
)
from tests.exchange.messages import changed

SAID = concern().encode()
SIGNED = signature(SAID)
GOOD = archive(SAID) + END
HEAD = archive(SAID, None)
LINK = member("payload", b"")[:156] + b"2" + member("payload", b"")[157:]


def refused_at_once(plain: bytes) -> Refused:
    """What `open_envelope` raises: before the signature could be asked for."""
    with pytest.raises(Refused) as caught:
        opened(encrypted(plain))
    return caught.value


def refused_later(plain: bytes, limit: int = 1 << 30) -> Refused:
    """What `copy_payload` raises after everything before it went well."""
    message = opened(encrypted(plain))
    message.verify_signature()
    with pytest.raises(Refused) as caught:
        message.copy_payload(io.BytesIO(), limit)
    return caught.value


def test_an_envelope_that_is_right_in_everything_is_taken() -> None:
    assert content_of(encrypted(GOOD)) == CONTENT


@pytest.mark.parametrize(
    "plain",
    [
        member("manifest.json.sig", SIGNED) + member("manifest.json", SAID) + member("payload", CONTENT) + END,
        member("manifest.json", SAID) + member("payload", CONTENT) + member("manifest.json.sig", SIGNED) + END,
        member("payload", CONTENT) + member("manifest.json", SAID) + member("manifest.json.sig", SIGNED) + END,
        member("readme", b"") + GOOD,
        member("./manifest.json", SAID) + member("manifest.json.sig", SIGNED) + member("payload", CONTENT) + END,
        member("/manifest.json", SAID) + member("manifest.json.sig", SIGNED) + member("payload", CONTENT) + END,
        HEAD + member("decision.pdf", CONTENT) + END,
        HEAD + member("../payload", CONTENT) + END,
        HEAD + member("payload/", CONTENT) + END,
        HEAD + member("Payload", CONTENT) + END,
        HEAD + member("readme", b"") + member("payload", CONTENT) + END,
        HEAD + END,
        member("manifest.json", SAID) + END,
        END,
        member("manifest.json", SAID) * 2 + END,
        member("x", b"") * 10_000 + END,
    ],
)
def test_another_member_or_another_order_is_refused(plain: bytes) -> None:
    problem = refused_at_once(plain)
    assert (type(problem), problem.reason) == (EnvelopeError, "wrong-member")


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"5", b"6"])
def test_a_link_a_device_or_a_directory_as_payload_is_refused(kind: bytes) -> None:
    problem = refused_at_once(HEAD + LINK[:156] + kind + LINK[157:] + END)
    assert (type(problem), problem.reason) == (TarError, "not-a-file")


@pytest.mark.parametrize("name", ["payload", "readme", "manifest.json"])
def test_a_member_after_the_payload_is_refused(name: str) -> None:
    problem = refused_later(archive(SAID) + member(name, CONTENT) + END)
    assert (type(problem), problem.reason) == (EnvelopeError, "trailing-member")


def test_ten_thousand_members_after_the_payload_are_refused_at_the_first() -> None:
    assert refused_later(archive(SAID) + member("x", b"") * 10_000 + END).reason == "trailing-member"


def test_a_payload_in_a_message_that_has_none_is_refused() -> None:
    said = RECEIPT.encode()
    signed = signature(said, "receipt@handover")
    opened(encrypted(archive(said, None, signed=signed) + END)).verify_signature()
    assert refused_at_once(archive(said, CONTENT, signed=signed) + END).reason == "trailing-member"


@pytest.mark.parametrize("after", [GOOD, b"x", bytes(10240), END + GOOD, member("payload", CONTENT)])
def test_a_second_archive_or_anything_else_after_the_end_is_refused(after: bytes) -> None:
    problem = refused_later(GOOD + after)
    assert (type(problem), problem.reason) == (TarError, "trailing-data")
    said = RECEIPT.encode()
    receipt = archive(said, None, signed=signature(said, "receipt@handover")) + END
    assert refused_at_once(receipt + after).reason == "trailing-data"


def test_a_second_age_file_after_the_first_is_refused() -> None:
    envelope = encrypted(GOOD)
    for after in (envelope, b"\n", b"\0"):
        with pytest.raises(age.PayloadFailure):
            content_of(envelope + after)


_BORDERS = [
    0, 1, 500, 512, 513, 512 + len(SAID), 1536, 1537, 2048, 2049, 2048 + len(SIGNED), 2560, 2561, 3071, 3072, 3073,
    3072 + len(CONTENT) - 1, 3072 + len(CONTENT), 3072 + len(CONTENT) + 1, len(GOOD) - 1024, len(GOOD) - 1023,
    len(GOOD) - 512, len(GOOD) - 511, len(GOOD) - 1,
]  # fmt: skip


@pytest.mark.parametrize("cut", _BORDERS)
def test_a_tar_that_is_cut_short_is_refused_wherever_that_is(cut: int) -> None:
    with pytest.raises(Refused) as caught:
        content_of(encrypted(GOOD[:cut]))
    assert (type(caught.value), caught.value.reason) == (TarError, "truncated")


def test_an_age_file_that_is_cut_short_is_refused_wherever_that_is() -> None:
    envelope = encrypted(GOOD)
    assert content_of(envelope) == CONTENT
    for cut in range(len(envelope)):
        with pytest.raises(age.AgeError):
            content_of(envelope[:cut])


def test_an_age_file_that_is_cut_at_a_border_of_chunks_gives_no_success() -> None:
    content = bytes(200_000)
    envelope = encrypted(archive(concern(content).encode(), content) + END)
    begin = len(envelope) - (len(archive(concern(content).encode(), content) + END) + 4 * 16)
    for chunks in (1, 2, 3):
        message = opened(envelope[: begin + chunks * (65536 + 16)])
        message.verify_signature()
        with pytest.raises(age.PayloadFailure):
            message.copy_payload(io.BytesIO(), 1 << 30)


def test_an_armoured_envelope_is_refused() -> None:
    text = base64.encodebytes(encrypted(GOOD)).replace(b"\n", b"")
    lines = b"\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    armoured = b"-----BEGIN AGE ENCRYPTED FILE-----\n" + lines + b"\n-----END AGE ENCRYPTED FILE-----\n"
    plain = io.BytesIO()
    age.decrypt(io.BytesIO(armoured), plain, [PARTNER])
    assert plain.getvalue() == GOOD
    for text in (armoured, b"\n" + armoured):
        with pytest.raises(EnvelopeError) as caught:
            opened(text)
        assert caught.value.reason == "armoured"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (SAID.replace(b'"kind":', b'"id":"x","kind":'), "not-canonical"),
        (SAID.replace(b'"sequence":17', b'"sequence":17,"sequence":17'), "not-canonical"),
        (SAID.replace(b'"sequence":17', b'"sequence":NaN'), "not-canonical"),
        (SAID.replace(b'"old":0', b'"old":' + b"[" * 30_000 + b"]" * 30_000), "not-canonical"),
        (SAID.replace(b'"old":0', b'"old":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000), "not-canonical"),
        (SAID + b"\n", "not-canonical"),
        (b"", "not-canonical"),
        (changed(concern(), version="handover/2"), "unknown-version"),
        (changed(concern(), kind="gossip"), "unknown-kind"),
        (changed(concern(), "payload", name="../../etc/passwd"), "bad-name"),
        (changed(concern(), "payload", name="a\0b"), "bad-name"),
        (changed(concern(), "payload", name="e\u0301"), "bad-name"),
        (changed(concern(), payload=...), "bad-manifest"),
        (changed(RECEIPT, "receipt", outcome="uploaded"), "bad-receipt"),
    ],
)
def test_a_manifest_that_is_not_strictly_right_is_refused_before_its_signature_matters(
    said: bytes, reason: str
) -> None:
    problem = refused_at_once(archive(said) + END)
    assert (type(problem), problem.reason) == (ManifestError, reason)


def test_a_manifest_of_64_kib_is_read_and_one_byte_more_is_refused_unread() -> None:
    room = MAX_BYTES - len(dataclasses.replace(concern(), witness={"pad": ""}).encode())
    full = dataclasses.replace(concern(), witness={"pad": "x" * room}).encode()
    assert content_of(encrypted(archive(full) + END)) == CONTENT
    problem = refused_at_once(member("manifest.json", full + b" ")[:512])
    assert (type(problem), problem.reason) == (EnvelopeError, "manifest-too-large")


def test_a_signature_file_of_absurd_size_is_refused_unread() -> None:
    plain = member("manifest.json", SAID) + member("manifest.json.sig", b"x" * (sshsig.MAX_ARMORED + 1))[:512]
    assert refused_at_once(plain).reason == "not-a-signature"


def signature_error(signed: bytes) -> sshsig.SignatureError:
    message = opened(encrypted(archive(SAID, signed=signed) + END))
    with pytest.raises(sshsig.SignatureError) as caught:
        message.verify_signature()
    with pytest.raises(EnvelopeError) as unverified:
        message.copy_payload(io.BytesIO(), 1 << 30)
    assert unverified.value.reason == "not-verified"
    return caught.value


def test_the_signature_of_another_manifest_is_refused() -> None:
    assert signature_error(signature(concern(b"other").encode())).reason == "bad-signature"


def test_a_signature_in_another_namespace_is_refused() -> None:
    assert signature_error(signature(SAID, "receipt@handover")).reason == "wrong-namespace"
    said = RECEIPT.encode()
    message = opened(encrypted(archive(said, None, signed=signature(said, "manifest@handover")) + END))
    with pytest.raises(sshsig.SignatureError) as caught:
        message.verify_signature()
    assert caught.value.reason == "wrong-namespace"


@pytest.mark.parametrize("signed", [b"", b"signature", b"\xff\xfe", SIGNED + b"\n", SIGNED[:-40], SIGNED * 2])
def test_what_is_no_signature_is_refused(signed: bytes) -> None:
    assert signature_error(signed).reason == "not-a-signature"


def test_a_signature_of_another_key_names_that_key() -> None:
    other = Ed25519PrivateKey.generate()
    message = opened(encrypted(archive(SAID, signed=signature(SAID, key=other)) + END))
    assert message.verify_signature() == sshsig.PublicKey.from_key(other)


@pytest.mark.parametrize("size", [len(CONTENT), 3_000_000])
def test_another_payload_of_the_same_size_is_refused(size: int) -> None:
    said = concern(bytes(size)).encode()
    problem = refused_later(archive(said, bytes(size - 1) + b"x") + END)
    assert (type(problem), problem.reason) == (EnvelopeError, "wrong-digest")


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"x"])
def test_a_payload_of_another_size_is_refused_before_it_is_read(content: bytes) -> None:
    problem = refused_at_once(archive(SAID, content) + END)
    assert (type(problem), problem.reason) == (EnvelopeError, "wrong-size")


def test_a_payload_said_to_have_more_than_8_gib_is_not_believed() -> None:
    payload = Payload("x", 1 << 40, "0" * 64, "application/pdf")
    said = dataclasses.replace(concern(), payload=payload).encode()
    plain = archive(said, None) + tar.header("payload", 1 << 40) + CONTENT
    assert refused_later(plain, 1 << 41).reason == "truncated"
    assert refused_later(plain, 1 << 39).reason == "too-large"


def test_an_envelope_that_was_encrypted_again_to_another_key_is_refused() -> None:
    for identity in (PARTNER_PQ, age.X25519Identity.generate()):
        said = to_seal(identity)
        digest = hashlib.sha256(CONTENT).hexdigest()
        payload = Payload("decision.pdf", len(CONTENT), digest, "application/pdf")
        message = opened(encrypted(archive(dataclasses.replace(said, payload=payload).encode()) + END))
        message.verify_signature()
        target = io.BytesIO()
        with pytest.raises(EnvelopeError) as caught:
            message.copy_payload(target, 1 << 30)
        assert caught.value.reason == "wrong-recipient-key"
        assert target.getvalue() == b""


def test_a_receipt_that_was_encrypted_again_to_another_key_is_refused() -> None:
    said = to_seal(PARTNER_PQ, RECEIPT).encode()
    message = opened(encrypted(archive(said, None, signed=signature(said, "receipt@handover")) + END))
    message.verify_signature()
    with pytest.raises(EnvelopeError) as caught:
        message.finish()
    assert caught.value.reason == "wrong-recipient-key"


def test_an_envelope_for_somebody_else_is_refused() -> None:
    with pytest.raises(age.NoMatch):
        opened(encrypted(GOOD, age.X25519Identity.generate()))


def test_no_error_repeats_what_an_envelope_holds() -> None:
    problem = refused_at_once(archive(changed(concern(), "payload", name="Ann Example/decision.pdf")) + END)
    assert "Ann" not in problem.for_people()
    problem = refused_at_once(member("Ann_Example.pdf", b"") + END)
    assert "Ann" not in problem.for_people()
