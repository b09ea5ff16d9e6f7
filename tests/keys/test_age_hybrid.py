"""The post-quantum recipient type: both halves count, and malformed stanzas are told from those of others."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.age import HeaderFailure, HybridIdentity, HybridRecipient, InvalidKey, Stanza, X25519Identity, bech32, raw64
from keys.age.hybrid import ENC_SIZE, MLKEM_CIPHERTEXT_SIZE, MLKEM_KEY_SIZE, RECIPIENT_SIZE

FILE_KEY = b"sixteen byte key"
# the key pair that the specification prints; of the recipient, its digest
IDENTITY = "AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR"
OURS = HybridIdentity.parse(IDENTITY)
RECIPIENT = OURS.recipient()
STANZA = RECIPIENT.wrap(FILE_KEY)[0]
ENC = raw64.decode(STANZA.args[1]) or b""


def test_an_identity_and_its_recipient_go_through_text_unchanged() -> None:
    assert str(OURS) == IDENTITY
    assert HybridRecipient.parse(str(RECIPIENT)) == RECIPIENT
    assert (OURS.kind, RECIPIENT.kind) == ("pq", "pq")
    assert (len(str(RECIPIENT)), len(RECIPIENT.raw)) == (1959, 1216)


def test_the_identity_of_the_specification_has_its_recipient() -> None:
    text = str(RECIPIENT)
    assert text.startswith("age1pq1x34nzsvr0rxjsgdn8zgyhfe8j7ceq5r9rdelkjuh3y235jzxshfg87pzf5zrqtz")
    assert text.endswith("d3fzv49zc0k")
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "a091dd7e0ee9d62b75173dcc98441a0424baa941e66a8776e570a4ae60ff61ea"
    )


@settings(max_examples=20)
@given(st.binary(min_size=16, max_size=16))
def test_only_the_identity_of_the_recipient_gets_the_file_key_back(file_key: bytes) -> None:
    other = HybridIdentity.generate()
    stanzas = [*other.recipient().wrap(FILE_KEY), *RECIPIENT.wrap(file_key)]
    assert OURS.unwrap(stanzas) == file_key
    assert other.unwrap(stanzas[1:]) is None


def test_a_stanza_has_the_sizes_of_the_specification_and_is_fresh_each_time() -> None:
    (again,) = RECIPIENT.wrap(FILE_KEY)
    assert (STANZA.type, len(STANZA.args), len(ENC), len(STANZA.body)) == ("mlkem768x25519", 2, 1120, 32)
    assert again.args != STANZA.args
    assert again.body != STANZA.body


@pytest.mark.parametrize("place", [0, 500, MLKEM_CIPHERTEXT_SIZE - 1, MLKEM_CIPHERTEXT_SIZE, ENC_SIZE - 2])
def test_either_half_of_the_encapsulated_key_altered_is_nobodys(place: int) -> None:
    changed = bytearray(ENC)
    changed[place] ^= 1
    assert OURS.unwrap([Stanza((STANZA.type, raw64.encode(bytes(changed))), STANZA.body)]) is None


def test_either_half_of_the_private_key_alone_opens_nothing() -> None:
    other = HybridIdentity.generate()
    raw = RECIPIENT.raw[:MLKEM_KEY_SIZE] + other.recipient().raw[MLKEM_KEY_SIZE:]
    stanzas = HybridRecipient(raw).wrap(FILE_KEY)
    assert OURS.unwrap(stanzas) is None
    assert other.unwrap(stanzas) is None


@pytest.mark.parametrize(
    ("stanza", "why"),
    [
        (Stanza((STANZA.type,), STANZA.body), "1 arguments instead of 2"),
        (Stanza((*STANZA.args, "x"), STANZA.body), "3 arguments instead of 2"),
        (Stanza(STANZA.args, STANZA.body[:-1]), "file key of 16 bytes"),
        (Stanza(STANZA.args, STANZA.body + b"x"), "file key of 16 bytes"),
        (Stanza((STANZA.type, raw64.encode(ENC[:-1])), STANZA.body), "1120 bytes of canonical base64"),
        (Stanza((STANZA.type, raw64.encode(ENC + b"\0")), STANZA.body), "1120 bytes of canonical base64"),
        (Stanza((STANZA.type, STANZA.args[1] + "="), STANZA.body), "1120 bytes of canonical base64"),
        (Stanza((STANZA.type, raw64.encode(ENC[:MLKEM_CIPHERTEXT_SIZE] + bytes(32))), STANZA.body), "low order"),
    ],
)
def test_a_malformed_stanza_of_our_type_is_refused_for_its_reason(stanza: Stanza, why: str) -> None:
    with pytest.raises(HeaderFailure, match=why):
        OURS.unwrap([stanza])


def test_stanzas_of_other_types_are_ignored_however_they_look() -> None:
    classical = X25519Identity.generate().recipient().wrap(FILE_KEY)
    assert OURS.unwrap([*classical, Stanza((STANZA.type.upper(), STANZA.args[1]), STANZA.body)]) is None


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (RECIPIENT.raw[:-1], "1216 bytes"),
        (RECIPIENT.raw + b"\0", "1216 bytes"),
        (b"\xff" * 3 + RECIPIENT.raw[3:], "canonical ML-KEM-768"),
        (RECIPIENT.raw[:MLKEM_KEY_SIZE] + bytes(32), "low order"),
        (RECIPIENT.raw[:MLKEM_KEY_SIZE] + b"\xff" * 32, "canonical X25519"),
    ],
)
def test_a_recipient_that_nobody_should_encrypt_to_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(InvalidKey, match=why):
        HybridRecipient.parse(bech32.encode("age1pq", raw))


def test_an_identity_of_another_length_is_refused() -> None:
    with pytest.raises(InvalidKey, match="32 bytes"):
        HybridIdentity.parse(bech32.encode("AGE-SECRET-KEY-PQ-", bytes(31)))
    assert len(RECIPIENT.raw) == RECIPIENT_SIZE


def test_a_private_key_does_not_show_itself() -> None:
    assert IDENTITY not in repr(OURS)
    assert OURS.seed.hex() not in repr(OURS)
    assert repr(OURS).startswith("HybridIdentity(")


def test_identities_are_equal_where_their_seeds_are() -> None:
    assert HybridIdentity.parse(IDENTITY) == OURS
    assert hash(HybridIdentity.parse(IDENTITY)) == hash(OURS)
    assert HybridIdentity.generate() != OURS
    assert OURS != IDENTITY
