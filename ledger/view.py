"""Everything that can be read from a ledger, over one connection: entries, tree, checkpoints, proofs, handovers.

Reading never changes anything and never repairs anything: what should be there and is not is Tampered.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from config.errors import Refused, Tampered
from ledger import merkle, tlogproof
from ledger.canonical import Json
from ledger.entry import Entry, EntryError, Opening, parse
from ledger.handover import Handover
from ledger.known import Known

_VERIFY = "run 'handover ledger verify'; restore a backup if it finds the same"
_NOTE = "SELECT note FROM checkpoints"
_ABOUT = "SELECT seq, entry FROM entries WHERE event IN"


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The newest checkpoint of a partner that we checked: what every later one must continue."""

    size: int
    root: bytes
    note: str
    cosigned: str
    """Our cosignature lines over `note`."""
    seen: int
    """How many entries of ours the partner had cosigned when it stated this one."""
    at: int
    """How many entries we had when we kept it: who has cosigned more has read what we said after that."""


@dataclass(frozen=True, slots=True)
class Document:
    """A signed manifest or receipt as it came: the exact bytes, and the armoured signature over them."""

    body: bytes
    signature: str


class View(Known):
    """What can be asked. In a transaction it sees one moment's ledger; over a pool, a ledger that grows."""

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

    def entries_saying(self, events: Sequence[str], since: int = 0) -> list[Entry]:
        """Every entry of one of these `events` from number `since` on, in order."""
        sql = " ".join((_ABOUT, f"({', '.join('?' * len(events))})", "AND seq >= ? ORDER BY seq"))
        found = self.rows(sql, *events, since)
        return [_parsed(seq, bytes(data)) for seq, data in found]

    def entries_of(self, handover: Handover) -> list[Entry]:
        """Every entry that names a handover, in order: its whole life."""
        found = self.rows(
            "SELECT seq, entry FROM entries WHERE handover = ? AND +partner = ? AND direction = ? ORDER BY seq",
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

    def checkpoint_at_or_before(self, size: int) -> bytes:
        """The last checkpoint that covers at most `size` entries."""
        return self._checkpoint("WHERE size <= ? ORDER BY size DESC LIMIT 1", size)

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

    # --- witnessing -------------------------------------------------------------------------------------------------

    def witnessed(self, partner: str) -> Witnessed | None:
        """The newest checkpoint of a partner that we checked."""
        row = self._row("SELECT size, root, note, cosigned, seen, at FROM witnessed WHERE partner = ?", partner)
        return None if row is None else Witnessed(*row)

    def partner_seen(self, partner: str) -> int:
        """The size of ours that a partner says it cosigned last; 0 if it never said."""
        row = self._row("SELECT size FROM partner_seen WHERE partner = ?", partner)
        return 0 if row is None else int(row[0])

    def unproven(self, partner: str) -> int:
        """How many checkpoints in a row a partner could have proven to us, and has not."""
        row = self._row("SELECT number FROM unproven WHERE partner = ?", partner)
        return 0 if row is None else int(row[0])


def size_of(note: bytes) -> int:
    """The size that a checkpoint of our own states: its second line."""
    return int(note.split(b"\n", 2)[1])


def _parsed(seq: int, data: bytes) -> Entry:
    try:
        entry = parse(data)
    except EntryError as problem:
        raise Tampered(f"entry {seq} of the ledger cannot be read: {problem.message}", hint=_VERIFY) from None
    if entry.seq != seq:
        raise Tampered(f"entry {seq} of the ledger says that it is entry {entry.seq}", hint=_VERIFY)
    return entry
