"""Post-quantum cosignatures: the bytes that the specification names, and what is none."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import checkpoint, note, vkey
from ledger.checkpoint import Checkpoint, Cosigner, MlDsaVerifier
from ledger.vkey import MLDSA44, NoteError

KEY = MLDSA44PrivateKey.from_seed_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
OTHER = MLDSA44PrivateKey.from_seed_bytes(bytes(range(32, 64)))
ROOT = hashlib.sha256(b"a tree").digest()
TEXT = Checkpoint("ofsted/handover", 300, ROOT).encode().encode()
NOW = 1_795_000_000
COSIGNER = Cosigner("lgsco/witness", PUBLIC, KEY.sign, NOW, MLDSA44)
VERIFIER = MlDsaVerifier("lgsco/witness", PUBLIC)
GOOD = COSIGNER.sign(TEXT)


def test_the_signed_bytes_are_those_of_the_specification() -> None:
    # SPEC: C2SP tlog-cosignature: cosigned_message, written out by hand
    message = b"subtree/v1\n\x00" + b"\x0dlgsco/witness" + NOW.to_bytes(8, "big")
    message += b"\x0fofsted/handover" + bytes(8) + (300).to_bytes(8, "big") + ROOT
    assert (len(GOOD), GOOD[:8]) == (8 + 2420, NOW.to_bytes(8, "big"))
    KEY.public_key().verify(GOOD[8:], message)
    assert VERIFIER.verify(TEXT, GOOD)


def test_the_key_and_its_id_are_spelled_as_specified() -> None:
    digest = hashlib.sha256(b"lgsco/witness\n\x06" + PUBLIC).digest()[:4]
    assert COSIGNER.key_id == VERIFIER.key_id == digest
    text = f"lgsco/witness+{digest.hex()}+{base64.b64encode(bytes([6]) + PUBLIC).decode()}"
    assert VERIFIER.vkey == text
    assert vkey.parse_vkey(text) == VERIFIER
    for kind, raw in ((1, PUBLIC), (4, PUBLIC), (6, PUBLIC[:32]), (6, PUBLIC + b"\0"), (5, PUBLIC)):
        with pytest.raises(NoteError):
            vkey.parse_vkey(vkey.encode_vkey("lgsco/witness", kind, raw))


@pytest.mark.parametrize(
    "other",
    [
        Checkpoint("ofsted/handover", 301, ROOT),
        Checkpoint("lgsco/handover", 300, ROOT),
        Checkpoint("ofsted/handover", 300, bytes(32)),
    ],
)
def test_a_cosignature_is_about_one_checkpoint(other: Checkpoint) -> None:
    assert not VERIFIER.verify(other.encode().encode(), GOOD)


def test_a_cosignature_is_of_one_witness_at_one_time() -> None:
    assert not MlDsaVerifier("ofsted/witness", PUBLIC).verify(TEXT, GOOD)
    assert not MlDsaVerifier("lgsco/witness", OTHER.public_key().public_bytes_raw()).verify(TEXT, GOOD)
    assert not VERIFIER.verify(TEXT, (NOW + 1).to_bytes(8, "big") + GOOD[8:])
    assert not VERIFIER.verify(TEXT, GOOD[:-1])
    assert not VERIFIER.verify(TEXT, GOOD + b"\0")
    assert not VERIFIER.verify(TEXT, b"")
    late = Cosigner("lgsco/witness", PUBLIC, KEY.sign, 2**63, MLDSA44)
    with pytest.raises(NoteError):
        late.sign(TEXT)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no checkpoint\n",
        b"origin\n1\n",
        b"origin\n01\n" + base64.b64encode(ROOT) + b"\n",
        b"origin\n-1\n" + base64.b64encode(ROOT) + b"\n",
        b"origin\n9223372036854775808\n" + base64.b64encode(ROOT) + b"\n",
        b"origin\n1\n" + base64.b64encode(ROOT[:31]) + b"\n",
        b"origin\n1\n\xff\n",
        b"\n1\n" + base64.b64encode(ROOT) + b"\n",
        b"x" * 256 + b"\n1\n" + base64.b64encode(ROOT) + b"\n",
    ],
)
def test_nothing_but_a_checkpoint_is_cosigned_or_verified(text: bytes) -> None:
    with pytest.raises(NoteError):
        COSIGNER.sign(text)
    assert not VERIFIER.verify(text, GOOD)


@settings(max_examples=40)
@given(st.binary(max_size=80))
def test_no_text_makes_a_verifier_raise(text: bytes) -> None:
    assert not VERIFIER.verify(text, GOOD)


def test_a_checkpoint_carries_cosignatures_of_both_kinds() -> None:
    line = checkpoint.cosign(TEXT + b"\n" + note.Signature("x", b"abcd", b"e").line.encode() + b"\n", COSIGNER)
    signed = note.add_signatures(TEXT + b"\n" + note.Signature("x", b"abcd", b"e").line.encode() + b"\n", [line])
    opened = note.open_note(signed, [VERIFIER])
    assert [signature.name for signature in opened.verified] == ["lgsco/witness"]
    changed = signed.replace(base64.b64encode(ROOT), base64.b64encode(bytes(32)))
    with pytest.raises(NoteError) as caught:
        note.open_note(changed, [VERIFIER])
    assert caught.value.reason == "bad-signature"
