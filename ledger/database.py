"""One SQLite connection the way the ledger needs it, and what SQLite's errors mean here.

Every connection: WAL, `synchronous=FULL` (a commit that returned is on the disk), `recursive_triggers` (else INSERT OR
REPLACE slips past the triggers), `secure_delete` (a redacted value's bytes are overwritten).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pysqlite3

from config.durable import sync_directory
from config.errors import HandoverError, Misuse, NotNow, Tampered
from ledger.schema import APPLICATION_ID, GROWS_ONLY, VERSION, check_library

Connection = Any
"""A pysqlite3 connection: the package has no type hints."""

BUSY_TIMEOUT = 10.0
"""Seconds to wait for another process that writes; its group commits take milliseconds."""

LOCK_PATIENCE = 2.0
"""Seconds after which somebody who only looks says that the ledger is locked."""

# SPEC: FORMATS 5: WAL, synchronous=FULL, secure_delete
_SETTINGS = ("synchronous = FULL", "recursive_triggers = ON", "secure_delete = ON", "trusted_schema = OFF")
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_BROKEN = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


class LedgerLocked(NotNow):
    """Another program holds the ledger; the log names this error by its class, as it does the others here."""


class LedgerDiskFull(NotNow):
    """Nothing more fits on the ledger's disk."""


class LedgerReadOnly(NotNow):
    """The file, or its disk, may only be read."""


class LedgerUnreadable(NotNow):
    """The disk fails, or something else of this machine."""


class LedgerDamaged(Tampered):
    """The file is no database, or pages of it are broken."""


class LedgerMissing(Tampered):
    """There is no file, although the home was made with one."""


class LedgerReplaced(Tampered):
    """The file, or its write-ahead log, is not the one that was opened."""


def create_file(path: Path) -> None:
    """Make an empty file that only its owner can read; raises Misuse if there is one already."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise Misuse("there is a ledger already", hint="a ledger is never overwritten; choose another home") from None
    except OSError as problem:
        raise NotNow(f"the ledger's file cannot be created: {problem.strerror}") from None


def put_in_place(unfinished: Path, path: Path) -> None:
    """Give a finished file its name, durably: after a power failure it has that name, or never had it."""
    try:
        unfinished.rename(path)
        sync_directory(path.parent)
    except OSError as problem:
        raise NotNow(f"the ledger's file cannot be created: {problem.strerror}") from None


def connect(path: Path, *, writable: bool, timeout: float = BUSY_TIMEOUT) -> Connection:
    """Open an existing database in autocommit mode; usable from any thread, by one at a time."""
    check_library(pysqlite3.sqlite_version)
    if not path.is_file():
        raise LedgerMissing(
            "the ledger of this home is missing",
            hint="find out who removed it, and restore a backup; a new one is never made in its place",
        )
    uri = f"file:{quote(str(path.absolute()))}?mode={'rw' if writable else 'ro'}"
    with translated():
        connection = pysqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=timeout, cached_statements=64
        )
        try:
            for setting in _SETTINGS:
                connection.execute(f"PRAGMA {setting}")
        except BaseException:
            connection.close()
            raise
    return connection


def check_lock(path: Path) -> None:
    """Raise LedgerLocked if another program holds the ledger for longer than the commits of ours take."""
    connection = connect(path, writable=True, timeout=LOCK_PATIENCE)
    try:
        with translated():
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    finally:
        connection.close()


def use_write_ahead_log(connection: Connection) -> None:
    """For one that writes, once it is known what the file is: this alone would make a database of an empty file."""
    # SPEC: FORMATS 5: WAL
    with translated():
        connection.execute("PRAGMA journal_mode = WAL")


def check_kind(connection: Connection) -> None:
    """Raise unless the database says that it is a ledger of a version we know."""
    with translated():
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        raise Tampered("the ledger's file is not a ledger", hint="look for who replaced it; restore a backup")
    if version > VERSION:
        raise NotNow("the ledger was written by a newer version of this program", hint="upgrade this one")


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """Everything read inside the block is of one moment, whatever others write meanwhile."""
    with translated():
        connection.execute("BEGIN")
    try:
        yield
    finally:
        # some of SQLite's errors have ended the transaction already
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def translated() -> Iterator[None]:
    """Turn SQLite's errors into ours: busy, full or unreadable is NotNow, a damaged file is Tampered."""
    try:
        yield
    except pysqlite3.Error as problem:
        raise _ours(problem) from None


def _ours(problem: Any) -> HandoverError:
    code = str(getattr(problem, "sqlite_errorname", ""))
    if code.startswith(_BUSY):
        return LedgerLocked("the ledger is locked by another program", hint="try again when it has finished")
    if code.startswith(_BROKEN):
        return LedgerDamaged("the ledger's file is damaged", hint="run 'handover ledger verify'; restore a backup")
    if GROWS_ONLY in str(problem):
        return Tampered("something tried to change what the ledger already holds")
    if code.startswith("SQLITE_FULL"):
        return LedgerDiskFull("the disk that holds the ledger is full", hint="make room; nothing has been lost")
    if code.startswith("SQLITE_READONLY"):
        return LedgerReadOnly(
            "the ledger's file cannot be written to", hint="look at its permissions, and whether its disk is mounted so"
        )
    if code.startswith(("SQLITE_ERROR", "SQLITE_CONSTRAINT", "SQLITE_MISMATCH")):
        return Tampered(f"the ledger's tables are not as they must be ({code})", hint="run 'handover ledger verify'")
    return LedgerUnreadable(f"the ledger cannot be read or written ({code or type(problem).__name__})")
