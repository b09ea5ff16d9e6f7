"""A ledger to tamper with, and Debian's own sqlite3 program to do it."""

from pathlib import Path

from ledger.entry import Draft
from ledger.verify import Report, verify
from tests.ledger.ledgers import LGSCO, OFSTED, add, add_handovers, fresh_id, incoming, sqlite3

NOTE = Draft(event="partner.added", actor="operator", partner="ofsted")
FREE = "".join(
    f"DROP TRIGGER {table}_no_{act};" for table in ("entries", "nodes", "checkpoints") for act in ("update", "delete")
)


def thirteen(tmp_path: Path) -> Path:
    """A ledger of 13 entries, each in a commit of its own, closed."""
    with LGSCO.create(tmp_path / "ledger.db") as ledger:
        add_handovers(ledger, 2)
        add(ledger, *incoming(fresh_id(), 1), NOTE, NOTE)
        assert ledger.size == 13
    return tmp_path / "ledger.db"


def check(path: Path, since: bytes | None = None) -> Report:
    return verify(path, [LGSCO.verifier], witness_verifiers={"ofsted": [OFSTED.witness_verifier]}, since=since)


def restored_triggers(path: Path) -> str:
    """The statements that make the triggers again, as somebody would who hides what was done."""
    return sqlite3(path, "SELECT sql || ';' FROM sqlite_schema WHERE type = 'trigger'")


def texts(report: Report) -> list[str]:
    return [problem.text for problem in report.problems]


def hidden(path: Path, sql: str) -> Report:
    """Drop the triggers, do `sql`, make the triggers again, verify."""
    triggers = restored_triggers(path)
    sqlite3(path, FREE + sql + ";" + triggers)
    return check(path)


EDIT = "replace(CAST(entry AS TEXT), '\"sent\"', '\"seal\"')"
"""The text of an entry, with another event."""
