"""Checkpoints: the signed head of a ledger's tree, and cosignatures on it.

Specifications: C2SP tlog-checkpoint v1, tlog-cosignature v1.

A checkpoint is the text of a signed note (`ledger/note.py`):

    <origin>              which ledger: 1 to 255 bytes
    <size>                number of entries, decimal, no leading zero
    <base64 root hash>    of the tree of RFC 9162 (`ledger/merkle.py`)
    [extension lines]     not empty; ours has none

    — <origin> <signature>
    — <witness> <cosignature>

The ledger signs under its origin as the key's name. A witness, after it has checked that the tree continues the last
one that it saw, adds a cosignature (`ledger/vkey.py`, type 04), which covers the same text and the time.
A second, post-quantum key adds another (type 06), which covers the three lines, the witness's name and the time.

>>> head = parse("lgsco/handover\\n3\\n" + "A" * 43 + "=\\n")
>>> head.origin, head.size, head.root == bytes(32)
('lgsco/handover', 3, True)
>>> head.encode()
'lgsco/handover\\n3\\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\\n'
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.merkle import EMPTY_ROOT, HASH_SIZE
from ledger.note import MAX_NOTE, NoteError, Signature, Verifier, decode_base64, has_control, open_note, split
from ledger.vkey import MLDSA44, CosignatureVerifier, Cosigner, MlDsaVerifier

__all__ = [
    "MAX_ORIGIN",
    "MAX_SIZE",
    "MLDSA44",
    "Checkpoint",
    "CheckpointError",
    "CosignatureVerifier",
    "Cosigner",
    "MlDsaVerifier",
    "cosign",
    "open_checkpoint",
    "parse",
    "parse_number",
]

MAX_SIZE: Final = 2**63 - 1
"""Largest tree that a checkpoint of ours may state: as in Go's sumdb, and what a database column holds."""

MAX_ORIGIN: Final = 255
"""Bytes: the length of an origin has one byte in what ML-DSA cosigners sign."""


class CheckpointError(NoteError):
    """A text that is no checkpoint (`bad-checkpoint`), or not its own ledger's (`wrong-origin`)."""

    reason = "bad-checkpoint"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The text of a checkpoint. Invariant: parse(c.encode()) == c."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def encode(self) -> str:
        """The text; raises CheckpointError for values that parse would not give back."""
        # SPEC: C2SP tlog-checkpoint note text: origin, size and root, each on a line; then extensions
        text = _join(self)
        if parse(text) != self:
            raise CheckpointError("a checkpoint cannot be written so that it reads back the same")
        return text


def parse(text: str | bytes) -> Checkpoint:
    """Read the text of a checkpoint (without signatures), such that parse(t).encode() == t; raises CheckpointError."""
    if not isinstance(text, str | bytes):
        raise CheckpointError("a checkpoint is given neither as text nor as bytes")
    if len(text) > MAX_NOTE:
        raise CheckpointError("a checkpoint is larger than a note can be")
    try:
        # both ways, since a str may hold halves of characters, which no note can carry
        text = (text if isinstance(text, bytes) else text.encode()).decode()
    except UnicodeError:
        raise CheckpointError("a checkpoint is not UTF-8") from None
    # SPEC: C2SP tlog-checkpoint note text: at least three non-empty lines, separated by newlines
    if not text.endswith("\n"):
        raise CheckpointError("a checkpoint does not end with a newline")
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise CheckpointError("a checkpoint has fewer than three lines, or an empty one")
    if any(has_control(line) for line in lines):
        raise CheckpointError("a checkpoint holds a control character")
    origin, number, encoded, *extensions = lines
    if len(origin.encode()) > MAX_ORIGIN:
        raise CheckpointError(f"a checkpoint's origin is longer than {MAX_ORIGIN} bytes")
    size = parse_number(number)
    if size is None:
        raise CheckpointError("a checkpoint's size is not a plain decimal number of 63 bits")
    return Checkpoint(origin, size, _parse_root(encoded), tuple(extensions))


def open_checkpoint(signed: bytes, verifiers: Sequence[Verifier]) -> Checkpoint:
    """Read a signed checkpoint; raises NoteError unless a known key that is named as its origin has signed it."""
    opened = open_note(signed, verifiers)
    head = parse(opened.text)
    # SPEC: C2SP tlog-checkpoint signatures: the log's key name should match the origin; in our ledgers it must, so that
    # neither a witness nor another ledger that we know can speak for this one
    if head.origin not in {signature.name for signature in opened.verified}:
        raise CheckpointError("a checkpoint is not signed by its own origin", reason="wrong-origin")
    return head


def cosign(note: bytes, cosigner: Cosigner) -> str:
    """The cosignature line (no newline) for a signed checkpoint; raises CheckpointError if it is none."""
    text, _ = split(note)
    head = parse(text)
    # SPEC: RFC 9162 2.1.1: the hash of an empty list; another root of no entries cannot be true, so no witness says so
    if head.size == 0 and head.root != EMPTY_ROOT:
        raise CheckpointError("a checkpoint of no entries has another root than the empty tree")
    # SPEC: C2SP tlog-cosignature Ed25519 signed message: the whole text is covered, extension lines included
    return Signature(cosigner.name, cosigner.key_id, cosigner.sign(text.encode())).line


def parse_number(text: str) -> int | None:
    """A decimal number from 0 to MAX_SIZE in its one spelling, or None."""
    # SPEC: C2SP tlog-checkpoint note text: ASCII decimal, no leading zeroes
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_SIZE))) or str(int(text)) != text:
        return None
    return int(text) if int(text) <= MAX_SIZE else None


def _parse_root(text: str) -> bytes:
    try:
        root = decode_base64(text)
    except NoteError:
        raise CheckpointError("a checkpoint's root is not canonical base64") from None
    if len(root) != HASH_SIZE:
        raise CheckpointError(f"a checkpoint's root has not {HASH_SIZE} bytes")
    return root


def _join(head: Checkpoint) -> str:
    root = base64.b64encode(head.root).decode("ascii")
    return "".join(f"{line}\n" for line in (head.origin, head.size, root, *head.extensions))
