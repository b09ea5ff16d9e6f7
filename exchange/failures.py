"""Many tries of which one that fails keeps no other from its turn: the first failure is raised after all of them.

>>> failures = Failures()
>>> for path in ("missing-1", "missing-2"):
...     with failures.kept():
...         open(path)
>>> failures.raise_first()
Traceback (most recent call last):
FileNotFoundError: [Errno 2] No such file or directory: 'missing-1'
"""

from collections.abc import Iterator
from contextlib import contextmanager

from config.errors import HandoverError, Tampered
from exchange.landing import LandingError

_WHOLE_PARTNER = 2


class Failures:
    """Keeps the first failure; `at_once` and evidence of tampering go through.

    Faults of this program itself are kept too: each try is about one file, or one task, and no other has to wait.
    One that concerns the whole of a partner counts before one about a file there, and that, or a fault, before any of
    this machine: whoever waits for the partner must hear of it.
    """

    def __init__(self, *at_once: type[Exception]) -> None:
        self._at_once: tuple[type[Exception], ...] = (Tampered, *at_once)
        self.first: Exception | None = None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Around one try."""
        try:
            yield
        except self._at_once:
            raise
        except Exception as problem:
            if self.first is None or _weight(problem) > _weight(self.first):
                self.first = problem

    @property
    def end_all(self) -> bool:
        """Whether one concerns the whole of a partner: whatever else needs it would fail the same way."""
        return self.first is not None and _weight(self.first) == _WHOLE_PARTNER

    def raise_first(self) -> None:
        """After all tries."""
        if self.first is not None:
            raise self.first


def _weight(problem: Exception) -> int:
    if isinstance(problem, LandingError):
        return 1 if problem.of_one_file else _WHOLE_PARTNER
    # what time may mend must not hide what only its makers can
    return 0 if isinstance(problem, (OSError, HandoverError)) else 1
