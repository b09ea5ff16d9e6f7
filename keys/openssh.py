"""Ed25519 public keys as OpenSSH writes them, and the points of the curve that are no honest key.

    line         "ssh-ed25519" SP base64(blob)                       one line of `id_ed25519.pub`, without comment
    blob         string "ssh-ed25519" | string raw                   RFC 4253 6.6, RFC 8709 4
    string       uint32 length, big-endian | bytes                   RFC 4251 5
    raw          y, 255 bits little-endian | sign of x, 1 bit        RFC 8032 5.1.2
    fingerprint  "SHA256:" base64(SHA-256(blob)), unpadded           what `ssh-keygen -lf` prints

A public key of small order accepts signatures that nobody made, and one point spelled in two ways would be two
identities: both are refused wherever a key comes in. The eight points of small order need no table. Doubling
-x² + y² = 1 + d·x²·y² backwards from the neutral point gives y = ±1 (order 1, 2), y = 0 (order 4) and the four points
with d·y⁴ + 2·y² = 1 (order 8). The only other spellings of a point are y ≥ p, and a set sign where x = 0 (y = ±1).

>>> key = PublicKey(bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"))   # RFC 8032 7.1
>>> key.line
'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM'
>>> key.fingerprint
'SHA256:F34nin7tcaYH6WR5LSWSfj6weFBPfBpuyUUoPFP9YjA'
>>> PublicKey.parse(key.line + " a comment") == key
True
>>> PublicKey(bytes(32))
Traceback (most recent call last):
keys.openssh.BadKey: an Ed25519 public key is a point of small order: anybody can sign for it
"""

import base64
import binascii
import hashlib
import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Protocol, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from config.errors import Refused

KEY_TYPE = "ssh-ed25519"
RAW_BYTES = 32
SIGNATURE_BYTES = 64

MAX_LINE = 8192
"""Longest line that is read: an RSA host key of 16,384 bits with a comment fits, nothing larger is a key."""

MIN_RSA = 2048
"""Shortest RSA host key that is taken: the size that OpenSSH has generated at least since 2006."""

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
"""The prime and the constant of edwards25519 (RFC 8032 5.1)."""

_LINE = re.compile(r"([a-z0-9-]+) ([A-Za-z0-9+/]+={0,2})(?: [^\x00-\x1f\x7f]*)?\n?")
_HOST_KEY_TYPES = (KEY_TYPE, "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


class BadKey(Refused):
    """A public key that is none, or that must not be trusted: `not-a-key`, `wrong-key-type`, `weak-key`."""

    reason = "not-a-key"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key: 32 bytes, always the one spelling of a point that is not of small order."""

    kind: ClassVar[str] = KEY_TYPE
    signature_bytes: ClassVar[int] = SIGNATURE_BYTES

    raw: bytes

    def __post_init__(self) -> None:
        _refuse_weak(self.raw)

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read one OpenSSH line, with or without a comment; `parse(key.line) == key`; raises BadKey."""
        kind, blob = split_line(line)
        if kind != KEY_TYPE:
            raise BadKey(f"a public key is not of type {KEY_TYPE}", reason="wrong-key-type")
        return cls.from_blob(blob)

    @classmethod
    def from_blob(cls, blob: bytes) -> Self:
        """Read the binary form; `from_blob(key.blob) == key`; raises BadKey."""
        kind, rest = take_string(blob)
        if kind != KEY_TYPE.encode():
            raise BadKey(f"a public key is not of type {KEY_TYPE}", reason="wrong-key-type")
        raw, rest = take_string(rest)
        if rest:
            raise BadKey("a public key is followed by other bytes")
        return cls(raw)

    @classmethod
    def from_key(cls, key: Ed25519PrivateKey | Ed25519PublicKey) -> Self:
        """The public half of a private key, or the key itself."""
        public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
        return cls(public.public_bytes(Encoding.Raw, PublicFormat.Raw))

    @property
    def blob(self) -> bytes:
        """The binary form that SSH sends and signs."""
        return put_string(KEY_TYPE.encode()) + put_string(self.raw)

    @property
    def line(self) -> str:
        """`ssh-ed25519 AAAA…`, without comment or line end."""
        return f"{KEY_TYPE} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """`SHA256:…` as `ssh-keygen -lf` prints it."""
        return fingerprint(self.blob)

    def accepts(self, signature: bytes, message: bytes) -> bool:
        """Whether this key made `signature` (64 bytes, RFC 8032) over `message`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class Signer(Protocol):
    """Whoever holds a private key: a file, an agent, a hardware module."""

    @property
    def public(self) -> PublicKey:
        """The public half."""

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of RFC 8032 over `data`."""


class KeySigner:
    """A Signer over a private key in memory; shows only its fingerprint."""

    __slots__ = ("_key", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey.from_key(key)

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of RFC 8032 over `data`."""
        return self._key.sign(data)

    def __repr__(self) -> str:
        return f"KeySigner({self.public.fingerprint})"


def host_key_fingerprint(line: str) -> str:
    """Check a server's host key line (Ed25519, ECDSA or RSA, no comment) and give its fingerprint; raises BadKey.

    Only a server of the partner's proves itself with it, so other types than ours are taken; we sign with none of them.
    """
    kind, blob = split_line(line)
    if kind not in _HOST_KEY_TYPES:
        raise BadKey("a host key is of a type that is not used here", reason="wrong-key-type")
    try:
        key = load_ssh_public_key(line.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey("a host key is none of its type") from None
    if isinstance(key, Ed25519PublicKey):
        PublicKey.from_key(key)
    if isinstance(key, RSAPublicKey) and key.key_size < MIN_RSA:
        raise BadKey(f"an RSA host key has less than {MIN_RSA} bits", reason="weak-key")
    if take_string(blob)[0] != kind.encode() or line != f"{kind} {base64.b64encode(blob).decode()}":
        raise BadKey("a host key line does not hold exactly one key of the type that it names")
    return fingerprint(blob)


def fingerprint(blob: bytes) -> str:
    """OpenSSH's fingerprint of a public key's binary form."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def put_string(data: bytes) -> bytes:
    """An SSH string; `take_string(put_string(a) + b) == (a, b)`."""
    # SPEC: RFC 4251 5: string = uint32 length (big-endian), then that many bytes
    return struct.pack(">I", len(data)) + data


def take_string(data: bytes) -> tuple[bytes, bytes]:
    """Split an SSH string off the front: (the string, what follows); raises BadKey."""
    length = int.from_bytes(data[:4], "big")
    if len(data) < 4 + length:
        raise BadKey("a binary field ends before its length")
    return data[4 : 4 + length], data[4 + length :]


def split_line(line: str) -> tuple[str, bytes]:
    """Type and binary form of an OpenSSH public key line, nothing else checked; raises BadKey."""
    match = _LINE.fullmatch(line) if len(line) <= MAX_LINE else None
    if match is None:
        raise BadKey("a line is not an OpenSSH public key")
    kind, text = match.groups()
    try:
        blob = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise BadKey("a public key is not base64") from None
    if base64.b64encode(blob).decode() != text:
        raise BadKey("a public key is not in canonical base64")
    return kind, blob


@lru_cache(maxsize=1024)  # the same few keys are met again and again, and this takes a millisecond
def _refuse_weak(raw: bytes) -> None:
    # SPEC: FORMATS 4 refuse low-order and non-canonical Ed25519 public keys
    if len(raw) != RAW_BYTES:
        raise BadKey(f"an Ed25519 public key is not {RAW_BYTES} bytes long")
    y = int.from_bytes(raw, "little") & (1 << 255) - 1
    y2 = y * y % P
    if y * (y2 - 1) * (D * y2 * y2 + 2 * y2 - 1) % P == 0:
        raise BadKey("an Ed25519 public key is a point of small order: anybody can sign for it", reason="weak-key")
    # SPEC: RFC 8032 5.1.3 step 1: y ≥ p does not decode
    if y >= P:
        raise BadKey("an Ed25519 public key is not in its canonical spelling", reason="weak-key")
    # SPEC: RFC 8032 5.1.3 steps 2 and 3: x² = (y²-1)/(d·y²+1) must be a square (Euler: v·u, as 1/v = v·(1/v)²)
    if pow((y2 - 1) * (D * y2 + 1), (P - 1) // 2, P) != 1:
        raise BadKey("an Ed25519 public key is no point of the curve", reason="weak-key")
