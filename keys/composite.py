"""Composite signatures of ML-DSA-44 and Ed25519: one holds only if both halves do, so to forge it both must be broken.

    public key   ML-DSA-44, 1312 bytes | Ed25519, 32 bytes                        1344
    signature    ML-DSA-44, 2420 bytes | Ed25519, 64 bytes                        2484
    seed         ML-DSA-44, 32 bytes   | Ed25519, 32 bytes                          64
    line         "ssh-mldsa44-ed25519" SP base64(blob)
    blob         string "ssh-mldsa44-ed25519" | string public key                 strings as in RFC 4251 5

    both halves sign  M' = "CompositeAlgorithmSignatures2025" | "COMPSIG-MLDSA44-Ed25519-SHA512" | 00 | SHA-512(message)
    ML-DSA-44         with the second of these texts as its context (FIPS 204 5.2)

Specifications: draft-ietf-lamps-pq-composite-sigs for the signature (the 00 is the length of an empty context of the
application), draft-ietf-sshm-composite-sigs for the key's line. OpenSSH has both from 10.6 on; 10.4 and 10.5 call the
same key `ssh-mldsa44-ed25519@openssh.com`, which is no name here: one key must not have two spellings.

The Ed25519 half must be an honest point (`keys.openssh`) and serves no other purpose. Cut off, neither half is a
signature over the message: what is signed is never the message itself.

>>> signer = CompositeSigner.from_seed(bytes(32) + bytes(range(32)))
>>> signer.public.fingerprint
'SHA256:29ZaPmyI2ak7LdVM+nGLXlBX77AwhGI93JdIIpxvCGI'
>>> CompositeKey.parse(signer.public.line) == signer.public
True
>>> made = signer.sign(b"a concern")
>>> len(made), signer.public.accepts(made, b"a concern"), signer.public.accepts(made, b"another")
(2484, True, False)
>>> other = CompositeSigner.from_seed(bytes(range(64))).sign(b"a concern")
>>> signer.public.accepts(made[:2420] + other[2420:], b"a concern")
False
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import ClassVar, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from keys.openssh import RAW_BYTES, BadKey, PublicKey, fingerprint, put_string, split_line, take_string

KEY_TYPE = "ssh-mldsa44-ed25519"
MLDSA_PUBLIC_BYTES, MLDSA_SIGNATURE_BYTES = 1312, 2420
SEED_BYTES = 64
_HALF_SEED = SEED_BYTES // 2

# SPEC: draft-ietf-lamps-pq-composite-sigs 2.2 the prefix, 6 the label of id-MLDSA44-Ed25519-SHA512
PREFIX = b"CompositeAlgorithmSignatures2025"
LABEL = b"COMPSIG-MLDSA44-Ed25519-SHA512"


@dataclass(frozen=True, slots=True)
class CompositeKey:
    """A composite public key: 1344 bytes, of which the last 32 are an honest Ed25519 key."""

    kind: ClassVar[str] = KEY_TYPE
    public_bytes: ClassVar[int] = MLDSA_PUBLIC_BYTES + RAW_BYTES
    signature_bytes: ClassVar[int] = MLDSA_SIGNATURE_BYTES + 64

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != self.public_bytes:
            raise BadKey(f"a composite public key is not {self.public_bytes} bytes long")
        PublicKey(self.raw[MLDSA_PUBLIC_BYTES:])

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read one OpenSSH line, with or without a comment; `parse(key.line) == key`; raises BadKey."""
        kind, blob = split_line(line)
        if kind != cls.kind:
            raise BadKey(f"a public key is not of type {cls.kind}", reason="wrong-key-type")
        return cls.from_blob(blob)

    @classmethod
    def from_blob(cls, blob: bytes) -> Self:
        """Read the binary form; `from_blob(key.blob) == key`; raises BadKey."""
        kind, rest = take_string(blob)
        if kind != cls.kind.encode():
            raise BadKey(f"a public key is not of type {cls.kind}", reason="wrong-key-type")
        raw, rest = take_string(rest)
        if rest:
            raise BadKey("a public key is followed by other bytes")
        return cls(raw)

    @property
    def blob(self) -> bytes:
        """The binary form that SSH sends and signs."""
        return put_string(self.kind.encode()) + put_string(self.raw)

    @property
    def line(self) -> str:
        """`ssh-mldsa44-ed25519 AAAA…`, without comment or line end."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """`SHA256:…` as `ssh-keygen -lf` prints it."""
        return fingerprint(self.blob)

    @property
    def ed25519(self) -> PublicKey:
        """The classical half."""
        return PublicKey(self.raw[MLDSA_PUBLIC_BYTES:])

    def accepts(self, signature: bytes, message: bytes) -> bool:
        """Whether this key made `signature` (2484 bytes) over `message`: whether both halves did."""
        # SPEC: draft-ietf-lamps-pq-composite-sigs 3.3 step 1: a signature of another length is refused
        if len(signature) != self.signature_bytes:
            return False
        whole = representative(message)
        try:
            post_quantum = MLDSA44PublicKey.from_public_bytes(self.raw[:MLDSA_PUBLIC_BYTES])
            # SPEC: draft-ietf-lamps-pq-composite-sigs 3.3 step 4: the label is the context of ML-DSA
            post_quantum.verify(signature[:MLDSA_SIGNATURE_BYTES], whole, LABEL)
        except (InvalidSignature, ValueError):
            return False
        return self.ed25519.accepts(signature[MLDSA_SIGNATURE_BYTES:], whole)


class CompositeSigner:
    """Both private halves in memory; shows only the fingerprint."""

    __slots__ = ("_ed25519", "_mldsa", "public")

    def __init__(self, mldsa: MLDSA44PrivateKey, ed25519: Ed25519PrivateKey) -> None:
        self._mldsa, self._ed25519 = mldsa, ed25519
        self.public = CompositeKey(mldsa.public_key().public_bytes_raw() + ed25519.public_key().public_bytes_raw())

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The signer of 64 bytes that nobody else knows; raises BadKey for another length."""
        if len(seed) != SEED_BYTES:
            raise BadKey(f"a composite private key is not {SEED_BYTES} bytes long")
        mldsa = MLDSA44PrivateKey.from_seed_bytes(seed[:_HALF_SEED])
        return cls(mldsa, Ed25519PrivateKey.from_private_bytes(seed[_HALF_SEED:]))

    @property
    def seed(self) -> bytes:
        """The 64 bytes that make the same signer again: a secret."""
        return self._mldsa.private_bytes_raw() + self._ed25519.private_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """The 2484 bytes over `data`; fresh randomness makes each different (FIPS 204 5.2, hedged)."""
        whole = representative(data)
        return self._mldsa.sign(whole, LABEL) + self._ed25519.sign(whole)

    def __repr__(self) -> str:
        return f"CompositeSigner({self.public.fingerprint})"


def representative(message: bytes) -> bytes:
    """M', which both halves sign."""
    # SPEC: draft-ietf-lamps-pq-composite-sigs 3.2 step 2: M' = Prefix || Label || len(ctx) || ctx || PH(M)
    return PREFIX + LABEL + b"\x00" + hashlib.sha512(message).digest()
