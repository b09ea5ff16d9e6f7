"""ledger/entry.py: what an entry may say, its one spelling, and commitments."""

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.canonical import Json, encode
from ledger.entry import MAX_ENTRY, Draft, Entry, EntryError, commitment, parse

ID = "01a205b3-d000-7000-8000-000000000000"
AT = "2026-11-23T10:15:00.123Z"
SMALL: dict[str, Any] = {"v": 1, "seq": 7, "at": AT, "event": "sent", "actor": "daemon"}
FULL = Entry(
    seq=7,
    at=AT,
    event="sealed",
    actor="daemon",
    handover=ID,
    partner="ofsted",
    direction="out",
    authority="E08000025",
    category="upheld-decision",
    bytes=81_234,
    envelope_sha256="ab" * 32,
    key="SHA256:mVPwvezndPv/ARoIadVY98vAC0g+P/5633yTC4d/wXE",
    committed={"name": "cd" * 32},
    detail={"sequence": 17, "gateways": ["LGA1974_PtIII"]},
)


def test_an_entry_with_every_field_has_one_spelling_and_reads_back() -> None:
    data = FULL.encode()
    assert data == encode(FULL.to_json())
    assert parse(data) == FULL
    assert set(FULL.to_json()) == {
        *("v", "seq", "at", "event", "actor", "handover", "partner", "direction", "authority", "category", "bytes"),
        *("envelope_sha256", "key", "committed", "detail"),
    }


def test_absent_fields_are_left_out() -> None:
    assert Entry(seq=7, at=AT, event="sent", actor="daemon").to_json() == SMALL


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        ({"v": 2}, "bad-entry", "field v "),
        ({"v": True}, "bad-entry", "field v "),
        ({"seq": -1}, "bad-entry", "field seq "),
        ({"seq": False}, "bad-entry", "field seq "),
        ({"at": "2026-11-23T10:15:00Z"}, "bad-entry", "field at "),
        ({"at": "2026-13-23T10:15:00.123Z"}, "bad-entry", "field at "),
        ({"at": 5}, "bad-entry", "field at "),
        ({"event": "Sent"}, "bad-entry", "field event "),
        ({"event": "a.b.c"}, "bad-entry", "field event "),
        ({"event": "sent\n"}, "bad-entry", "field event "),
        ({"actor": "A. Person"}, "bad-entry", "field actor "),
        ({"handover": "x", "partner": "p", "direction": "in"}, "bad-entry", "field handover "),
        ({"handover": ID}, "bad-entry", "without its partner"),
        ({"handover": ID, "partner": "ofsted"}, "bad-entry", "without its partner"),
        ({"partner": "../up"}, "bad-entry", "field partner "),
        ({"direction": "up"}, "bad-entry", "field direction "),
        ({"direction": ["out"]}, "bad-entry", "field direction "),
        ({"authority": "Birmingham"}, "bad-entry", "field authority "),
        ({"category": "Upheld decision"}, "bad-entry", "field category "),
        ({"bytes": -1}, "bad-entry", "field bytes "),
        ({"bytes": None}, "bad-entry", "field bytes "),
        ({"envelope_sha256": "AB" * 32}, "bad-entry", "field envelope_sha256 "),
        ({"key": "two words"}, "bad-entry", "field key "),
        ({"committed": {}}, "bad-entry", "field committed "),
        ({"committed": {"name": "ab"}}, "bad-entry", "field committed "),
        ({"committed": {"Name": "ab" * 32}}, "bad-entry", "field committed "),
        ({"detail": {}}, "bad-entry", "field detail "),
        ({"detail": []}, "bad-entry", "field detail "),
        ({"name": "decision.pdf"}, "unknown-field", "not known"),
    ],
)
def test_a_field_of_a_wrong_form_is_refused_by_name(change: dict[str, Json], reason: str, words: str) -> None:
    with pytest.raises(EntryError) as caught:
        parse(encode({**SMALL, **change}))
    assert (caught.value.reason, words in caught.value.message) == (reason, True)


@pytest.mark.parametrize("name", ["v", "seq", "at", "event", "actor"])
def test_a_required_field_must_be_there(name: str) -> None:
    with pytest.raises(EntryError, match=f"lacks its field {name}"):
        parse(encode({key: value for key, value in SMALL.items() if key != name}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"seq":7, "v":1}',
        b'{"v":1,"seq":7}',
        b'{"actor":"daemon","at":"2026-11-23T10:15:00.123Z","event":"sent","seq":7,"v":1,"v":1}',
        b'{"actor":"daemon","at":"2026-11-23T10:15:00.123Z","event":"sent","seq":7.0,"v":1}',
        b"[" * 50_000,
    ],
)
def test_bytes_that_are_not_canonical_are_refused(data: bytes) -> None:
    with pytest.raises(EntryError, match="not canonical"):
        parse(data)


def test_the_largest_entry_fits_and_one_byte_more_does_not() -> None:
    room = MAX_ENTRY - len(encode({**SMALL, "detail": {"x": ""}}))
    largest = Entry(seq=7, at=AT, event="sent", actor="daemon", detail={"x": "a" * room})
    assert len(largest.encode()) == MAX_ENTRY == 65_535
    assert parse(largest.encode()) == largest
    with pytest.raises(EntryError) as caught:
        Entry(seq=7, at=AT, event="sent", actor="daemon", detail={"x": "a" * (room + 1)}).encode()
    assert caught.value.reason == "entry-too-large"
    with pytest.raises(EntryError, match="larger than 65535"):
        parse(encode({**SMALL, "detail": {"x": "a" * (room + 1)}}))


def test_a_detail_that_json_cannot_hold_is_refused_with_our_own_error() -> None:
    with pytest.raises(EntryError, match="cannot be written"):
        Entry(seq=7, at=AT, event="sent", actor="daemon", detail={"x": 2**60}).encode()
    with pytest.raises(EntryError, match="cannot be written"):
        Entry(seq=7, at=AT, event="sent", actor="daemon", detail={"x": "\ud800"}).encode()


def test_a_commitment_is_the_hash_of_its_length_prefixed_parts() -> None:
    salt = bytes(range(32))
    value = b'"24 015 493"'
    parts = (b"reference", salt, value)
    expected = hashlib.sha256(b"handover/commit/v1" + b"".join(len(p).to_bytes(4, "big") + p for p in parts))
    assert commitment("reference", salt, "24 015 493") == expected.hexdigest()


def test_a_sealed_draft_holds_commitments_and_no_private_value() -> None:
    draft = Draft(event="accepted", actor="daemon", private={"name": "Ada Example.pdf", "reference": "24 015 493"})
    salts = iter([b"\1" * 32, b"\2" * 32])
    entry, openings = draft.seal(3, AT, lambda n: next(salts))
    assert b"Ada" not in entry.encode()
    assert b"015" not in entry.encode()
    assert {opening.field: opening.commitment for opening in openings} == entry.committed
    assert [opening.salt[0] for opening in openings] == [1, 2]
    assert draft.replace(actor="operator").private == draft.private


@settings(max_examples=150)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_whatever_parses_encodes_to_the_same_bytes_and_nothing_else_escapes(data: bytes) -> None:
    try:
        entry = parse(data)
    except EntryError:
        return
    assert entry.encode() == data


_WORD = st.from_regex(r"[a-z][a-z0-9-]{0,31}", fullmatch=True)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150)
@given(
    seq=st.integers(0, 2**53 - 1),
    event=_WORD,
    actor=_WORD,
    size=st.none() | st.integers(0, 2**53 - 1),
    detail=st.dictionaries(st.text(max_size=8), _JSON, max_size=4),
)
def test_every_entry_reads_back_as_itself(
    seq: int, event: str, actor: str, size: int | None, detail: dict[str, Json]
) -> None:
    entry = Entry(seq=seq, at=AT, event=event, actor=actor, bytes=size, detail=detail)
    assert parse(entry.encode()) == entry


@settings(max_examples=150)
@given(st.integers(0, len(FULL.encode()) - 1), st.integers(1, 255))
def test_a_changed_byte_is_another_entry_or_none(at: int, change: int) -> None:
    data = bytearray(FULL.encode())
    data[at] ^= change
    try:
        assert parse(bytes(data)) != FULL
    except EntryError:
        return
