"""`ledger verify`: everything again, from the stored bytes, trusting nothing that was derived from them.

    tables      defined as they must be, indexes that hold what the rows say
    entries     each in its strict form, with its hash and number; none missing
    tree        every stored hash from the leaves up
    signatures  every checkpoint over the root of its size, every cosignature, the newest covers all
    lives       every handover replayed and compared with the table of handovers
    openings    every value that is still there against its commitment; every absent one against a redaction
    since       a checkpoint that was kept elsewhere is a prefix: without one, a rewritten whole is not noticed

Reads one moment of the ledger while others write. Evidence that is missing is a finding like evidence that is wrong.
"""

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from config.errors import Refused, Tampered
from ledger import merkle, schema
from ledger.checks.findings import Findings, Problem
from ledger.checks.heads import Checkpoints, check_cosignatures, check_witnessed
from ledger.checks.lives import check_lives
from ledger.checks.openings import check_documents, check_openings
from ledger.checks.tree import Tree
from ledger.database import Connection, LedgerMissing, check_kind, connect, snapshot, translated
from ledger.head import open_checkpoint
from ledger.key_events import WitnessEnd
from ledger.note import Verifier

__all__ = ["Problem", "Report", "verify"]

_MAX_DAMAGE = 100
_OF_MAIN = re.compile(r"^\*\*\* in database main \*\*\*\s*")
_MISSING_FROM_INDEX = re.compile(r"row (\d+) missing from index entries_")


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found. `size` and `root` are those of the entries, not of what a checkpoint says."""

    size: int
    root: bytes
    checkpoints: int
    cosignatures: int
    first_bad_seq: int | None
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.problems

    def to_json(self) -> dict[str, object]:
        """Stable field names for programs."""
        return {
            "ok": self.ok,
            "size": self.size,
            "root": self.root.hex(),
            "checkpoints": self.checkpoints,
            "cosignatures": self.cosignatures,
            "first_bad_seq": self.first_bad_seq,
            "problems": [{"seq": problem.seq, "what": problem.what} for problem in self.problems],
        }

    def to_lines(self) -> dict[str, str | int | bool | None]:
        """Labels and values for a person."""
        return {
            "verified": self.ok,
            "entries": self.size,
            "root": self.root.hex(),
            "checkpoints": self.checkpoints,
            "cosignatures": self.cosignatures,
            "first bad entry": self.first_bad_seq,
            "problems": len(self.problems) or None,
        }


def verify(
    path: Path,
    verifiers: Sequence[Verifier],
    *,
    witness_verifiers: Mapping[str, Sequence[Verifier]] | None = None,
    witness_ends: Mapping[str, Mapping[bytes, WitnessEnd]] | None = None,
    since: bytes | None = None,
) -> Report:
    """Verify the ledger at `path`. `witness_verifiers`: each partner's keys; None: cosignatures only by their form.
    `witness_ends`: of each partner, the ids of those that have ended, and when.

    Raises NotNow if it cannot be read at the moment, LedgerMissing if there is none; all else is in the report.
    """
    findings = Findings()
    try:
        connection = connect(path, writable=False)
        try:
            with snapshot(connection):
                check_kind(connection)
                for difference in schema.differences(connection):
                    findings.add(None, difference)
                return _verify(path, connection, findings, verifiers, witness_verifiers, witness_ends or {}, since)
        finally:
            connection.close()
    except LedgerMissing:
        raise
    except Tampered as problem:
        # a file so broken that it cannot even be read to the end
        findings.add(None, problem.message)
        return Report(0, merkle.EMPTY_ROOT, 0, 0, findings.first_bad_seq, findings.listed())


def _verify(
    path: Path,
    connection: Connection,
    findings: Findings,
    verifiers: Sequence[Verifier],
    witness_verifiers: Mapping[str, Sequence[Verifier]] | None,
    witness_ends: Mapping[str, Mapping[bytes, WitnessEnd]],
    since: bytes | None,
) -> Report:
    damage = _Damage(path)
    tree = Tree(connection, findings)
    checkpoints = Checkpoints(connection, verifiers, findings)
    kept = _Kept(since, verifiers, findings)
    checkpoints.up_to(tree)
    for _ in tree.blocks():
        checkpoints.up_to(tree)
        kept.look(tree)
        tree.settle(checkpoints.good)
    checkpoints.finish(tree)
    kept.finish(tree, checkpoints.good)
    cosignatures = check_cosignatures(connection, tree.size, witness_verifiers, witness_ends, findings)
    check_witnessed(connection, findings)
    check_lives(connection, findings)
    check_openings(connection, findings)
    check_documents(connection, findings)
    for seq, what in damage.found():
        findings.add(seq, what)
    root = tree.root(tree.size)
    return Report(tree.size, root, checkpoints.number, cosignatures, findings.first_bad_seq, findings.listed())


class _Kept:
    """A checkpoint that was kept elsewhere, and must be a prefix of this ledger."""

    def __init__(self, note: bytes | None, verifiers: Sequence[Verifier], findings: Findings) -> None:
        self._findings = findings
        self._stated = None
        self._root: bytes | None = None
        if note is not None:
            try:
                self._stated = open_checkpoint(note, verifiers)
            except Refused as problem:
                findings.add(None, f"the checkpoint that was kept elsewhere is not valid: {problem.message}")

    def look(self, tree: Tree) -> None:
        """Note the root of its size while the tree passes."""
        if self._stated is not None and self._root is None and self._stated.size <= tree.size:
            self._root = tree.root(self._stated.size)

    def finish(self, tree: Tree, good: int) -> None:
        """Compare."""
        if self._stated is None:
            return
        size = self._stated.size
        root = merkle.EMPTY_ROOT if size == 0 else self._root
        if root is None:
            self._findings.add(tree.size, f"it is missing: a checkpoint kept elsewhere covers {size} entries")
        elif root != self._stated.root:
            # our own checkpoints fit the entries, so what was rewritten may begin anywhere before
            self._findings.add(0 if good >= size else good, _OTHER_HISTORY.format(size))


_OTHER_HISTORY = "the entries do not continue the {} entries of the checkpoint that was kept elsewhere"


class _Damage:
    """SQLite's own check of pages and indexes, in a thread: it needs no Python, so it runs beside the rest."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[str] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="integrity-check")
        self._thread.start()

    def _run(self) -> None:
        try:
            connection = connect(self._path, writable=False)
            try:
                with translated():
                    rows = connection.execute(f"PRAGMA integrity_check({_MAX_DAMAGE})").fetchall()
                self._lines = [str(row[0]) for row in rows if row[0] != "ok"]
            finally:
                connection.close()
        except Exception as problem:  # raised again where it can be answered
            self._error = problem

    def found(self) -> list[tuple[int | None, str]]:
        """What it said, with the entry that it means where it means one."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        said = [" ".join(_OF_MAIN.sub("", line).split()) for line in self._lines]
        return [(self._seq(line), f"the file is damaged: {line}") for line in said]

    @staticmethod
    def _seq(line: str) -> int | None:
        # SQLite counts rows from 1, and entries have no gaps: a gap is a finding of its own
        meant = _MISSING_FROM_INDEX.match(line)
        return int(meant[1]) - 1 if meant else None
