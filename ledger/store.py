"""The ledger: append by one writer at a time, read by everybody; nothing returns before it is on the disk.

    BEGIN IMMEDIATE -> read the head -> jobs: hash, insert -> checkpoint signed -> COMMIT -> every caller goes on

BEGIN IMMEDIATE lies around reading the head and writing, so two processes cannot fork the tree; inside a process,
`ledger/group.py` shares one commit among all threads that wait. A head that does not fit is Tampered and stops
everything; nothing is ever repaired.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from config.errors import Misuse, NotNow
from config.times import Clock
from ledger import head, key_events, merkle, note, schema
from ledger.database import (
    Connection,
    LedgerReplaced,
    check_kind,
    connect,
    create_file,
    put_in_place,
    snapshot,
    translated,
    use_write_ahead_log,
)
from ledger.group import Group, Job
from ledger.identifier import Random
from ledger.known import rows_of
from ledger.transaction import Transaction
from ledger.view import View

__all__ = ["FixedKeys", "Ledger", "LedgerKeys", "Transaction"]

T = TypeVar("T")


class LedgerKeys(Protocol):
    """Which keys sign a ledger: asked anew whenever an entry says that a key came or went."""

    def verifiers(self) -> Sequence[note.Verifier]:
        """Every key that signs, or once signed, the checkpoints."""

    def signers(self, view: View) -> Sequence[note.Signer]:
        """The keys that have to sign the next checkpoint; none where the ledger is only read."""


@dataclass(frozen=True, slots=True)
class FixedKeys:
    """Keys that never change."""

    known: Sequence[note.Verifier]
    signing: Sequence[note.Signer] = ()

    def verifiers(self) -> Sequence[note.Verifier]:
        """See LedgerKeys."""
        return self.known

    def signers(self, view: View) -> Sequence[note.Signer]:
        """See LedgerKeys."""
        return self.signing


class Ledger(View):
    """An open ledger: a View over a pool of connections, and one that writes. Any thread may call any method."""

    def __init__(
        self,
        path: Path,
        keys: LedgerKeys,
        clock: Clock,
        random: Random,
        *,
        writable: bool,
    ) -> None:
        super().__init__(self._pooled_rows)
        self._path = path
        self._keys = keys
        self._verifiers: tuple[note.Verifier, ...] = tuple(keys.verifiers())
        self._signers: tuple[note.Signer, ...] = ()
        self._writable = writable
        self._clock = clock
        self._random = random
        self._group = Group(self._commit)
        self._readers: list[Connection] = []
        self._closed = False
        self._keys_known = -1
        """How many entries have been looked at for keys that came or went; below 0: ask anew."""
        self._connection = connect(path, writable=writable)
        try:
            check_kind(self._connection)
            if writable:
                use_write_ahead_log(self._connection)
            with snapshot(self._connection):
                view = View(rows_of(self._connection))
                self._head = head.check(view, self._verifiers)
                self._learn_keys(view)
            self._files = self._identities()
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def create(
        cls, path: Path, signer: note.Signer, clock: Clock, random: Random, *, extra_signers: Sequence[note.Signer] = ()
    ) -> Self:
        """A new, empty ledger with a signed checkpoint of size 0; raises Misuse if there is a file already."""
        if path.exists():
            raise Misuse("there is a ledger already", hint="a ledger is never overwritten; choose another home")
        unfinished = path.with_name(path.name + ".part")
        unfinished.unlink(missing_ok=True)
        create_file(unfinished)
        signers = (signer, *extra_signers)
        connection = connect(unfinished, writable=True)
        try:
            use_write_ahead_log(connection)
            schema.create(connection)
            with translated():
                connection.execute("BEGIN IMMEDIATE")
                Transaction(connection, clock, random).keep_checkpoint(0, head.sign(0, merkle.EMPTY_ROOT, signers))
                connection.execute("COMMIT")
        finally:
            connection.close()
        put_in_place(unfinished, path)
        return cls(path, FixedKeys((head.OwnKey(signer),), signers), clock, random, writable=True)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        verifiers: Sequence[note.Verifier],
        signer: note.Signer | None = None,
        clock: Clock,
        random: Random,
        extra_signers: Sequence[note.Signer] = (),
    ) -> Self:
        """Open a ledger; without a signer for reading only. Raises Tampered if its head does not fit."""
        signers = () if signer is None else (signer, *extra_signers)
        return cls(path, FixedKeys(verifiers, signers), clock, random, writable=bool(signers))

    @classmethod
    def open_with(cls, path: Path, keys: LedgerKeys, *, clock: Clock, random: Random) -> Self:
        """Open a ledger to write to, whose keys may change while it is open."""
        return cls(path, keys, clock, random, writable=True)

    @property
    def path(self) -> Path:
        """Where the ledger lies."""
        return self._path

    @property
    def verifiers(self) -> tuple[note.Verifier, ...]:
        """The keys that sign, or once signed, this ledger's checkpoints."""
        return self._verifiers

    # --- writing ----------------------------------------------------------------------------------------------------

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a commit that is shared with others that wait; returns its result when it is on the disk.

        An exception of `work` undoes only what `work` did. It must not call the ledger's `write` itself.
        """
        if not self._writable:
            raise Misuse("the ledger is open for reading only")
        return self._group.write(work)

    def _commit(self, jobs: Sequence[Job[Any]]) -> None:
        """All jobs in one transaction. Whatever this raises, nothing has been kept."""
        with self._transaction() as (tx, known):
            new = self._run(tx, known, jobs)
            with translated():
                self._connection.execute("COMMIT")
            self._head = new

    def check_writable(self) -> None:
        """Raise what a `write` would raise now: NotNow while it is locked or read-only, Tampered if it was changed."""
        with self._group.lock, self._transaction() as (tx, _):
            # a file that may only be read is noticed by writing something; it is not kept
            tx.keep_unproven("", 0)

    @contextmanager
    def _transaction(self) -> Iterator[tuple[Transaction, head.Head]]:
        """What is not committed within this block is undone; with the head as it is now."""
        if self._closed:
            raise NotNow("the ledger is closed")
        self._check_files()
        # unlocking a new key takes a while, in which everybody else may write
        with snapshot(self._connection):
            self._learn_keys(View(rows_of(self._connection)))
        committed = self._keys_known
        try:
            with translated():
                self._connection.execute("BEGIN IMMEDIATE")
            tx = Transaction(self._connection, self._clock, self._random)
            self._learn_keys(tx)
            committed = self._keys_known
            yield tx, head.check_continues(tx, self._head, self._verifiers)
        finally:
            if self._keys_known > max(committed, self._head.size):
                # what was learnt of keys in this commit is not so, even where SQLite has undone the commit by itself
                self._keys_known = -1
            if self._connection.in_transaction:
                with translated():
                    self._connection.execute("ROLLBACK")

    def _check_files(self) -> None:
        """What we have open must be what everybody else opens under its name."""
        found = self._identities()
        if found != self._files:
            what = "removed" if _GONE in found else "replaced"
            raise LedgerReplaced(f"the ledger's file was {what} while it was open", hint="find out who did it first")

    def _identities(self) -> tuple[tuple[int, int], ...]:
        # the write-ahead log holds the newest entries, and lives as long as a connection that can write
        logs = (self._path.with_name(f"{self._path.name}-wal"),) if self._writable else ()
        return tuple(_identity(path) for path in (self._path, *logs))

    def _run(self, tx: Transaction, known: head.Head, jobs: Sequence[Job[Any]]) -> head.Head:
        for job in jobs:
            job.run(tx)
        if tx.size == known.size:
            return known
        # a key that comes or goes with this commit signs it, or does not, already
        self._learn_keys(tx)
        signed = head.sign(tx.size, tx.root(), self._signers)
        tx.keep_checkpoint(tx.size, signed)
        return head.Head(tx.size, signed)

    def _learn_keys(self, view: View) -> None:
        """Ask who signs, if an entry that was not seen yet may have changed it, written here or by another process."""
        if self._keys_known < 0 or key_events.changed_since(view, self._keys_known):
            self._verifiers = tuple(self._keys.verifiers())
            if self._writable:
                self._signers = tuple(self._keys.signers(view))
        self._keys_known = view.size

    # --- reading: the methods of View, each over whichever connection is free ---------------------------------------

    def _pooled_rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._borrowed() as connection:
            return rows_of(connection)(sql, *values)

    @contextmanager
    def reading(self) -> Iterator[View]:
        """A View of one moment, for a `with` block: whatever is written meanwhile is not in it."""
        with self._borrowed() as connection, snapshot(connection):
            yield View(rows_of(connection))

    @contextmanager
    def _borrowed(self) -> Iterator[Connection]:
        if self._closed:
            raise NotNow("the ledger is closed")
        try:
            connection = self._readers.pop()
        except IndexError:
            connection = connect(self._path, writable=False)
        try:
            yield connection
        finally:
            self._release(connection)

    def _release(self, connection: Connection) -> None:
        self._readers.append(connection)
        if self._closed:
            self._close_readers()

    def data_version(self) -> int:
        """A number that is another one after another process has written."""
        with self._group.lock, translated():
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Wait for the commit that is running, then close every connection; twice is once."""
        with self._group.lock:
            self._closed = True
            # the one that can write goes last: it empties the write-ahead log into the file and removes it
            self._close_readers()
            self._connection.close()

    def _close_readers(self) -> None:
        while self._readers:
            with suppress(IndexError):
                self._readers.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


_GONE = (0, 0)


def _identity(path: Path) -> tuple[int, int]:
    """Which file a name stands for; a replaced file is another one."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return _GONE
    except OSError as problem:
        raise NotNow(f"the ledger's file cannot be looked at: {problem.strerror}") from None
    return (status.st_dev, status.st_ino)
