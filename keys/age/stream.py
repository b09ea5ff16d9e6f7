"""The payload of an age file: the plaintext in chunks of 64 KiB, each sealed, the last one marked as the last.

    nonce (16)  chunk 0  chunk 1  ...  last chunk           key = HKDF-SHA-256(file key, salt = nonce, info = "payload")
                |
                ChaCha20-Poly1305 of up to 65,536 bytes, with a tag of 16 bytes at its end and under the nonce
                counter (11 bytes, big-endian, from 0)  last (1 byte: 01 on the last chunk, else 00)

Specification: C2SP age v1 (https://c2sp.org/age), "Payload"; a STREAM of Hoang, Reyhanitabar, Rogaway and Vizar (2015).
The last chunk is empty only where the whole plaintext is, so one plaintext has one division. A chunk's place and the
end are authenticated: chunks cannot be moved, dropped or added without PayloadFailure.

Both directions work in blocks of several chunks, encrypted and decrypted into buffers that are used again: the memory
does not depend on the size of the payload, and no byte is copied that need not be.

>>> import io
>>> sealed = io.BytesIO()
>>> sealer = Sealer(sealed, payload_key(bytes(16), bytes(16)))
>>> sealer.write(b"concern "); sealer.write(b"file"); sealer.finish()
>>> opener = Opener(Source(io.BytesIO(sealed.getvalue())), payload_key(bytes(16), bytes(16)))
>>> bytes(opener.block()), bytes(opener.block())
(b'concern file', b'')
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keys.age.errors import AgeError, PayloadFailure
from keys.age.source import Source, Writable, write_all

CHUNK = 64 * 1024
TAG = 16
SEALED_CHUNK = CHUNK + TAG
NONCE_SIZE = 16
KEY_SIZE = 32

BLOCK = 8
"""Chunks that are read, worked on and written at once: few enough to stay in the processor's cache."""


def payload_key(file_key: bytes, nonce: bytes) -> bytes:
    """The key of one payload."""
    # SPEC: C2SP age, payload: HKDF-SHA-256(ikm = file key, salt = nonce, info = "payload")
    return HKDF(SHA256(), KEY_SIZE, salt=nonce, info=b"payload").derive(file_key)


def chunk_nonce(counter: int, *, last: bool) -> bytes:
    """The 12-byte nonce of chunk number `counter`."""
    # SPEC: C2SP age, payload: 11 bytes of big-endian counter from zero, then 0x01 on the final chunk and 0x00 on others
    return (counter << 8 | last).to_bytes(12, "big")


class Sealer:
    """Encrypts what is written to it; `finish` writes the last chunk, without which the payload reads as cut short."""

    __slots__ = ("_cipher", "_counter", "_dst", "_out", "_pending")

    def __init__(self, dst: Writable, key: bytes) -> None:
        self._dst = dst
        self._cipher = ChaCha20Poly1305(key)
        self._counter = 0
        # A whole chunk may lie here until it is known whether it is the last: 0 ≤ len(_pending) ≤ CHUNK between calls.
        self._pending = bytearray()
        self._out = memoryview(bytearray())

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take all of `data`, of any length; what it refers to may change afterwards."""
        with memoryview(data).cast("B") as view:
            start = 0
            if self._pending:
                start = CHUNK - len(self._pending)
                self._pending += view[:start]
                if start >= len(view):
                    return
                self._seal(memoryview(self._pending))
                self._pending = bytearray()
            # The rest begins on a border of chunks: seal all but the last 1 to CHUNK bytes from where they lie.
            while len(view) - start > CHUNK:
                count = min((len(view) - start - 1) // CHUNK, BLOCK)
                self._seal(view[start : start + count * CHUNK])
                start += count * CHUNK
            self._pending += view[start:]

    def finish(self) -> None:
        """Write the last chunk. Nothing can be written afterwards."""
        write_all(self._dst, self._cipher.encrypt(chunk_nonce(self._counter, last=True), self._pending, None))
        self._pending.clear()

    def _seal(self, chunks: memoryview) -> None:
        """Encrypt whole chunks, none of them the last."""
        count = len(chunks) // CHUNK
        if len(self._out) < count * SEALED_CHUNK:
            self._out = memoryview(bytearray(count * SEALED_CHUNK))
        for index in range(count):
            self._cipher.encrypt_into(
                chunk_nonce(self._counter + index, last=False),
                chunks[index * CHUNK : (index + 1) * CHUNK],
                None,
                self._out[index * SEALED_CHUNK : (index + 1) * SEALED_CHUNK],
            )
        self._counter += count
        write_all(self._dst, self._out[: count * SEALED_CHUNK])


class Opener:
    """Decrypts from `source`, which stands after the nonce. Every byte that it gives out is authenticated."""

    __slots__ = ("_cipher", "_counter", "_failure", "_in", "_out", "_source", "ended")

    def __init__(self, source: Source, key: bytes) -> None:
        self._source = source
        self._cipher = ChaCha20Poly1305(key)
        self._counter = 0
        self._failure: AgeError | None = None
        self.ended = False
        # One chunk at first, so that small payloads, by far the most, do not pay for large buffers.
        self._in = memoryview(bytearray(SEALED_CHUNK))
        self._out = memoryview(bytearray(CHUNK))

    def block(self) -> memoryview:
        """Some plaintext, valid until the next call; empty once the last chunk and nothing after it was seen.

        What precedes a fault is given out first, the fault is raised by the next call, and by every one after it.
        """
        if self._failure:
            raise self._failure
        if self.ended:
            return self._out[:0]
        if self._counter == 1:
            self._in = memoryview(bytearray(BLOCK * SEALED_CHUNK))
            self._out = memoryview(bytearray(BLOCK * CHUNK))
        got = self._fill()
        size = self._open(self._in[:got], more=got == len(self._in))
        if self._failure and not size:
            raise self._failure
        return self._out[:size]

    def _fill(self) -> int:
        # Whatever ends the reading (armour, disk, connection), nobody can go on behind the gap that it leaves.
        self._failure = PayloadFailure("the payload could not be read any further")
        try:
            got = self._source.fill(self._in)
        except AgeError as failure:
            self._failure = failure
            raise
        self._failure = None
        return got

    def _open(self, sealed: memoryview, *, more: bool) -> int:
        """Decrypt one block's chunks up to the first fault, which is kept, and say how many bytes that gave."""
        size = 0
        # An empty block is a chunk too: the one that is missing where the payload ends on a border.
        for start in range(0, len(sealed) or 1, SEALED_CHUNK):
            chunk = sealed[start : start + SEALED_CHUNK]
            try:
                size += self._chunk(chunk, self._out[size:])
            except PayloadFailure as failure:
                self._failure = failure
                break
            # SPEC: C2SP age, payload: the final chunk is the end of the file
            if self.ended and (start + len(chunk) < len(sealed) or (more and self._source.peek(1))):
                self._failure = PayloadFailure("something follows the payload's last chunk")
                break
        return size

    def _chunk(self, chunk: memoryview, out: memoryview) -> int:
        """Decrypt one chunk to the front of `out`."""
        size = len(chunk) - TAG
        if size < 0:
            raise PayloadFailure("the payload is cut short")
        # SPEC: C2SP age, payload: the final chunk MUST NOT be empty unless the whole payload is empty
        if not size and self._counter:
            raise PayloadFailure("the payload's last chunk is empty")
        # Only a full chunk can be followed by another; whether it is, shows in the nonce that fits.
        if size == CHUNK and self._fits(chunk, out[:size], last=False):
            self._counter += 1
            return size
        if not self._fits(chunk, out[:size], last=True):
            raise PayloadFailure(f"chunk {self._counter} of the payload is altered or cut short")
        self.ended = True
        return size

    def _fits(self, chunk: memoryview, out: memoryview, *, last: bool) -> bool:
        try:
            self._cipher.decrypt_into(chunk_nonce(self._counter, last=last), chunk, None, out)
        except InvalidTag:
            return False
        return True
