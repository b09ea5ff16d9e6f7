"""Private keys in their native formats: made, read back, and tried out before they are used.

    signing, transport, ledger, witness    OpenSSH private key (openssh-key-v1), Ed25519, no passphrase of its own
    encryption                             age identity file: a comment line, then AGE-SECRET-KEY-…
    signing-pq                             OpenSSH private key of `keys.composite_file`, no passphrase of its own
    witness-pq                             PKCS #8 in PEM with the seed alone (RFC 9881), as openssl writes it

At rest each lies in an age file with a passphrase (`keys.keyring`), so `age -d` and `ssh-keygen` open it without us.

>>> public, native = generate("signing", "lgsco")
>>> native.split(b"\\n")[0]
b'-----BEGIN OPENSSH PRIVATE KEY-----'
>>> load_ed25519("signing", public, native) is not None
True
>>> load_ed25519("signing", generate("signing", "lgsco")[0], native)
Traceback (most recent call last):
keys.private_keys.NotThisKey: a private key belongs to another public half
"""

import contextlib
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from config.errors import Refused
from keys import age, composite_file
from keys.composite import CompositeSigner
from keys.key_info import Purpose, raw_public
from keys.openssh import BadKey, PublicKey
from ledger import checkpoint, note

Encryption = Literal["pq", "x25519"]

Kind = Literal["identity", "composite", "ssh", "pkcs8"]

_KINDS: dict[Kind, str] = {
    "identity": "one for encryption",
    "composite": "a composite OpenSSH key",
    "ssh": "an OpenSSH key of one algorithm",
    "pkcs8": "one in PKCS #8",
}

_PROBE = b"does this private key fit its public half?"


class NotAKey(Refused):
    """Bytes are no private key of the expected format."""

    reason = "not-a-key"


class NotThisKey(Refused):
    """A private key is one, but another."""

    reason = "other-key"


def ledger_origin(organisation: str) -> str:
    """The name of an organisation's ledger, in its checkpoints and its verifier key."""
    return f"{organisation}/handover"


def witness_name(organisation: str) -> str:
    """The name under which an organisation cosigns."""
    return f"{organisation}/witness"


def generate(purpose: Purpose, organisation: str, encryption: Encryption = "pq") -> tuple[str, bytes]:
    """A new key: (public half as `KeyInfo.public`, private half in its native format)."""
    if purpose == "encryption":
        identity = age.HybridIdentity.generate() if encryption == "pq" else age.X25519Identity.generate()
        public = str(identity.recipient())
        return public, f"# public key: {public}\n{identity}\n".encode()
    if purpose == "signing-pq":
        signer = CompositeSigner(MLDSA44PrivateKey.generate(), Ed25519PrivateKey.generate())
        return signer.public.line, composite_file.encode(signer)
    if purpose == "witness-pq":
        mldsa = MLDSA44PrivateKey.generate()
        verifier = note.MlDsaVerifier(witness_name(organisation), mldsa.public_key().public_bytes_raw())
        return verifier.vkey, mldsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = Ed25519PrivateKey.generate()
    return public_half(purpose, organisation, PublicKey.from_key(key)), key.private_bytes(
        Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
    )


def load_ed25519(purpose: Purpose, public: str, native: bytes) -> Ed25519PrivateKey:
    """The private key, if it is one and fits `public`; raises NotAKey or NotThisKey."""
    _check_kind(native, "ssh")
    try:
        key = load_ssh_private_key(native, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise NotAKey("a file is not an OpenSSH private key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise NotAKey("an OpenSSH private key is not of type ssh-ed25519")
    expected = PublicKey(raw_public(purpose, public))
    if PublicKey.from_key(key) != expected or not expected.accepts(key.sign(_PROBE), _PROBE):
        raise NotThisKey("a private key belongs to another public half")
    return key


def load_composite(public: str, native: bytes) -> CompositeSigner:
    """The composite private key, if it is one and fits `public`; raises NotAKey or NotThisKey."""
    _check_kind(native, "composite")
    try:
        signer = composite_file.decode(native)
    except BadKey as problem:
        raise NotAKey(f"a file is not a composite private key: {problem.message}") from None
    if signer.public.line != public or not signer.public.accepts(signer.sign(_PROBE), _PROBE):
        raise NotThisKey("a private key belongs to another public half")
    return signer


def load_mldsa(public: str, native: bytes) -> MLDSA44PrivateKey:
    """The ML-DSA-44 private key, if it is one and fits `public`; raises NotAKey or NotThisKey."""
    _check_kind(native, "pkcs8")
    try:
        key = load_pem_private_key(native, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise NotAKey("a file is not a private key in PKCS #8") from None
    if not isinstance(key, MLDSA44PrivateKey):
        raise NotAKey("a private key is not of type ML-DSA-44")
    if key.public_key().public_bytes_raw() != raw_public("witness-pq", public):
        raise NotThisKey("a private key belongs to another public half")
    key.public_key().verify(key.sign(_PROBE), _PROBE)
    return key


def load_identity(public: str, native: bytes) -> age.Identity:
    """The age identity, if it is one and `public` is its recipient; raises NotAKey or NotThisKey."""
    _check_kind(native, "identity")
    try:
        identities = age.parse_identities(native.decode("ascii"))
    except (age.AgeError, UnicodeDecodeError):
        raise NotAKey("a file is not an age identity") from None
    if len(identities) != 1:
        raise NotAKey("a file holds more than one age identity")
    identity = identities[0]
    if str(identity.recipient()) != public:
        raise NotThisKey("a private key belongs to another public half")
    return identity


def _check_kind(native: bytes, expected: Kind) -> None:
    """Raise NotThisKey for a whole private key of another format: it was exchanged, and is no damaged one."""
    found = _kind(native)
    if found not in (None, expected):
        raise NotThisKey(f"a private key is {_KINDS[found]}, where {_KINDS[expected]} should be")


def _kind(native: bytes) -> Kind | None:
    """In which of our formats a private key is; None if in none, or if it is damaged."""
    with contextlib.suppress(age.AgeError, UnicodeDecodeError):
        if age.parse_identities(native.decode("ascii")):
            return "identity"
    with contextlib.suppress(BadKey):
        composite_file.decode(native)
        return "composite"
    with contextlib.suppress(ValueError, TypeError, UnsupportedAlgorithm):
        load_ssh_private_key(native, password=None)
        return "ssh"
    with contextlib.suppress(ValueError, TypeError, UnsupportedAlgorithm):
        load_pem_private_key(native, password=None)
        return "pkcs8"
    return None


def public_half(purpose: Purpose, organisation: str, public: PublicKey) -> str:
    """An Ed25519 public key as `KeyInfo.public` says it for that purpose."""
    if purpose == "ledger":
        return note.Ed25519Verifier(ledger_origin(organisation), public.raw).vkey
    if purpose == "witness":
        return checkpoint.CosignatureVerifier(witness_name(organisation), public.raw).vkey
    return public.line
