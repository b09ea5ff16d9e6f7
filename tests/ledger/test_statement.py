"""ledger/statement.py: the block has one form, and is bounded."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import note
from ledger.canonical import Json
from ledger.statement import Statement, StatementError

GOOD: dict[str, Any] = {"checkpoint": "x", "old": 0, "consistency": [], "cosigned": "", "seen": 0}
LINE = note.Signature("lgsco/witness", b"abcd", b"e" * 72).line + "\n"


def test_the_longest_notes_are_read() -> None:
    signed = "x" * (8192 - 16) + "\n" * 16
    said = Statement.from_json({**GOOD, "checkpoint": signed, "seen": 3, "cosigned": signed * 2})
    assert said.cosigned == signed * 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"more": 1}, "five fields"),
        ({"checkpoint": 5}, "text"),
        ({"cosigned": None}, "text"),
        ({"old": -1}, "size"),
        ({"old": True}, "size"),
        ({"old": 2**53}, "size"),
        ({"seen": "3"}, "size"),
        ({"consistency": "abc"}, "list"),
        ({"consistency": [_ := "AA=="] * 64}, "list"),
        ({"consistency": ["AA=="]}, "hash"),
        ({"consistency": [5]}, "hash"),
        ({"consistency": ["é"]}, "hash"),
        ({"seen": 3}, "without its cosignature"),
        ({"cosigned": LINE}, "without its cosignature"),
        ({"checkpoint": "x" * 8193}, "longer"),
        ({"checkpoint": "é" * 4097}, "longer"),
        ({"checkpoint": "\n" * 17}, "longer"),
        ({"seen": 3, "cosigned": "x" * 16385}, "longer"),
        ({"seen": 3, "cosigned": "\n" * 33}, "longer"),
    ],
)
def test_a_malformed_block_is_refused(change: dict[str, Json], words: str) -> None:
    with pytest.raises(StatementError) as caught:
        Statement.from_json({**GOOD, **change})
    assert (caught.value.reason, words in caught.value.message) == ("bad-witness", True)


def test_a_missing_field_is_refused() -> None:
    for name in GOOD:
        with pytest.raises(StatementError, match="five fields"):
            Statement.from_json({key: value for key, value in GOOD.items() if key != name})


_ANY: Mapping[str, st.SearchStrategy[Json]] = {
    "checkpoint": st.text(max_size=20),
    "old": st.integers(-5, 2**60),
    "consistency": st.lists(st.binary(min_size=31, max_size=32).map(lambda b: b.hex()) | st.text(), max_size=3),
    "cosigned": st.sampled_from(["", LINE, LINE * 2, "x"]),
    "seen": st.integers(0, 2**60),
}


@settings(max_examples=200)
@given(st.fixed_dictionaries(dict(_ANY)))
def test_whatever_is_read_is_written_the_same(block: dict[str, Json]) -> None:
    try:
        statement = Statement.from_json(block)
    except StatementError:
        return
    assert statement.to_json() == block
