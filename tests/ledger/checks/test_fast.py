"""ledger/checks/fast.py: it agrees with the strict reader, or says that it does not know."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.canonical import Json
from ledger.checks.fast import MAX_FAST, read
from ledger.entry import Entry, EntryError, parse
from tests.ledger.ledgers import fresh_id, incoming, outgoing
from tests.ledger.test_entry import AT, FULL, ID

SMALL = b'{"actor":"daemon","at":"2026-11-23T10:15:00.123Z","event":"sent","seq":7,"v":1}'


def test_the_entries_of_every_day_are_read_at_a_glance() -> None:
    drafts = [*outgoing(fresh_id(), 3), *incoming(fresh_id(), 4)]
    for seq, draft in enumerate(drafts):
        entry, _ = draft.seal(seq, AT, bytes)
        assert read(entry.encode()) == entry.to_json()
    assert read(FULL.encode()) == FULL.to_json()


@pytest.mark.parametrize("day", ["01-31", "04-30", "12-31", "02-28", "11-29"])
def test_every_day_of_a_common_year_is_read(day: str) -> None:
    assert read(SMALL.replace(b"11-23", day.encode())) is not None


@pytest.mark.parametrize("day", ["02-29", "02-30", "04-31", "13-01", "00-10", "01-00", "11-31"])
def test_other_days_are_left_to_the_strict_reader(day: str) -> None:
    assert read(SMALL.replace(b"11-23", day.encode())) is None


@pytest.mark.parametrize(
    "data",
    [
        SMALL.replace(b'"seq":7', b'"seq":07'),
        SMALL.replace(b'"seq":7', b'"seq": 7'),
        SMALL.replace(b'"seq":7', b'"seq":7.0'),
        SMALL.replace(b'"seq":7', b'"seq":-7'),
        SMALL.replace(b'"v":1', b'"v":2'),
        SMALL + b"\n",
        SMALL.replace(b'"event"', b'"detail":{"a":1,"a":1},"event"'),
        SMALL.replace(b'"event"', b'"detail":{"b":1,"a":1},"event"'),
        SMALL.replace(b'"event"', b'"detail":{},"event"'),
        SMALL.replace(b'"event"', b'"detail":{"a":1},"detail":{"a":1},"event"'),
        SMALL.replace(b'"event"', b'"committed":{"b":"%b","a":"%b"},"event"' % (b"0" * 64, b"0" * 64)),
        SMALL.replace(b'"event"', b'"committed":{"a":"%b","a":"%b"},"event"' % (b"0" * 64, b"1" * 64)),
        SMALL.replace(b'"seq"', b'"handover":"%b","seq"' % ID.encode()),
        SMALL.replace(b'"sent"', b'"sent","event":"sent"'),
        SMALL.replace(b"daemon", "dæmon".encode()),
        SMALL.replace(b"daemon", b"\xff"),
    ],
)
def test_what_is_not_canonical_is_never_read_at_a_glance(data: bytes) -> None:
    assert read(data) is None
    with pytest.raises(EntryError):
        parse(data)


@pytest.mark.parametrize("detail", [{"é": 1}, {"a": 'quo"te'}, {"a": "\n"}, {"a": {"b": 1}}, {"A": 1}, {"a": -1}])
def test_unusual_details_are_left_to_the_strict_reader(detail: dict[str, Json]) -> None:
    data = Entry(seq=7, at=AT, event="sent", actor="daemon", detail=detail).encode()
    assert read(data) is None
    assert parse(data).detail == detail


def test_long_entries_are_left_to_the_strict_reader() -> None:
    data = Entry(seq=7, at=AT, event="sent", actor="daemon", detail={"a": "x" * MAX_FAST}).encode()
    assert read(data) is None


_VALUE = (
    st.text(st.characters(codec="ascii"), max_size=12)
    | st.integers(0, 2**53 - 1)
    | st.booleans()
    | st.none()
    | st.lists(st.text(st.characters(codec="ascii"), max_size=4), max_size=3)
)


@settings(max_examples=400)
@given(
    detail=st.dictionaries(st.from_regex(r"[a-z0-9_\"]{1,6}", fullmatch=True), _VALUE, max_size=5),
    committed=st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), st.just("0" * 64), max_size=4),
    seq=st.integers(0, 2**53 - 1),
    at=st.datetimes().map(lambda t: f"{t:%Y-%m-%dT%H:%M:%S}.{t.microsecond // 1000:03d}Z".rjust(24, "0")),
    more=st.fixed_dictionaries(
        {},
        optional={
            "bytes": st.integers(0, 2**53 - 1),
            "key": st.from_regex(r"[!-~]{1,20}", fullmatch=True),
            "category": st.just("upheld-decision"),
            "partner": st.just("ofsted"),
        },
    ),
)
def test_it_says_what_the_strict_reader_says_or_nothing(
    detail: dict[str, Json], committed: dict[str, str], seq: int, at: str, more: dict[str, Any]
) -> None:
    entry = Entry(seq=seq, at=at, event="sent", actor="daemon", detail=detail, committed=committed, **more)
    try:
        data = entry.encode()
    except EntryError:
        return
    assert read(data) in (None, parse(data).to_json())


@settings(max_examples=600)
@given(st.integers(0, len(FULL.encode()) - 1), st.binary(min_size=0, max_size=2), st.integers(0, 2))
def test_a_changed_entry_is_read_only_if_the_strict_reader_reads_the_same(at: int, new: bytes, drop: int) -> None:
    data = FULL.encode()
    changed = data[:at] + new + data[at + drop :]
    found = read(changed)
    if found is not None:
        assert found == parse(changed).to_json()
