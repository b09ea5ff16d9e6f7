"""The `witness` block of a manifest: what one organisation says about both ledgers, and the form it must have.

    {"checkpoint": my newest checkpoint, a signed note,
     "old": the size of mine that you cosigned last, as far as I know,
     "consistency": [base64 hashes: my tree of that checkpoint continues the one of `old`],
     "cosigned": the newest checkpoint of yours that I have checked: your note, with my cosignature added,
     "seen": the size of that checkpoint; 0 with an empty text: I have checked none yet}

`cosigned` is the whole note, not only my lines on it: so it proves alone that the ledger whose key signed it was once
as it says, even to a ledger that has lost that checkpoint. A number without such a proof accuses nobody.

Specification: the message of C2SP tlog-witness add-checkpoint, carried by messages instead of HTTP.

>>> Statement.from_json({"checkpoint": "x", "old": 0, "consistency": [], "cosigned": "", "seen": 0}).seen
0
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from config.errors import Refused
from ledger import merkle, note
from ledger.canonical import Json
from ledger.entry import MAX_SIZE
from ledger.note import NoteError

MAX_HASHES = 63
"""Longest consistency proof that C2SP tlog-witness allows."""

MAX_BYTES = 8 * 1024
"""Of a checkpoint: room for several signatures of the largest kind. What comes goes back, in a manifest of 64 KiB."""

MAX_LINES = 16
"""Of a checkpoint: three, an empty one, and signatures by an old and a new key of each of a few algorithms."""

_FIELDS = frozenset({"checkpoint", "old", "consistency", "cosigned", "seen"})


class StatementError(Refused):
    """A `witness` block that is not of the form above."""

    reason = "bad-witness"


@dataclass(frozen=True, slots=True)
class Statement:
    """What one side says about both ledgers. Always: `from_json(s.to_json()) == s`."""

    checkpoint: str
    old: int
    consistency: tuple[bytes, ...]
    cosigned: str
    seen: int

    def to_json(self) -> dict[str, Json]:
        """The manifest's `witness` block."""
        return {
            "checkpoint": self.checkpoint,
            "old": self.old,
            "consistency": [base64.b64encode(digest).decode() for digest in self.consistency],
            "cosigned": self.cosigned,
            "seen": self.seen,
        }

    @classmethod
    def from_json(cls, block: Mapping[str, Json]) -> "Statement":
        """Read the block; raises StatementError. Notes, signatures and proofs are not checked here."""
        if set(block) != _FIELDS:
            raise StatementError("a witness block does not have exactly its five fields")
        hashes, old, seen = block["consistency"], block["old"], block["seen"]
        signed, cosigned = block["checkpoint"], block["cosigned"]
        if not isinstance(signed, str) or not isinstance(cosigned, str):
            raise StatementError("a witness block holds something else than text where notes should be")
        # what we cosign comes back to its owner with a line of ours
        if not _is_bounded(signed, 1) or not _is_bounded(cosigned, 2):
            raise StatementError("a note in a witness block is longer than any checkpoint")
        if type(old) is not int or type(seen) is not int or not (0 <= old <= MAX_SIZE and 0 <= seen <= MAX_SIZE):
            raise StatementError("a size in a witness block is out of range")
        if not isinstance(hashes, list) or len(hashes) > MAX_HASHES:
            raise StatementError(f"the proof in a witness block is no list of at most {MAX_HASHES} hashes")
        if (seen == 0) != (cosigned == ""):
            raise StatementError("a witness block names a size without its cosignature, or the other way round")
        return cls(signed, old, tuple(_hash(text) for text in hashes), cosigned, seen)


def _is_bounded(text: str, times: int) -> bool:
    return len(text.encode(errors="replace")) <= times * MAX_BYTES and text.count("\n") <= times * MAX_LINES


def _hash(text: Json) -> bytes:
    try:
        digest = note.decode_base64(text) if isinstance(text, str) else b""
    except NoteError:
        digest = b""
    if len(digest) != merkle.HASH_SIZE:
        raise StatementError("a hash in a witness block is malformed")
    return digest
