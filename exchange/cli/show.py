"""How results look: JSON for programs, tables on a terminal, plain columns elsewhere; other people's text harmless."""

import json
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from config.errors import Misuse

if TYPE_CHECKING:
    from ledger.export import Form

Cell = str | int | bool | None

ROW_COLUMNS = (
    "id",
    "direction",
    "partner",
    "category",
    "authority",
    "reference",
    "name",
    "size",
    "state",
    "dropped_at",
    "sent_at",
    "delivered_at",
    "acknowledged_at",
    "overdue",
    "key",
    "seq",
)
"""The fields of a handover in the order in which they are written out."""


def as_json(value: object) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def pairs(values: Mapping[str, Cell]) -> None:
    """Labels and values, aligned, one a line; None is left out."""
    shown = {label: value for label, value in values.items() if value is not None}
    width = max((len(label) for label in shown), default=0)
    for label, value in shown.items():
        click.echo(f"{label:<{width}}  {harmless(value)}")


def told(values: Mapping[str, Cell], as_json_: bool) -> None:
    """One result: JSON for programs, else `pairs`."""
    if as_json_:
        as_json(values)
    else:
        pairs(values)


def ordered(placed: Mapping[str, Cell], as_json_: bool) -> None:
    """An order that was recorded, and when it will be carried out."""
    if as_json_:
        as_json(placed)
        return
    click.echo(f"ordered: {placed['order']} {placed['handover']} (entry {placed['seq']})")
    click.echo("the daemon carries it out within seconds, or when it next runs", err=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, empty: str) -> None:
    """A table; `empty` is what is said on stderr when there are no rows."""
    if not rows:
        click.echo(empty, err=True)
        return
    texts = [[harmless(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        drawn = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            drawn.add_column(column, overflow="fold")
        for row in texts:
            drawn.add_row(*(Text(cell) for cell in row))
        Console().print(drawn)
        return
    widths = [max(len(line[i]) for line in [list(columns), *texts]) for i in range(len(columns))]
    for line in [list(columns), *texts]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def cells(row: Mapping[str, Cell | list[str]], columns: Sequence[str]) -> list[Cell]:
    """The cells of one row; a list is joined."""
    values = (row[column] for column in columns)
    return [", ".join(value) or None if isinstance(value, list) else value for value in values]


def rows(found: Sequence[Mapping[str, Cell]], form: str | None, output: str | None, *, empty: str) -> None:
    """Handovers as a table, or in one of the forms of `ledger.export`, on stdout or into a file."""
    from ledger.export import encode

    form = form or (_form_of(output) if output is not None else "table")
    if form == "table":
        if output is not None:
            raise Misuse("a table is for a terminal", hint="give --format csv, json, jsonl or xlsx for a file")
        columns = ("id", "direction", "partner", "state", "authority", "category", "reference", "name", "dropped_at")
        table(columns, [[row.get(column) for column in columns] for row in found], empty=empty)
    elif output is not None:
        Path(output).write_bytes(encode(found, ROW_COLUMNS, cast("Form", form)))
    elif form == "xlsx" and sys.stdout.isatty():
        raise Misuse("a spreadsheet is not for a terminal", hint="give -o FILE.xlsx")
    else:
        sys.stdout.buffer.write(encode(found, ROW_COLUMNS, cast("Form", form)))


def _form_of(output: str) -> str:
    ending = Path(output).suffix.lstrip(".").lower()
    if ending not in ("csv", "json", "jsonl", "xlsx"):
        raise Misuse("the ending of the file says no format", hint="give --format, or a name like answer.xlsx")
    return ending


def harmless(value: Cell) -> str:
    """Text for a terminal: control and direction-changing characters replaced, so that a name cannot rewrite a line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "".join("�" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in str(value))
