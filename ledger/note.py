"""Signed notes: a text and signatures that people and programs can read (C2SP signed-note v1).

    <text, one or more lines, each ended by a newline>
    <empty line>
    — <name> <base64 of: key id (4 bytes) || signature>
    ...

The text is everything before the last empty line, including its final newline; it may hold empty lines itself. The note
is UTF-8 without control characters other than the newline. Names and key ids are those of `ledger/vkey.py`, whose names
a reader of notes finds here too.

What a reader does, in this order:

1. refuse a note that is too large, not UTF-8, holds a control character, or has a malformed signature line;
2. ignore signatures whose name and key id together are those of no known key;
3. refuse the note if any other signature does not hold;
4. refuse the note if none is left.

>>> from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
>>> key = Ed25519PrivateKey.from_private_bytes(bytes(32))
>>> signer = Ed25519Signer("lgsco/handover", key.public_key().public_bytes_raw(), key.sign)
>>> signed = sign_note("a text\\n", [signer])
>>> print(signed.decode(), end="")
a text
<BLANKLINE>
— lgsco/handover DoqL5reaNRZwOJW3VDlfJuM2/xy/ttfJG73/NhHNei+6aYwfJdGH7HsxsrhR4HNhO6gOq8AFQRZK0DdmDSPgSRZTEwA=
>>> open_note(signed, [Ed25519Verifier(signer.name, signer.public)]).text
'a text\\n'
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.vkey import (
    CosignatureVerifier,
    Ed25519Signer,
    Ed25519Verifier,
    MlDsaVerifier,
    NoteError,
    Signer,
    Verifier,
    decode_base64,
    is_name,
    parse_vkey,
)

__all__ = [
    "MAX_NOTE",
    "MAX_SIGNATURES",
    "CosignatureVerifier",
    "Ed25519Signer",
    "Ed25519Verifier",
    "MlDsaVerifier",
    "Note",
    "NoteError",
    "Signature",
    "Signer",
    "Verifier",
    "add_signatures",
    "decode_base64",
    "has_control",
    "open_note",
    "parse_vkey",
    "sign_note",
    "split",
]

MAX_NOTE: Final = 1_000_000
"""Bytes: a hundred of the largest signatures, and more text than a checkpoint can need."""

# SPEC: C2SP signed-note format: a limit to the number of signatures, of at least 16
MAX_SIGNATURES: Final = 100
"""As many as are looked at: each may cost a verification."""

ID_SIZE: Final = 4

_DASH = "\N{EM DASH} "
_CONTROL = re.compile(r"[\x00-\x1f]")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line. Invariant: Signature.parse(line).line == line."""

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
        # SPEC: C2SP signed-note format: em dash, space, name, space, base64 of key id and signature
        if not isinstance(line, str) or not line.startswith(_DASH):
            raise NoteError("a signature line does not begin with a dash and a space")
        name, _, encoded = line[len(_DASH) :].partition(" ")
        raw = decode_base64(encoded)
        if not is_name(name) or len(raw) <= ID_SIZE:
            raise NoteError("a signature line is malformed")
        return cls(name, raw[:ID_SIZE], raw[ID_SIZE:])


@dataclass(frozen=True, slots=True)
class Note:
    """A note of which at least one known signature was checked.

    `verified` holds one signature of each known key that signed, in the order of the note; `unverified` those of
    unknown keys, of which nothing is known. Both without repetitions.
    """

    text: str
    verified: tuple[Signature, ...]
    unverified: tuple[Signature, ...]


def split(note: bytes) -> tuple[str, tuple[Signature, ...]]:
    """Text and signatures of a note, nothing checked but the form; raises NoteError.

    Invariant: the text, an empty line and the lines of the signatures are the note again, byte for byte.
    """
    if not isinstance(note, bytes):
        raise NoteError("a note is not given as bytes")
    if len(note) > MAX_NOTE:
        raise NoteError(f"a note is larger than {MAX_NOTE} bytes")
    try:
        whole = note.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteError("a note is not UTF-8") from None
    # SPEC: C2SP signed-note format: no ASCII control characters other than newline
    if has_control(whole.replace("\n", "")):
        raise NoteError("a note holds a control character")
    # SPEC: C2SP signed-note format: the text and the signatures are separated by the last empty line
    text, gap, signatures = whole.rpartition("\n\n")
    if not gap or not signatures.endswith("\n"):
        raise NoteError("a note has no signatures, or does not end with a newline")
    lines = signatures[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"a note has more than {MAX_SIGNATURES} signatures")
    return text + "\n", tuple(Signature.parse(line) for line in lines)


def open_note(text: bytes, verifiers: Sequence[Verifier]) -> Note:
    """Check a note; raises NoteError unless a known key signed it and no known key's signature is bad."""
    body, signatures = split(text)
    verified: dict[tuple[str, bytes], Signature] = {}
    unverified: list[Signature] = []
    for signature in dict.fromkeys(signatures):
        which = (signature.name, signature.key_id)
        known = [verifier for verifier in verifiers if (verifier.name, verifier.key_id) == which]
        # SPEC: C2SP signed-note signatures: unknown keys are ignored, even if name or id (not both) are known
        if not known:
            unverified.append(signature)
            continue
        # SPEC: C2SP signed-note signatures: name and key id identify the key; two such are an accident or worse
        if len(known) > 1:
            raise NoteError("two known keys have the same name and key id", reason="ambiguous-key")
        # SPEC: C2SP signed-note signatures: a known key's signature must be verified; one that fails rejects the note
        if not known[0].verify(body.encode(), signature.blob):
            raise NoteError("a known key's signature on a note does not hold", reason="bad-signature")
        verified.setdefault(which, signature)
    # SPEC: C2SP signed-note signatures: without a verified signature the note must be rejected
    if not verified:
        raise NoteError("no known key signed the note", reason="unknown-key")
    return Note(body, tuple(verified.values()), tuple(unverified))


def sign_note(text: str, signers: Sequence[Signer]) -> bytes:
    """The signed note of `text` (which ends with a newline); raises NoteError for what no reader would accept."""
    try:
        body = text.encode()
    except UnicodeEncodeError:
        raise NoteError("a note's text is not Unicode") from None
    if not text.endswith("\n"):
        raise NoteError("a note's text must end with a newline")
    signatures = tuple(Signature(signer.name, signer.key_id, signer.sign(body)) for signer in signers)
    note = body + b"\n" + _lines(signatures)
    if split(note) != (text, signatures):
        raise NoteError("a note cannot be written so that it reads back the same")
    return note


def add_signatures(note: bytes, lines: Sequence[str]) -> bytes:
    """`note` with more signature lines (without newlines); those that it already has are left out."""
    _, present = split(note)
    fresh = dict.fromkeys(Signature.parse(line) for line in lines)
    extended = note + _lines(tuple(signature for signature in fresh if signature not in present))
    split(extended)
    return extended


def has_control(text: str) -> bool:
    """Whether `text` holds an ASCII control character below U+0020, newlines included."""
    return _CONTROL.search(text) is not None


def _lines(signatures: Sequence[Signature]) -> bytes:
    return "".join(f"{signature.line}\n" for signature in signatures).encode()
