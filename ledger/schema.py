"""The tables of a ledger file, and the exact text by which a verifier recognises them.

    entries      the truth: number, canonical bytes, leaf hash; what people filter by are *generated* columns over
                 the bytes, so what is queried is by construction what is hashed
    nodes        complete subtrees of the Merkle tree from level 1 up (level 0 is entries.leaf_hash)
    checkpoints  one signed note per commit that appended; `previous` names the size before, so a lost one is seen
    openings     salts and values of commitments: may be deleted by a redaction
    documents    signed manifests and receipts as they came: may be deleted by a redaction
    handovers    a cache: what `ledger.handover` makes of the entries, kept in the same transaction
    witnessed    the newest checkpoint of each partner that we checked and cosigned
    cosignatures partners' signatures on our checkpoints
    partner_seen the size of ours that each partner says it cosigned last
    unproven     how many checkpoints in a row each partner could have proven to us, and has not

Triggers refuse UPDATE and DELETE on the first three. They stop accidents, not an attacker with the file: against
those stand the checkpoints that partners hold.
"""

from dataclasses import fields
from typing import Any

from config.errors import NotNow
from ledger.handover import Handover

VERSION = 1
"""Written to `user_version`; a newer one is refused."""

APPLICATION_ID = 0x48_4C_44_47
"""`HLDG`: tells `file` and us that this is a ledger."""

MIN_SQLITE = (3, 51, 3)
"""SQLite before this can lose commits in WAL mode when two connections write."""

GROWS_ONLY = "the ledger only grows"
"""What the triggers say."""

GENERATED = ("at", "event", "actor", "handover", "partner", "direction", "authority", "category", "key")
"""Fields of an entry that can be filtered by in SQL."""

_INDEXED = ("at", "event", "handover", "partner", "authority", "category")
_FROZEN = ("entries", "nodes", "checkpoints")
_INTEGERS = frozenset({"first_seq", "last_seq", "decided_seq", "sequence", "bytes"})

CACHED = tuple(f.name for f in fields(Handover))
"""Columns of `handovers`, in the order of the fields of a Handover."""


def _entries() -> str:
    # CAST: the bytes are text; without it, SQLite would first try to read a BLOB as its own binary JSON
    columns = (f"{name} TEXT GENERATED ALWAYS AS (json_extract(CAST(entry AS TEXT), '$.{name}'))" for name in GENERATED)
    listed = ",\n    ".join(columns)
    return (
        "CREATE TABLE entries (\n    seq INTEGER PRIMARY KEY,\n    entry BLOB NOT NULL,\n"
        f"    leaf_hash BLOB NOT NULL,\n    {listed}\n) STRICT"
    )


def _handovers() -> str:
    columns = ",\n    ".join(f"{name} {'INTEGER' if name in _INTEGERS else 'TEXT'}" for name in CACHED)
    return (
        f"CREATE TABLE handovers (\n    {columns},\n    PRIMARY KEY (partner, direction, id)\n) STRICT, WITHOUT ROWID"
    )


def _statements() -> tuple[str, ...]:
    tables = (
        # SPEC: FORMATS 5: table entries (seq, entry, leaf_hash) STRICT with generated, indexed columns
        _entries(),
        "CREATE TABLE nodes (\n    level INTEGER NOT NULL,\n    idx INTEGER NOT NULL,\n    hash BLOB NOT NULL,\n"
        "    PRIMARY KEY (level, idx)\n) STRICT, WITHOUT ROWID",
        "CREATE TABLE checkpoints (\n    size INTEGER PRIMARY KEY,\n    previous INTEGER,\n"
        "    note TEXT NOT NULL\n) STRICT",
        "CREATE TABLE openings (\n    seq INTEGER NOT NULL,\n    field TEXT NOT NULL,\n    salt BLOB NOT NULL,\n"
        "    value TEXT NOT NULL,\n    PRIMARY KEY (seq, field)\n) STRICT, WITHOUT ROWID",
        "CREATE TABLE documents (\n    kind TEXT NOT NULL,\n    partner TEXT NOT NULL,\n    handover TEXT NOT NULL,\n"
        "    body BLOB NOT NULL,\n    signature TEXT NOT NULL,\n    PRIMARY KEY (partner, handover, kind)\n) STRICT",
        _handovers(),
        "CREATE TABLE witnessed (\n    partner TEXT PRIMARY KEY,\n    size INTEGER NOT NULL,\n    root BLOB NOT NULL,\n"
        "    note TEXT NOT NULL,\n    cosigned TEXT NOT NULL,\n    seen INTEGER NOT NULL,\n"
        "    at INTEGER NOT NULL\n) STRICT",
        "CREATE TABLE cosignatures (\n    size INTEGER NOT NULL,\n    partner TEXT NOT NULL,\n    line TEXT NOT NULL,\n"
        "    PRIMARY KEY (size, partner, line)\n) STRICT, WITHOUT ROWID",
        "CREATE TABLE partner_seen (\n    partner TEXT PRIMARY KEY,\n    size INTEGER NOT NULL\n) STRICT",
        "CREATE TABLE unproven (\n    partner TEXT PRIMARY KEY,\n    number INTEGER NOT NULL\n) STRICT",
    )
    indexes = (
        *(f"CREATE INDEX entries_{name} ON entries ({name})" for name in _INDEXED),
        "CREATE INDEX handovers_id ON handovers (id)",
        "CREATE INDEX handovers_state ON handovers (state, receipt)",
        "CREATE INDEX handovers_sequence ON handovers (partner, direction, sequence)",
    )
    # SPEC: FORMATS 5: triggers refuse UPDATE and DELETE on entries, nodes and checkpoints
    triggers = (
        f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table}\n"
        f"BEGIN\n    SELECT RAISE(ABORT, '{GROWS_ONLY}');\nEND"
        for table in _FROZEN
        for act in ("UPDATE", "DELETE")
    )
    return (*tables, *indexes, *triggers)


STATEMENTS = _statements()
"""Every CREATE statement; SQLite stores these texts as they are, so a verifier can compare them."""

EXPECTED = {statement.split(maxsplit=3)[2].split("(")[0]: statement for statement in STATEMENTS}
"""Name of a table, index or trigger -> its text."""


def create(connection: Any) -> None:
    """Make all tables in an empty database, or none. `connection` is in autocommit mode."""
    from sqlite_utils import Database  # takes a tenth of a second to import, and only `init` needs it

    script = ";\n".join(("BEGIN IMMEDIATE", *STATEMENTS, f"PRAGMA user_version = {VERSION}"))
    script += f";\nPRAGMA application_id = {APPLICATION_ID};\nCOMMIT;"
    Database(connection, execute_plugins=False).executescript(script)


def differences(connection: Any) -> list[str]:
    """How the tables in a file differ from what they must be, in words; empty if they do not."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    found = {name: (kind, sql) for kind, name, sql in rows}
    problems = []
    for name, sql in EXPECTED.items():
        if name not in found:
            problems.append(f"the {_kind(sql)} {name} is missing")
        elif found[name][1] != sql:
            problems.append(f"the {_kind(sql)} {name} is not defined as it must be")
    problems += [f"the {kind} {name} does not belong here" for name, (kind, _) in found.items() if name not in EXPECTED]
    if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        problems.append("the version of the tables is not the one that this program writes")
    return problems


def check_library(version: str) -> None:
    """Raise NotNow if the SQLite library is one that can lose commits."""
    numbers = tuple(int(part) for part in version.split("."))
    if numbers < MIN_SQLITE:
        needed = ".".join(str(number) for number in MIN_SQLITE)
        raise NotNow(
            f"SQLite {version} can lose commits, {needed} or newer is needed",
            hint="install the pysqlite3 package that setup.cfg names",
        )


def _kind(statement: str) -> str:
    return statement.split()[1].lower()
