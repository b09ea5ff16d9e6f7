"""Answers as files: JSON, JSON Lines, CSV (RFC 4180) and XLSX, in none of which a cell is a live formula.

Names of files come from other people, and a spreadsheet runs a cell that begins with `=`, `+`, `-` or `@`. In CSV such
a cell gets an apostrophe in front; in XLSX every text is written as text.

>>> neutral("=HYPERLINK(1)"), neutral("24 015 493"), neutral(None), neutral(17)
("'=HYPERLINK(1)", '24 015 493', '', '17')
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Literal

Form = Literal["csv", "json", "jsonl", "xlsx"]
Value = str | int | bool | None

_LIVE = ("=", "+", "-", "@", "\t", "\r", "\n")


def neutral(value: Value) -> str:
    """A cell of CSV that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    return "'" + text if isinstance(value, str) and text.startswith(_LIVE) else text


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
    book = xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    sheet = book.add_worksheet("handovers")
    bold = book.add_format({"bold": True})
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
                sheet.write_string(line, number, value)
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, max(len(rows), 1), len(columns) - 1)
    book.close()
    return out.getvalue()
