"""Proof files: one entry's inclusion in a ledger, in a text that can be checked alone (C2SP tlog-proof).

c2sp.org/tlog-proof@v1
extra <base64>            optional; ours holds the entry's canonical bytes
index <number>
<base64 hash>             the inclusion proof, one hash a line
<empty line>
<signed checkpoint>
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from config.errors import Refused
from ledger import checkpoint, merkle, note
from ledger.checkpoint import Checkpoint
from ledger.note import NoteError, Verifier

MAGIC: Final = "c2sp.org/tlog-proof@v1"
MAX_HASHES: Final = 63
"""A path in the largest tree."""

MAX_PROOF: Final = 2_000_000
"""An entry of 64 KiB in base64, 63 hashes, and a note: anything larger is something else."""


class TlogProofError(Refused):
    """A text that is no proof file."""

    reason = "bad-proof"


@dataclass(frozen=True, slots=True)
class Proof:
    """One proof. Invariant: parse(p.encode()) == p."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """The text of the file."""
        lines = [MAGIC]
        if self.extra is not None:
            lines.append(f"extra {_base64(self.extra)}")
        lines += [f"index {self.index}", *(_base64(digest) for digest in self.hashes), ""]
        return ("\n".join(lines) + "\n").encode() + self.checkpoint

    def verify(self, leaf: bytes, verifiers: Sequence[Verifier]) -> Checkpoint:
        """Check that the entry `leaf` is at `index` of a tree that a known key signed; returns the tree's head.

        Raises NoteError for the signature, ProofError for the path.
        """
        head = checkpoint.parse(note.open_note(self.checkpoint, verifiers).text)
        merkle.verify_inclusion(merkle.leaf_hash(leaf), self.index, head.size, self.hashes, head.root)
        return head


def parse(data: bytes) -> Proof:
    """Read a proof file; raises TlogProofError. Nothing is verified."""
    if len(data) > MAX_PROOF:
        raise TlogProofError(f"a proof is larger than {MAX_PROOF} bytes")
    head, gap, signed = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise TlogProofError("a proof is not text") from None
    if not gap or lines.pop(0) != MAGIC:
        raise TlogProofError("a proof does not begin as one", reason="bad-proof")
    extra = _decode(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else None
    if not lines or not lines[0].startswith("index "):
        raise TlogProofError("a proof names no index")
    number = lines.pop(0).removeprefix("index ")
    if not (number.isdigit() and len(number) <= 19) or (number != "0" and number.startswith("0")):
        raise TlogProofError("a proof's index is not a plain decimal number")
    if int(number) >= merkle.MAX_SIZE:
        raise TlogProofError("a proof's index is out of range")
    if len(lines) > MAX_HASHES:
        raise TlogProofError(f"a proof has more than {MAX_HASHES} hashes")
    hashes = tuple(_decode(line) for line in lines)
    if any(len(digest) != merkle.HASH_SIZE for digest in hashes):
        raise TlogProofError("a proof's hash has a wrong length")
    try:
        text, _ = note.split(signed)
        checkpoint.parse(text)
    except NoteError as problem:
        raise TlogProofError(f"a proof holds no signed checkpoint: {problem.message}") from None
    return Proof(int(number), hashes, signed, extra)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(text: str) -> bytes:
    try:
        return note.decode_base64(text)
    except NoteError:
        raise TlogProofError("a proof holds a line that is not base64") from None
