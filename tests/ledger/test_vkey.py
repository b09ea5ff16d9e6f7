"""Keys of notes: the one spelling of a verifier key, key ids, and cosignatures over the time."""

import base64
import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger import vkey
from ledger.vkey import CosignatureVerifier, Cosigner, Ed25519Signer, Ed25519Verifier, NoteError
from tests.ledger import published

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
TEXT = b"lgsco/handover\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
NOW = 1_795_000_000


def refusal(text: str) -> str:
    with pytest.raises(NoteError) as caught:
        vkey.parse_vkey(text)
    assert caught.value.reason == "bad-note"
    return caught.value.message


def written(name: str, raw: bytes) -> str:
    """A vkey with a fitting hash, whatever its contents."""
    digest = hashlib.sha256(name.encode() + b"\n" + raw).hexdigest()[:8]
    return f"{name}+{digest}+{base64.b64encode(raw).decode()}"


@pytest.mark.parametrize("text", [published.PETER_KEY, published.ENOCH_KEY])
def test_published_signing_keys_are_read_and_written_back(text: str) -> None:
    key = vkey.parse_vkey(text)
    assert isinstance(key, Ed25519Verifier)
    assert key.vkey == text
    assert key.key_id.hex() == text.split("+")[1]


def test_a_published_witness_key_is_read_and_written_back() -> None:
    key = vkey.parse_vkey(published.WITNESS_KEY)
    assert isinstance(key, CosignatureVerifier)
    assert (key.vkey, key.name, key.key_id.hex()) == (published.WITNESS_KEY, "remora.n621.de", "da77ade7")


def test_one_public_key_has_another_id_in_every_role_and_under_every_name() -> None:
    keys = [kind(name, PUBLIC) for kind in (Ed25519Verifier, CosignatureVerifier) for name in ("lgsco", "ofsted")]
    assert len({key.key_id for key in keys}) == 4
    for key in keys:
        assert vkey.parse_vkey(key.vkey) == key


def test_no_piece_of_a_key_is_a_key() -> None:
    text = published.PETER_KEY
    for start in range(len(text)):
        for stop in range(start + 1, len(text) + 1):
            if text[start:stop] != text:
                assert refusal(text[start:stop])


def test_a_key_with_any_other_character_is_refused() -> None:
    text = published.PETER_KEY
    for at, character in enumerate(text):
        for other in (chr(ord(character) + 1), chr(ord(character) ^ 0x20), " ", "\n", "é", "\ud800"):
            assert refusal(text[:at] + other + text[at + 1 :])


def test_published_keys_of_another_length_or_type_are_refused() -> None:
    assert [refusal(text) for text in published.BAD_KEYS] == [
        "a text is not canonical base64",
        "a verifier key is of an unknown type or length",
    ]


@pytest.mark.parametrize("text", [None, 7, published.PETER_KEY.encode(), [published.PETER_KEY]])
def test_what_is_not_text_is_no_key(text: Any) -> None:
    assert refusal(text) == "a verifier key is not of the form name+hash+key"


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_keys_of_another_length_are_refused(length: int) -> None:
    assert refusal(written("lgsco", b"\x01" + bytes(length))) == "a verifier key is of an unknown type or length"
    assert "unknown type" in refusal(written("lgsco", b""))


@pytest.mark.parametrize("kind", sorted(set(range(256)) - {1, 4}))
def test_other_types_are_refused(kind: int) -> None:
    assert refusal(written("lgsco", bytes([kind]) + PUBLIC)) == "a verifier key is of an unknown type or length"


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a\u00a0b", "a\u2028b", "a\u3000", "a\tb", "a\x00b", "a\nb", "a\x85b"]
)
def test_names_that_are_none_are_refused(name: str) -> None:
    assert not vkey.is_name(name)
    assert "form" in refusal(written(name, b"\x01" + PUBLIC))


@pytest.mark.parametrize("name", ["a+b", "+", "a\ud800", "\udfff"])
def test_names_with_a_plus_or_half_a_character_are_none(name: str) -> None:
    assert not vkey.is_name(name)


@pytest.mark.parametrize("name", ["x", "lgsco/handover", "example.com/log42", "Ж", "a\u200bb", "名", "a\x7f"])
def test_names_may_be_anything_else(name: str) -> None:
    assert vkey.is_name(name)
    assert vkey.parse_vkey(written(name, b"\x01" + PUBLIC)).name == name


def test_a_hash_in_capitals_or_of_another_key_is_refused() -> None:
    name, digest, key = published.PETER_KEY.split("+", 2)
    assert "hash does not fit" in refusal(f"{name}+{digest.upper()}+{key}")
    assert "hash does not fit" in refusal(f"{name}+00000000+{key}")
    assert "hash does not fit" in refusal(f"{name}+0{digest}+{key}")


@given(st.text() | st.binary().map(lambda raw: written("lgsco", raw)) | st.just("a+b+c").map(lambda s: s * 3))
def test_what_parses_is_the_one_spelling_and_everything_else_is_refused(text: str) -> None:
    try:
        key = vkey.parse_vkey(text)
    except NoteError:
        return
    assert key.vkey == text


@given(st.binary(max_size=100))
def test_base64_has_one_spelling(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert vkey.decode_base64(text) == data


@pytest.mark.parametrize(
    "text", ["A", "AA", "AAA", "AA=", "AB==", "AAB=", "AA==\n", " AA==", "A A=", "_-==", "AA==AA==", "AÄ=="]
)
def test_other_spellings_of_base64_are_refused(text: str) -> None:
    with pytest.raises(NoteError, match="base64"):
        vkey.decode_base64(text)


# signatures


def test_an_ed25519_key_signs_the_text_itself() -> None:
    signer = Ed25519Signer("lgsco/handover", PUBLIC, KEY.sign)
    verifier = Ed25519Verifier("lgsco/handover", PUBLIC)
    assert signer.sign(TEXT) == KEY.sign(TEXT)
    assert signer.key_id == verifier.key_id
    assert verifier.verify(TEXT, signer.sign(TEXT))
    assert not verifier.verify(TEXT + b"\n", signer.sign(TEXT))


def test_a_cosignature_is_the_time_and_a_signature_of_header_time_and_text() -> None:
    cosigner = Cosigner("ofsted/witness", PUBLIC, KEY.sign, NOW)
    signature = cosigner.sign(TEXT)
    assert signature == bytes.fromhex("000000006afd86c0") + KEY.sign(b"cosignature/v1\ntime 1795000000\n" + TEXT)
    verifier = CosignatureVerifier("ofsted/witness", PUBLIC)
    assert verifier.key_id == cosigner.key_id
    assert verifier.verify(TEXT, signature)


def test_every_flipped_bit_of_a_cosignature_is_noticed() -> None:
    verifier = CosignatureVerifier("ofsted/witness", PUBLIC)
    signature = Cosigner("ofsted/witness", PUBLIC, KEY.sign, NOW).sign(TEXT)
    for bit in range(len(signature) * 8):
        wrong = (int.from_bytes(signature, "big") ^ (1 << bit)).to_bytes(len(signature), "big")
        assert not verifier.verify(TEXT, wrong)


@pytest.mark.parametrize("now", [0, 1, 2**63 - 1])
def test_the_earliest_and_the_latest_time_can_be_cosigned(now: int) -> None:
    signature = Cosigner("w", PUBLIC, KEY.sign, now).sign(TEXT)
    assert CosignatureVerifier("w", PUBLIC).verify(TEXT, signature)


@pytest.mark.parametrize("now", [-1, 2**63, 2**64])
def test_other_times_are_not_cosigned(now: int) -> None:
    with pytest.raises(NoteError, match="time of a cosignature is out of range"):
        Cosigner("w", PUBLIC, KEY.sign, now).sign(TEXT)


def test_a_time_beyond_63_bits_does_not_hold_even_if_it_was_signed() -> None:
    signature = (2**63).to_bytes(8, "big") + KEY.sign(b"cosignature/v1\ntime %d\n" % 2**63 + TEXT)
    assert not CosignatureVerifier("w", PUBLIC).verify(TEXT, signature)


def test_a_signature_of_one_type_does_not_hold_as_the_other() -> None:
    plain = KEY.sign(TEXT)
    cosigned = Cosigner("w", PUBLIC, KEY.sign, NOW).sign(TEXT)
    assert not Ed25519Verifier("w", PUBLIC).verify(TEXT, cosigned)
    assert not Ed25519Verifier("w", PUBLIC).verify(TEXT, cosigned[8:])
    assert not CosignatureVerifier("w", PUBLIC).verify(TEXT, plain)
    assert not CosignatureVerifier("w", PUBLIC).verify(TEXT, bytes(8) + plain)


JUNK: list[Any] = [
    b"",
    bytes(1),
    bytes(31),
    bytes(33),
    bytes(63),
    bytes(64),
    bytes(65),
    bytes(71),
    bytes(72),
    bytes(73),
]


@pytest.mark.parametrize("junk", JUNK)
def test_signatures_and_keys_of_other_lengths_hold_nothing_and_raise_nothing(junk: bytes) -> None:
    for kind in (Ed25519Verifier, CosignatureVerifier):
        assert not kind("w", PUBLIC).verify(TEXT, junk)
        assert not kind("w", junk).verify(TEXT, KEY.sign(TEXT))
        assert not kind("w", junk).verify(TEXT, bytes(8) + KEY.sign(TEXT))
