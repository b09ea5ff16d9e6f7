"""One organisation's daemon as a service manager keeps it: started again whenever it ends; measured while it lives."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.system.daemons import PATIENCE, Running

PAUSE = 0.5
"""Seconds between an end and the next start."""

READY = b'"daemon.ready"'
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Sample:
    """What a daemon holds at one moment."""

    at: float
    life: int
    memory: int
    """Resident, in bytes."""
    files: int
    """Open file descriptors."""
    threads: int


@dataclass
class Service:
    """One daemon. `wanted` says whether it should run now."""

    one: Running
    log: Path
    offset: Path
    """Holds how many seconds its clock is fast."""
    wanted: bool = True
    starts: int = 0
    exits: list[int] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    _not_before: float = 0.0
    _log_size: int = 0
    """When the daemon was started."""

    @property
    def name(self) -> str:
        """Of the organisation."""
        return self.one.home.root.name

    def keep(self) -> None:
        """Start it if it should run and does not; take a sample if it does."""
        if self.process is not None and self.process.poll() is not None:
            self._ended()
        if self.process is not None:
            self._sample(self.process.pid)
        elif self.wanted and time.monotonic() >= self._not_before:
            self._start()

    def pid(self) -> int | None:
        """Of the daemon, while it lives and has told that it is ready: before that Python itself is still loading."""
        process = self.process
        if process is None or process.poll() is not None:
            return None
        return process.pid if READY in self.log.read_bytes()[self._log_size :] else None

    def kill(self, number: signal.Signals) -> None:
        """Send a signal, if there is anybody to receive it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def stop(self) -> None:
        """End it in order, and leave it so."""
        self.wanted = False
        self.kill(signal.SIGCONT)
        self.kill(signal.SIGTERM)
        if self.process is not None:
            self.process.wait(PATIENCE)
            self._ended()

    def _start(self) -> None:
        with self.log.open("ab") as log:
            self._log_size = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.clock", str(self.offset), "--home", str(self.one.home.root), "run"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self.starts += 1

    def _ended(self) -> None:
        if self.process is not None:
            self.exits.append(self.process.wait())
            self.process = None
            self._not_before = time.monotonic() + PAUSE

    def _sample(self, pid: int) -> None:
        try:
            numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            return
        # fields 20 and 24 of proc(5), of which the first two are cut off
        found = Sample(time.monotonic(), self.starts, int(numbers[21]) * _PAGE, files, int(numbers[17]))
        if found.memory:
            self.samples.append(found)
