"""What was found wrong, in the order of the entries; and how to read a large table without holding it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ledger.database import Connection, translated

MAX_PROBLEMS = 100
"""More are counted, not listed: the first one matters, and a large ledger can have millions."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `seq`: everything before this entry is vouched for by what does fit; None: no entry is meant."""

    seq: int | None
    what: str

    @property
    def text(self) -> str:
        """For a person."""
        return self.what if self.seq is None else f"entry {self.seq}: {self.what}"


class Findings:
    """Collects problems."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.unlisted = 0
        self.first_bad_seq: int | None = None

    def add(self, seq: int | None, what: str) -> None:
        """Note a problem."""
        if seq is not None and (self.first_bad_seq is None or seq < self.first_bad_seq):
            self.first_bad_seq = seq
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(seq, what))
        else:
            self.unlisted += 1

    def listed(self) -> tuple[Problem, ...]:
        """The problems by entry, those that mean none first; then how many are not listed."""
        ordered = sorted(self.problems, key=lambda problem: -1 if problem.seq is None else problem.seq)
        more = [Problem(None, f"{self.unlisted} more problems are not listed")] if self.unlisted else []
        return (*ordered, *more)


def each(connection: Connection, sql: str, *values: object) -> Iterator[tuple[Any, ...]]:
    """Rows one after the other, in constant memory."""
    with translated():
        cursor = connection.execute(sql, values)
    while True:
        with translated():
            rows = cursor.fetchmany(2000)
        if not rows:
            return
        yield from rows
