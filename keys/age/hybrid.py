"""The post-quantum recipient type: ML-KEM-768 and X25519 together, so that breaking one of them opens nothing.

    -> mlkem768x25519 <encapsulated key, 1120 bytes: ML-KEM ciphertext 1088 || X25519 share 32>
    <file key sealed, 32 bytes>
                                   HPKE base mode (RFC 9180): KEM MLKEM768-X25519, KDF HKDF-SHA256, ChaCha20-Poly1305,
                                   info = "age-encryption.org/mlkem768x25519", aad empty
    recipient  age1pq1...              1216 bytes: ML-KEM-768 encapsulation key 1184 || X25519 key 32, Bech32
    identity   AGE-SECRET-KEY-PQ-1...  32-byte seed, Bech32 in upper case;
                                       SHAKE256(seed, 96) = ML-KEM seed (d || z) 64 || X25519 scalar 32

Specification: C2SP age v1.1 (https://c2sp.org/age), "The MLKEM768-X25519 hybrid post-quantum recipient type";
draft-ietf-hpke-pq-03 for the KEM, which is X-Wing.

>>> identity = HybridIdentity.generate()
>>> stanza, = identity.recipient().wrap(b"sixteen byte key")
>>> identity.unwrap([stanza])
b'sixteen byte key'
>>> str(identity.recipient())[:7], len(str(identity.recipient()))
('age1pq1', 1959)
"""

import functools
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from keys.age import bech32, raw64, wrapping, x25519
from keys.age.errors import HeaderFailure, InvalidKey
from keys.age.header import Stanza

TYPE = "mlkem768x25519"
RECIPIENT_HRP = "age1pq"
IDENTITY_HRP = "AGE-SECRET-KEY-PQ-"
SEED_SIZE = 32
MLKEM_KEY_SIZE = 1184
RECIPIENT_SIZE = MLKEM_KEY_SIZE + x25519.SIZE
MLKEM_CIPHERTEXT_SIZE = 1088
ENC_SIZE = MLKEM_CIPHERTEXT_SIZE + x25519.SIZE

_MLKEM_SEED_SIZE = 64
_INFO = b"age-encryption.org/mlkem768x25519"
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


@dataclass(frozen=True, slots=True)
class HybridRecipient:
    """A public key that files can be encrypted to. `_key` is worked out from `raw`, the 1,216 bytes."""

    raw: bytes
    _key: MLKEM768X25519PublicKey = field(init=False, repr=False, compare=False)
    kind: ClassVar[str] = "pq"

    def __post_init__(self) -> None:
        if len(self.raw) != RECIPIENT_SIZE:
            raise InvalidKey(f"a post-quantum recipient has {RECIPIENT_SIZE} bytes")
        x25519.check_point(self.raw[MLKEM_KEY_SIZE:])
        try:
            # FIPS 203 7.2: a coefficient of the encapsulation key that is not below the modulus is refused
            mlkem = MLKEM768PublicKey.from_public_bytes(self.raw[:MLKEM_KEY_SIZE])
        except ValueError:
            raise InvalidKey("the recipient is not a canonical ML-KEM-768 encapsulation key") from None
        classical = X25519PublicKey.from_public_bytes(self.raw[MLKEM_KEY_SIZE:])
        object.__setattr__(self, "_key", MLKEM768X25519PublicKey(mlkem, classical))

    @classmethod
    def parse(cls, text: str) -> "HybridRecipient":
        """From `age1pq1...`: `str(parse(text)) == text`."""
        decoded = bech32.decode(text)
        if decoded is None or decoded[0] != RECIPIENT_HRP:
            raise InvalidKey(
                "this is not a post-quantum recipient", hint="it begins with age1pq1; was it copied completely?"
            )
        return cls(decoded[1])

    def __str__(self) -> str:
        return _spelled(self.raw)

    def wrap(self, file_key: bytes) -> tuple[Stanza, ...]:
        """One stanza with a fresh encapsulation."""
        sealed = _SUITE.encrypt(file_key, self._key, _INFO)
        return (Stanza((TYPE, raw64.encode(sealed[:ENC_SIZE])), sealed[ENC_SIZE:]),)


@functools.lru_cache(maxsize=256)
def _spelled(raw: bytes) -> str:
    """The checksum of 1,216 bytes takes as long as sealing a small file, and every file names its recipient."""
    return bech32.encode(RECIPIENT_HRP, raw)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HybridIdentity:
    """A private key. `str()` spells it out; `repr()` does not."""

    seed: bytes
    _mlkem: MLKEM768PrivateKey = field(init=False)
    _classical: X25519PrivateKey = field(init=False)
    kind: ClassVar[str] = "pq"

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_SIZE:
            raise InvalidKey(f"a post-quantum identity has {SEED_SIZE} bytes")
        # SPEC: FORMATS 1: SHAKE256(seed, 96) = 64-byte ML-KEM seed || 32-byte X25519 scalar
        expanded = hashlib.shake_256(self.seed).digest(_MLKEM_SEED_SIZE + x25519.SIZE)
        object.__setattr__(self, "_mlkem", MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM_SEED_SIZE]))
        object.__setattr__(self, "_classical", X25519PrivateKey.from_private_bytes(expanded[_MLKEM_SEED_SIZE:]))

    @classmethod
    def generate(cls) -> "HybridIdentity":
        """A fresh one."""
        return cls(secrets.token_bytes(SEED_SIZE))

    @classmethod
    def parse(cls, text: str) -> "HybridIdentity":
        """From `AGE-SECRET-KEY-PQ-1...`: `str(parse(text)) == text`."""
        decoded = bech32.decode(text)
        if decoded is None or decoded[0] != IDENTITY_HRP:
            raise InvalidKey(
                "this is not a post-quantum identity", hint="it begins with AGE-SECRET-KEY-PQ-1, in upper case"
            )
        return cls(decoded[1])

    def __str__(self) -> str:
        return bech32.encode(IDENTITY_HRP, self.seed)

    def __repr__(self) -> str:
        return f"HybridIdentity(x25519={self._classical.public_key().public_bytes_raw().hex()})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HybridIdentity) and hmac.compare_digest(self.seed, other.seed)

    def __hash__(self) -> int:
        return hash(self.recipient())

    def recipient(self) -> HybridRecipient:
        """The public half."""
        return HybridRecipient(
            self._mlkem.public_key().public_bytes_raw() + self._classical.public_key().public_bytes_raw()
        )

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """The file key from the first stanza that is for us, None if none is; HeaderFailure for a malformed one."""
        for stanza in stanzas:
            if stanza.type == TYPE and (file_key := self._open(stanza)) is not None:
                return file_key
        return None

    def _open(self, stanza: Stanza) -> bytes | None:
        # SPEC: C2SP age mlkem768x25519: two arguments, enc of 1120 bytes, a body of 32 bytes
        wrapping.check(stanza, 2)
        enc = wrapping.argument(stanza, 1, ENC_SIZE)
        # HPKE reports a share of low order like a stanza for somebody else; it is malformed, and said so.
        if x25519.shared_secret(self._classical, enc[MLKEM_CIPHERTEXT_SIZE:]) is None:
            raise HeaderFailure("a stanza of type mlkem768x25519 has a share of low order")
        try:
            return _SUITE.decrypt(enc + stanza.body, MLKEM768X25519PrivateKey(self._mlkem, self._classical), _INFO)
        except InvalidTag:
            return None
