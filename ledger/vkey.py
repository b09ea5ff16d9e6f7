"""The keys that sign notes: verifier keys, key ids, and their two kinds (C2SP signed-note v1, tlog-cosignature v1).

A key is known by its verifier key (vkey), which is printable and public:

    <name>+<key id in hex>+<base64 of: type (1 byte) || public key (32 bytes)>

    key id = first four bytes of SHA-256(name || LF || type || public key)

    type 01   Ed25519 signature of the note's text
    type 04   Ed25519 cosignature: time (8 bytes, big-endian Unix seconds) || signature (64 bytes) of

        cosignature/v1
        time <seconds>
        <the note's text>

A name is not empty and holds neither a Unicode space nor a plus. Type 06 (ML-DSA-44) is provisional in the
specification and unknown here: its signatures are ignored, as those of every unknown key.

>>> key = Ed25519Verifier("lgsco/handover", bytes(31) + b"\\x01")
>>> key.vkey
'lgsco/handover+579d4f72+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB'
>>> parse_vkey(key.vkey) == key
True
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from config.errors import Refused

ED25519: Final = 0x01
COSIGNATURE: Final = 0x04

KEY_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64
TIME_SIZE: Final = 8

MAX_TIME: Final = 2**63 - 1
"""The latest time of a cosignature that the specification allows."""


class NoteError(Refused):
    """A text that is no signed note, or whose signatures do not hold.

    Reasons: `bad-note` (the form), `bad-signature`, `unknown-key` (nobody known signed), `ambiguous-key`.
    """

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
        """Whether `signature` is this key's for the note text `message`; never raises."""


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
        """`name+hash+base64`; parse_vkey gives an equal key back."""
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
class CosignatureVerifier:
    """A witness's key of type 04."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """See Verifier."""
        return key_id(self.name, COSIGNATURE, self.public)

    @property
    def vkey(self) -> str:
        """`name+hash+base64`; parse_vkey gives an equal key back."""
        return encode_vkey(self.name, COSIGNATURE, self.public)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """See Verifier: `signature` is the time and the Ed25519 signature."""
        if len(signature) != TIME_SIZE + SIGNATURE_SIZE:
            return False
        time = int.from_bytes(signature[:TIME_SIZE], "big")
        # SPEC: C2SP tlog-cosignature format: the timestamp must not exceed 2^63 - 1
        return time <= MAX_TIME and ed25519_holds(self.public, signature[TIME_SIZE:], _cosigned(message, time))


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness that signs at the time `now` (Unix seconds); `do` makes the raw Ed25519 signature."""

    name: str
    public: bytes
    do: Callable[[bytes], bytes]
    now: int

    @property
    def key_id(self) -> bytes:
        """See Signer."""
        return key_id(self.name, COSIGNATURE, self.public)

    def sign(self, message: bytes) -> bytes:
        """See Signer; raises NoteError if `now` is no time that a cosignature can tell."""
        if not 0 <= self.now <= MAX_TIME:
            raise NoteError("the time of a cosignature is out of range")
        # SPEC: C2SP tlog-cosignature format: timestamp in big-endian order, then the signature
        return self.now.to_bytes(TIME_SIZE, "big") + self.do(_cosigned(message, self.now))


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """The four bytes by which signature lines name a key. `name` is one that is_name accepts."""
    # SPEC: C2SP signed-note signatures: key ID = SHA-256(name || LF || type || public key)[:4]
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def encode_vkey(name: str, kind: int, public: bytes) -> str:
    """The one spelling of a verifier key."""
    return f"{name}+{key_id(name, kind, public).hex()}+{base64.b64encode(bytes([kind]) + public).decode('ascii')}"


def parse_vkey(text: str) -> Ed25519Verifier | CosignatureVerifier:
    """A verifier for a vkey of type 01 or 04, such that parse_vkey(t).vkey == t; raises NoteError."""
    # a plus may occur in the base64, but not in a name
    parts = text.split("+", 2) if isinstance(text, str) else ()
    if len(parts) != 3 or not is_name(parts[0]):
        raise NoteError("a verifier key is not of the form name+hash+key")
    raw = decode_base64(parts[2])
    if len(raw) != 1 + KEY_SIZE or raw[0] not in (ED25519, COSIGNATURE):
        raise NoteError("a verifier key is of an unknown type or length")
    verifier = (Ed25519Verifier if raw[0] == ED25519 else CosignatureVerifier)(parts[0], raw[1:])
    if verifier.vkey != text:
        raise NoteError("a verifier key's hash does not fit its key")
    return verifier


def is_name(name: str) -> bool:
    """Whether `name` can name a key."""
    # SPEC: C2SP signed-note format: names are not empty and hold no Unicode spaces or plus
    return bool(name) and not any(c == "+" or c.isspace() or c < " " or "\ud800" <= c <= "\udfff" for c in name)


def ed25519_holds(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a raw Ed25519 signature holds; a public key that is none holds nothing."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def decode_base64(text: str) -> bytes:
    """Standard base64 (RFC 4648 section 4) in its one canonical spelling; raises NoteError."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise NoteError("a text is not base64") from None
    # SPEC: RFC 4648 3.5: bits that no byte needs are zero; a second spelling would be a second note of one meaning
    if base64.b64encode(raw).decode("ascii") != text:
        raise NoteError("a text is not canonical base64")
    return raw


def _cosigned(message: bytes, time: int) -> bytes:
    # SPEC: C2SP tlog-cosignature Ed25519 signed message: "cosignature/v1", LF, "time <seconds>", LF, the note's text
    return b"cosignature/v1\ntime %d\n" % time + message
