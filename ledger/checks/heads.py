"""Every signature held about the tree: our own checkpoints, partners' cosignatures on them, and what we witnessed.

A checkpoint is signed by all ledger keys that its entries say are in use: so a new key counts only because the old one
signed the entry that brings it.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from config.errors import Refused, Tampered
from ledger import checkpoint, key_events, note
from ledger.checks.findings import Findings, each
from ledger.checks.tree import Tree
from ledger.database import Connection
from ledger.head import open_signed
from ledger.key_events import WitnessEnd
from ledger.known import rows_of
from ledger.merkle import EMPTY_ROOT
from ledger.note import Verifier
from ledger.view import View
from ledger.vkey import told_time


class Checkpoints:
    """Our own checkpoints in order of size, compared with the tree while that grows."""

    def __init__(self, connection: Connection, verifiers: Sequence[Verifier], findings: Findings) -> None:
        self.number = 0
        self.good = 0
        """So many entries are vouched for by a checkpoint that fits."""
        self._findings = findings
        self._verifiers = verifiers
        self._rows = each(connection, "SELECT size, previous, note FROM checkpoints ORDER BY size")
        self._next = next(self._rows, None)
        self._last: int | None = None
        self._other_root = self._other_key = False
        self._schedule = _schedule(connection)
        self._wanted: dict[tuple[str, ...], tuple[frozenset[tuple[str, bytes]], tuple[Verifier, ...]]] = {}

    def up_to(self, tree: Tree) -> None:
        """Check those that the tree has reached."""
        while self._next is not None and self._next[0] <= tree.size:
            size, previous, text = self._next
            self._check(size, previous, text.encode(), tree.root(size) if size else EMPTY_ROOT)
            self._next = next(self._rows, None)

    def finish(self, tree: Tree) -> None:
        """The newest must cover exactly what there is."""
        if self._next is not None:
            newest = int(self._next[0])
            for row in self._rows:
                newest = int(row[0])
            self._findings.add(tree.size, f"it is missing: a checkpoint covers {newest} entries")
        elif self._last is None:
            self._findings.add(0, "there is no checkpoint at all")
        elif self._last < tree.size:
            self._findings.add(self._last, f"no checkpoint covers the entries {self._last} to {tree.size - 1}")

    def _check(self, size: int, previous: int | None, signed: bytes, root: bytes) -> None:
        self.number += 1
        if previous != self._last or (self._last is None and size != 0):
            self._findings.add(min(self._last or 0, size), f"a checkpoint before that of {size} entries is missing")
        before, self._last = self._last or 0, size
        try:
            stated, opened = open_signed(signed, self._verifiers)
        except Refused as problem:
            self._findings.add(before, f"the checkpoint of {size} entries is not valid: {problem.message}")
            return
        if stated.size != size:
            self._findings.add(before, f"the checkpoint of {size} entries says {stated.size}")
        elif stated.root == root:
            self._check_keys(size, before, signed, opened)
            self.good = size
        elif not self._other_root:
            # every later one has another root too: one finding says it
            self._other_root = True
            self._findings.add(self.good, f"the entries do not have the root of the checkpoint of {size} entries")

    def _check_keys(self, size: int, before: int, signed: bytes, opened: note.Note) -> None:
        at = bisect_right(self._schedule, size, key=lambda change: change[0])
        wanted = self._schedule[at - 1][1] if at else ()
        if self._other_key or not wanted:
            return
        try:
            known, others = self._parsed(wanted)
            complete = known <= {(signature.name, signature.key_id) for signature in opened.verified}
            if complete and others:
                complete = len(note.open_note(signed, others).verified) == len(others)
        except Refused:
            complete = False
        if not complete:
            # every later one lacks it too: one finding says it
            self._other_key = True
            self._findings.add(before, f"the checkpoint of {size} entries lacks the signature of a key in use")

    def _parsed(self, wanted: tuple[str, ...]) -> tuple[frozenset[tuple[str, bytes]], tuple[Verifier, ...]]:
        """Of the keys that have to sign: names and ids of those with which signatures were verified, and the others."""
        if wanted not in self._wanted:
            keys = [note.parse_vkey(key) for key in wanted]
            known = frozenset((key.name, key.key_id) for key in keys if key in self._verifiers)
            self._wanted[wanted] = known, tuple(key for key in keys if key not in self._verifiers)
        return self._wanted[wanted]


def _schedule(connection: Connection) -> list[tuple[int, tuple[str, ...]]]:
    try:
        return key_events.schedule(key_events.key_entries(View(rows_of(connection))))
    except Tampered:
        # an entry that cannot be read is a finding of its own
        return []


def check_cosignatures(
    connection: Connection,
    size: int,
    verifiers: Mapping[str, Sequence[Verifier]] | None,
    ends: Mapping[str, Mapping[bytes, WitnessEnd]],
    findings: Findings,
) -> int:
    """Partners' signatures on our checkpoints; returns how many there are. Without `verifiers` only their form.

    One that a key made after its end is no finding, for an earlier version of this program kept it; it is not counted.
    """
    number = good = 0
    rows = each(
        connection,
        "SELECT s.size, s.partner, s.line, c.note FROM cosignatures s LEFT JOIN checkpoints c ON c.size = s.size "
        "ORDER BY s.size",
    )
    for signed_size, partner, line, text in rows:
        if text is None:
            number += 1
            findings.add(min(good, size), f"{partner} cosigned {signed_size} entries, of which there is no checkpoint")
            continue
        try:
            signed, parsed = note.add_signatures(text.encode(), [line]), note.Signature.parse(line)
            if verifiers is not None:
                note.open_note(signed, verifiers.get(partner, ()))
        except Refused as problem:
            what = f"the cosignature of {partner} on {signed_size} entries does not hold: {problem.message}"
            findings.add(min(good, size), what)
            number += 1
        else:
            end = ends.get(partner, {}).get(parsed.key_id)
            if end is None or not end.is_before(signed_size, told_time(parsed.blob)):
                number += 1
                good = signed_size
    for partner, seen in each(connection, "SELECT partner, size FROM partner_seen WHERE size > ?", size):
        findings.add(size, f"it is missing: {partner} has seen {seen} entries")
    return number


def check_witnessed(connection: Connection, findings: Findings) -> None:
    """What we remember of partners' ledgers: columns and note say the same, and our cosignature is on it."""
    for partner, size, root, text, cosigned in each(
        connection, "SELECT partner, size, root, note, cosigned FROM witnessed ORDER BY partner"
    ):
        try:
            body, _ = note.split(text.encode())
            stated = checkpoint.parse(body)
            lines = [note.Signature.parse(line) for line in cosigned.splitlines()]
        except Refused as problem:
            findings.add(None, f"the checkpoint of {partner} that was witnessed cannot be read: {problem.message}")
            continue
        if (stated.size, stated.root) != (size, root) or not lines:
            findings.add(None, f"the checkpoint of {partner} that was witnessed is not the one that is remembered")
