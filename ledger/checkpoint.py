"""Checkpoints: the signed head of a ledger's tree, and cosignatures on it (C2SP tlog-checkpoint, tlog-cosignature).

    <origin>              which ledger
    <size>                number of entries, decimal
    <base64 root hash>
    [extension lines]
    <empty line>
    — <origin> <signature>
    — <witness> <cosignature>

A cosignature (key type 04) is a time (8 bytes, big-endian seconds) and an Ed25519 signature of

    cosignature/v1
    time <seconds>
    <the checkpoint's text>

>>> parse("lgsco/handover\\n3\\n" + "A" * 43 + "=\\n").size
3
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ledger.merkle import HASH_SIZE, MAX_SIZE
from ledger.note import COSIGNATURE, NoteError, Signature, decode_base64, ed25519_holds, encode_vkey, key_id, split

MAX_TIME: Final = 2**63 - 1


class CheckpointError(NoteError):
    """A text that is no checkpoint."""

    reason = "bad-checkpoint"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The text of a checkpoint. Invariant: parse(c.encode()) == c."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def encode(self) -> str:
        """SPEC: C2SP tlog-checkpoint: origin, size and root, each on a line; then extensions."""
        root = base64.b64encode(self.root).decode("ascii")
        return "".join(line + "\n" for line in (self.origin, str(self.size), root, *self.extensions))


def parse(text: str) -> Checkpoint:
    """Read the text of a checkpoint (without signatures); raises CheckpointError."""
    if not text.endswith("\n"):
        raise CheckpointError("a checkpoint does not end with a newline")
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise CheckpointError("a checkpoint has fewer than three lines, or an empty one")
    origin, size, root, *extensions = lines
    if not (size.isascii() and size.isdigit() and len(size) <= 19) or (size != "0" and size.startswith("0")):
        raise CheckpointError("a checkpoint's size is not a plain decimal number")
    if int(size) > MAX_SIZE:
        raise CheckpointError("a checkpoint's size is out of range")
    try:
        digest = decode_base64(root)
    except NoteError:
        raise CheckpointError("a checkpoint's root is not base64") from None
    if len(digest) != HASH_SIZE:
        raise CheckpointError(f"a checkpoint's root has not {HASH_SIZE} bytes")
    return Checkpoint(origin, int(size), digest, tuple(extensions))


def _cosigned(message: bytes, time: int) -> bytes:
    # SPEC: C2SP tlog-cosignature: "cosignature/v1", LF, "time <seconds>", LF, the checkpoint's text
    return b"cosignature/v1\ntime %d\n" % time + message


@dataclass(frozen=True, slots=True)
class CosignatureVerifier:
    """A witness's key of type 04."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """See note.Verifier."""
        return key_id(self.name, COSIGNATURE, self.public)

    @property
    def vkey(self) -> str:
        """`name+hash+base64`."""
        return encode_vkey(self.name, COSIGNATURE, self.public)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """See note.Verifier: `signature` is the time and the Ed25519 signature."""
        if len(signature) != 72:
            return False
        time = int.from_bytes(signature[:8], "big")
        return time <= MAX_TIME and ed25519_holds(self.public, signature[8:], _cosigned(message, time))


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness that signs at the time `now` (Unix seconds); `do` makes the raw Ed25519 signature."""

    name: str
    public: bytes
    do: Callable[[bytes], bytes]
    now: int

    @property
    def key_id(self) -> bytes:
        """See note.Signer."""
        return key_id(self.name, COSIGNATURE, self.public)

    def sign(self, message: bytes) -> bytes:
        """See note.Signer."""
        return self.now.to_bytes(8, "big") + self.do(_cosigned(message, self.now))


def cosign(note: bytes, cosigner: Cosigner) -> str:
    """The cosignature line for a signed checkpoint; raises CheckpointError if it is none."""
    text, _ = split(note)
    parse(text)
    return Signature(cosigner.name, cosigner.key_id, cosigner.sign(text.encode())).line
