"""Signed notes: a text and signatures that people and programs can read (C2SP signed-note v1).

    <text, one or more lines, each ended by a newline>
    <empty line>
    — <name> <base64 of: key id (4 bytes) || signature>
    ...

A key is known by its verifier key (vkey): `name+hash+base64(type || public key)`, where hash is the first four bytes of
SHA-256(name || LF || type || public key) in hex. Types: 01 Ed25519, 04 Ed25519 cosignature (ledger/checkpoint.py).

Signatures by unknown keys are ignored; a bad signature by a known key rejects the whole note.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from config.errors import Refused

if TYPE_CHECKING:
    from ledger.checkpoint import CosignatureVerifier

ED25519: Final = 0x01
COSIGNATURE: Final = 0x04

MAX_NOTE: Final = 1_000_000
"""Larger texts are not notes of ours."""

MAX_SIGNATURES: Final = 100
"""As many as are looked at: each may cost a verification."""

_DASH = "— "


class NoteError(Refused):
    """A text that is no signed note, or whose signatures do not hold."""

    reason = "bad-note"


class Verifier(Protocol):
    """Checks one key's signatures."""

    @property
    def name(self) -> str:
        """The key's name."""

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's for the note text `message`."""


class Signer(Protocol):
    """Makes one key's signatures."""

    @property
    def name(self) -> str:
        """The key's name."""

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""

    def sign(self, message: bytes) -> bytes:
        """The signature of the note text `message`."""


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """SPEC: C2SP signed-note: SHA-256(name || LF || type || public key), first four bytes."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


@dataclass(frozen=True, slots=True)
class Ed25519Verifier:
    """A key of type 01."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """See Verifier."""
        return key_id(self.name, ED25519, self.public)

    @property
    def vkey(self) -> str:
        """`name+hash+base64`."""
        return encode_vkey(self.name, ED25519, self.public)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """See Verifier."""
        return ed25519_holds(self.public, signature, message)


@dataclass(frozen=True, slots=True)
class Ed25519Signer:
    """Signs as a key of type 01; `do` makes the raw Ed25519 signature."""

    name: str
    public: bytes
    do: Callable[[bytes], bytes]

    @property
    def key_id(self) -> bytes:
        """See Signer."""
        return key_id(self.name, ED25519, self.public)

    def sign(self, message: bytes) -> bytes:
        """See Signer."""
        return self.do(message)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line."""

    name: str
    key_id: bytes
    blob: bytes

    @property
    def line(self) -> str:
        """`— name base64`, without a newline."""
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.blob).decode('ascii')}"

    @classmethod
    def parse(cls, line: str) -> "Signature":
        """Read one line without its newline; raises NoteError."""
        if not line.startswith(_DASH):
            raise NoteError("a signature line does not begin with a dash")
        name, space, encoded = line[len(_DASH) :].partition(" ")
        raw = decode_base64(encoded)
        if not space or not is_name(name) or len(raw) < 5:
            raise NoteError("a signature line is malformed")
        return cls(name, raw[:4], raw[4:])


@dataclass(frozen=True, slots=True)
class Note:
    """A note of which at least one known signature was checked."""

    text: str
    verified: tuple[Signature, ...]
    unverified: tuple[Signature, ...]


def split(note: bytes) -> tuple[str, tuple[Signature, ...]]:
    """Text and signatures of a note, nothing checked but the form; raises NoteError."""
    if len(note) > MAX_NOTE:
        raise NoteError(f"a note is larger than {MAX_NOTE} bytes")
    try:
        whole = note.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteError("a note is not UTF-8") from None
    if any(c < " " and c != "\n" for c in whole):
        raise NoteError("a note holds a control character")
    # SPEC: C2SP signed-note: the text and the signatures are separated by the last empty line
    text, gap, signatures = whole.rpartition("\n\n")
    if not gap or not signatures.endswith("\n"):
        raise NoteError("a note has no signatures")
    lines = signatures[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"a note has more than {MAX_SIGNATURES} signatures")
    return text + "\n", tuple(Signature.parse(line) for line in lines)


def open_note(text: bytes, verifiers: Sequence[Verifier]) -> Note:
    """Check a note; raises NoteError unless a known key signed it and no known key's signature is bad."""
    body, signatures = split(text)
    known: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        if (verifier.name, verifier.key_id) in known:
            raise NoteError("two known keys have the same name and key id")
        known[verifier.name, verifier.key_id] = verifier
    verified: list[Signature] = []
    unverified: list[Signature] = []
    seen: set[tuple[str, bytes]] = set()
    for signature in signatures:
        which = (signature.name, signature.key_id)
        if which not in known:
            unverified.append(signature)
            continue
        if which in seen:
            continue
        seen.add(which)
        if not known[which].verify(body.encode(), signature.blob):
            raise NoteError("a known key's signature on a note does not hold", reason="bad-signature")
        verified.append(signature)
    if not verified:
        raise NoteError("no known key signed the note", reason="unknown-key")
    return Note(body, tuple(verified), tuple(unverified))


def sign_note(text: str, signers: Sequence[Signer]) -> bytes:
    """The signed note of `text` (which ends with a newline)."""
    if not text.endswith("\n"):
        raise NoteError("a note's text must end with a newline")
    lines = [Signature(s.name, s.key_id, s.sign(text.encode())).line for s in signers]
    note = (text + "\n" + "".join(line + "\n" for line in lines)).encode()
    split(note)
    return note


def add_signatures(note: bytes, lines: Sequence[str]) -> bytes:
    """`note` with more signature lines, those it has already left out."""
    _, present = split(note)
    have = {signature.line for signature in present}
    fresh = [Signature.parse(line).line for line in lines]
    return note + "".join(line + "\n" for line in dict.fromkeys(fresh) if line not in have).encode()


def encode_vkey(name: str, kind: int, public: bytes) -> str:
    """SPEC: C2SP signed-note: `name+hash+base64(type || public key)`."""
    return f"{name}+{key_id(name, kind, public).hex()}+{base64.b64encode(bytes([kind]) + public).decode('ascii')}"


def parse_vkey(text: str) -> "Ed25519Verifier | CosignatureVerifier":
    """A verifier for a vkey of type 01 or 04; raises NoteError."""
    from ledger.checkpoint import CosignatureVerifier

    parts = text.split("+", 2)
    if len(parts) != 3 or not is_name(parts[0]):
        raise NoteError("a verifier key is not of the form name+hash+key")
    raw = decode_base64(parts[2])
    if len(raw) != 33 or raw[0] not in (ED25519, COSIGNATURE):
        raise NoteError("a verifier key is of an unknown type")
    if encode_vkey(parts[0], raw[0], raw[1:]) != text:
        raise NoteError("a verifier key's hash does not fit its key")
    return Ed25519Verifier(parts[0], raw[1:]) if raw[0] == ED25519 else CosignatureVerifier(parts[0], raw[1:])


def ed25519_holds(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a raw Ed25519 signature holds; a public key that is none holds nothing."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def is_name(name: str) -> bool:
    """SPEC: C2SP signed-note: not empty, no Unicode spaces, no plus."""
    return bool(name) and "+" not in name and not any(c.isspace() or c < " " for c in name)


def decode_base64(text: str) -> bytes:
    """Standard base64 in its one canonical spelling; raises NoteError."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise NoteError("a text is not base64") from None
    if base64.b64encode(raw).decode("ascii") != text:
        raise NoteError("a text is not canonical base64")
    return raw
