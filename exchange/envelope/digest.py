"""SHA-256 of a stream beside the work on the same stream: hashed in a second thread, while it is encrypted or written.

Hashing costs more than encrypting, writing to a disk more than both, and all of them let go of the interpreter's lock:
on two cores they go on side by side. `update` only returns once the piece before it is hashed, so at most one piece
is on its way, and `wait` says when its memory may be used again.

>>> from concurrent.futures import ThreadPoolExecutor
>>> with ThreadPoolExecutor(1) as pool:
...     digest = Digest(pool)
...     digest.update(b"a" * 1000000)
...     digest.hexdigest()
'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0'
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import BinaryIO, Final

from keys.age.source import Readable, write_all

WORTH_A_THREAD: Final = 64 * 1024
"""Shorter pieces are hashed at once: handing them over would take longer."""
BUFFER: Final = 1024 * 1024
"""What is written at once: handing over costs as much as hashing some ten thousand bytes, so not too little."""


class Digest:
    """A SHA-256 in the making; without a pool everything is hashed at once."""

    __slots__ = ("_hash", "_pending", "pool")

    def __init__(self, pool: Executor | None = None) -> None:
        self.pool = pool
        self._hash = hashlib.sha256()
        self._pending: Future[None] | None = None

    def update(self, data: bytes | memoryview) -> None:
        """Hash `data`, whose memory must stay as it is until `wait`, or the next `update`, has returned."""
        self.wait()
        if self.pool is None or len(data) < WORTH_A_THREAD:
            self._hash.update(data)
        else:
            self._pending = self.pool.submit(self._hash.update, data)

    def wait(self) -> None:
        """Return when everything that was given is hashed."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def hexdigest(self) -> str:
        """64 lower-case hexadecimal digits of everything so far."""
        self.wait()
        return self._hash.hexdigest()


class HashedReader:
    """Reads from a binary file and digests what was read: `digest` covers exactly the bytes that were given out.

    `first` is the first byte of all (empty before there was one).
    """

    __slots__ = ("_read", "_readinto", "digest", "first")

    def __init__(self, src: Readable) -> None:
        self.digest = Digest()
        self.first = b""
        self._read = src.read
        self._readinto: Callable[[memoryview], int | None] | None = getattr(src, "readinto", None)

    def read(self, n: int, /) -> bytes:
        """Up to `n` bytes; empty at the end."""
        data = self._read(n)
        self.first = self.first or data[:1]
        self.digest.update(data)
        return data

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the front of `buffer` and say how far. Its bytes may be read, not changed, until the next call."""
        self.digest.wait()
        if self._readinto is None:
            data = self._read(len(buffer))
            buffer[: len(data)] = data
            count = len(data)
        else:
            count = self._readinto(buffer) or 0
        self.first = self.first or bytes(buffer[: min(count, 1)])
        self.digest.update(buffer[:count])
        return count


class HashedWriter:
    """Writes to a binary file and digests what was written; with a pool, both beside the caller's own work.

    Nothing is certain before `finish` has returned. `size` counts the bytes.
    """

    __slots__ = ("_buffers", "_dst", "_filled", "_pending", "_pool", "digest", "size")

    def __init__(self, dst: BinaryIO, pool: Executor | None = None) -> None:
        self.digest = Digest(pool)
        self.size = 0
        self._dst = dst
        self._pool = pool
        # One is filled while the other is hashed and written; the second comes when the first is full.
        self._buffers = [memoryview(bytearray(BUFFER))]
        self._filled = 0
        self._pending: Future[None] | None = None

    def write(self, data: bytes | memoryview, /) -> int:
        """Take all of `data`; its memory is free again afterwards."""
        view = memoryview(data)
        while view:
            count = min(len(view), BUFFER - self._filled)
            self._buffers[0][self._filled : self._filled + count] = view[:count]
            self._filled += count
            view = view[count:]
            if self._filled == BUFFER:
                self._hand_over()
        self.size += len(data)
        return len(data)

    def finish(self) -> None:
        """Return when everything is hashed and written; raises what writing raised."""
        self._settle()
        last, self._filled = self._buffers[0][: self._filled], 0
        self.digest.update(last)
        write_all(self._dst, last)
        self.digest.wait()

    def _hand_over(self) -> None:
        self._settle()
        full, self._filled = self._buffers[0], 0
        self.digest.update(full)
        if self._pool is None:
            write_all(self._dst, full)
            return
        self._pending = self._pool.submit(write_all, self._dst, full)
        self._buffers = [*(self._buffers[1:] or [memoryview(bytearray(BUFFER))]), full]

    def _settle(self) -> None:
        """Wait for the buffer that is on its way."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()
        self.digest.wait()
