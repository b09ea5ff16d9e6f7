"""How long one read may be: little at first, more with every quick answer of that length, less after a slow one.

Of an answer that has not come whole nothing can be kept when the connection breaks. So on a line that carries one KiB a
second, or that breaks again and again, a long read would bring nothing for ever. Several reads are under way at once,
so the answers that come next were asked for when less was allowed: they say nothing of what is allowed now, however
quick they are.

>>> pace = Pace(timeout=30.0)
>>> for seconds, length in ((0.1, 1024), (0.1, 1024), (2.0, 4096), (9.0, 8192)):
...     pace.answered(seconds, length)
...     print(pace.length)
4096
4096
8192
4096
"""

from dataclasses import dataclass

FIRST_READ = 1024
LEAST_READ = 512
"""Bytes asked for in one read at first, and at least: on any line that is of use they come within the timeout."""

MOST_READ = 1 << 20
"""More than any server allows."""

QUICK = 1 / 8
"""Part of the timeout within which an answer shows that twice as much may be asked for at once."""

VERY_QUICK = QUICK / 4
"""Part of the timeout within which it may be four times as much."""

SLOW = 1 / 4
"""Part of the timeout after which an answer lets less be asked for at once."""


@dataclass(slots=True)
class Pace:
    """Of one connection. Always: LEAST_READ <= length <= MOST_READ."""

    timeout: float
    """Seconds that an answer may take at most."""
    length: int = FIRST_READ
    """Bytes that the next read may ask for."""

    def answered(self, waited: float, length: int) -> None:
        """An answer of `length` bytes came after so many seconds in which none did."""
        if waited > SLOW * self.timeout:
            self.length = max(self.length // 2, LEAST_READ)
        elif waited < QUICK * self.timeout and length >= self.length:
            self.length = min((4 if waited < VERY_QUICK * self.timeout else 2) * self.length, MOST_READ)
