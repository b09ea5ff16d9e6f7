"""Everything that can be read from a ledger, over one connection: entries, tree, checkpoints, proofs, handovers.

Reading never changes anything and never repairs anything: what should be there and is not is Tampered.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from config.errors import Refused, Tampered
from ledger import merkle, schema, tlogproof
from ledger.canonical import Json
from ledger.database import Connection, translated
from ledger.entry import Direction, Entry, EntryError, Opening, parse
from ledger.handover import Handover, State

_VERIFY = "run 'handover ledger verify'; restore a backup if it finds the same"
_HANDOVER = " ".join(("SELECT", ", ".join(schema.CACHED), "FROM handovers"))
_NOTE = "SELECT note FROM checkpoints"


class UnknownHandover(Refused):
    """No handover, or more than one, is meant by an id."""

    reason = "unknown-handover"


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The newest checkpoint of a partner that we checked: what every later one must continue."""

    size: int
    root: bytes
    note: str
    cosigned: str
    """Our cosignature lines over `note`."""
    sequence: int | None
    """The number of the newest concern that brought a checkpoint along; None if only receipts did."""


@dataclass(frozen=True, slots=True)
class Document:
    """A signed manifest or receipt as it came: the exact bytes, and the armoured signature over them."""

    body: bytes
    signature: str


class Rows(Protocol):
    """Runs one query and returns all rows; raises NotNow or Tampered, never an error of SQLite's."""

    def __call__(self, sql: str, *values: object) -> list[tuple[Any, ...]]: ...


def rows_of(connection: Connection) -> Rows:
    """Queries over one connection, which is used by one thread at a time."""

    def rows(sql: str, *values: object) -> list[tuple[Any, ...]]:
        with translated():
            return list(connection.execute(sql, values))

    return rows


class View:
    """What can be asked. Over one connection it sees one moment's ledger; over a pool, a ledger that grows."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def _row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        found = self.rows(sql, *values)
        return found[0] if found else None

    # --- entries and the tree ---------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """How many entries there are; the next one gets this number."""
        row = self._row("SELECT max(seq) FROM entries")
        return 0 if row is None or row[0] is None else int(row[0]) + 1

    def node(self, level: int, index: int) -> bytes:
        """Hash of a complete subtree; level 0 holds the leaves."""
        if level == 0:
            row = self._row("SELECT leaf_hash FROM entries WHERE seq = ?", index)
        else:
            row = self._row("SELECT hash FROM nodes WHERE level = ? AND idx = ?", level, index)
        if row is None:
            raise Tampered(f"a hash of the ledger's tree is missing (level {level}, number {index})", hint=_VERIFY)
        return bytes(row[0])

    def root(self, size: int | None = None) -> bytes:
        """Root of the tree over the first `size` entries; by default over all."""
        return merkle.root(self.size if size is None else size, self.node)

    def entry_bytes(self, seq: int) -> bytes:
        """The canonical bytes of an entry; raises Refused if there is none of that number."""
        row = self._row("SELECT entry FROM entries WHERE seq = ?", seq) if seq < 2**63 else None
        if row is None:
            raise Refused(f"the ledger has no entry {seq}", reason="no-such-entry")
        return bytes(row[0])

    def entry(self, seq: int) -> Entry:
        """One entry."""
        return _parsed(seq, self.entry_bytes(seq))

    def entries(self, start: int, stop: int) -> list[Entry]:
        """The entries from `start` to before `stop`, in order."""
        found = self.rows("SELECT seq, entry FROM entries WHERE seq >= ? AND seq < ? ORDER BY seq", start, stop)
        return [_parsed(seq, bytes(data)) for seq, data in found]

    def entries_of(self, handover: Handover) -> list[Entry]:
        """Every entry that names a handover, in order: its whole life."""
        found = self.rows(
            "SELECT seq, entry FROM entries WHERE handover = ? AND partner = ? AND direction = ? ORDER BY seq",
            handover.id,
            handover.partner,
            handover.direction,
        )
        return [_parsed(seq, bytes(data)) for seq, data in found]

    def openings(self, seq: int) -> dict[str, Json]:
        """The private values of an entry by field, as far as they have not been redacted."""
        return {opening.field: opening.value for opening in self.opened(seq)}

    def opened(self, seq: int) -> list[Opening]:
        """The same with their salts: what somebody needs to check the commitments."""
        found = self.rows("SELECT field, salt, value FROM openings WHERE seq = ? ORDER BY field", seq)
        return [Opening(field, bytes(salt), json.loads(value)) for field, salt, value in found]

    def document(self, kind: str, partner: str, handover: str) -> Document | None:
        """A kept message; None if none was kept or it has been redacted."""
        row = self._row(
            "SELECT body, signature FROM documents WHERE kind = ? AND partner = ? AND handover = ?",
            kind,
            partner,
            handover,
        )
        return None if row is None else Document(bytes(row[0]), row[1])

    # --- checkpoints and proofs -------------------------------------------------------------------------------------

    def checkpoint(self) -> bytes:
        """The newest checkpoint, as a signed note."""
        return self._checkpoint("ORDER BY size DESC LIMIT 1")

    def checkpoint_at_or_after(self, size: int) -> bytes:
        """The first checkpoint that covers at least `size` entries."""
        return self._checkpoint("WHERE size >= ? ORDER BY size LIMIT 1", size)

    def checkpoint_of(self, size: int) -> bytes | None:
        """The checkpoint of exactly `size` entries, or None: not every size has one."""
        row = self._row(f"{_NOTE} WHERE size = ?", size)
        return None if row is None else str(row[0]).encode()

    def cosignatures(self, size: int) -> tuple[str, ...]:
        """Signature lines of partners on our checkpoint of `size` entries."""
        return tuple(
            row[0] for row in self.rows("SELECT line FROM cosignatures WHERE size = ? ORDER BY partner, line", size)
        )

    def newest_cosigned(self) -> int | None:
        """Size of the newest checkpoint of ours that a partner has cosigned."""
        row = self._row("SELECT max(size) FROM cosignatures")
        return None if row is None or row[0] is None else int(row[0])

    def _checkpoint(self, condition: str, *values: object) -> bytes:
        row = self._row(f"{_NOTE} {condition}", *values)
        if row is None:
            raise Tampered("a checkpoint of the ledger is missing", hint=_VERIFY)
        return str(row[0]).encode()

    def prove(self, seq: int, *, at_least: int | None = None) -> bytes:
        """A C2SP tlog-proof of one entry, which it holds as `extra`.

        It leads to the first checkpoint that covers the entry (and at least `at_least` entries), so the proof of an
        entry is the same whenever it is made.
        """
        data = self.entry_bytes(seq)
        note = self.checkpoint_at_or_after(max(seq + 1, at_least or 0))
        size = size_of(note)
        hashes = merkle.inclusion_proof(seq, size, self.node)
        return tlogproof.Proof(seq, hashes, note, data).encode()

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """The hashes that prove that the tree of `new` entries continues the one of `old`."""
        return merkle.consistency_proof(old, new, self.node)

    # --- handovers --------------------------------------------------------------------------------------------------

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

    def sequence_holder(self, partner: str, sequence: int) -> str | None:
        """The id of the incoming handover that has this running number, or None."""
        row = self._row(
            "SELECT id FROM handovers WHERE partner = ? AND direction = 'in' AND sequence = ? LIMIT 1",
            partner,
            sequence,
        )
        return None if row is None else str(row[0])

    # --- witnessing -------------------------------------------------------------------------------------------------

    def witnessed(self, partner: str) -> Witnessed | None:
        """The newest checkpoint of a partner that we checked."""
        row = self._row("SELECT size, root, note, cosigned, sequence FROM witnessed WHERE partner = ?", partner)
        return None if row is None else Witnessed(*row)

    def partner_seen(self, partner: str) -> int:
        """The size of ours that a partner says it cosigned last; 0 if it never said."""
        row = self._row("SELECT size FROM partner_seen WHERE partner = ?", partner)
        return 0 if row is None else int(row[0])


def size_of(note: bytes) -> int:
    """The size that a checkpoint of our own states: its second line."""
    return int(note.split(b"\n", 2)[1])


def _handover(row: Iterable[Any]) -> Handover:
    return Handover(*row)


def _parsed(seq: int, data: bytes) -> Entry:
    try:
        entry = parse(data)
    except EntryError as problem:
        raise Tampered(f"entry {seq} of the ledger cannot be read: {problem.message}", hint=_VERIFY) from None
    if entry.seq != seq:
        raise Tampered(f"entry {seq} of the ledger says that it is entry {entry.seq}", hint=_VERIFY)
    return entry
