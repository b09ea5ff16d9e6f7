"""Envelopes made by hand, so that a test can spoil any part of them and still have the rest right."""

import dataclasses
import hashlib
import io

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange.envelope import tar
from exchange.envelope.manifest import Manifest, Payload
from exchange.envelope.sealing import Opened, open_envelope
from keys import age, sshsig
from tests.exchange.messages import RECEIPT_MESSAGE, TO_SEAL

ME = Ed25519PrivateKey.from_private_bytes(b"sender" + bytes(26))
PARTNER = age.X25519Identity.generate()
PARTNER_PQ = age.HybridIdentity.generate()
CONTENT = b"%PDF-1.7 upheld\n" * 100


def to_seal(identity: age.Identity = PARTNER, message: Manifest = TO_SEAL) -> Manifest:
    """A manifest for whoever has `identity`, its payload still to be filled in."""
    return dataclasses.replace(message, recipient_key=age.fingerprint(identity.recipient()))


def concern(content: bytes = CONTENT) -> Manifest:
    """A manifest that describes `content`, for PARTNER."""
    digest = hashlib.sha256(content).hexdigest()
    return dataclasses.replace(to_seal(), payload=Payload("decision.pdf", len(content), digest, "application/pdf"))


RECEIPT = to_seal(PARTNER, RECEIPT_MESSAGE)


def member(name: str, content: bytes) -> bytes:
    """One tar member."""
    return tar.header(name, len(content)) + content + tar.padding(len(content))


def signature(said: bytes, namespace: str = "manifest@handover", key: Ed25519PrivateKey = ME) -> bytes:
    """`manifest.json.sig` for what was said."""
    return sshsig.sign(key, io.BytesIO(said), namespace).encode()


def archive(said: bytes, content: bytes | None = CONTENT, *, signed: bytes | None = None) -> bytes:
    """The tar of an envelope, without its end."""
    parts = member("manifest.json", said) + member("manifest.json.sig", signature(said) if signed is None else signed)
    return parts if content is None else parts + member("payload", content)


def encrypted(plain: bytes, identity: age.Identity = PARTNER) -> bytes:
    """The age file around `plain`."""
    sealed = io.BytesIO()
    age.encrypt(io.BytesIO(plain), sealed, [identity.recipient()])
    return sealed.getvalue()


def opened(envelope: bytes) -> Opened:
    """The first step only."""
    return open_envelope(io.BytesIO(envelope), [PARTNER_PQ, PARTNER])


def content_of(envelope: bytes, limit: int = 1 << 30) -> bytes:
    """All steps of a message with a payload."""
    message = opened(envelope)
    message.verify_signature()
    target = io.BytesIO()
    size, digest = message.copy_payload(target, limit)
    assert (size, digest) == (len(target.getvalue()), hashlib.sha256(target.getvalue()).hexdigest())
    assert message.envelope_sha256 == hashlib.sha256(envelope).hexdigest()
    return target.getvalue()
