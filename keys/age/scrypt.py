"""The scrypt recipient type: a passphrase. Used for our own private keys at rest, never between organisations.

    -> scrypt <salt, 16 bytes> <log2 of the work factor, decimal>
    <file key wrapped, 32 bytes>       wrap key = scrypt(passphrase, "age-encryption.org/v1/scrypt" || salt,
                                                         N = 2^factor, r = 8, p = 1)

Specification: C2SP age v1 (https://c2sp.org/age), "The scrypt recipient type"; the function itself is RFC 7914.
Whoever knows the passphrase could have written the file, and people rely on that: the stanza must be the only one.

>>> stanza, = ScryptRecipient("correct horse", work_factor=4).wrap(b"sixteen byte key")
>>> stanza.args[0], stanza.args[2]
('scrypt', '4')
>>> ScryptIdentity("correct horse").unwrap([stanza])
b'sixteen byte key'
>>> ScryptIdentity("battery staple").unwrap([stanza]) is None
True
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from keys.age import raw64, wrapping
from keys.age.errors import HeaderFailure, InvalidKey
from keys.age.header import Stanza

TYPE = "scrypt"
SALT_SIZE = 16

DEFAULT_WORK_FACTOR = 18
"""2^18: 256 MiB of memory and about a second."""

MAX_WORK_FACTOR = 22
"""A file chooses how much work it costs to open it. Beyond 2^22 (4 GiB, a quarter of a minute) it is refused unread."""

_LABEL = b"age-encryption.org/v1/scrypt"
# SPEC: C2SP age scrypt: digits only, no leading zero
_FACTOR = re.compile(r"[1-9][0-9]*", re.ASCII)


def check_alone(stanzas: Sequence[Stanza]) -> None:
    """Refuse a header where a passphrase stanza has company."""
    # SPEC: C2SP age scrypt: reject headers where an scrypt stanza is present alongside any other stanza
    if len(stanzas) > 1 and any(stanza.type == TYPE for stanza in stanzas):
        raise HeaderFailure("a stanza of type scrypt is not the only one")


@dataclass(frozen=True, slots=True)
class ScryptRecipient:
    """A passphrase to encrypt with. It never shows in `repr()` or `str()`."""

    passphrase: str | bytes = field(repr=False)
    work_factor: int = DEFAULT_WORK_FACTOR
    kind: ClassVar[str] = "scrypt"

    def __post_init__(self) -> None:
        _check(self.passphrase, self.work_factor)

    def __str__(self) -> str:
        return "a passphrase"

    def wrap(self, file_key: bytes) -> tuple[Stanza, ...]:
        """One stanza with a fresh salt."""
        salt = secrets.token_bytes(SALT_SIZE)
        body = wrapping.wrap(_wrap_key(self.passphrase, salt, self.work_factor), file_key)
        return (Stanza((TYPE, raw64.encode(salt), str(self.work_factor)), body),)


@dataclass(frozen=True, slots=True)
class ScryptIdentity:
    """A passphrase to decrypt with, and the greatest work factor it is worth trying. It never shows."""

    passphrase: str | bytes = field(repr=False)
    max_work_factor: int = MAX_WORK_FACTOR
    kind: ClassVar[str] = "scrypt"

    def __post_init__(self) -> None:
        _check(self.passphrase, self.max_work_factor)

    def recipient(self) -> ScryptRecipient:
        """The same passphrase, to encrypt with."""
        return ScryptRecipient(self.passphrase)

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """The file key, None where the passphrase is another or none is asked for; HeaderFailure if malformed."""
        check_alone(stanzas)
        if not stanzas or stanzas[0].type != TYPE:
            return None
        stanza = stanzas[0]
        # SPEC: C2SP age scrypt: three arguments, a salt of 16 bytes, a body of 32 bytes
        wrapping.check(stanza, 3)
        salt = wrapping.argument(stanza, 1, SALT_SIZE)
        return wrapping.unwrap(_wrap_key(self.passphrase, salt, self._factor(stanza.args[2])), stanza.body)

    def _factor(self, text: str) -> int:
        if not _FACTOR.fullmatch(text):
            raise HeaderFailure("the work factor of the passphrase is not a plain decimal number")
        # Compared by length first: a number of any length must not be converted.
        if len(text) > len(str(self.max_work_factor)) or int(text) > self.max_work_factor:
            raise HeaderFailure(
                f"the work factor of the passphrase is greater than {self.max_work_factor}",
                hint="the file would take too long to open; encrypt it again with a smaller one",
            )
        return int(text)


def _check(passphrase: str | bytes, factor: int) -> None:
    try:
        empty = not _octets(passphrase)
    except UnicodeEncodeError:
        raise InvalidKey("the passphrase is not text that UTF-8 can spell") from None
    if empty:
        raise InvalidKey("the passphrase is empty")
    if not 1 <= factor <= MAX_WORK_FACTOR:
        raise InvalidKey(f"the work factor is not between 1 and {MAX_WORK_FACTOR}")


def _octets(passphrase: str | bytes) -> bytes:
    return passphrase.encode() if isinstance(passphrase, str) else passphrase


def _wrap_key(passphrase: str | bytes, salt: bytes, factor: int) -> bytes:
    try:
        # SPEC: C2SP age scrypt: N = 2^factor, r = 8, p = 1, dkLen = 32, S = label || salt
        return Scrypt(salt=_LABEL + salt, length=32, n=1 << factor, r=8, p=1).derive(_octets(passphrase))
    except MemoryError:
        raise HeaderFailure(f"there is not enough memory for a passphrase of work factor {factor}") from None
