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


class Failures:
    """Keeps the first failure of this machine or of a single file; `at_once` and evidence of tampering go through."""

    def __init__(self, *at_once: type[Exception]) -> None:
        self._at_once: tuple[type[Exception], ...] = (Tampered, *at_once)
        self.first: OSError | HandoverError | None = None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Around one try."""
        try:
            yield
        except self._at_once:
            raise
        except (OSError, HandoverError) as problem:
            self.first = self.first or problem

    def raise_first(self) -> None:
        """After all tries."""
        if self.first is not None:
            raise self.first
