"""Exponential back-off with jitter: when to try a partner again, and a file that a partner refuses.

>>> backoff = Backoff(first=5.0, longest=60.0, jitter=lambda: 1.0)
>>> [backoff.next() for _ in range(5)]
[5.0, 10.0, 20.0, 40.0, 60.0]
>>> backoff.reset()
>>> backoff.next()
5.0
"""

from collections.abc import Callable, Collection
from datetime import timedelta


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

    def next_longest(self) -> float:
        """Seconds to wait after a failure that trying again will hardly mend."""
        self._failures += 1
        return self._longest * self._jitter()

    def reset(self) -> None:
        """Something worked: start from `first` again."""
        self._failures = 0

    @property
    def failing(self) -> bool:
        """Whether the last try failed."""
        return self._failures > 0


def growing(first: timedelta, longest: timedelta, times: int) -> timedelta:
    """How long to wait after so many attempts: `first` after one, twice as long after each other, at most `longest`.

    >>> [growing(timedelta(hours=2), timedelta(hours=24), times).total_seconds() / 3600 for times in (1, 2, 4, 5, 99)]
    [2.0, 4.0, 16.0, 24.0, 24.0]
    """
    doubled: timedelta = first * 2 ** min(times - 1, 20)
    return min(longest, doubled)


class Pauses:
    """Which of many things to leave alone for now: each that failed waits for its own time, which grows.

    >>> time = iter([0.0, 4.0, 6.0])
    >>> pauses = Pauses(lambda: Backoff(5.0, 60.0, lambda: 1.0), lambda: next(time))
    >>> pauses.failed("one")
    >>> pauses.over("one"), pauses.over("two"), pauses.over("one")
    (False, True, True)
    """

    def __init__(self, backoff: Callable[[], Backoff], now: Callable[[], float]) -> None:
        self._backoff = backoff
        self._now = now
        self._waiting: dict[str, tuple[Backoff, float]] = {}

    def failed(self, name: str) -> None:
        """Leave it alone for a while."""
        backoff, _ = self._waiting.get(name, (self._backoff(), 0.0))
        self._waiting[name] = backoff, self._now() + backoff.next()

    def worked(self, name: str) -> None:
        """It need not wait any more."""
        self._waiting.pop(name, None)

    def keep_only(self, names: Collection[str]) -> None:
        """Forget everything else: it is no longer wanted."""
        self._waiting = {name: waiting for name, waiting in self._waiting.items() if name in names}

    def over(self, name: str) -> bool:
        """Whether it may be tried now."""
        return name not in self._waiting or self._now() >= self._waiting[name][1]

    def left(self) -> float | None:
        """Seconds until the first may be tried again, at least 0; None if nothing waits."""
        ends = [end for _, end in self._waiting.values()]
        return max(0.0, min(ends) - self._now()) if ends else None
