"""What is known of handovers now: reads of the cache that the ledger keeps beside its entries.

A question about entries that asks for a handover or an event and for a partner too says `+partner = ?`: else SQLite may
go through all that ever happened with that partner, which it takes for as few as the other.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from config.errors import Refused
from ledger import schema
from ledger.database import Connection, translated
from ledger.entry import Direction
from ledger.handover import Handover, State

_HANDOVER = " ".join(("SELECT", ", ".join(schema.CACHED), "FROM handovers"))

CLOSED = "witness.closed"
"""A partner's ledger has come to its end and another one begins: its numbers, and ours for it, count from 1 again."""

_NUMBER = "json_extract(CAST(entry AS TEXT), '$.detail.sequence')"

NUMBERED_SINCE = " ".join(
    (
        "(first_seq >= ? OR decided_seq >= ? AND EXISTS (SELECT 1 FROM entries WHERE entries.handover = handovers.id",
        "AND +entries.partner = handovers.partner AND +entries.direction = handovers.direction",
        f"AND +entries.seq >= ? AND {_NUMBER} IS NOT NULL))",
    )
)
"""Condition on handovers, with the number of one entry thrice: whether it got its running number in that one or later.
An envelope that was quarantined before it could be read has got it later than its first entry."""


class UnknownHandover(Refused):
    """No handover, or more than one, is meant by an id."""

    reason = "unknown-handover"


class Rows(Protocol):
    """Runs one query and returns all rows; raises NotNow or Tampered, never an error of SQLite's."""

    def __call__(self, sql: str, *values: object) -> list[tuple[Any, ...]]: ...


def rows_of(connection: Connection) -> Rows:
    """Queries over one connection, which is used by one thread at a time."""

    def rows(sql: str, *values: object) -> list[tuple[Any, ...]]:
        with translated():
            return list(connection.execute(sql, values))

    return rows


class Known:
    """Questions about handovers, over whatever answers queries."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def _row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        found = self.rows(sql, *values)
        return found[0] if found else None

    def handover(self, partner: str, direction: Direction, identifier: str) -> Handover | None:
        """What is known of one handover, or None."""
        row = self._row(f"{_HANDOVER} WHERE partner = ? AND direction = ? AND id = ?", partner, direction, identifier)
        return None if row is None else _handover(row)

    def find_handovers(self, prefix: str) -> list[Handover]:
        """Handovers whose id begins with `prefix`, oldest first."""
        found = self.rows(f"{_HANDOVER} WHERE id >= ? AND id < ? ORDER BY first_seq", prefix, prefix + "\U0010ffff")
        return [_handover(row) for row in found]

    def find_one(self, direction: Direction, identifier: str) -> Handover:
        """The one handover of that direction and id; raises UnknownHandover."""
        found = self.find_one_or_none(direction, identifier)
        if found is None:
            raise UnknownHandover("no handover has this id")
        return found

    def find_one_or_none(self, direction: Direction, identifier: str) -> Handover | None:
        """The same, or None; raises UnknownHandover if two partners use one id."""
        found = self.rows(f"{_HANDOVER} WHERE id = ? AND direction = ?", identifier, direction)
        if len(found) > 1:
            raise UnknownHandover("more than one handover has this id", reason="ambiguous-handover")
        return _handover(found[0]) if found else None

    def handovers(
        self,
        *,
        states: Sequence[State] = (),
        partner: str | None = None,
        direction: Direction | None = None,
        receipt: str | None = None,
    ) -> list[Handover]:
        """Handovers in one of `states` (none: any) and so on, oldest first."""
        conditions, values = ["1"], list[object]()
        if states:
            conditions.append(f"state IN ({', '.join('?' * len(states))})")
            values += states
        for column, value in (("partner", partner), ("direction", direction), ("receipt", receipt)):
            if value is not None:
                conditions.append(f"{column} = ?")
                values.append(value)
        found = self.rows(f"{_HANDOVER} WHERE {' AND '.join(conditions)} ORDER BY first_seq", *values)
        return [_handover(row) for row in found]

    def acknowledged_until(self, partner: str, category: str, at: str) -> list[Handover]:
        """Outgoing handovers of a kind whose receipt came at `at` or before, and whose copy is not destroyed."""
        sql = (
            f"{_HANDOVER} WHERE state = 'acknowledged' AND partner = ? AND direction = 'out' AND category = ? "
            "AND acknowledged_at <= ? ORDER BY first_seq"
        )
        return [_handover(row) for row in self.rows(sql, partner, category, at)]

    def acknowledged_kinds(self) -> list[tuple[str, str]]:
        """(partner, category) of every outgoing handover that is acknowledged and not destroyed."""
        sql = "SELECT DISTINCT partner, category FROM handovers WHERE state = 'acknowledged' AND direction = 'out'"
        return [(str(partner), str(category)) for partner, category in self.rows(sql)]

    def begun(self, partner: str) -> int:
        """The entry with which the partner's present ledger began here; 0 where it never had another."""
        row = self._row("SELECT max(seq) FROM entries WHERE event = ? AND +partner = ?", CLOSED, partner)
        return 0 if row is None or row[0] is None else int(row[0])

    def with_number(self, partner: str, direction: Direction, sequence: int) -> Handover | None:
        """The (first) handover that has this running number since the partner's ledger began, or None."""
        begun = self.begun(partner)
        row = self._row(
            f"{_HANDOVER} WHERE partner = ? AND direction = ? AND sequence = ? AND {NUMBERED_SINCE} "
            "ORDER BY first_seq LIMIT 1",
            partner,
            direction,
            sequence,
            *(begun, begun, begun),
        )
        return None if row is None else _handover(row)

    def highest_sequence(self, partner: str, direction: Direction) -> int:
        """The highest running number of a handover since the partner's ledger began; 0 if there is none."""
        begun = self.begun(partner)
        if begun and direction == "out":
            return max(self._number_given(event, partner, begun) for event in ("accepted", "renumbered"))
        sql = "SELECT max(sequence) FROM handovers WHERE partner = ? AND direction = ?"
        values: list[object] = [partner, direction]
        if begun:
            sql, values = f"{sql} AND {NUMBERED_SINCE}", [*values, begun, begun, begun]
        row = self._row(sql, *values)
        return 0 if row is None or row[0] is None else int(row[0])

    def _number_given(self, event: str, partner: str, begun: int) -> int:
        """The number that the last such entry gave: we give them in order, and need not go through all."""
        found = "FROM entries WHERE event = ? AND +partner = ? AND seq >= ? ORDER BY seq DESC LIMIT 1"
        row = self._row(" ".join(("SELECT", _NUMBER, found)), event, partner, begun)
        return 0 if row is None or row[0] is None else int(row[0])


def _handover(row: Iterable[Any]) -> Handover:
    return Handover(*row)
