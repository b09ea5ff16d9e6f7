"""Bech32: the examples of BIP 173, and no typing error goes unnoticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.age import bech32

HRPS = st.sampled_from(["age", "age1pq", "AGE-SECRET-KEY-", "AGE-SECRET-KEY-PQ-"])


@given(HRPS, st.binary(max_size=80))
def test_what_is_encoded_decodes_to_the_same(hrp: str, data: bytes) -> None:
    assert bech32.decode(bech32.encode(hrp, data)) == (hrp, data)


@given(st.text(alphabet="age1AGE-?!0qpzQP ", max_size=30) | st.text(max_size=30))
def test_any_text_is_refused_or_is_the_spelling_of_what_it_says(text: str) -> None:
    decoded = bech32.decode(text)
    assert decoded is None or bech32.encode(*decoded) == text


@given(HRPS, st.binary(min_size=1, max_size=40), st.data())
def test_one_wrong_character_is_always_noticed(hrp: str, data: bytes, draw: st.DataObject) -> None:
    text = bech32.encode(hrp, data)
    place = draw.draw(st.integers(0, len(text) - 1))
    letter = draw.draw(
        st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7lQPZRY9X8GF2b1io_ +-").filter(lambda c: c != text[place])
    )
    assert bech32.decode(text[:place] + letter + text[place + 1 :]) is None


@given(HRPS, st.binary(max_size=40), st.integers(1, 20))
def test_a_text_that_is_cut_short_is_noticed(hrp: str, data: bytes, cut: int) -> None:
    assert bech32.decode(bech32.encode(hrp, data)[:-cut]) is None


@pytest.mark.parametrize(
    "text",
    [
        "A12UEL5L",
        "a12uel5l",
        "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
        "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
        "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
    ],
)
def test_an_example_of_the_paper_goes_back_to_itself(text: str) -> None:
    decoded = bech32.decode(text)
    assert decoded is not None
    assert bech32.encode(*decoded) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "nothing"),
        ("\x201nwldj5", "a blank before the separator"),
        ("\x7f1axkwrx", "a control character before the separator"),
        ("\x801eym55h", "a letter beyond ASCII"),
        ("pzry9x0s0muk", "no separator"),
        ("1pzry9x0s0muk", "nothing before the separator"),
        ("x1b4n0q5v", "a character that is not of the alphabet"),
        ("li1dgmt3", "a checksum too short"),
        ("A1G7SGD8", "a checksum of the upper case form"),
        ("10a06t8", "nothing before the separator, a checksum of nothing"),
        ("A12uEL5L", "mixed case"),
        ("a12uel5m", "another checksum"),
        ("?1EZYFCL", "upper case, but nothing before the separator that says so"),
        ("a1" + "q" * 5000, "far too long"),
    ],
)
def test_a_bad_text_is_refused(text: str, why: str) -> None:
    assert bech32.decode(text) is None, why


def test_a_text_longer_than_any_recipient_is_refused_unread() -> None:
    assert bech32.decode(bech32.encode("age", bytes(2500))) == ("age", bytes(2500))
    assert bech32.decode(bech32.encode("age", bytes(2600))) is None


def test_padding_is_less_than_a_group_and_zero() -> None:
    def spell(groups: list[int]) -> str:
        check = bech32._polymod([*bech32._expand("age"), *groups, *[0] * 6]) ^ 1
        groups = groups + [check >> 5 * place & 31 for place in reversed(range(6))]
        return "age1" + "".join(bech32._ALPHABET[group] for group in groups)

    assert bech32.decode(spell([0, 0])) == ("age", b"\x00")
    assert bech32.decode(spell([0, 1])) is None
    assert bech32.decode(spell([0])) is None
    assert bech32.decode(spell([0, 0, 0])) is None
