"""Private keys in their native formats: what is taken, and what is told apart."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from keys import private_keys
from keys.key_info import Purpose
from keys.private_keys import NotAKey, NotThisKey

PUBLIC, NATIVE = private_keys.generate("signing", "lgsco")
RECIPIENT, IDENTITY = private_keys.generate("encryption", "lgsco", "x25519")


@pytest.mark.parametrize("purpose", ["signing", "transport", "ledger", "witness"])
def test_a_new_key_fits_its_public_half(purpose: Purpose) -> None:
    public, native = private_keys.generate(purpose, "lgsco")
    assert private_keys.load_ed25519(purpose, public, native)
    with pytest.raises(NotThisKey):
        private_keys.load_ed25519("signing", PUBLIC, native)


def test_the_names_in_verifier_keys_are_the_organisations() -> None:
    assert private_keys.generate("ledger", "lgsco")[0].startswith("lgsco/handover+")
    assert private_keys.generate("witness", "lgsco")[0].startswith("lgsco/witness+")


@pytest.mark.parametrize("encryption", ["pq", "x25519"])
def test_a_new_identity_fits_its_recipient(encryption: private_keys.Encryption) -> None:
    public, native = private_keys.generate("encryption", "lgsco", encryption)
    assert private_keys.load_identity(public, native).kind == encryption
    with pytest.raises(NotThisKey):
        private_keys.load_identity(RECIPIENT, native)


def test_a_key_of_another_format_is_another_key_not_a_damaged_one() -> None:
    (composite, both), (witness, pem) = (private_keys.generate(pq, "lgsco") for pq in ("signing-pq", "witness-pq"))
    for native, words in ((IDENTITY, "for encryption"), (both, "composite"), (pem, "PKCS #8")):
        with pytest.raises(NotThisKey, match=words):
            private_keys.load_ed25519("signing", PUBLIC, native)
    for native, words in ((NATIVE, "OpenSSH"), (both, "composite"), (pem, "PKCS #8")):
        with pytest.raises(NotThisKey, match=words):
            private_keys.load_identity(RECIPIENT, native)
    for native, words in ((NATIVE, "OpenSSH"), (IDENTITY, "for encryption"), (pem, "PKCS #8")):
        with pytest.raises(NotThisKey, match=words):
            private_keys.load_composite(composite, native)
    for native, words in ((NATIVE, "OpenSSH"), (IDENTITY, "for encryption"), (both, "composite")):
        with pytest.raises(NotThisKey, match=words):
            private_keys.load_mldsa(witness, native)


@pytest.mark.parametrize(
    "native",
    [
        b"",
        NATIVE[:-60],
        NATIVE.replace(b"OPENSSH", b"OPENSSL"),
        ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.OpenSSH, BestAvailableEncryption(b"x")
        ),
    ],
)
def test_what_is_no_openssh_key_of_ours_is_refused(native: bytes) -> None:
    with pytest.raises(NotAKey):
        private_keys.load_ed25519("signing", PUBLIC, native)


@pytest.mark.parametrize("native", [b"", b"# nothing\n", IDENTITY[:-5], b"\xff", IDENTITY + IDENTITY])
def test_what_is_not_one_identity_is_refused(native: bytes) -> None:
    with pytest.raises(NotAKey):
        private_keys.load_identity(RECIPIENT, native)


@given(st.integers(0, len(NATIVE)), st.binary(max_size=8), st.integers(0, len(NATIVE)))
def test_a_private_key_with_a_piece_exchanged_gives_only_our_errors(start: int, piece: bytes, stop: int) -> None:
    try:
        private_keys.load_ed25519("signing", PUBLIC, NATIVE[:start] + piece + NATIVE[stop:])
    except (NotAKey, NotThisKey) as error:
        told = str(error)
    else:
        told = ""
    assert NATIVE.decode()[60:100] not in told


# --- post-quantum -----------------------------------------------------------------------------------------------------


def test_new_post_quantum_keys_fit_their_public_halves() -> None:
    composite, other = (private_keys.generate("signing-pq", "lgsco") for _ in range(2))
    assert private_keys.load_composite(*composite).public.line == composite[0]
    witness, another = (private_keys.generate("witness-pq", "lgsco") for _ in range(2))
    assert witness[0].startswith("lgsco/witness+")
    assert witness[1].startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert private_keys.load_mldsa(*witness)
    for load, public, native in (
        (private_keys.load_composite, composite[0], other[1]),
        (private_keys.load_mldsa, witness[0], another[1]),
    ):
        with pytest.raises(NotThisKey):
            load(public, native)
    for load, public, native in (
        (private_keys.load_composite, composite[0], composite[1][:-60]),
        (private_keys.load_composite, composite[0], b""),
        (private_keys.load_mldsa, witness[0], witness[1][:-60]),
        (private_keys.load_mldsa, witness[0], b""),
    ):
        with pytest.raises(NotAKey):
            load(public, native)
