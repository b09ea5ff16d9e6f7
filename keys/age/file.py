"""Whole age files, streamed: `Writer` pushes plaintext in, `Reader` pulls plaintext out, in constant memory.

    header (text)  ||  nonce (16 bytes)  ||  payload (chunks)          binary, or the whole of it in ASCII armour

Specification: C2SP age v1 (https://c2sp.org/age), "Encrypted file format". Reading has five steps, each with an
error of its own: armour (ArmorFailure), grammar (HeaderFailure), keys (NoMatch), the header's code (HMACFailure),
chunks (PayloadFailure). No plaintext is given out before its chunk is authenticated.

>>> import io
>>> from keys.age.x25519 import X25519Identity
>>> identity, sealed = X25519Identity.generate(), io.BytesIO()
>>> writer = Writer(sealed, [identity.recipient()])
>>> writer.write(b"concern"); writer.finish()
7
>>> reader = Reader(io.BytesIO(sealed.getvalue()), [identity])
>>> reader.stanza_types, reader.read(4), reader.read(4), reader.read(4)
(('X25519',), b'conc', b'ern', b'')
"""

import secrets
from collections.abc import Sequence

from keys.age import header as headers
from keys.age import scrypt, stream
from keys.age.armor import MAX_WHITESPACE, ArmorReader, looks_armored
from keys.age.errors import AgeError, HeaderFailure, HMACFailure, InvalidKey, NoMatch
from keys.age.header import FILE_KEY_SIZE, Header, Stanza
from keys.age.recipients import Identity, Recipient
from keys.age.source import Readable, Source, Writable, write_all

_READ_SIZE = 1 << 20


class Writer:
    """Encrypts what is written to it into `dst`, which it does not close. Without `finish` the file is cut short."""

    __slots__ = ("_sealer", "_usable")

    def __init__(self, dst: Writable, recipients: Sequence[Recipient]) -> None:
        _check_combination(recipients)
        # SPEC: C2SP age, file key: 16 bytes of CSPRNG output, not used for another file; the nonce likewise
        file_key = secrets.token_bytes(FILE_KEY_SIZE)
        nonce = secrets.token_bytes(stream.NONCE_SIZE)
        stanzas = tuple(stanza for recipient in recipients for stanza in recipient.wrap(file_key))
        write_all(dst, Header(stanzas, b"").sealed(file_key).encode() + nonce)
        self._sealer = stream.Sealer(dst, stream.payload_key(file_key, nonce))
        self._usable = True

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Take all of `data`, of any length, and say how long it is."""
        self._use()
        self._sealer.write(data)
        self._usable = True
        return memoryview(data).nbytes

    def finish(self) -> None:
        """Write the end. Nothing can be written afterwards."""
        self._use()
        self._sealer.finish()

    def _use(self) -> None:
        # A write that failed half-way must not be followed by an end that makes the file look complete.
        if not self._usable:
            raise AgeError("nothing can be added to an age file that is finished, or that could not be written")
        self._usable = False


class Reader:
    """Reads the header of `src` at once (binary or armoured) and decrypts the payload as it is read.

    `stanza_types` are the types of all stanzas in their order, known or not; `identity` is the one that matched.
    """

    __slots__ = ("_block", "_opener", "identity", "stanza_types")

    def __init__(self, src: Readable, identities: Sequence[Identity]) -> None:
        source = _dearmored(Source(src))
        header = headers.read(source)
        self.stanza_types = tuple(stanza.type for stanza in header.stanzas)
        self.identity, file_key = _unwrap(header.stanzas, identities)
        if not header.authentic(file_key):
            raise HMACFailure("the header was altered: its authentication code does not fit")
        nonce = source.take(stream.NONCE_SIZE)
        if len(nonce) != stream.NONCE_SIZE:
            raise HeaderFailure("the file is cut short after its header")
        self._opener = stream.Opener(source, stream.payload_key(file_key, nonce))
        self._block = memoryview(b"")

    def read(self, n: int = -1, /) -> bytes:
        """`n` bytes, all if `n` is negative; fewer before the verified end or a fault, which the next call raises."""
        parts: list[bytes] = []
        while n and self._more(bool(parts)):
            parts.append(bytes(self._block[:n] if n > 0 else self._block))
            self._block = self._block[len(parts[-1]) :]
            n -= len(parts[-1]) if n > 0 else 0
        return b"".join(parts)

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Some bytes into `buffer`, from its front, and how many; 0 at the verified end only."""
        view = memoryview(buffer).cast("B")
        if view:
            self._more(False)
        size = min(len(view), len(self._block))
        view[:size], self._block = self._block[:size], self._block[size:]
        return size

    def copy_to(self, dst: Writable) -> int:
        """Write the rest to `dst` and say how many bytes that were. What was verified before a fault is in `dst`."""
        total = 0
        while self._more(False):
            write_all(dst, self._block)
            total += len(self._block)
            self._block = self._block[:0]
        return total

    def _more(self, given: bool) -> bool:
        """Whether there is a block to give out. Where bytes were `given` already, a fault waits for the next call."""
        try:
            self._block = self._block or self._opener.block()
        except AgeError:
            if not given:
                raise
        return len(self._block) > 0


def encrypt(src: Readable, dst: Writable, recipients: Sequence[Recipient]) -> None:
    """Encrypt all of `src` to `dst` as a binary age file."""
    writer = Writer(dst, recipients)
    source, buffer = Source(src), memoryview(bytearray(stream.CHUNK))
    while size := source.fill(buffer):
        writer.write(buffer[:size])
        # Most files are small: the large buffer is for those that turn out not to be.
        if len(buffer) < _READ_SIZE:
            buffer = memoryview(bytearray(_READ_SIZE))
    writer.finish()


def decrypt(src: Readable, dst: Writable, identities: Sequence[Identity]) -> None:
    """Decrypt `src`, binary or armoured, to `dst`. What was verified before a fault has been written by then."""
    Reader(src, identities).copy_to(dst)


def _dearmored(source: Source) -> Source:
    head = source.peek(MAX_WHITESPACE)
    if not head.startswith(headers.INTRO) and looks_armored(head):
        return Source(ArmorReader(source))
    return source


def _unwrap(stanzas: Sequence[Stanza], identities: Sequence[Identity]) -> tuple[Identity, bytes]:
    scrypt.check_alone(stanzas)
    for identity in identities:
        file_key = identity.unwrap(stanzas)
        if file_key is not None:
            return identity, file_key
    kinds = ", ".join(sorted({stanza.type for stanza in stanzas}))
    raise NoMatch(
        f"none of our {len(identities)} identities opens this file", hint=f"it was encrypted to: {kinds[:200]}"
    )


def _check_combination(recipients: Sequence[Recipient]) -> None:
    if not recipients:
        raise InvalidKey("there is no recipient to encrypt to")
    kinds = {recipient.kind for recipient in recipients}
    # SPEC: C2SP age scrypt: a passphrase stanza must be the only one in the header
    if "scrypt" in kinds and len(recipients) > 1:
        raise InvalidKey("a passphrase cannot be combined with another recipient")
    # SPEC: FORMATS 1: one envelope never mixes post-quantum and classical recipients when sealing
    if len(kinds) > 1:
        raise InvalidKey(
            "post-quantum and classical recipients cannot be combined: the file would be as weak as the latter"
        )
