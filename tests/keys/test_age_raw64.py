"""Unpadded base64: one value, one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.age import raw64


@given(st.binary(max_size=200))
def test_what_is_encoded_decodes_to_the_same_bytes(data: bytes) -> None:
    assert raw64.decode(raw64.encode(data)) == data


@given(st.text(alphabet=st.sampled_from("ABQgw9+/=-_ \n\r\té"), max_size=12) | st.text(max_size=12))
def test_what_decodes_is_the_only_spelling_of_its_value(text: str) -> None:
    data = raw64.decode(text)
    assert data is None or raw64.encode(data) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("YWc=", "padding"),
        ("YWd", "a bit that is not used is set"),
        ("YX", "two of them"),
        ("YWdlY", "a remainder of one character"),
        ("YWdl\n", "a line feed"),
        ("YW dl", "a blank"),
        ("_w", "the alphabet for addresses"),
        ("=", "nothing but padding"),
        ("YQ==YQ", "padding within"),
        ("Ā", "a letter beyond ASCII"),
    ],
)
def test_another_spelling_is_refused(text: str, why: str) -> None:
    assert raw64.decode(text) is None, why


def test_nothing_is_spelt_by_nothing() -> None:
    assert raw64.decode("") == b""
