"""The X25519 recipient type, for partners whose tools are older than post-quantum recipients (age before 1.3).

    -> X25519 <ephemeral share, 32 bytes>          shared = X25519(ephemeral secret, recipient)
    <file key wrapped, 32 bytes>                   wrap key = HKDF-SHA-256(shared, salt = share || recipient,
                                                                           info = "age-encryption.org/v1/X25519")
    recipient  age1...              32-byte u-coordinate, Bech32
    identity   AGE-SECRET-KEY-1...  32-byte scalar, Bech32 in upper case

Specification: C2SP age v1 (https://c2sp.org/age), "The X25519 recipient type"; the function itself is RFC 7748.
An all-zero shared secret (a share of low order) is refused on both sides.

>>> identity = X25519Identity.generate()
>>> stanza, = identity.recipient().wrap(b"sixteen byte key")
>>> identity.unwrap([stanza])
b'sixteen byte key'
>>> X25519Identity.generate().unwrap([stanza]) is None
True
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keys.age import bech32, raw64, wrapping
from keys.age.errors import HeaderFailure, InvalidKey
from keys.age.header import Stanza

TYPE = "X25519"
SIZE = 32
RECIPIENT_HRP = "age"
IDENTITY_HRP = "AGE-SECRET-KEY-"

_INFO = b"age-encryption.org/v1/X25519"
_FIELD_PRIME = 2**255 - 19
_ANY_SECRET = X25519PrivateKey.from_private_bytes(bytes(range(SIZE)))


def check_point(point: bytes) -> None:
    """Refuse a public key nobody can safely encrypt to: of low order, or not the one spelling of its coordinate."""
    if len(point) != SIZE or int.from_bytes(point, "little") >= _FIELD_PRIME:
        raise InvalidKey("the recipient is not a canonical X25519 public key")
    # A point of low order gives zero with every secret, so one trial tells.
    if shared_secret(_ANY_SECRET, point) is None:
        raise InvalidKey("the recipient is an X25519 point of low order", reason="weak-key")


def shared_secret(secret: X25519PrivateKey, point: bytes) -> bytes | None:
    """What both sides agree on, or None where it is all zero."""
    try:
        # SPEC: C2SP age X25519: if the shared secret is all 0x00 bytes, abort (cryptography raises ValueError)
        return secret.exchange(X25519PublicKey.from_public_bytes(point))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class X25519Recipient:
    """A public key that files can be encrypted to."""

    point: bytes
    kind: ClassVar[str] = "x25519"

    def __post_init__(self) -> None:
        check_point(self.point)

    @classmethod
    def parse(cls, text: str) -> "X25519Recipient":
        """From `age1...`: `str(parse(text)) == text`."""
        decoded = bech32.decode(text)
        if decoded is None or decoded[0] != RECIPIENT_HRP:
            raise InvalidKey("this is not an X25519 recipient", hint="it begins with age1; was it copied completely?")
        return cls(decoded[1])

    def __str__(self) -> str:
        return bech32.encode(RECIPIENT_HRP, self.point)

    def wrap(self, file_key: bytes) -> tuple[Stanza, ...]:
        """One stanza with a fresh ephemeral share."""
        ephemeral = X25519PrivateKey.generate()
        share = ephemeral.public_key().public_bytes_raw()
        # Never all zero: a point of low order was refused when the recipient was made.
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(self.point))
        body = wrapping.wrap(_wrap_key(shared, share, self.point), file_key)
        return (Stanza((TYPE, raw64.encode(share)), body),)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class X25519Identity:
    """A private key. `str()` spells it out; `repr()` does not."""

    secret: bytes
    kind: ClassVar[str] = "x25519"

    def __post_init__(self) -> None:
        if len(self.secret) != SIZE:
            raise InvalidKey(f"an X25519 identity has {SIZE} bytes")

    @classmethod
    def generate(cls) -> "X25519Identity":
        """A fresh one."""
        return cls(X25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> "X25519Identity":
        """From `AGE-SECRET-KEY-1...`: `str(parse(text)) == text`."""
        decoded = bech32.decode(text)
        if decoded is None or decoded[0] != IDENTITY_HRP:
            raise InvalidKey("this is not an X25519 identity", hint="it begins with AGE-SECRET-KEY-1, in upper case")
        return cls(decoded[1])

    def __str__(self) -> str:
        return bech32.encode(IDENTITY_HRP, self.secret)

    def __repr__(self) -> str:
        return f"X25519Identity(recipient={self.recipient()})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, X25519Identity) and hmac.compare_digest(self.secret, other.secret)

    def __hash__(self) -> int:
        return hash(self.recipient())

    def recipient(self) -> X25519Recipient:
        """The public half."""
        return X25519Recipient(self._private().public_key().public_bytes_raw())

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """The file key from the first stanza that is for us, None if none is; HeaderFailure for a malformed one."""
        ours = [stanza for stanza in stanzas if stanza.type == TYPE]
        private = self._private()
        public = private.public_key().public_bytes_raw()
        for stanza in ours:
            # SPEC: C2SP age X25519: two arguments, a share of 32 bytes, a body of 32 bytes
            wrapping.check(stanza, 2)
            share = wrapping.argument(stanza, 1, SIZE)
            shared = shared_secret(private, share)
            if shared is None:
                raise HeaderFailure("a stanza of type X25519 has a share of low order")
            file_key = wrapping.unwrap(_wrap_key(shared, share, public), stanza.body)
            if file_key is not None:
                return file_key
        return None

    def _private(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(self.secret)


def _wrap_key(shared: bytes, share: bytes, recipient: bytes) -> bytes:
    # SPEC: C2SP age X25519: salt = ephemeral share || recipient
    return HKDF(SHA256(), SIZE, salt=share + recipient, info=_INFO).derive(shared)
