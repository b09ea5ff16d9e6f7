"""Composite signatures: what OpenSSH and the specification show holds; nothing passes of which one half is wrong."""

import base64
import json
from io import BytesIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from keys import composite_file, sshsig
from keys.composite import LABEL, MLDSA_SIGNATURE_BYTES, CompositeKey, CompositeSigner, representative
from keys.openssh import BadKey
from keys.sshsig import Signature, SignatureError

VECTORS = Path(__file__).parent / "vectors" / "composite"
NAMESPACE = "manifest@handover"
MESSAGE = b"a concern about nobody"
ONE = CompositeSigner.from_seed(bytes(range(64)))
TWO = CompositeSigner.from_seed(bytes(range(64, 128)))
GOOD = ONE.sign(MESSAGE)


def armored(blob: bytes) -> str:
    text = base64.b64encode(blob).decode()
    return sshsig.BEGIN + "".join(text[at : at + 70] + "\n" for at in range(0, len(text), 70)) + sshsig.END


# --- OpenSSH's own ----------------------------------------------------------------------------------------------------


def of_openssh(name: str) -> bytes:
    """A file of the unit tests of OpenSSH, as it is there."""
    return (VECTORS / name).read_bytes()


def test_the_signature_of_openssh_s_unit_tests_is_verified() -> None:
    text = of_openssh("mldsa44-ed25519.sig").decode("ascii")
    namespace = of_openssh("namespace").decode("ascii")
    signer = CompositeKey.parse(of_openssh("mldsa44-ed25519.pub").decode("ascii").removesuffix("\n"))
    assert sshsig.verify_composite(text, BytesIO(of_openssh("signed-data")), namespace) == signer
    assert signer.fingerprint == "SHA256:D1KmvmjD+up3lg6OFZEnWrmD1UvG8wW+A6i0W1vaSzg"
    assert sshsig.parse_composite(text).armored == text


@pytest.mark.parametrize(
    ("message", "namespace", "reason"),
    [
        (b"This is a test, this is only a tesT", "unittest", "bad-signature"),
        (b"This is a test, this is only a test\n", "unittest", "bad-signature"),
        (b"This is a test, this is only a test", "manifest@handover", "wrong-namespace"),
    ],
)
def test_the_signature_of_openssh_s_unit_tests_fits_nothing_else(message: bytes, namespace: str, reason: str) -> None:
    text = of_openssh("mldsa44-ed25519.sig").decode("ascii")
    with pytest.raises(SignatureError) as caught:
        sshsig.verify_composite(text, BytesIO(message), namespace)
    assert caught.value.reason == reason


def test_the_private_key_of_openssh_s_unit_tests_is_read_and_signs_as_openssh_s_public_key() -> None:
    signer = composite_file.decode(of_openssh("mldsa44-ed25519"))
    public = CompositeKey.parse(of_openssh("mldsa44-ed25519.pub").decode("ascii").removesuffix("\n"))
    assert signer.public == public
    assert public.accepts(signer.sign(MESSAGE), MESSAGE)
    assert repr(signer) == f"CompositeSigner({public.fingerprint})"
    assert composite_file.decode(composite_file.encode(signer)).seed == signer.seed


def test_the_experimental_name_is_no_second_spelling_of_a_key() -> None:
    text = of_openssh("message.sig").decode("ascii")
    with pytest.raises(SignatureError) as caught:
        sshsig.verify_composite(text, BytesIO(b"agepony interop fixture v1"), "agepony")
    assert caught.value.reason == "wrong-key-type"


# --- private key files ------------------------------------------------------------------------------------------------


def wrapped(data: bytes) -> bytes:
    text = base64.b64encode(data)
    lines = b"".join(text[at : at + 70] + b"\n" for at in range(0, len(text), 70))
    return composite_file.BEGIN + lines + composite_file.END


def test_a_private_key_file_that_is_changed_is_refused() -> None:
    text = composite_file.encode(ONE)
    data = base64.b64decode(b"".join(text.split(b"\n")[1:-2]))
    for at in range(0, len(data), 97):
        changed = data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :]
        with pytest.raises(BadKey):
            composite_file.decode(wrapped(changed))


@pytest.mark.parametrize("cut", [0, 1, 40, 2000, 3900])
def test_a_private_key_file_that_is_cut_is_refused(cut: int) -> None:
    text = composite_file.encode(ONE)
    with pytest.raises(BadKey):
        composite_file.decode(text[:cut])
    with pytest.raises(BadKey):
        composite_file.decode(text[:cut] + composite_file.END)


def test_a_private_key_of_another_pair_is_refused() -> None:
    data = base64.b64decode(b"".join(composite_file.encode(ONE).split(b"\n")[1:-2]))
    with pytest.raises(BadKey, match="does not fit"):
        composite_file.decode(wrapped(data.replace(ONE.seed, TWO.seed)))


# --- the specification's own ------------------------------------------------------------------------------------------


def test_the_published_key_is_made_of_its_seeds_and_the_published_signature_holds() -> None:
    said = json.loads((VECTORS / "draft-ietf-lamps-pq-composite-sigs.json").read_text("ascii"))
    message, public, seeds, signature = (base64.b64decode(said[name], validate=True) for name in ("m", "pk", "sk", "s"))
    key = CompositeSigner.from_seed(seeds).public
    assert key.raw == public
    assert key.accepts(signature, message)
    assert not key.accepts(signature, message[:-1])
    assert not key.accepts(halves(signature, GOOD), message)
    assert not key.accepts(halves(GOOD, signature), message)
    assert key.accepts(CompositeSigner.from_seed(seeds).sign(message), message)


# --- the signature itself ---------------------------------------------------------------------------------------------


def test_the_layout_is_the_published_one() -> None:
    whole = representative(MESSAGE)
    assert whole.startswith(b"CompositeAlgorithmSignatures2025COMPSIG-MLDSA44-Ed25519-SHA512\x00")
    assert len(whole) == 32 + 30 + 1 + 64
    assert (len(GOOD), len(ONE.public.raw)) == (2420 + 64, 1312 + 32)
    mldsa = MLDSA44PrivateKey.from_seed_bytes(bytes(range(32)))
    ed25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
    mldsa.public_key().verify(GOOD[:2420], whole, LABEL)
    ed25519.public_key().verify(GOOD[2420:], whole)


def halves(one: bytes, other: bytes) -> bytes:
    return one[:MLDSA_SIGNATURE_BYTES] + other[MLDSA_SIGNATURE_BYTES:]


def with_context(context: bytes | None) -> bytes:
    mldsa = MLDSA44PrivateKey.from_seed_bytes(bytes(range(32)))
    return halves(mldsa.sign(representative(MESSAGE), context), GOOD)


MLDSA = MLDSA44PrivateKey.from_seed_bytes(bytes(range(32)))
ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))


@pytest.mark.parametrize(
    "forged",
    [
        halves(GOOD, TWO.sign(MESSAGE)),
        halves(TWO.sign(MESSAGE), GOOD),
        halves(GOOD, ONE.sign(b"another")),
        halves(ONE.sign(b"another"), GOOD),
        halves(bytes(2420), GOOD),
        halves(GOOD, bytes(2484)),
        GOOD[2420:] + GOOD[:2420],
        MLDSA.sign(MESSAGE, LABEL) + GOOD[2420:],
        GOOD[:2420] + ED25519.sign(MESSAGE),
        with_context(None),
        with_context(b""),
        with_context(LABEL[:-1]),
        with_context(b"COMPSIG-MLDSA65-Ed25519-SHA512"),
        GOOD[:-1],
        GOOD + b"\0",
        GOOD[2420:],
        b"",
    ],
)
def test_a_signature_of_which_a_half_is_wrong_is_none(forged: bytes) -> None:
    assert ONE.public.accepts(GOOD, MESSAGE)
    assert not ONE.public.accepts(forged, MESSAGE)


def test_a_key_mixed_of_two_accepts_neither_owners_signature() -> None:
    mixed = CompositeKey(ONE.public.raw[:1312] + TWO.public.raw[1312:])
    assert not mixed.accepts(GOOD, MESSAGE)
    assert not mixed.accepts(TWO.sign(MESSAGE), MESSAGE)


@settings(max_examples=60)
@given(st.integers(0, 8 * 2484 - 1))
def test_no_bit_of_a_signature_can_be_changed(bit: int) -> None:
    changed = bytearray(GOOD)
    changed[bit // 8] ^= 1 << bit % 8
    assert not ONE.public.accepts(bytes(changed), MESSAGE)


@pytest.mark.parametrize("raw", [b"", ONE.public.raw[:-1], ONE.public.raw + b"\0", ONE.public.raw[:1312] + bytes(32)])
def test_a_key_of_another_length_or_with_a_weak_half_is_refused(raw: bytes) -> None:
    with pytest.raises(BadKey):
        CompositeKey(raw)


def test_a_line_names_one_key_of_the_one_type() -> None:
    line = ONE.public.line
    assert CompositeKey.parse(f"{line} a comment") == ONE.public
    assert len(line) < 2000
    for other in ("ssh-ed25519 " + line.split(" ")[1], line.replace("ssh-mldsa44-ed25519", "ssh-mldsa44")):
        with pytest.raises(BadKey):
            CompositeKey.parse(other)
    blob = ONE.public.blob
    for bad in (blob[:-1], blob + b"\0", blob.replace(b"mldsa44", b"mldsa65")):
        with pytest.raises(BadKey):
            CompositeKey.from_blob(bad)


# --- in SSHSIG --------------------------------------------------------------------------------------------------------


def test_a_signature_is_read_only_as_the_type_that_it_must_be() -> None:
    composite = sshsig.sign(ONE, BytesIO(MESSAGE), NAMESPACE)
    classical = sshsig.sign(ED25519, BytesIO(MESSAGE), NAMESPACE)
    assert sshsig.verify_composite(composite, BytesIO(MESSAGE), NAMESPACE) == ONE.public
    assert sshsig.verify_any(composite, BytesIO(MESSAGE), NAMESPACE) == ONE.public
    assert isinstance(sshsig.verify_any(classical, BytesIO(MESSAGE), NAMESPACE), sshsig.PublicKey)
    assert len(composite) < sshsig.MAX_COMPOSITE
    for text, verify in ((composite, sshsig.verify), (classical, sshsig.verify_composite)):
        with pytest.raises(SignatureError):
            verify(text, BytesIO(MESSAGE), NAMESPACE)


def test_a_composite_signature_for_another_purpose_is_refused() -> None:
    text = sshsig.sign(ONE, BytesIO(MESSAGE), "receipt@handover")
    with pytest.raises(SignatureError) as caught:
        sshsig.verify_composite(text, BytesIO(MESSAGE), NAMESPACE)
    assert caught.value.reason == "wrong-namespace"
    blob = sshsig.parse_composite(text).encode().replace(b"\x10receipt@handover", b"\x11manifest@handover")
    with pytest.raises(SignatureError) as caught:
        sshsig.verify_composite(armored(blob), BytesIO(MESSAGE), NAMESPACE)
    assert caught.value.reason == "bad-signature"


def test_the_classical_half_alone_is_no_ed25519_signature_in_sshsig() -> None:
    made = sshsig.parse_composite(sshsig.sign(ONE, BytesIO(MESSAGE), NAMESPACE))
    lifted = Signature(made.public.ed25519, NAMESPACE, "sha512", made.signature[2420:]).armored
    with pytest.raises(SignatureError) as caught:
        sshsig.verify(lifted, BytesIO(MESSAGE), NAMESPACE)
    assert caught.value.reason == "bad-signature"


def test_a_text_of_any_length_is_read_in_bounds() -> None:
    blob = sshsig.parse_composite(sshsig.sign(ONE, BytesIO(MESSAGE), NAMESPACE)).encode()
    for at in range(0, len(blob), 131):
        with pytest.raises(SignatureError):
            sshsig.parse_composite(armored(blob[:at]))
    with pytest.raises(SignatureError):
        sshsig.parse_composite(armored(blob + b"\0"))
    with pytest.raises(SignatureError, match="longer than 8192"):
        sshsig.parse_composite("x" * 8193)
