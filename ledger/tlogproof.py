"""Proof files: one entry's place in a ledger, in a text that can be checked alone (C2SP tlog-proof v1).

    c2sp.org/tlog-proof@v1
    extra <base64>            optional; ours holds the entry's canonical bytes
    index <number>            decimal, counted from zero, no leading zero
    <base64 hash>             the inclusion proof, one hash a line, from the leaf's sibling upwards
    <empty line>
    <signed checkpoint>       as `ledger/checkpoint.py` describes it, verbatim

What `extra` holds is not authenticated by itself: it counts only if its hash is the leaf that the proof leads from. So
a checker reads the entry from `extra`, or has it already, and calls `Proof.verify` with those bytes.

>>> from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
>>> key = Ed25519PrivateKey.from_private_bytes(bytes(32))
>>> signer = note.Ed25519Signer("lgsco/handover", key.public_key().public_bytes_raw(), key.sign)
>>> head = Checkpoint("lgsco/handover", 1, merkle.leaf_hash(b"an entry"))
>>> proof = Proof(0, (), note.sign_note(head.encode(), [signer]), extra=b"an entry")
>>> parse(proof.encode()) == proof
True
>>> proof.verify(b"an entry", [note.Ed25519Verifier(signer.name, signer.public)]).size
1
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
"""A path in the largest tree that a checkpoint can state."""

MAX_EXTRA: Final = 100_000
"""Base64 characters: an entry has at most 65,535 bytes."""

MAX_PROOF: Final = note.MAX_NOTE + MAX_EXTRA + MAX_HASHES * 45 + 100
"""Bytes: anything larger has a part that is too large."""


class TlogProofError(Refused):
    """A text that is no proof file."""

    reason = "bad-proof"


@dataclass(frozen=True, slots=True)
class Proof:
    """One proof. Invariant for what `parse` gives: parse(p.encode()) == p."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """The text of the file."""
        # SPEC: C2SP tlog-proof format: if there is no extra data, its line is omitted
        extra = [] if self.extra is None else [f"extra {_base64(self.extra)}"]
        lines = [MAGIC, *extra, f"index {self.index}", *(_base64(digest) for digest in self.hashes), ""]
        return ("\n".join(lines) + "\n").encode() + self.checkpoint

    def verify(self, leaf: bytes, verifiers: Sequence[Verifier]) -> Checkpoint:
        """Check that the entry `leaf` is at `index` of a tree that its ledger signed; returns the tree's head.

        `verifiers` are the ledgers' keys that are trusted. Raises NoteError for the signature or the checkpoint,
        ProofError for the path.
        """
        head = checkpoint.open_checkpoint(self.checkpoint, verifiers)
        merkle.verify_inclusion(merkle.leaf_hash(leaf), self.index, head.size, self.hashes, head.root)
        return head


def parse(data: bytes) -> Proof:
    """Read a proof file, such that parse(d).encode() == d; raises TlogProofError. Nothing is verified."""
    if not isinstance(data, bytes):
        raise TlogProofError("a proof is not given as bytes")
    if len(data) > MAX_PROOF:
        raise TlogProofError(f"a proof is larger than {MAX_PROOF} bytes")
    # SPEC: C2SP tlog-proof format: after the hashes an empty line, then the checkpoint verbatim
    start, gap, signed = data.partition(b"\n\n")
    if not gap:
        raise TlogProofError("a proof has no empty line before its checkpoint")
    try:
        magic, *lines = start.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise TlogProofError("a proof holds something else than ASCII before its checkpoint") from None
    # SPEC: C2SP tlog-proof format: the first line names the format and its version
    if magic != MAGIC:
        raise TlogProofError(f"a proof does not begin with {MAGIC}")
    extra = _parse_extra(lines.pop(0)) if lines and lines[0].startswith("extra ") else None
    index = _parse_index(lines.pop(0) if lines else "")
    if len(lines) > MAX_HASHES:
        raise TlogProofError(f"a proof has more than {MAX_HASHES} hashes")
    hashes = tuple(_parse_hash(line) for line in lines)
    try:
        text, _ = note.split(signed)
        checkpoint.parse(text)
    except NoteError as problem:
        raise TlogProofError(f"a proof holds no signed checkpoint: {problem.message}") from None
    return Proof(index, hashes, signed, extra)


def _parse_extra(line: str) -> bytes:
    if len(line) > MAX_EXTRA:
        raise TlogProofError("a proof's extra data is larger than an entry can be")
    return _decode(line.removeprefix("extra "), "extra data")


def _parse_index(line: str) -> int:
    # SPEC: C2SP tlog-proof format: "index", space, decimal without leading zeroes
    if not line.startswith("index "):
        raise TlogProofError("a proof names no index")
    index = checkpoint.parse_number(line.removeprefix("index "))
    if index is None:
        raise TlogProofError("a proof's index is not a plain decimal number of 63 bits")
    return index


def _parse_hash(line: str) -> bytes:
    digest = _decode(line, "hash")
    if len(digest) != merkle.HASH_SIZE:
        raise TlogProofError(f"a proof's hash has not {merkle.HASH_SIZE} bytes")
    return digest


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(text: str, what: str) -> bytes:
    try:
        return note.decode_base64(text)
    except NoteError:
        raise TlogProofError(f"a proof's {what} is not canonical base64") from None
