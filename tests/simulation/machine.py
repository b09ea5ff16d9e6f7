"""One machine: it counts what its program does to the disk, and fails or stops at a chosen step.

A step is a call that changes the disk, or a commit of the ledger. Once the machine has stopped, every further step of
the same program raises again: what a program does to clean up while it is being killed does not happen.
"""

import errno
import os
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from config.errors import NotNow
from tests.exchange.crashes import Crash
from tests.simulation.disk import Disk

T = TypeVar("T")

GROWING = frozenset({"create", "mkdir", "sync file", "commit"})
"""Steps that need room."""


class Machine:
    """The machine of one organisation."""

    def __init__(self, disk: Disk, faults: Counter[str]) -> None:
        self.disk = disk
        self.full = False
        self.dead = False
        self.steps = 0
        self.stop_at: int | None = None
        self.stop_after = False
        self.fail_at: int | None = None
        self._faults = faults

    def step(self, kind: str, act: Callable[[], T]) -> T:
        """One step of the program that runs on this machine."""
        if self.dead:
            raise Crash("this machine has stopped")
        self.steps += 1
        due = self.stop_at is not None and self.steps >= self.stop_at
        if due and not self.stop_after:
            self._stop(kind)
        self._fail(kind)
        result = act()
        if due:
            if kind == "create" and isinstance(result, int):
                os.close(result)
            elif hasattr(result, "close"):
                result.close()
            self._stop(kind)
        return result

    def _stop(self, kind: str) -> None:
        self.dead, self.stop_at = True, None
        raise Crash(f"{'after' if self.stop_after else 'before'} step {self.steps}, {kind}")

    def _fail(self, kind: str) -> None:
        if self.full and kind in GROWING:
            self._faults["disk full"] += 1
            if kind == "commit":
                raise NotNow("the disk that holds the ledger is full")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.fail_at is not None and self.steps >= self.fail_at:
            self.fail_at = None
            self._faults["disk error"] += 1
            if kind == "commit":
                raise NotNow("the ledger cannot be read or written")
            raise OSError(errno.EIO, os.strerror(errno.EIO))
