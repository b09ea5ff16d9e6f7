"""Whether anything of the server is still coming, where an answer is long in coming.

The library hands out whole packets of SSH. A server puts as many answers into one as are ready, up to 32 KiB, and on a
line that carries one KiB a second that is half a minute of what looks like silence. So the bytes themselves are
counted, before they are anything. What a server says to keep an idle connection alive is far less than `LEAST_RATE`:
one that answers nothing any more is not taken for a slow line.
"""

import socket

LEAST_RATE = 256
"""Bytes a second that a line must bring to be waited for."""

LONGEST = 64 * 1024
"""Bytes after which a whole packet must have come, and with it something that the library hands out: more than any
packet and what SSH says for itself have. Who goes on for ever, drop by drop, is given up."""


class CountingSocket(socket.socket):
    """A connected socket that counts what it receives."""

    received: int = 0
    """Bytes since the beginning; written by the one thread that reads."""

    @classmethod
    def of(cls, raw: socket.socket) -> "CountingSocket":
        """Takes over the connection; `raw` is of no use any more."""
        timeout = raw.gettimeout()
        counting = cls(raw.family, raw.type, raw.proto, fileno=raw.detach())
        counting.settimeout(timeout)
        return counting

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """As every socket's."""
        data = super().recv(size, flags)
        self.received += len(data)
        return data


class Hearing:
    """One wait for an answer on a line."""

    def __init__(self, line: CountingSocket) -> None:
        self._line = line
        self._began = self._heard = line.received

    def goes_on(self, seconds: float) -> bool:
        """Whether, in the `seconds` since it was asked last, so much came that an answer is on its way."""
        before, self._heard = self._heard, self._line.received
        return self._heard - before >= LEAST_RATE * seconds and self._heard - self._began <= LONGEST
