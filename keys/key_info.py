"""The public half of one of our keys, as it lies beside the private one: `DIR/<purpose>-<serial>.json`.

    {"algorithm", "created", "fingerprint", "post_quantum", "public", "purpose", "serial", "v": 1, "valid_from",
     "valid_until"}                                                  RFC 8785 canonical JSON, at most 8 KiB

    purpose      signing, transport    encryption          ledger                witness
    public       OpenSSH line          age recipient       signed-note key       signed-note key that cosigns
    algorithm    ed25519               mlkem768x25519      ed25519               ed25519-cosignature
                                       or x25519

    purpose      signing-pq            witness-pq          which nobody needs to have
    public       OpenSSH line          signed-note key that cosigns
    algorithm    mldsa44-ed25519       mldsa44-cosignature
    fingerprint  of the public key as `ssh-keygen -lf` prints it; of a recipient or witness-pq key, SHA-256 of its text

What follows from `public` is written too, for people and scripts, and must agree with it.
`parse(data).encode() == data`.

>>> from datetime import UTC, datetime
>>> start = datetime(2026, 11, 24, tzinfo=UTC)
>>> line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM"
>>> info = describe("signing", 1, line, created=start, valid_from=start)
>>> info.algorithm, info.fingerprint, info.post_quantum, info.label
('ed25519', 'SHA256:F34nin7tcaYH6WR5LSWSfj6weFBPfBpuyUUoPFP9YjA', False, 'signing key 1')
>>> parse(info.encode()) == info
True
"""

import base64
import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal, TypeGuard, get_args

from config import times
from config.errors import Refused
from keys import age
from keys.composite import CompositeKey
from keys.openssh import BadKey, PublicKey
from ledger import canonical, note

Purpose = Literal["signing", "encryption", "transport", "ledger", "witness", "signing-pq", "witness-pq"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
OPTIONAL: tuple[Purpose, ...] = ("signing-pq", "witness-pq")
"""Purposes of which an organisation may have no key: its first one is made and announced like a successor."""
NEEDED: tuple[Purpose, ...] = tuple(purpose for purpose in PURPOSES if purpose not in OPTIONAL)
"""The other ones: every organisation has a key of each from the beginning."""

POST_QUANTUM = ("mlkem768x25519", "mldsa44-ed25519", "mldsa44-cosignature")
"""Algorithms that resist quantum computers."""

WEAK = "weak-key"
"""The reason of every refusal of a key that protects nothing: of small order, or too short."""

MAX_INFO = 8 * 1024
"""Longest file: a post-quantum recipient takes 2 KB of it."""


class InfoError(Refused):
    """A file, or what it is to be made from, does not describe a key."""

    reason = "not-a-key-info"


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """One key of ours without its private half. Times are UTC texts to the second; no end is None."""

    purpose: Purpose
    serial: int
    algorithm: str
    public: str
    fingerprint: str
    created: str
    valid_from: str
    valid_until: str | None
    post_quantum: bool

    @property
    def name(self) -> str:
        """The name of its files, without ending: `signing-1`."""
        return f"{self.purpose}-{self.serial}"

    @property
    def label(self) -> str:
        """What a person is told: `signing key 1`."""
        return f"{self.purpose} key {self.serial}"

    def begins_after(self, at: datetime) -> bool:
        """Whether it is not valid yet."""
        return at < times.from_text(self.valid_from)

    def ended_by(self, at: datetime) -> bool:
        """Whether it is no longer valid; the end itself is outside."""
        return self.valid_until is not None and at >= times.from_text(self.valid_until)

    def encode(self) -> bytes:
        """The bytes of the file."""
        return canonical.encode({"v": 1, **asdict(self)})


def describe(
    purpose: Purpose,
    serial: int,
    public: str,
    *,
    created: datetime,
    valid_from: datetime,
    valid_until: datetime | None = None,
) -> KeyInfo:
    """Everything that follows from a public half; raises InfoError."""
    algorithm, fingerprint = _about(purpose, public)
    end = times.to_text(whole_second(valid_until)) if valid_until is not None else None
    start = times.to_text(whole_second(valid_from))
    if end is not None and times.from_text(end) <= times.from_text(start):
        raise InfoError("a key would end before it begins")
    return KeyInfo(
        purpose,
        serial,
        algorithm,
        public,
        fingerprint,
        times.to_text(created),
        start,
        end,
        algorithm in POST_QUANTUM,
    )


@lru_cache(maxsize=256)
def parse(data: bytes) -> KeyInfo:
    """Read a file; `parse(data).encode() == data`, or InfoError.

    The service reads its key folder again and again: the same bytes say the same, and are worked out once.
    """
    try:
        fields = canonical.decode(data, limit=MAX_INFO)
    except canonical.CanonicalError:
        raise InfoError("the file is not canonical JSON") from None
    purpose, serial, public = fields.get("purpose"), fields.get("serial"), fields.get("public")
    created, start, end = fields.get("created"), fields.get("valid_from"), fields.get("valid_until")
    if not _is_purpose(purpose) or not isinstance(public, str) or type(serial) is not int or serial < 1:
        raise InfoError("the file does not say which key it describes")
    if not isinstance(created, str) or not isinstance(start, str) or not (end is None or isinstance(end, str)):
        raise InfoError("the file does not say when its key is valid")
    try:
        info = describe(
            purpose,
            serial,
            public,
            created=times.from_text(created),
            valid_from=times.from_text(start),
            valid_until=times.from_text(end) if end is not None else None,
        )
    except times.BadTime:
        raise InfoError("the file does not say when its key is valid") from None
    # unknown fields, other spellings, and a fingerprint or algorithm that is not the public key's own
    if info.encode() != data:
        raise InfoError("the file does not agree with the public key that it holds")
    return info


def fingerprint_of(purpose: Purpose, public: str) -> str:
    """How people know a public half; raises InfoError if it is none."""
    return _about(purpose, public)[1]


def raw_public(purpose: Purpose, public: str) -> bytes:
    """The bytes of a public half that signs, whatever it is spelled as: 32, or 1344 (signing-pq) or 1312 (witness-pq),
    so that none is one of another algorithm; raises InfoError."""
    try:
        if purpose == "signing-pq":
            return CompositeKey.parse(public).raw
        if purpose == "witness-pq":
            return _mldsa(public).public
        if purpose in ("ledger", "witness"):
            return PublicKey(note.parse_vkey(public).public).raw
        return PublicKey.parse(public).raw
    except BadKey as problem:
        what = f"the public half of a {purpose} key cannot be read: {problem.message}"
        raise InfoError(what, reason=_reason(problem)) from None
    except note.NoteError:
        raise InfoError(f"the public half of a {purpose} key cannot be read") from None


def whole_second(moment: datetime) -> datetime:
    """Validity is told to the second, because OpenSSH's allowed_signers knows nothing finer; rounds down."""
    return moment.replace(microsecond=0)


def _about(purpose: Purpose, public: str) -> tuple[str, str]:
    """Algorithm and fingerprint of a public half."""
    if purpose == "encryption":
        try:
            recipient = age.parse_recipient(public)
        except age.AgeError as problem:
            what = f"the public half of an encryption key is not an age recipient: {problem.message}"
            raise InfoError(what, reason=_reason(problem)) from None
        return ("mlkem768x25519" if recipient.kind == "pq" else "x25519"), age.fingerprint(recipient)
    raw = raw_public(purpose, public)
    if purpose == "signing-pq":
        composite = CompositeKey(raw)
        if composite.line != public:
            raise InfoError(f"the public half of a {purpose} key has a comment")
        return "mldsa44-ed25519", composite.fingerprint
    if purpose == "witness-pq":
        return "mldsa44-cosignature", f"SHA256:{_digest(public)}"
    key = PublicKey(raw)
    if purpose in ("ledger", "witness"):
        if isinstance(note.parse_vkey(public), note.Ed25519Verifier) != (purpose == "ledger"):
            raise InfoError(f"the public half of a {purpose} key is of the kind for another purpose")
    elif key.line != public:
        raise InfoError(f"the public half of a {purpose} key has a comment")
    return ("ed25519-cosignature" if purpose == "witness" else "ed25519"), key.fingerprint


def _reason(problem: Refused) -> str:
    """A key that anybody could have made signatures with, or opens files of, is none that is merely misspelled."""
    return problem.reason if problem.reason == WEAK else InfoError.reason


def _mldsa(public: str) -> note.MlDsaVerifier:
    verifier = note.parse_vkey(public)
    if not isinstance(verifier, note.MlDsaVerifier):
        raise InfoError("the public half of a witness-pq key is of the kind for another purpose")
    return verifier


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def _is_purpose(value: object) -> TypeGuard[Purpose]:
    return value in PURPOSES
