"""Answers as files: what a parser and a spreadsheet find in them, whatever people call their files."""

import csv
import io
import json
import re
import zipfile
from typing import get_args
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.export import TEXT_FORMAT, Form, Value, encode, neutral

COLUMNS = ("id", "name", "size", "overdue")
ROWS: list[dict[str, Value]] = [
    {"seq": 3, "id": "0199", "name": "Bescheid, „endgültig“.pdf", "size": 81_234, "overdue": True},
    {"seq": 1, "id": "0198", "name": None, "size": -1, "overdue": False},
]

RUN = ("=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", '=HYPERLINK("http://x","y")', "＝1", "＋1", "－1", "＠1")
"""What a spreadsheet runs."""

LIVE = (*RUN, "\tx", "\rx", "\nx", "\t=1", "\r\n=1")
"""And what it may skip to what it runs."""

S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def one(value: Value) -> list[dict[str, Value]]:
    return [{"name": value}]


def read_csv(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))


def part(data: bytes, name: str) -> ElementTree.Element:
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        assert book.testzip() is None
        return ElementTree.fromstring(book.read(name))


def cells(data: bytes) -> list[list[str | None]]:
    """What an XLSX file holds, by the standard library alone: type and value of each cell."""
    unescaped = [
        re.sub("_x([0-9A-F]{4})_", lambda m: chr(int(m[1], 16)), "".join(si.itertext()))
        for si in part(data, "xl/sharedStrings.xml").iter(f"{S}si")
    ]
    rows = []
    for row in part(data, "xl/worksheets/sheet1.xml").iter(f"{S}row"):
        found: list[str | None] = []
        for cell in row.iter(f"{S}c"):
            value = cell.findtext(f"{S}v")
            found.append(unescaped[int(value)] if cell.get("t") == "s" and value is not None else value)
        rows.append(found)
    return rows


def live_pieces(cell: str) -> list[str]:
    """What of a cell of CSV would begin a cell of its own, somewhere, and be run."""
    pieces = re.split("[;\t\r\n]", cell)
    return [piece for piece in pieces if piece.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))]


# what is in the files


def test_json_holds_every_field_of_every_row() -> None:
    data = encode(ROWS, COLUMNS, "json")
    assert json.loads(data) == ROWS
    assert data.endswith(b"]\n")


def test_json_lines_hold_a_row_each() -> None:
    data = encode([*ROWS, {"name": "two\nlines"}], COLUMNS, "jsonl")
    assert [json.loads(line) for line in data.split(b"\n")[:-1]] == [*ROWS, {"name": "two\nlines"}]
    assert data.endswith(b"}\n")


def test_csv_holds_the_columns_asked_for_under_their_names() -> None:
    assert encode(ROWS, COLUMNS, "csv").decode() == (
        'id,name,size,overdue\r\n0199,"Bescheid, „endgültig“.pdf",81234,true\r\n0198,,-1,false\r\n'
    )


def test_a_spreadsheet_holds_numbers_as_numbers_and_text_as_text() -> None:
    data = encode(ROWS, COLUMNS, "xlsx")
    assert cells(data) == [
        ["id", "name", "size", "overdue"],
        ["0199", "Bescheid, „endgültig“.pdf", "81234", "1"],
        ["0198", "-1", "0"],
    ]
    kinds = [cell.get("t") for cell in part(data, "xl/worksheets/sheet1.xml").iter(f"{S}c")]
    assert kinds[4:] == ["s", "s", None, "b", "s", None, "b"]


@pytest.mark.parametrize(
    ("form", "expected"), [("json", b"[]\n"), ("jsonl", b""), ("csv", b"id,name,size,overdue\r\n"), ("xlsx", None)]
)
def test_no_rows_are_no_error(form: Form, expected: bytes | None) -> None:
    data = encode([], COLUMNS, form)
    if expected is None:
        assert cells(data) == [list(COLUMNS)]
    else:
        assert data == expected


# nothing is live


@pytest.mark.parametrize("text", LIVE)
def test_a_live_beginning_gets_an_apostrophe_in_csv(text: str) -> None:
    ((_,), (cell,)) = read_csv(encode(one(text), ["name"], "csv"))
    assert cell.startswith("'" + text[0])
    assert cell.replace("'", "") == text.replace("'", "")


@pytest.mark.parametrize("separator", [";", "\t", "\r\n", "\n"])
@pytest.mark.parametrize("text", RUN)
def test_a_live_beginning_after_what_another_country_takes_for_a_separator_gets_one_too(
    text: str, separator: str
) -> None:
    assert live_pieces(f"a{separator}{text};b")
    assert live_pieces(neutral(f"a{separator}{text};b")) == []


@pytest.mark.parametrize("text", ["24 015 493", "a=b", "a-b+c@d.pdf", "'", " ", "", "decision;final.pdf", "E08000025"])
def test_other_text_is_written_as_it_is(text: str) -> None:
    assert neutral(text) == text


def test_numbers_are_not_text_though_they_may_begin_with_a_minus() -> None:
    assert [neutral(value) for value in (-1, 0, 2**63, True, False, None)] == [
        *("-1", "0", "9223372036854775808", "true", "false", "")
    ]


@pytest.mark.parametrize("text", [*LIVE, "http://example.invalid/", "mailto:a@b", "internal:Sheet1!A1", "{=1+1}", "17"])
def test_a_spreadsheet_holds_no_formula_and_no_link(text: str) -> None:
    data = encode(one(text), ["name"], "xlsx")
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        names = book.namelist()
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f" not in sheet
    assert "hyperlink" not in sheet.lower()
    assert not any("rels" in name and "worksheets" in name for name in names)
    assert not any("calcChain" in name or "externalLink" in name or "vba" in name for name in names)
    assert cells(data) == [["name"], [text]]


def test_text_in_a_spreadsheet_stays_text_when_a_person_edits_it() -> None:
    data = encode(one("=1+1"), ["name"], "xlsx")
    (_, cell) = part(data, "xl/worksheets/sheet1.xml").iter(f"{S}c")
    formats = part(data, "xl/styles.xml").find(f"{S}cellXfs")
    assert formats is not None
    chosen = formats[int(cell.get("s", "0"))]
    assert (chosen.get("numFmtId"), chosen.get("quotePrefix")) == (str(TEXT_FORMAT), "1")


# any text

ODD = (
    "\ud800",
    "\0\x01\x1f\x7f",
    "_x000D_",
    "\ufffe\uffff",
    "]]>",
    "<f>1</f>",
    "&amp;",
    '"',
    "\u2028",
    " x ",
    "a\r\nb",
)


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("form", get_args(Form))
def test_any_text_can_be_written(form: Form, text: str) -> None:
    data = encode(one(text), ["name"], form)
    expected = text.encode("utf-8", "replace").decode()
    if form == "json":
        assert json.loads(data) == [{"name": expected}]
    elif form == "jsonl":
        assert json.loads(data) == {"name": expected}
    elif form == "csv":
        assert read_csv(data)[1] == [expected]
    elif "_x" not in text:
        assert cells(data)[1] == [expected]


def test_what_looks_like_an_escape_in_a_spreadsheet_is_escaped() -> None:
    strings = part(encode(one("_x000D_"), ["name"], "xlsx"), "xl/sharedStrings.xml")
    assert "_x005F_x000D_" in "".join(strings.itertext())


def test_a_text_longer_than_a_cell_is_cut_to_what_a_cell_holds() -> None:
    assert cells(encode(one("a" * 40_000), ["name"], "xlsx"))[1] == ["a" * 32_767]


VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | st.text("=+-@\t\r\n;',\" ")


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, VALUES)), max_size=4))
def test_csv_is_read_back_cell_by_cell_and_json_value_by_value(rows: list[dict[str, Value]]) -> None:
    header, *found = read_csv(encode(rows, COLUMNS, "csv"))
    assert header == list(COLUMNS)
    assert found == [[neutral(row[name]) for name in COLUMNS] for row in rows]
    assert json.loads(encode(rows, COLUMNS, "json")) == rows


@given(st.text("=+-@＝\t\r\n;a', ") | st.text())
def test_no_piece_of_a_cell_is_live(text: str) -> None:
    assert live_pieces(neutral(text)) == []
