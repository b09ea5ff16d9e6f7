"""A machine that stops, or whose disk is full, at a chosen step.

It counts every durable step of one organisation, and raises at one of them.
"""

import errno
import functools
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from exchange import files
from exchange.pickup import PickupFolder
from keys import key_files
from ledger.store import Ledger
from tests.organisations import FolderLanding, Organisation, Pair, restart

DURABLE = (
    "sync_directory", "sync_file", "make_directory", "write_all_new", "rename", "move", "move_new", "place", "remove",
    "remove_tree",
)  # fmt: skip
"""The functions of exchange.files that change the disk; so do `Ledger.write` and two functions of key_files."""
COLLECTING = ((PickupFolder, "_create"), (PickupFolder, "_rename"), (PickupFolder, "_sync"), (FolderLanding, "remove"))
"""What else changes a disk where one side collects: ours, with what waits there for the partner, or the partner's."""


class Crash(BaseException):
    """The machine stops here: nobody may catch it and go on."""


class Machine:
    """Counts durable steps while it is on; stops before the step number `stop_at` (and after it, when `done`)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        self.stop_at: int | None = None
        self.done = False
        self.before_each: Callable[[], None] = lambda: None
        self._on = False
        for name in DURABLE:
            if hasattr(files, name):
                monkeypatch.setattr(files, name, self._counted(f"files.{name}", getattr(files, name)))
        for name in ("write", "remove"):
            monkeypatch.setattr(key_files, name, self._counted(f"key_files.{name}", getattr(key_files, name)))
        monkeypatch.setattr(Ledger, "write", self._counted("ledger.write", Ledger.write))
        for kind, name in COLLECTING:
            monkeypatch.setattr(kind, name, self._counted(f"{kind.__name__}.{name}", getattr(kind, name)))

    def _counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def step(*args: Any, **kwargs: Any) -> Any:
            if not self._on:
                return function(*args, **kwargs)
            self.before_each()
            number = len(self.steps)
            self.steps.append(name)
            if number == self.stop_at and not self.done:
                raise Crash(f"before step {number}, {name}")
            result = function(*args, **kwargs)
            if number == self.stop_at:
                raise Crash(f"after step {number}, {name}")
            return result

        return step

    def fill_disk_at(self, number: int) -> Callable[[], bool]:
        """From the beginning, let the disk be full at one step, once; returns what tells whether it was."""
        failed = False

        def fail() -> None:
            nonlocal failed
            if len(self.steps) == number and not failed:
                failed = True
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        self.steps, self.stop_at, self.before_each = [], None, fail
        return lambda: failed

    @contextmanager
    def on(self) -> Iterator[None]:
        """Count (and stop) within this block."""
        self._on = True
        try:
            yield
        finally:
            self._on = False


def run_to_rest(pair: Pair, side: str, machine: Machine) -> int:
    """Let everything happen, the machine counting on one side; it is started again when it stops. Returns how often."""
    crashes = 0
    for _ in range(30):
        moved = 0
        for name in ("lgsco", "ofsted"):
            acts: tuple[Callable[[Organisation], int], ...] = (
                Organisation.take,
                Organisation.send,
                Organisation.receive,
            )
            for act in acts:
                organisation = getattr(pair, name)
                if name != side:
                    moved += act(organisation)
                    continue
                try:
                    with machine.on():
                        moved += act(organisation)
                except Crash:
                    crashes += 1
                    moved += 1
                    machine.stop_at = None
                    partner = pair.ofsted if name == "lgsco" else pair.lgsco
                    setattr(pair, name, restart(organisation, partner, pair.clock))
        if not moved:
            return crashes
    raise AssertionError("the two organisations never come to rest")


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder in memory where there is one: hundreds of crashes need not wait for a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)
