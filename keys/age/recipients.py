"""Recipients and identities: what they must be able to do, and how text becomes one.

`Recipient` and `Identity` are what the file reader and writer ask for; any object with these methods will do (a
hardware key, an agent). `kind` says how strong one is, so that a caller can refuse a downgrade.

>>> recipient = parse_recipient("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj")
>>> recipient.kind, fingerprint(recipient)
('x25519', 'SHA256:aoBHc5goQPp+rjhHB5pTsLFA1ngTDcaPHH9yteUIDU8')
"""

import functools
import hashlib
from collections.abc import Sequence
from typing import Protocol

from keys.age import raw64
from keys.age.errors import InvalidKey
from keys.age.header import Stanza
from keys.age.hybrid import IDENTITY_HRP as HYBRID_IDENTITY_HRP
from keys.age.hybrid import RECIPIENT_HRP as HYBRID_RECIPIENT_HRP
from keys.age.hybrid import HybridIdentity, HybridRecipient
from keys.age.x25519 import X25519Identity, X25519Recipient


class Recipient(Protocol):
    """Somebody to encrypt to. `str()` is the public text, where there is one."""

    @property
    def kind(self) -> str:
        """`pq`, `x25519` or `scrypt`."""
        ...

    def wrap(self, file_key: bytes) -> Sequence[Stanza]:
        """The stanzas from which only this recipient gets `file_key` back."""
        ...


class Identity(Protocol):
    """Somebody who can decrypt."""

    @property
    def kind(self) -> str:
        """`pq`, `x25519` or `scrypt`."""
        ...

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """The file key, or None if no stanza is for us; HeaderFailure if one that may be is malformed."""
        ...

    def recipient(self) -> Recipient:
        """The public half."""
        ...


@functools.lru_cache(maxsize=256)
def parse_recipient(text: str) -> HybridRecipient | X25519Recipient:
    """The recipient that `text` spells: `str(parse_recipient(text)) == text`; raises InvalidKey.

    Every file and message asks about the same few partners, and the checksum of a post-quantum one takes as long as
    sealing a small file.
    """
    if text.startswith(HYBRID_RECIPIENT_HRP + "1"):
        return HybridRecipient.parse(text)
    if text.startswith("age1") and "1" in text[4:]:
        raise InvalidKey("this kind of recipient is not supported", hint="age1 and age1pq1 are; hardware keys are not")
    return X25519Recipient.parse(text)


def parse_identity(text: str) -> HybridIdentity | X25519Identity:
    """The identity that `text` spells: `str(parse_identity(text)) == text`."""
    if text.startswith(HYBRID_IDENTITY_HRP + "1"):
        return HybridIdentity.parse(text)
    return X25519Identity.parse(text)


def parse_identities(text: str) -> list[HybridIdentity | X25519Identity]:
    """All identities of an identity file as `age-keygen` writes it: one a line, `#` begins a comment line."""
    lines = (line.strip() for line in text.splitlines())
    identities = [parse_identity(line) for line in lines if line and not line.startswith("#")]
    if not identities:
        raise InvalidKey("there is no identity in this text")
    return identities


def fingerprint(recipient: Recipient) -> str:
    """`SHA256:` and the digest of the recipient's text, short enough to be compared by eye or put in a record."""
    if recipient.kind == "scrypt":
        raise InvalidKey("a passphrase has no fingerprint")
    return "SHA256:" + raw64.encode(hashlib.sha256(str(recipient).encode("ascii")).digest())
