"""The keys that sign notes: verifier keys, key ids, and their three kinds (C2SP signed-note v1, tlog-cosignature v1).

A key is known by its verifier key (vkey), which is printable and public:

    <name>+<key id in hex>+<base64 of: type (1 byte) || public key (32 or 1312 bytes)>

    key id = first four bytes of SHA-256(name || LF || type || public key)

    type 01   Ed25519 signature of the note's text
    type 04   Ed25519 cosignature: time (8 bytes, big-endian Unix seconds) || signature (64 bytes) of

        cosignature/v1
        time <seconds>
        <the note's text>

    type 06   ML-DSA-44 cosignature: time (as above) || signature (2420 bytes, FIPS 204 with an empty context) of

        "subtree/v1" LF 00 | length (1 byte) and name of the cosigner | time (8 bytes)
        | length (1 byte) and origin | first entry, here 0 (8 bytes) | size (8 bytes) | root hash (32 bytes)

A name is not empty and holds neither a Unicode space nor a plus. Type 06 signs what the first three lines of a
checkpoint say, so it can sign nothing else, and says nothing of lines after them; ours has none.

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
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from config.errors import Refused

ED25519: Final = 0x01
COSIGNATURE: Final = 0x04
MLDSA44: Final = 0x06

KEY_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64
MLDSA44_KEY_SIZE: Final = 1312
MLDSA44_SIGNATURE_SIZE: Final = 2420
TIME_SIZE: Final = 8

MAX_TIME: Final = 2**63 - 1
"""The latest time of a cosignature that the specification allows."""

MAX_FIELD: Final = 255
"""Bytes of a name or an origin that an ML-DSA-44 cosignature can be about."""

HASH_SIZE: Final = 32
"""Bytes of a root hash."""


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
class MlDsaVerifier:
    """A witness's key of type 06."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """See Verifier."""
        return key_id(self.name, MLDSA44, self.public)

    @property
    def vkey(self) -> str:
        """`name+hash+base64`; parse_vkey gives an equal key back."""
        return encode_vkey(self.name, MLDSA44, self.public)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """See Verifier: `signature` is the time and the ML-DSA-44 signature; `message` must be a checkpoint."""
        if len(signature) != TIME_SIZE + MLDSA44_SIGNATURE_SIZE:
            return False
        time = int.from_bytes(signature[:TIME_SIZE], "big")
        try:
            signed = _subtree(self.name, message, time)
            MLDSA44PublicKey.from_public_bytes(self.public).verify(signature[TIME_SIZE:], signed)
        except (InvalidSignature, NoteError, ValueError):
            return False
        return time <= MAX_TIME


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness that signs at the time `now` (Unix seconds); `do` makes the raw signature of its `kind` of key."""

    name: str
    public: bytes
    do: Callable[[bytes], bytes]
    now: int
    kind: int = COSIGNATURE

    @property
    def key_id(self) -> bytes:
        """See Signer."""
        return key_id(self.name, self.kind, self.public)

    def sign(self, message: bytes) -> bytes:
        """See Signer; raises NoteError if `now` is no time that a cosignature can tell."""
        if not 0 <= self.now <= MAX_TIME:
            raise NoteError("the time of a cosignature is out of range")
        to_sign = _subtree(self.name, message, self.now) if self.kind == MLDSA44 else _cosigned(message, self.now)
        # SPEC: C2SP tlog-cosignature format: timestamp in big-endian order, then the signature
        return self.now.to_bytes(TIME_SIZE, "big") + self.do(to_sign)


def told_time(signature: bytes) -> int:
    """When a cosignature of either kind was made, in Unix seconds, as it says itself."""
    # SPEC: C2SP tlog-cosignature format: timestamp in big-endian order, then the signature
    return int.from_bytes(signature[:TIME_SIZE], "big")


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """The four bytes by which signature lines name a key. `name` is one that is_name accepts."""
    # SPEC: C2SP signed-note signatures: key ID = SHA-256(name || LF || type || public key)[:4]
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def encode_vkey(name: str, kind: int, public: bytes) -> str:
    """The one spelling of a verifier key."""
    return f"{name}+{key_id(name, kind, public).hex()}+{base64.b64encode(bytes([kind]) + public).decode('ascii')}"


def parse_vkey(text: str) -> Ed25519Verifier | CosignatureVerifier | MlDsaVerifier:
    """A verifier for a vkey of type 01, 04 or 06, such that parse_vkey(t).vkey == t; raises NoteError."""
    # a plus may occur in the base64, but not in a name
    parts = text.split("+", 2) if isinstance(text, str) else ()
    if len(parts) != 3 or not is_name(parts[0]):
        raise NoteError("a verifier key is not of the form name+hash+key")
    raw = decode_base64(parts[2])
    made, size = _KINDS.get(raw[0], (None, 0)) if raw else (None, 0)
    if made is None or len(raw) != 1 + size:
        raise NoteError("a verifier key is of an unknown type or length")
    verifier = made(parts[0], raw[1:])
    if verifier.vkey != text:
        raise NoteError("a verifier key's hash does not fit its key")
    return verifier


_KINDS: Final[dict[int, tuple[Callable[[str, bytes], Ed25519Verifier | CosignatureVerifier | MlDsaVerifier], int]]] = {
    ED25519: (Ed25519Verifier, KEY_SIZE),
    COSIGNATURE: (CosignatureVerifier, KEY_SIZE),
    MLDSA44: (MlDsaVerifier, MLDSA44_KEY_SIZE),
}


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


def _subtree(name: str, message: bytes, time: int) -> bytes:
    """What a witness of type 06 signs for the checkpoint `message`; raises NoteError if it is none."""
    lines = message.split(b"\n")
    if len(lines) < 4 or not lines[1].isdigit() or not 0 < len(lines[0]) <= MAX_FIELD or len(name.encode()) > MAX_FIELD:
        raise NoteError("what is to be cosigned is no checkpoint")
    size, root = int(lines[1]), decode_base64(lines[2].decode("latin-1"))
    if size > MAX_TIME or len(root) != HASH_SIZE or str(size).encode() != lines[1]:
        raise NoteError("what is to be cosigned is no checkpoint")
    # SPEC: C2SP tlog-cosignature ML-DSA-44 signed message: label, cosigner, timestamp, origin, start (0), end, hash
    when, start, end = (number.to_bytes(8, "big") for number in (time, 0, size))
    return b"subtree/v1\n\0" + _short(name.encode()) + when + _short(lines[0]) + start + end + root


def _short(text: bytes) -> bytes:
    """Text after its length in one byte."""
    return bytes([len(text)]) + text
