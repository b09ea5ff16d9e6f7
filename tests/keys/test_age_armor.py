"""Armour: strict PEM, both ways, and every other text refused for its reason."""

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keys.age import ArmorFailure, ArmorReader, ArmorWriter
from keys.age.armor import BEGIN, END, MAX_WHITESPACE, looks_armored
from keys.age.source import Source

LINE = b"A" * 64


def armour(data: bytes, piece: int = 1 << 20) -> bytes:
    text = io.BytesIO()
    writer = ArmorWriter(text)
    for start in range(0, len(data), piece):
        assert writer.write(data[start : start + piece]) == len(data[start : start + piece])
    writer.finish()
    return text.getvalue()


def decode(text: bytes, step: int = 10_000) -> bytes:
    reader, parts = ArmorReader(Source(io.BytesIO(text))), []
    while part := reader.read(step):
        parts.append(part)
    assert reader.read(step) == b""
    return b"".join(parts)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 47, 48, 49, 95, 96, 97, 48 * 1024, 48 * 1024 + 1, 200_000])
@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_what_is_armoured_decodes_to_the_same_bytes(size: int, ending: bytes) -> None:
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    text = armour(data)
    assert all(len(line) == 64 for line in text.splitlines()[1:-2])
    assert decode(text.replace(b"\n", ending)) == data


def test_single_lines_of_a_long_armour_may_end_in_the_other_way() -> None:
    lines = armour(bytes(200_000)).splitlines()
    ends = [b"\r\n" if number % 3 else b"\n" for number in range(len(lines))]
    assert decode(b"".join(line + end for line, end in zip(lines, ends, strict=True))) == bytes(200_000)


@given(st.binary(max_size=300), st.integers(1, 100), st.integers(1, 100))
def test_the_sizes_of_writes_and_reads_do_not_matter(data: bytes, piece: int, step: int) -> None:
    assert armour(data, piece) == armour(data)
    assert decode(armour(data), step) == data


def pem(*lines: bytes, begin: bytes = BEGIN, end: bytes = END) -> bytes:
    return b"\n".join((begin, *lines, end, b""))


@given(
    st.binary(max_size=200) | st.lists(st.sampled_from([LINE, b"AA==", b"AAA=", b"AAAA", b""])).map(lambda x: pem(*x))
)
@example(pem())
def test_any_text_is_refused_as_armour_or_is_the_armour_of_its_bytes(text: bytes) -> None:
    try:
        data = decode(text)
    except ArmorFailure:
        return
    assert armour(data) == text.replace(b"\r\n", b"\n").strip() + b"\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "no END line"),
        (b"\n\n", "no END line"),
        (BEGIN, "no END line"),
        (pem(LINE)[: -len(END) - 1], "no END line"),
        (pem(b"AAAA")[: -len(END) - 1], "no END line"),
        (b"To: somebody\n" + pem(b"AAAA"), "BEGIN line"),
        (b" " + pem(b"AAAA"), "BEGIN line"),
        (pem(b"AAAA", begin=BEGIN + b" "), "BEGIN line"),
        (pem(b"AAAA", begin=BEGIN.lower()), "BEGIN line"),
        (pem(b"AAAA", begin=BEGIN.replace(b"FILE", b"MESSAGE")), "BEGIN line"),
        (pem(b"AAAA", end=END + b" "), "shorter than 64"),
        (pem(LINE, end=END + b" "), "not base64"),
        (pem(b"AAAA", b"AAAA"), "shorter than 64"),
        (pem(b"AAAA", LINE), "shorter than 64"),
        (pem(b"AA==", b"AAAA"), "shorter than 64"),
        (pem(LINE, b""), "4 to 64 columns"),
        (pem(b"", LINE), "4 to 64 columns"),
        (pem(LINE + b"AAAA"), "4 to 64 columns"),
        (pem(LINE + LINE), "4 to 64 columns"),
        (pem(LINE[:-1] + b"=", LINE), "shorter than 64"),
        (pem(b"AAA"), "not base64"),
        (pem(b"AA="), "not base64"),
        (pem(b"AA"), "not base64"),
        (pem(b"A=A="), "not base64"),
        (pem(b"AA=\n="), "not base64"),
        (pem(b"AA==="), "not base64"),
        (pem(b"AB=="), "canonical"),
        (pem(b"AAB="), "canonical"),
        (pem(b"A" * 61 + b"B=="), "canonical"),
        (pem(b"A" * 62 + b"B="), "canonical"),
        (pem(LINE, b"AAA\xff"), "not base64"),
        (pem(LINE, b" AAAA"), "not base64"),
        (pem(LINE, b"AAAA "), "not base64"),
        (pem(LINE + b" ", b"AAAA"), "not base64"),
        (pem(b"Version: 1", b"", LINE), "not base64"),
        (pem(LINE, b"=AAAA"), "not base64"),
        (pem(LINE, b"AAAA\r\r"), "not base64"),
        (pem(LINE[:-4] + b"\r\n\r\n", LINE), "shorter than 64"),
        (pem(b"AAAA") + b"x", "follows the armour"),
        (pem(b"AAAA") + pem(b"AAAA"), "follows the armour"),
        (pem(b"AAAA") + b" " * 3 * MAX_WHITESPACE, "white space after"),
        (b"\n" * 3 * MAX_WHITESPACE + pem(b"AAAA"), "white space before"),
        (b" " * 3 * MAX_WHITESPACE + b"\n" + pem(b"AAAA"), "too long"),
        (BEGIN + b"x" * 3 * MAX_WHITESPACE, "too long"),
    ],
)
def test_what_is_not_strict_is_refused_for_its_reason(text: bytes, why: str) -> None:
    with pytest.raises(ArmorFailure) as caught:
        decode(text)
    assert why in caught.value.message
    assert caught.value.reason == "age-armor"


@pytest.mark.parametrize("line", [1, 500, 1023, 1024, 1500, 2083])
@pytest.mark.parametrize("damage", [b"*", b"=", b"\n", b"\r", b" ", b"\xff", b"-"])
def test_damage_anywhere_in_a_long_armour_is_noticed(line: int, damage: bytes) -> None:
    lines = armour(bytes(100_000)).split(b"\n")
    lines[line] = lines[line][:30] + damage + lines[line][31:]
    with pytest.raises(ArmorFailure):
        decode(b"\n".join(lines))


@pytest.mark.parametrize("line", [1, 1024, 2000])
def test_a_line_end_that_moved_is_noticed_though_the_letters_are_the_same(line: int) -> None:
    lines = armour(bytes(100_000)).split(b"\n")
    lines[line], lines[line + 1] = lines[line] + lines[line + 1][:4], lines[line + 1][4:]
    with pytest.raises(ArmorFailure):
        decode(b"\n".join(lines))


def test_white_space_around_the_armour_is_allowed_up_to_a_limit() -> None:
    assert decode(b"\r\n \t\n" + pem(b"AAAA") + b" \n\t\v\f") == bytes(3)
    assert decode(b"\n" * MAX_WHITESPACE + pem(b"AAAA") + b" " * MAX_WHITESPACE) == bytes(3)


@pytest.mark.parametrize("head", [BEGIN, b"\n\n" + BEGIN, b"----- BEGIN", b"garbage\n-----BEGIN", b" \n"])
def test_what_was_meant_as_armour_is_read_as_armour(head: bytes) -> None:
    assert looks_armored(head)


@pytest.mark.parametrize("head", [b"", b"age", b"PK\x03\x04", b"--- "])
def test_what_was_not_meant_as_armour_is_not(head: bytes) -> None:
    assert not looks_armored(head)
