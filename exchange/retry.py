"""Exponential back-off with jitter: when to try a partner again.

>>> backoff = Backoff(first=5.0, longest=60.0, jitter=lambda: 1.0)
>>> [backoff.next() for _ in range(5)]
[5.0, 10.0, 20.0, 40.0, 60.0]
>>> backoff.reset()
>>> backoff.next()
5.0
"""

from collections.abc import Callable


class Backoff:
    """Doubles from `first` to `longest` seconds; each wait is scaled by `jitter()`, a number in [0.5, 1.0]."""

    def __init__(self, first: float, longest: float, jitter: Callable[[], float]) -> None:
        self._first = first
        self._longest = longest
        self._jitter = jitter
        self._failures = 0

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        wait = min(self._longest, self._first * 2.0 ** min(self._failures, 60))
        self._failures += 1
        return wait * self._jitter()

    def reset(self) -> None:
        """Something worked: start from `first` again."""
        self._failures = 0

    @property
    def failing(self) -> bool:
        """Whether the last try failed."""
        return self._failures > 0
