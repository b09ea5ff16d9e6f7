"""One entry of the ledger: what happened, when, to which handover; and the commitments that stand for personal data.

An entry is one RFC 8785 JSON object of at most 65,535 bytes. Its bytes are the leaf of the Merkle tree. Absent fields
are left out, so there is one spelling for each thing said:

    v, seq, at                    always: 1, its number from 0 (the leaf's index), the time
    event, actor                  always: what happened (`sealed`, `key.created`), who did it (`daemon`, `operator`)
    handover, partner, direction  which handover; `direction` is `out` or `in`, seen from this organisation
    authority, category           GSS code of the council; kind of concern
    bytes, envelope_sha256, key   size; digest of the sealed file; fingerprint of the key that protects or is meant
    committed                     {field: commitment}, see below
    detail                        whatever else belongs to the event; never personal data

A value that is personal data or that could be guessed (file name, complaint reference, digest of a small file) is
never in an entry. The entry commits to it, and the *opening* (salt and value) lies beside the tree, where it can be
deleted without breaking a proof. `len` is the length of what follows it in bytes, as 4 bytes big-endian:

    SHA-256( "handover/commit/v1" | len | field | len | salt (32 random bytes) | len | RFC 8785 bytes of the value )

>>> entry = Entry(seq=0, at="2026-11-23T10:15:00.123Z", event="ledger.created", actor="operator")
>>> entry.encode()
b'{"actor":"operator","at":"2026-11-23T10:15:00.123Z","event":"ledger.created","seq":0,"v":1}'
>>> parse(entry.encode()) == entry
True
>>> commitment("reference", bytes(32), "24 015 493")[:16]
'e968e27a98ac6ccf'
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, cast

from config.errors import Refused
from config.times import BadTime, from_text, to_text
from ledger import canonical
from ledger.canonical import CanonicalError, Json
from ledger.identifier import Random, is_id

VERSION = 1

MAX_ENTRY = 65_535
"""Largest entry in bytes: the bound that C2SP tiles set, so a ledger can be exported as tiles."""

MAX_SIZE = 2**53 - 1
"""Largest integer that RFC 8785 can hold exactly."""

SALT_SIZE = 32

_COMMIT = b"handover/commit/v1"

Direction = Literal["out", "in"]


class EntryError(Refused):
    """Bytes or fields that are not an entry of version 1."""

    reason = "bad-entry"


@dataclass(frozen=True, slots=True)
class Opening:
    """What a commitment stands for; can be deleted, after which nobody can tell any more."""

    field: str
    salt: bytes
    value: Json

    @property
    def commitment(self) -> str:
        """The digest that the entry holds; always `commitment(field, salt, value)`."""
        return commitment(self.field, self.salt, self.value)


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, as it is hashed. Always: `parse(entry.encode()) == entry`."""

    seq: int
    at: str
    event: str
    actor: str
    handover: str | None = None
    partner: str | None = None
    direction: Direction | None = None
    authority: str | None = None
    category: str | None = None
    bytes: int | None = None
    envelope_sha256: str | None = None
    key: str | None = None
    committed: Mapping[str, str] = field(default_factory=dict)
    detail: Mapping[str, Json] = field(default_factory=dict)
    v: int = VERSION

    def to_json(self) -> dict[str, Json]:
        """The JSON object; absent fields and empty mappings are left out."""
        values = {name: getattr(self, name) for name in _FIELDS}
        return {name: value for name, value in values.items() if value is not None and value != {}}

    def encode(self) -> "bytes_":
        """The canonical bytes, which are the Merkle leaf; raises EntryError if a field has a wrong form."""
        record = self.to_json()
        check(record)
        try:
            data = canonical.encode(record)
        except CanonicalError as problem:
            raise EntryError(f"an entry cannot be written: {problem.message}") from None
        # SPEC: FORMATS 5: an entry has at most 65,535 bytes
        if len(data) > MAX_ENTRY:
            raise EntryError(f"an entry would be larger than {MAX_ENTRY} bytes", reason="entry-too-large")
        return data


bytes_ = bytes  # inside Entry the name `bytes` is the field

_FIELDS = tuple(sorted(f.name for f in fields(Entry)))
_REQUIRED = ("v", "seq", "at", "event", "actor")


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants to be recorded; the ledger adds number, time and commitments."""

    event: str
    actor: str
    handover: str | None = None
    partner: str | None = None
    direction: Direction | None = None
    authority: str | None = None
    category: str | None = None
    bytes: int | None = None
    envelope_sha256: str | None = None
    key: str | None = None
    private: Mapping[str, Json] = field(default_factory=dict)
    """Values to commit to: they never reach the entry itself."""
    detail: Mapping[str, Json] = field(default_factory=dict)

    def replace(self, **changes: Any) -> "Draft":
        """The same with some fields changed."""
        return replace(self, **changes)

    def seal(self, seq: int, at: str, random: Random) -> tuple[Entry, tuple[Opening, ...]]:
        """The entry and the openings of its commitments, each with a fresh salt."""
        openings = tuple(Opening(name, random(SALT_SIZE), value) for name, value in sorted(self.private.items()))
        entry = Entry(
            seq=seq,
            at=at,
            event=self.event,
            actor=self.actor,
            handover=self.handover,
            partner=self.partner,
            direction=self.direction,
            authority=self.authority,
            category=self.category,
            bytes=self.bytes,
            envelope_sha256=self.envelope_sha256,
            key=self.key,
            committed={opening.field: opening.commitment for opening in openings},
            detail=self.detail,
        )
        return entry, openings


def commitment(field: str, salt: bytes, value: Json) -> str:
    """Hex digest that binds `value` to `field` and, without the salt, tells nothing about it."""
    return committed_bytes(field, salt, canonical.encode(value))


def committed_bytes(field: str, salt: bytes, value: bytes) -> str:
    """The same for a value that is in its canonical bytes already."""
    # SPEC: FORMATS 5: SHA-256("handover/commit/v1" | len | field | len | salt | len | JCS value)
    name = field.encode()
    return hashlib.sha256(
        b"%b%b%b%b%b%b%b"
        % (_COMMIT, len(name).to_bytes(4), name, len(salt).to_bytes(4), salt, len(value).to_bytes(4), value)
    ).hexdigest()


def parse(data: bytes) -> Entry:
    """Read an entry; raises EntryError. Always: `parse(data).encode() == data`."""
    try:
        record = canonical.decode(data, limit=MAX_ENTRY)
    except CanonicalError as problem:
        raise EntryError(f"an entry is not canonical: {problem.message}") from None
    check(record)
    return Entry(**cast("dict[str, Any]", record))


def check(record: Mapping[str, Json]) -> None:
    """Raise EntryError unless the JSON object `record` is an entry: known fields only, each in its form."""
    for name, value in record.items():
        form = _FORMS.get(name)
        if form is None:
            raise EntryError("an entry has a field that is not known", reason="unknown-field")
        if not form(value):
            raise EntryError(f"an entry's field {name} has a wrong form")
    for name in _REQUIRED:
        if name not in record:
            raise EntryError(f"an entry lacks its field {name}")
    if "handover" in record and not ("partner" in record and "direction" in record):
        raise EntryError("an entry names a handover without its partner and direction")


def _text(pattern: str) -> Callable[[Json], bool]:
    match = re.compile(pattern, re.ASCII).fullmatch
    return lambda value: isinstance(value, str) and match(value) is not None


def _number(value: Json) -> bool:
    return type(value) is int and 0 <= value <= MAX_SIZE


def _time(value: Json) -> bool:
    try:
        return isinstance(value, str) and to_text(from_text(value)) == value
    except BadTime:
        return False


def _digests(value: Json) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(_field_name(name) and _digest(digest) for name, digest in value.items())
    )


_digest = _text(r"[0-9a-f]{64}")
_field_name = _text(r"[a-z][a-z0-9_]{0,31}")

_FORMS: Mapping[str, Callable[[Json], bool]] = {
    "v": lambda value: type(value) is int and value == VERSION,
    "seq": _number,
    "at": _time,
    "event": _text(r"[a-z][a-z0-9-]{0,31}(\.[a-z][a-z0-9-]{0,31})?"),
    "actor": _text(r"[a-z][a-z0-9-]{0,31}"),
    "handover": lambda value: isinstance(value, str) and is_id(value),
    "partner": _text(r"[a-z][a-z0-9-]{0,31}"),
    "direction": lambda value: value in ("out", "in"),
    "authority": _text(r"[A-Z]\d{8}"),
    "category": _text(r"[a-z][a-z0-9-]{0,63}"),
    "bytes": _number,
    "envelope_sha256": _digest,
    "key": _text(r"[!-~]{1,255}"),
    "committed": _digests,
    "detail": lambda value: isinstance(value, Mapping) and len(value) > 0,
}
