"""The header's grammar: one spelling, and every other one refused for its own reason."""

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keys.age import HeaderFailure, Stanza, header
from keys.age.header import Header
from keys.age.source import Source

MAC = "A" * 43
GOOD = f"age-encryption.org/v1\n-> a b\nQUJD\n--- {MAC}\n".encode()

ARGUMENTS = st.text(alphabet=[chr(code) for code in range(33, 127)], min_size=1, max_size=20)
STANZAS = st.builds(Stanza, st.lists(ARGUMENTS, min_size=1, max_size=4).map(tuple), st.binary(max_size=150))


def reason(data: bytes) -> str:
    with pytest.raises(HeaderFailure) as caught:
        header.parse(data)
    assert caught.value.reason == "age-header"
    return caught.value.message


@given(st.lists(STANZAS, min_size=1, max_size=4), st.binary(min_size=32, max_size=32))
def test_a_header_goes_through_bytes_unchanged(stanzas: list[Stanza], mac: bytes) -> None:
    made = Header(tuple(stanzas), mac)
    assert header.parse(made.encode()) == made


@given(st.binary(max_size=300))
@example(GOOD)
@example(b"")
@example(b"age-encryption.org/v1\n\xff\n")
@example(b"age-encryption.org/v1\n-> a\n\xc3\xa9\n")
def test_any_bytes_are_refused_as_a_header_or_go_back_to_themselves(data: bytes) -> None:
    try:
        assert header.parse(data).encode() == data
    except HeaderFailure:
        assert data != GOOD


@given(st.data())
def test_a_header_with_one_byte_changed_is_refused_or_goes_back_to_itself(draw: st.DataObject) -> None:
    place, value = draw.draw(st.integers(0, len(GOOD) - 1)), draw.draw(st.integers(0, 255))
    data = GOOD[:place] + bytes([value]) + GOOD[place + 1 :]
    try:
        assert header.parse(data).encode() == data
    except HeaderFailure:
        assert data != GOOD


@pytest.mark.parametrize("length", range(len(GOOD)))
def test_a_header_cut_short_anywhere_is_refused(length: int) -> None:
    assert "not an age file" in reason(GOOD[:length]) or "cut short" in reason(GOOD[:length])


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("age-encryption.org/v1\n", "", "not an age file"),
        ("age-enc", "\nage-enc", "not an age file"),
        ("/v1", "/v2", "version"),
        ("/v1", "/v1 ", "version"),
        ("/v1\n", "/v1\r\n", "version"),
        ("-> a b\nQUJD\n", "", "names no recipient"),
        ("-> a b", "->", "does not begin"),
        ("-> a b", "-> ", "does not begin"),
        ("-> a b", "-> a  b", "does not begin"),
        ("-> a b", "-> a b ", "does not begin"),
        ("-> a b", "->  a b", "does not begin"),
        ("-> a b", "-> a\tb", "does not begin"),
        ("-> a b", "-> a é", "does not begin"),
        ("-> a b\n", "-> a b\r\n", "does not begin"),
        ("-> a b", "- a b", "does not begin"),
        ("-> a b", "# a b", "does not begin"),
        ("-> a b", "\n-> a b", "does not begin"),
        ("QUJD", "QUJ=", "not canonical"),
        ("QUJD", "QUJ", "not canonical"),
        ("QUJD", "QUJD\r", "not canonical"),
        ("QUJD", "QU D", "not canonical"),
        ("QUJD\n", "", "not canonical"),
        ("QUJD", "QUJD" * 17, "longer than 64"),
        ("QUJD", "QUJD" * 16, "not canonical"),
        ("QUJD", "QUJD\nQUJD", "does not begin"),
        ("QUJD", "QUJD" * 16 + "\n\nQUJD", "does not begin"),
        (f"--- {MAC}", f"---{MAC}", "last line"),
        (f"--- {MAC}", f"---  {MAC}", "last line"),
        (f"--- {MAC}", f"--- {MAC} ", "last line"),
        (f"--- {MAC}", f"--- {MAC}\r", "last line"),
        (f"--- {MAC}", f"--- {MAC}A", "last line"),
        (f"--- {MAC}", f"--- {MAC[:-1]}", "last line"),
        (f"--- {MAC}", f"--- {MAC[:-1]}B", "last line"),
        (f"--- {MAC}", f"--- {MAC}=", "last line"),
        (f"--- {MAC}", "---", "last line"),
        (f"--- {MAC}\n", f"--- {MAC}\n\n", "follows"),
    ],
)
def test_what_the_grammar_does_not_allow_is_refused_for_its_reason(old: str, new: str, why: str) -> None:
    changed = GOOD.decode().replace(old, new, 1).encode()
    assert changed != GOOD
    assert why in reason(changed)


def test_a_body_that_fills_its_last_line_is_followed_by_an_empty_one() -> None:
    assert Stanza(("a",), bytes(48)).encode() == b"-> a\n" + b"A" * 64 + b"\n\n"
    assert Stanza(("a",), b"").encode() == b"-> a\n\n"
    assert Stanza(("a",), bytes(49)).encode() == b"-> a\n" + b"A" * 64 + b"\nAA\n"


def test_a_header_beyond_the_limit_is_refused_before_it_is_read_to_the_end() -> None:
    stanza = Stanza(("x",), bytes(1000)).encode()
    endless = io.BytesIO(b"age-encryption.org/v1\n" + stanza * (3 * header.MAX_HEADER // len(stanza)))
    with pytest.raises(HeaderFailure, match="longer than"):
        header.read(Source(endless))
    assert endless.tell() < header.MAX_HEADER + 10_000


def test_one_line_without_end_is_refused_before_it_is_read_to_the_end() -> None:
    for start in (b"", b"age-encryption.org/", b"age-encryption.org/v1\n-> x "):
        endless = io.BytesIO(start + b"x" * 3 * header.MAX_HEADER)
        with pytest.raises(HeaderFailure):
            header.read(Source(endless))
        assert endless.tell() < header.MAX_HEADER + 10_000


@given(STANZAS, st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_only_the_file_key_that_sealed_a_header_finds_it_authentic(stanza: Stanza, key: bytes, other: bytes) -> None:
    sealed = Header((stanza,), b"").sealed(key)
    assert sealed.authentic(key)
    assert sealed.authentic(other) == (key == other)
