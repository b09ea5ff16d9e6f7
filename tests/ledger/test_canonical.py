"""Canonical JSON: one byte form, the same as the reference library's, and nothing else is read."""

from typing import Any, cast

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import MAX_DEPTH, CanonicalError, Json, decode, encode

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_the_bytes_are_those_of_the_reference_library(value: Json) -> None:
    assert encode(value) == rfc8785.dumps(cast("Any", value))


@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_what_is_written_reads_back_as_itself(value: dict[str, Json]) -> None:
    assert decode(encode(value), limit=1_000_000) == value


@pytest.mark.parametrize("control", [chr(code) for code in (*range(0x20), 0x7F, 0x2028, 0xFFFF, 0x1F600)])
def test_every_control_character_has_its_one_escape(control: str) -> None:
    assert encode({"k": control, control: 1}) == rfc8785.dumps({"k": control, control: 1})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'"text"',
        b"{",
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":01}',
        b'{"a":-0}',
        b'{"a":9007199254740993}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":' + b"[" * 100_000,
        b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
    ],
)
def test_any_other_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(CanonicalError):
        decode(data, limit=1_000_000)


def test_a_text_above_the_limit_is_refused_unread() -> None:
    with pytest.raises(CanonicalError, match="larger than 10 bytes"):
        decode(b'{"a":"' + b"x" * 10 + b'"}', limit=10)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_make_it_raise_another_error(data: bytes) -> None:
    try:
        value = decode(data, limit=1000)
    except CanonicalError:
        return
    assert encode(value) == data


@pytest.mark.parametrize(
    "value", [{"a": 1.5}, {"é": 1.5}, {"é": object()}, {"a": 2**53}, {"a": "\ud800"}, {1: "a"}, {"a": object()}]
)
def test_what_the_form_cannot_hold_is_not_written(value: Json) -> None:
    with pytest.raises(CanonicalError):
        encode(value)
