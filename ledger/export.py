"""Answers as files: JSON, JSON Lines, CSV (RFC 4180) and XLSX, in none of which a cell is a live formula.

Names of files come from other people, and a spreadsheet runs a cell that begins with `=`, `+`, `-` or `@`. In CSV such
a cell gets an apostrophe in front, and so does what follows a semicolon or a tab, since a spreadsheet in some countries
takes those for the end of a cell; in XLSX every text is written as text, and stays one when a person edits it.

Text that is not Unicode is written with question marks in all four. Whoever needs values unchanged takes JSON.

>>> neutral("=HYPERLINK(1)"), neutral("24 015 493"), neutral(None), neutral(-17)
("'=HYPERLINK(1)", '24 015 493', '', '-17')
>>> neutral("a;=1+1")
"a;'=1+1"
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Literal

Form = Literal["csv", "json", "jsonl", "xlsx"]
Value = str | int | bool | None

TEXT_FORMAT = 49
"""The built-in number format `@`: whatever is typed into such a cell is text."""

_SIGNS = "[=+\\-@＝＋－＠]"

_LIVE = re.compile(rf"^(?=[\t\r\n]|{_SIGNS})|(?<=[;\t\r\n])(?={_SIGNS})")
"""Where a cell may begin and a formula does; Excel takes the full-width signs for plain ones."""


def neutral(value: Value) -> str:
    """A cell of CSV that no spreadsheet takes for a formula; numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, str):
        return _LIVE.sub("'", value)
    return str(value).lower()


def encode(rows: Sequence[Mapping[str, Value]], columns: Sequence[str], form: Form) -> bytes:
    """The whole file; `columns` gives the order, and the header where the form has one."""
    if form == "json":
        return (json.dumps(list(rows), indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace")
    if form == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8", "replace")
    if form == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(columns)
        writer.writerows([neutral(row.get(column)) for column in columns] for row in rows)
        return text.getvalue().encode("utf-8", "replace")
    return _xlsx(rows, columns)


def _xlsx(rows: Sequence[Mapping[str, Value]], columns: Sequence[str]) -> bytes:
    import xlsxwriter  # takes long to import, and few questions want it

    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    sheet = book.add_worksheet("handovers")
    bold, text = book.add_format({"bold": True}), book.add_format({"num_format": TEXT_FORMAT, "quote_prefix": True})
    for number, column in enumerate(columns):
        sheet.write_string(0, number, column, bold)
        sheet.set_column(number, number, max(12, len(column) + 2))
    for line, row in enumerate(rows, 1):
        for number, column in enumerate(columns):
            value = row.get(column)
            if isinstance(value, bool):
                sheet.write_boolean(line, number, value)
            elif isinstance(value, int):
                sheet.write_number(line, number, value)
            elif value is not None:
                # never `write`, which guesses: this makes neither a formula nor a link
                sheet.write_string(line, number, value.encode("utf-8", "replace").decode(), text)
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, len(rows), len(columns) - 1)
    book.close()
    return out.getvalue()
