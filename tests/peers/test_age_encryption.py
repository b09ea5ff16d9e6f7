"""Envelopes to and from the npm package age-encryption, which knows post-quantum recipients."""

import dataclasses
import io
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from exchange.envelope.sealing import seal
from exchange.envelope.tar import END
from keys import age
from tests.exchange import envelopes
from tests.exchange.envelopes import CONTENT, ME, archive, concern, content_of, to_seal

HERE = Path(__file__).parent


def peer(*arguments: str, data: bytes = b"") -> bytes:
    """Run age.mjs. Its absence is a failure, not a reason to skip: the formats would be unproven."""
    if not (HERE / "node_modules" / "age-encryption").is_dir():
        pytest.fail("the peers are not installed: run `npm ci --prefix tests/peers`", pytrace=False)
    node = shutil.which("node")
    if node is None:
        pytest.fail("the peers need node (20.19 or newer) on the PATH", pytrace=False)
    done = subprocess.run([node, str(HERE / "age.mjs"), *arguments], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_the_peer_derives_the_same_post_quantum_recipient() -> None:
    identity = age.HybridIdentity.generate()
    assert peer("recipient", str(identity)).decode().strip() == str(identity.recipient())


def test_the_peer_s_keys_are_read_and_spelt_the_same() -> None:
    identity, recipient = peer("keygen").decode().split()
    assert str(age.parse_identity(identity)) == identity
    assert str(age.parse_identity(identity).recipient()) == recipient == str(age.parse_recipient(recipient))


@pytest.mark.parametrize("size", [0, 1, 65536, 200_000])
def test_the_peer_opens_our_post_quantum_envelope(size: int) -> None:
    identity, recipient = peer("keygen").decode().split()
    content, envelope = os.urandom(size), io.BytesIO()
    ours = age.parse_identity(identity)
    seal(
        io.BytesIO(content),
        to_seal(ours),
        signer=ME,
        recipients=[age.parse_recipient(recipient)],
        dst=envelope,
        name="decision.pdf",
    )
    plain = io.BytesIO()
    age.decrypt(io.BytesIO(envelope.getvalue()), plain, [ours])
    assert content in plain.getvalue()
    assert peer("decrypt", identity, data=envelope.getvalue()) == plain.getvalue()


@pytest.mark.parametrize("size", [0, 1, 65536, 200_000])
def test_we_open_the_peer_s_post_quantum_envelope(size: int) -> None:
    content = os.urandom(size)
    key = age.fingerprint(envelopes.PARTNER_PQ.recipient())
    said = dataclasses.replace(concern(content), recipient_key=key).encode()
    envelope = peer("encrypt", str(envelopes.PARTNER_PQ.recipient()), data=archive(said, content) + END)
    assert content_of(envelope) == content
    assert envelopes.opened(envelope).stanza_types == ("mlkem768x25519",)


def test_the_peer_refuses_our_envelope_when_a_bit_of_it_is_changed() -> None:
    envelope = io.BytesIO()
    identity = envelopes.PARTNER_PQ
    seal(io.BytesIO(CONTENT), to_seal(identity), signer=ME, recipients=[identity.recipient()], dst=envelope, name="a")
    spoilt = bytearray(envelope.getvalue())
    spoilt[-1] ^= 1
    with pytest.raises(AssertionError, match="invalid tag"):
        peer("decrypt", str(identity), data=bytes(spoilt))
