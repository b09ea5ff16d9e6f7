"""SSH signatures (SSHSIG): what `ssh-keygen -Y sign` writes and `ssh-keygen -Y verify` reads, for two types of key.

Specification: OpenSSH PROTOCOL.sshsig, signature version 1; integers and strings as in RFC 4251 5.

    -----BEGIN SSH SIGNATURE-----
    base64 of the blob, 70 columns
    -----END SSH SIGNATURE-----

    blob        "SSHSIG" | uint32 1 | string public key | string namespace | string reserved | string hash
                         | string signature
    signed      "SSHSIG" | string namespace | string reserved | string hash | string H(message)
    public key  string type | string key                       hash       "sha512" (what we write) or "sha256"
    signature   string type | string signature                 reserved   empty

    type        "ssh-ed25519": 32 and 64 bytes (`keys.openssh`)
                "ssh-mldsa44-ed25519": 1344 and 2484 bytes (`keys.composite`)

Narrower than the specification, on purpose:
- Whoever reads says which type it must be: Ed25519, composite, or Ed25519 in a FIDO token (`keys.sk`), which only
  administrators have. RSA and ECDSA signatures are refused by type, weak Ed25519 keys by `keys.openssh`.
- `reserved` must be empty, although the specification would have a reader ignore it: OpenSSH does not sign it, so bytes
  in it would ride along unsigned.
- The armour is exact: no text before or after, lines of one width between 64 and 76 (PEM tools write 64, OpenSSH 70,
  the specification says 76), canonical base64, final line end. `parse(text).armored == text`. Peers tolerate more, so
  the hash of an armoured text is never an identity.

A valid signature says which key signed, not whose key that is: ask `keys.trust`.

>>> from io import BytesIO
>>> from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
>>> key = Ed25519PrivateKey.from_private_bytes(bytes(32))
>>> text = sign(key, BytesIO(b"hello"), "manifest@handover")
>>> print(text[:29])
-----BEGIN SSH SIGNATURE-----
>>> verify(text, BytesIO(b"hello"), "manifest@handover") == PublicKey.from_key(key)
True
>>> verify(text, BytesIO(b"hello"), "receipt@handover")
Traceback (most recent call last):
keys.sshsig.SignatureError: a signature was made for another purpose: expected 'receipt@handover'
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import BinaryIO, Generic, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from config.errors import Refused
from keys.composite import CompositeKey, CompositeSigner
from keys.openssh import BadKey, KeySigner, PublicKey, Signer, put_string, take_string
from keys.sk import EXTRA_BYTES, SkKey

__all__ = [
    "BadKey",
    "CompositeKey",
    "CompositeSigner",
    "KeySigner",
    "PublicKey",
    "Signature",
    "SignatureError",
    "Signer",
    "parse",
    "parse_composite",
    "sign",
    "verify",
    "verify_any",
    "verify_composite",
    "verify_sk",
]

MAGIC = b"SSHSIG"
VERSION = (1).to_bytes(4, "big")
# SPEC: PROTOCOL.sshsig 2: sha256 and sha512 are the supported hashes
HASHES = ("sha512", "sha256")
"""The first is what we write, as OpenSSH does."""

BEGIN = "-----BEGIN SSH SIGNATURE-----\n"
END = "-----END SSH SIGNATURE-----\n"
COLUMNS = 70
MIN_COLUMNS, MAX_COLUMNS = 64, 76

MAX_ARMORED = 4096
"""Longest armoured text that is read: an Ed25519 signature with our namespaces has under 350 characters."""

MAX_COMPOSITE = 8192
"""The same for a composite signature: with our namespaces it has under 5,500 characters."""

MAX_NAMESPACE = 256
"""Longest namespace: ours have under 25 characters; the cap keeps a signature that is written readable again."""

_NAMESPACE = re.compile(rf"[!-~]{{1,{MAX_NAMESPACE}}}")
_READ = 1 << 18


Key = TypeVar("Key", PublicKey, CompositeKey, SkKey)


class SignatureError(Refused):
    """A text is no signature (`not-a-signature`), one of another kind (`wrong-key-type`, `wrong-hash`,
    `wrong-namespace`, `weak-key`), or does not fit the message (`bad-signature`)."""

    reason = "bad-signature"


@dataclass(frozen=True, slots=True)
class Signature(Generic[Key]):
    """One SSHSIG blob, taken apart but not yet verified; `columns` is the width of its armour."""

    public: Key
    namespace: str
    hash: str
    signature: bytes
    columns: int = COLUMNS

    def encode(self) -> bytes:
        """The binary blob."""
        # SPEC: PROTOCOL.sshsig 2 blob format
        made = self.public.signature_bytes
        fields = (
            self.public.blob,
            self.namespace.encode(),
            b"",
            self.hash.encode(),
            put_string(self.public.kind.encode()) + put_string(self.signature[:made]) + self.signature[made:],
        )
        return MAGIC + VERSION + b"".join(map(put_string, fields))

    @property
    def armored(self) -> str:
        """The text; `parse(signature.armored) == signature`."""
        text = base64.b64encode(self.encode()).decode()
        lines = (text[at : at + self.columns] for at in range(0, len(text), self.columns))
        return BEGIN + "".join(f"{line}\n" for line in lines) + END


def sign(key: Ed25519PrivateKey | Signer | CompositeSigner, message: BinaryIO, namespace: str) -> str:
    """The armoured signature of everything left to read in `message`; SignatureError for a bad namespace."""
    if not _NAMESPACE.fullmatch(namespace):
        raise SignatureError("a signature needs a namespace of visible ASCII characters", reason="wrong-namespace")
    signer = KeySigner(key) if isinstance(key, Ed25519PrivateKey) else key
    made = signer.sign(_signed_bytes(namespace, HASHES[0], message))
    if isinstance(signer, CompositeSigner):
        return Signature(signer.public, namespace, HASHES[0], made).armored
    return Signature(signer.public, namespace, HASHES[0], made).armored


def verify(armored: str, message: BinaryIO, namespace: str) -> PublicKey:
    """The Ed25519 key that signed everything left to read in `message` for `namespace`; raises SignatureError.

    Says nothing about whose key it is or whether it may be used.
    """
    return _verified(parse(armored), message, namespace)


def verify_composite(armored: str, message: BinaryIO, namespace: str) -> CompositeKey:
    """The same for a composite key."""
    return _verified(parse_composite(armored), message, namespace)


def verify_any(armored: str, message: BinaryIO, namespace: str) -> PublicKey | CompositeKey:
    """The same where either type counts; whoever asks looks at what came back."""
    if len(armored) > MAX_ARMORED:
        return verify_composite(armored, message, namespace)
    return verify(armored, message, namespace)


def verify_sk(armored: str, message: BinaryIO, namespace: str) -> SkKey:
    """The same for a key in a FIDO token."""
    return _verified(_parse(armored, SkKey, MAX_ARMORED), message, namespace)


def _verified(signature: Signature[Key], message: BinaryIO, namespace: str) -> Key:
    # SPEC: PROTOCOL.sshsig 2: the namespace must match the one that the verifier expects
    if signature.namespace != namespace:
        raise SignatureError(
            f"a signature was made for another purpose: expected {namespace!r}", reason="wrong-namespace"
        )
    if not signature.public.accepts(signature.signature, _signed_bytes(namespace, signature.hash, message)):
        raise SignatureError("a signature does not fit what it is said to sign")
    return signature.public


def parse(armored: str) -> Signature[PublicKey]:
    """Take an armoured Ed25519 signature apart; `parse(text).armored == text` or SignatureError."""
    return _parse(armored, PublicKey, MAX_ARMORED)


def parse_composite(armored: str) -> Signature[CompositeKey]:
    """The same for a composite signature."""
    return _parse(armored, CompositeKey, MAX_COMPOSITE)


def _parse(armored: str, kind: type[Key], limit: int) -> Signature[Key]:
    blob, columns = _dearmor(armored, limit)
    try:
        signature = _parse_blob(blob, columns, kind)
    except BadKey as error:
        reason = error.reason if error.reason in ("wrong-key-type", "weak-key") else "not-a-signature"
        raise SignatureError(f"a signature is malformed: {error.message}", reason=reason) from None
    if signature.armored != armored:
        raise _malformed("it is not in its one canonical spelling")
    return signature


def _parse_blob(blob: bytes, columns: int, expected: type[Key]) -> Signature[Key]:
    """The fields in order; BadKey for one that is cut short, SignatureError for a value that is not taken."""
    if not blob.startswith(MAGIC):
        raise _malformed("the magic bytes are missing")
    # SPEC: PROTOCOL.sshsig 2: a verifier must reject versions other than 1
    if not blob.startswith(MAGIC + VERSION):
        raise _malformed("its version is not 1")
    key, rest = take_string(blob[len(MAGIC + VERSION) :])
    namespace, rest = take_string(rest)
    reserved, rest = take_string(rest)
    hash_name, rest = take_string(rest)
    inner, rest = take_string(rest)
    if rest:
        raise _malformed("bytes follow the last field")
    if reserved:
        raise _malformed("the reserved field is not empty")
    public = expected.from_blob(key)
    kind, inner = take_string(inner)
    if kind != expected.kind.encode():
        raise SignatureError(f"a signature is not of type {expected.kind}", reason="wrong-key-type")
    signature, rest = take_string(inner)
    # SPEC: PROTOCOL.u2f: a token's flags and counter follow its signature
    if len(rest) != (EXTRA_BYTES if expected is SkKey else 0) or len(signature) != expected.signature_bytes:
        raise _malformed(f"a signature of type {expected.kind} is not {expected.signature_bytes} bytes long")
    name, hashed = namespace.decode("latin-1"), hash_name.decode("latin-1")
    # SPEC: PROTOCOL.sshsig 2: an empty namespace is not allowed
    if not _NAMESPACE.fullmatch(name):
        raise SignatureError("a signature's namespace is not visible ASCII text", reason="wrong-namespace")
    if hashed not in HASHES:
        raise SignatureError("a signature uses a hash other than sha512 and sha256", reason="wrong-hash")
    return Signature(public, name, hashed, signature + rest, columns)


def _dearmor(armored: str, limit: int) -> tuple[bytes, int]:
    """The blob and the width of the lines it was written in."""
    if len(armored) > limit:
        raise _malformed(f"it is longer than {limit} characters")
    if not armored.startswith(BEGIN) or not armored.endswith("\n" + END):
        raise _malformed("it does not begin and end with the armour's lines")
    lines = armored[len(BEGIN) : -len(END)].split("\n")
    columns = len(lines[0])
    if not MIN_COLUMNS <= columns <= MAX_COLUMNS:
        raise _malformed(f"its lines are not {MIN_COLUMNS} to {MAX_COLUMNS} characters wide")
    try:
        return base64.b64decode("".join(lines), validate=True), columns
    except ValueError:  # binascii.Error, and text outside ASCII
        raise _malformed("it is not base64") from None


def _signed_bytes(namespace: str, hash_name: str, message: BinaryIO) -> bytes:
    """What a key signs: never the message itself, so a signature cannot be taken for one of another protocol."""
    digest = hashlib.new(hash_name)
    while piece := message.read(_READ):
        digest.update(piece)
    # SPEC: PROTOCOL.sshsig 3 signed data
    return MAGIC + b"".join(map(put_string, (namespace.encode(), b"", hash_name.encode(), digest.digest())))


def _malformed(what: str) -> SignatureError:
    return SignatureError(f"a text is not an SSH signature: {what}", reason="not-a-signature")
