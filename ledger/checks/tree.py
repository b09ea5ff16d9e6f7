"""The Merkle tree again from the stored bytes: leaves, every stored node, and the root at any size on the way.

The leaves are taken in blocks of 2^14, so memory stays small: within a block all levels are computed as lists, and
above it each block counts as one node.

    level 14+   |        kept: one hash for each block, and what they make        |
    level 0-14  |  block of 16,384 leaves  |  next block  |  ...
"""

from collections.abc import Iterator
from hashlib import sha256

from ledger import merkle
from ledger.checks.findings import Findings
from ledger.database import Connection, translated

BLOCK_LEVEL = 14
BLOCK = 1 << BLOCK_LEVEL

_ENTRIES = "SELECT seq, entry, leaf_hash FROM entries WHERE seq >= ? AND seq < ? ORDER BY seq"
_NODES = "SELECT idx, hash FROM nodes WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx"


class Tree:
    """The tree as the entries' bytes make it. `size` grows block by block; it ends before the first missing entry."""

    def __init__(self, connection: Connection, findings: Findings) -> None:
        self.size = 0
        self._connection = connection
        self._findings = findings
        self._block: list[list[bytes]] = []
        self._first = 0
        self._wrong: set[int] = set()
        self._top: dict[int, list[bytes]] = {}
        self._top_wrong: set[tuple[int, int]] = set()
        self._suspects: list[tuple[int, int, str]] = []

    def blocks(self) -> Iterator[int]:
        """Take in block after block; yields the size reached. Until the next, `root` knows the sizes of this one."""
        stop = self._stop()
        for first in range(0, stop, BLOCK):
            leaves, wrong = self._leaves(first, min(first + BLOCK, stop))
            self._first = first
            self._block = self._levels(first, leaves, wrong)
            self.size = first + len(leaves)
            if len(leaves) == BLOCK:
                self._add_top(first >> BLOCK_LEVEL, self._block[BLOCK_LEVEL][0])
            yield self.size
            if self.size < min(first + BLOCK, stop):
                self._missing(stop)
                return
        self._check_number_of_nodes()

    def root(self, size: int) -> bytes:
        """Root over the first `size` leaves; `size` lies in the block taken in last, or ends it."""
        return merkle.root(size, self._read)

    def _read(self, level: int, index: int) -> bytes:
        if level >= BLOCK_LEVEL:
            return self._top[level][index]
        return self._block[level][index - (self._first >> level)]

    def _stop(self) -> int:
        with translated():
            newest = self._connection.execute("SELECT max(seq) FROM entries").fetchone()[0]
        return 0 if newest is None else int(newest) + 1

    def _leaves(self, first: int, stop: int) -> tuple[list[bytes], set[int]]:
        """Leaf hashes from the bytes, up to the first missing number; and which are stored otherwise."""
        with translated():
            rows = self._connection.execute(_ENTRIES, (first, stop)).fetchall()
        leaves: list[bytes] = []
        wrong: set[int] = set()
        add = leaves.append
        for expected, (seq, entry, stored) in enumerate(rows, first):
            if seq != expected:
                break
            # SPEC: RFC 9162 2.1.1: SHA-256(0x00 || entry), from the stored bytes
            leaf = sha256(b"\x00" + entry).digest()
            if leaf != stored:
                wrong.add(seq)
                self._findings.add(seq, "its bytes do not have the hash that is stored with them")
            add(leaf)
        return leaves, wrong

    def _levels(self, first: int, leaves: list[bytes], wrong: set[int]) -> list[list[bytes]]:
        """All levels of a block, compared with the stored nodes; `wrong` are the leaves that differ."""
        levels = [leaves]
        for level in range(1, BLOCK_LEVEL + 1):
            below = levels[-1]
            pairs = zip(below[0::2], below[1::2], strict=False)
            made = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
            levels.append(made)
            wrong = self._compare(level, first >> level, made, wrong)
        self._wrong = wrong
        return levels

    def _compare(self, level: int, first: int, made: list[bytes], below: set[int]) -> set[int]:
        """Indexes of stored nodes that differ. One above a difference that is known already is not named again."""
        if not made:
            return set()
        with translated():
            stored = self._connection.execute(_NODES, (level, first, first + len(made))).fetchall()
        if [row[1] for row in stored] == made:
            return set()
        found = dict(stored)
        wrong = {index for index, digest in enumerate(made, first) if found.get(index) != digest}
        for index in sorted(wrong):
            if 2 * index not in below and 2 * index + 1 not in below:
                self._suspect(level, index, "does not follow from the entries" if index in found else "is missing")
        return wrong

    def _suspect(self, level: int, index: int, what: str) -> None:
        first, last = index << level, (index + 1 << level) - 1
        self._suspects.append((first, last, f"the stored hash of entries {first} to {last} {what}"))

    def settle(self, good: int) -> None:
        """Name what was found up to now, knowing that a checkpoint fits the first `good` entries."""
        for first, last, what in self._suspects:
            self._findings.add(first if good > last else max(first, good), what)
        self._suspects.clear()

    def _add_top(self, index: int, digest: bytes) -> None:
        """Combine finished blocks upwards, as new_nodes does for leaves."""
        level, wrong = BLOCK_LEVEL, self._top_wrong
        self._top.setdefault(level, []).append(digest)
        wrong |= {(level, index) for index in self._wrong}
        while index & 1:
            pair = self._top[level][-2:]
            below = {at for at in (index - 1, index) if (level, at) in wrong}
            level, index = level + 1, index >> 1
            self._top.setdefault(level, []).append(merkle.node_hash(*pair))
            wrong |= {(level, at) for at in self._compare(level, index, self._top[level][-1:], below)}

    def _missing(self, stop: int) -> None:
        self._findings.add(self.size, f"it is missing, although the ledger goes on to entry {stop - 1}")

    def _check_number_of_nodes(self) -> None:
        expected = sum(self.size >> level for level in range(1, self.size.bit_length()))
        with translated():
            found = self._connection.execute("SELECT count(*) FROM nodes").fetchone()[0]
        if found > expected:
            self._findings.add(self.size, f"{found - expected} hashes of entries are stored that do not exist")
