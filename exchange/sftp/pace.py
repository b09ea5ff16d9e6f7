"""How long one read may be: little at first, twice as much with every quick answer, half of it after a slow one.

What a server sends of an answer can be seen only when a whole packet of SSH has come, and that is as long as what was
asked for. So on a line that carries one KiB a second a long read looks like a server that is silent, and the connection
would be given up again and again; a line that is quick is filled within one round of answers.

>>> pace = Pace(timeout=30.0)
>>> for seconds in (0.1, 0.1, 9.0):
...     pace.answered(seconds)
>>> FIRST_READ, pace.length
(1024, 2048)
"""

from dataclasses import dataclass

FIRST_READ = 1024
LEAST_READ = 512
"""Bytes asked for in one read at first, and at least: on any line that is of use they come within the timeout."""

MOST_READ = 1 << 20
"""More than any server allows."""

QUICK = 1 / 8
"""Part of the timeout within which an answer shows that more may be asked for at once."""

SLOW = 1 / 4
"""Part of the timeout after which an answer lets less be asked for at once."""


@dataclass(slots=True)
class Pace:
    """Of one connection. Always: LEAST_READ <= length <= MOST_READ."""

    timeout: float
    """Seconds that an answer may take at most."""
    length: int = FIRST_READ
    """Bytes that the next read may ask for."""

    def answered(self, waited: float) -> None:
        """An answer came after so many seconds in which none did."""
        if waited < QUICK * self.timeout:
            self.length = min(2 * self.length, MOST_READ)
        elif waited > SLOW * self.timeout:
            self.length = max(self.length // 2, LEAST_READ)
