"""A byte source with a little look-ahead, so that a header can be read by lines and a payload by large blocks.

Works over anything with `read(n)`: files, pipes, sockets, the armour decoder. Short reads are continued; only an empty
read is the end. What was looked at but not taken is served first, so nothing is lost between header and payload.

>>> import io
>>> source = Source(io.BytesIO(b"one\\ntwo"))
>>> source.peek(2), source.line(10), source.take(9)
(b'on', b'one\\n', b'two')
"""

from collections.abc import Callable
from typing import Protocol

_LOOK_AHEAD = 4096
"""What one `read` asks for while lines are read: a header with one recipient of either kind fits."""


class Readable(Protocol):
    """What we need of a source: `BinaryIO` has it, and so has `Reader`."""

    def read(self, n: int, /) -> bytes:
        """Up to `n` bytes; empty at the end only."""
        ...


class Writable(Protocol):
    """What we need of a destination. The bytes must be consumed before `write` returns, as Python's own files do."""

    def write(self, data: bytes | memoryview, /) -> int:
        """How many bytes were taken."""
        ...


class Source:
    """Reads from `src` and remembers what was looked at ahead."""

    __slots__ = ("_ahead", "_ended", "_read", "_readinto")

    def __init__(self, src: Readable) -> None:
        self._read = src.read
        # Most of Python's sources can fill our buffer directly, which saves a copy of the whole payload.
        self._readinto: Callable[[memoryview], int | None] | None = getattr(src, "readinto", None)
        self._ahead = bytearray()
        self._ended = False

    def peek(self, count: int) -> bytes:
        """The next `count` bytes without taking them; fewer only at the end."""
        while len(self._ahead) < count and self._more(count - len(self._ahead)):
            pass
        return bytes(self._ahead[:count])

    def line(self, limit: int) -> bytes | None:
        """The next line with its line feed, the rest without one at the end, or None if it is longer than `limit`."""
        length = searched = 0
        while not length:
            length = self._ahead.find(b"\n", searched) + 1
            searched = len(self._ahead)
            if not length and (searched > limit or not self._more()):
                length = searched
                break
        return None if length > limit else self.take(length)

    def take(self, count: int) -> bytes:
        """The next `count` bytes; fewer only at the end."""
        taken = self.peek(count)
        del self._ahead[:count]
        return taken

    def fill(self, buffer: memoryview) -> int:
        """Fill `buffer` from the front and say how far: less than its length only at the end."""
        filled = min(len(self._ahead), len(buffer))
        buffer[:filled] = self._ahead[:filled]
        del self._ahead[:filled]
        while filled < len(buffer) and not self._ended:
            if self._readinto is not None:
                got = self._readinto(buffer[filled:]) or 0
            else:
                data = self._read(len(buffer) - filled)
                got = len(data)
                buffer[filled : filled + got] = data
            filled += got
            self._ended = got == 0
        return filled

    def _more(self, wanted: int = 0) -> bool:
        if self._ended:
            return False
        data = self._read(max(wanted, _LOOK_AHEAD)) or b""
        self._ahead += data
        self._ended = not data
        return not self._ended


def write_all(dst: Writable, data: bytes | memoryview) -> None:
    """Write all of `data`, also to unbuffered files and sockets, which may take only a part at a time."""
    view = memoryview(data)
    while view:
        taken: int | None = dst.write(view)
        if taken is None or taken >= len(view):
            return
        view = view[taken:]
