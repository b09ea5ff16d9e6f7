"""The X25519 recipient type: known answers, refusals, and who can open what."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.age import HeaderFailure, InvalidKey, Stanza, X25519Identity, X25519Recipient, bech32, raw64
from keys.age.x25519 import check_point

FILE_KEY = b"sixteen byte key"
# the key pair that the specification prints
IDENTITY = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
RECIPIENT = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
# RFC 7748's u-coordinates of small order below the prime: 0, 1, -1 and the two of order 8
LOW_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
]
NOT_CANONICAL = [
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0900000000000000000000000000000000000000000000000000000000000080",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


def test_the_identity_of_the_specification_has_its_recipient() -> None:
    identity = X25519Identity.parse(IDENTITY)
    assert str(identity) == IDENTITY
    assert str(identity.recipient()) == RECIPIENT
    assert X25519Recipient.parse(RECIPIENT) == identity.recipient()
    assert (identity.kind, identity.recipient().kind) == ("x25519", "x25519")


def test_the_stanza_of_the_specification_is_not_ours() -> None:
    stanza = Stanza(
        ("X25519", "O6DLx/wDIawpUC978NSPjYvrfDtJVnZApXKp4FMPHCY"),
        raw64.decode("3aKjozt9agh7jGmvOKvR4iax41Wl4zj95MKK4X9JuWc") or b"",
    )
    assert X25519Identity.generate().unwrap([stanza]) is None


@settings(max_examples=20)
@given(st.binary(min_size=16, max_size=16))
def test_only_the_identity_of_the_recipient_gets_the_file_key_back(file_key: bytes) -> None:
    ours, other = X25519Identity.generate(), X25519Identity.generate()
    stanzas = [*other.recipient().wrap(FILE_KEY), *ours.recipient().wrap(file_key)]
    assert ours.unwrap(stanzas) == file_key
    assert other.unwrap(stanzas[1:]) is None


def test_two_stanzas_for_one_recipient_have_nothing_in_common() -> None:
    recipient = X25519Recipient.parse(RECIPIENT)
    (one,), (two,) = recipient.wrap(FILE_KEY), recipient.wrap(FILE_KEY)
    assert one.args != two.args
    assert one.body != two.body


def test_stanzas_of_other_types_are_ignored_however_they_look() -> None:
    identity = X25519Identity.generate()
    assert identity.unwrap([Stanza(("x25519",), b""), Stanza(("mlkem768x25519", "a", "b"), b"x")]) is None
    assert identity.unwrap([]) is None


SHARE = raw64.encode(X25519Recipient.parse(RECIPIENT).point)


@pytest.mark.parametrize(
    ("stanza", "why"),
    [
        (Stanza(("X25519",), bytes(32)), "1 arguments instead of 2"),
        (Stanza(("X25519", SHARE, SHARE), bytes(32)), "3 arguments instead of 2"),
        (Stanza(("X25519", SHARE), bytes(31)), "file key of 16 bytes"),
        (Stanza(("X25519", SHARE), bytes(33)), "file key of 16 bytes"),
        (Stanza(("X25519", SHARE), b""), "file key of 16 bytes"),
        (Stanza(("X25519", SHARE[:-1]), bytes(32)), "32 bytes of canonical base64"),
        (Stanza(("X25519", raw64.encode(bytes(31))), bytes(32)), "32 bytes of canonical base64"),
        (Stanza(("X25519", raw64.encode(bytes(33))), bytes(32)), "32 bytes of canonical base64"),
        (Stanza(("X25519", SHARE + "="), bytes(32)), "32 bytes of canonical base64"),
        *[(Stanza(("X25519", raw64.encode(bytes.fromhex(point))), bytes(32)), "low order") for point in LOW_ORDER],
    ],
)
def test_a_malformed_stanza_of_our_type_is_refused_for_its_reason(stanza: Stanza, why: str) -> None:
    with pytest.raises(HeaderFailure, match=why):
        X25519Identity.parse(IDENTITY).unwrap([stanza])


@pytest.mark.parametrize("point", LOW_ORDER)
def test_a_recipient_of_low_order_is_refused(point: str) -> None:
    with pytest.raises(InvalidKey, match="low order"):
        X25519Recipient(bytes.fromhex(point))


@pytest.mark.parametrize("point", NOT_CANONICAL)
def test_a_recipient_with_another_spelling_of_its_point_is_refused(point: str) -> None:
    with pytest.raises(InvalidKey, match="canonical"):
        check_point(bytes.fromhex(point))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_an_identity_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(InvalidKey, match="32 bytes"):
        X25519Identity.parse(bech32.encode("AGE-SECRET-KEY-", bytes(size)))


def test_a_private_key_does_not_show_itself() -> None:
    identity = X25519Identity.parse(IDENTITY)
    assert IDENTITY not in repr(identity)
    assert identity.secret.hex() not in repr(identity)
    assert "B" * 20 not in repr(identity)
    assert RECIPIENT in repr(identity)


def test_identities_are_equal_where_their_secrets_are() -> None:
    one, same, other = X25519Identity.parse(IDENTITY), X25519Identity.parse(IDENTITY), X25519Identity.generate()
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != IDENTITY
