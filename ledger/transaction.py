"""What one job may do inside a commit: append entries, and keep what belongs to them, all of it or nothing."""

from datetime import datetime

from config.errors import NotNow
from config.times import Clock, to_text
from ledger import canonical, handover, merkle, schema
from ledger.database import Connection, translated
from ledger.entry import Draft, Entry
from ledger.handover import Handover
from ledger.identifier import Random
from ledger.known import rows_of
from ledger.view import View, Witnessed

_MARKS = ", ".join("?" * len(schema.CACHED))
_CACHE = " ".join(("INSERT OR REPLACE INTO handovers", f"({', '.join(schema.CACHED)})", "VALUES", f"({_MARKS})"))


class Transaction(View):
    """A View that can also append. Lives only inside `Ledger.write`, and sees what it has appended itself."""

    def __init__(self, connection: Connection, clock: Clock, random: Random) -> None:
        super().__init__(rows_of(connection))
        self._connection = connection
        self._clock = clock
        self._random = random
        self._size = super().size

    @property
    def size(self) -> int:
        """How many entries there are, with those of this transaction."""
        return self._size

    @property
    def now(self) -> datetime:
        """The time of what is appended now."""
        return self._clock()

    def append(self, draft: Draft) -> Entry:
        """Record an event; raises EntryError or TransitionError, and then nothing of this job is kept."""
        seq = self._size
        entry, openings = draft.seal(seq, to_text(self._clock()), self._random)
        data = entry.encode()
        leaf = merkle.leaf_hash(data)
        self._put("INSERT INTO entries (seq, entry, leaf_hash) VALUES (?, ?, ?)", seq, data, leaf)
        for level, index, digest in merkle.new_nodes(seq, leaf, self.node):
            if level > 0:
                self._put("INSERT INTO nodes (level, idx, hash) VALUES (?, ?, ?)", level, index, digest)
        for opening in openings:
            value = canonical.encode(opening.value).decode()
            self._put("INSERT INTO openings VALUES (?, ?, ?, ?)", seq, opening.field, opening.salt, value)
        self._size = seq + 1
        self._follow(entry)
        return entry

    def next_sequence(self, partner: str) -> int:
        """The running number of the next handover to `partner`, from 1."""
        return 1 + self.highest_sequence(partner, "out")

    def keep_document(self, kind: str, partner: str, identifier: str, body: bytes, signature: str) -> None:
        """Keep a signed message as it came: 'manifest' or 'receipt' of one handover. Its hash is in an entry."""
        self._put(
            "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?)",
            kind,
            partner,
            identifier,
            body,
            signature,
        )

    def keep_witnessed(self, partner: str, state: Witnessed) -> None:
        """Remember the newest checkpoint of a partner that we checked."""
        self._put(
            "INSERT OR REPLACE INTO witnessed VALUES (?, ?, ?, ?, ?, ?, ?)",
            partner,
            state.size,
            state.root,
            state.note,
            state.cosigned,
            state.seen,
            state.at,
        )

    def keep_cosignature(self, partner: str, size: int, line: str) -> None:
        """Keep a partner's signature on our checkpoint of `size` entries; the same one twice is one."""
        self._put("INSERT OR IGNORE INTO cosignatures (size, partner, line) VALUES (?, ?, ?)", size, partner, line)

    def keep_partner_seen(self, partner: str, size: int) -> None:
        """Remember from which size a proof for this partner has to start."""
        self._put("INSERT OR REPLACE INTO partner_seen (partner, size) VALUES (?, ?)", partner, size)

    def keep_unproven(self, partner: str, number: int) -> None:
        """Remember how many checkpoints in a row a partner could have proven to us, and has not."""
        self._put("INSERT OR REPLACE INTO unproven (partner, number) VALUES (?, ?)", partner, number)

    def forget_witnessed(self, partner: str) -> None:
        """Begin anew with a partner whose ledger is another one now; what was is in the entry that says so."""
        for table in ("witnessed", "partner_seen", "unproven"):
            self._put(" ".join(("DELETE FROM", table, "WHERE partner = ?")), partner)

    def keep_checkpoint(self, size: int, note: bytes) -> None:
        """Store a signed checkpoint; it names the one before, so that a missing one is seen."""
        self._put(
            "INSERT INTO checkpoints (size, previous, note) VALUES (?, (SELECT max(size) FROM checkpoints), ?)",
            size,
            note.decode(),
        )

    @property
    def is_alive(self) -> bool:
        """Whether there still is a commit: a full disk, for one, makes SQLite end it and undo all that it held."""
        return bool(self._connection.in_transaction)

    def begin_job(self) -> int:
        """Start something that can be undone alone; returns what `undo_job` needs."""
        self._put("SAVEPOINT job")
        return self._size

    def end_job(self) -> None:
        """Keep what the job did, as part of the commit."""
        self._put("RELEASE job")

    def undo_job(self, size: int) -> None:
        """Forget what the job did."""
        self._put("ROLLBACK TO job")
        self._put("RELEASE job")
        self._size = size

    def _follow(self, entry: Entry) -> None:
        """Keep the cache of handovers in step: the same function that a verifier replays."""
        if entry.handover is None or entry.partner is None or entry.direction is None or "." in entry.event:
            return
        known = self.handover(entry.partner, entry.direction, entry.handover)
        self._put(_CACHE, *as_row(handover.apply(known, entry)))

    def _put(self, sql: str, *values: object) -> None:
        if not self.is_alive:
            # what is written now would be kept at once, without a checkpoint
            raise NotNow("the commit has been ended by the database", hint="look for what else was reported")
        with translated():
            self._connection.execute(sql, values)


def as_row(known: Handover) -> tuple[object, ...]:
    """A handover as a row of the cache."""
    return tuple(getattr(known, name) for name in schema.CACHED)
