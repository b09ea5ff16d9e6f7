"""The same with real daemons: a call fails, or the daemon dies, in any of its threads, on both sides at once.

strace counts calls in each thread by itself, so a fault meets several of them. Each daemon is the whole program, and is
started again whenever it ends, as a service manager does; only its first life has a fault. A fault that is no death
must not end it, except while it starts.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.attempt import NOT_FOR_PEOPLE
from tests.faults.trace import KILL, Fault
from tests.organisations import CASE
from tests.system.daemons import PATIENCE, Running, exchange

SETTINGS = {"watch.quiet": "50ms", "watch.rescan": "500ms", "retry.first": "50ms", "retry.max": "500ms"}
CONCERN = ("lgsco", "unimplemented-recommendation", "Leeds")
FILES = 4


class Supervised:
    """One daemon that always runs; `lives` counts how often it was started."""

    def __init__(self, one: Running, fault: Fault) -> None:
        self.one = one
        self.lives = 0
        self.said = one.home.root.parent / f"{one.home.root.name}.log"
        self._fault = fault
        self._process: subprocess.Popen[bytes] | None = None

    def keep_alive(self) -> None:
        """Start it, or start it again if it has ended."""
        if self._process is not None and self._process.poll() is None:
            return
        faulty = ["strace", "-f", "-o", f"{self.said}.strace", f"--trace={self._fault.call}",
                  "-e", self._fault.injection]  # fmt: skip
        with self.said.open("ab") as log:
            self._process = subprocess.Popen(
                [*(faulty if self.lives == 0 else ()), sys.executable, "-m", "exchange", "--home",
                 str(self.one.home.root), "run"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self.lives += 1

    def was_met(self) -> bool:
        """Whether its fault happened at least once."""
        log = Path(f"{self.said}.strace").read_text(errors="replace")
        return ("+++ killed by SIGKILL" if self._fault.kind == KILL else "(INJECTED)") in log

    def stop(self) -> None:
        """End it as a service manager does: by the number that the daemon has written down."""
        if self._process is None:
            return
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is None:
            assert time.monotonic() < deadline, "the daemon does not end"
            pid = self.one.home.pid_file.read_text().strip() if self.one.home.pid_file.exists() else ""
            if pid and Path(f"/proc/{pid}").exists():
                subprocess.run(["kill", f"-{signal.SIGTERM.value}", pid], check=False)
            time.sleep(0.1)


@contextmanager
def supervised(base: Path, fault: Fault) -> Iterator[dict[str, Supervised]]:
    with exchange(base, dict(SETTINGS)) as both:
        daemons = {name: Supervised(one, fault) for name, one in both.items()}
        try:
            yield daemons
        finally:
            for daemon in daemons.values():
                daemon.stop()


def until(daemons: dict[str, Supervised], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, [daemon.said.read_text() for daemon in daemons.values()]
        for daemon in daemons.values():
            daemon.keep_alive()
        time.sleep(0.1)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("fsync", 9, "EIO"),
        Fault("pwrite64", 40, "ENOSPC"),
        Fault("connect", 1, "ECONNREFUSED"),
        Fault("fsync", 6, KILL),
        Fault("sendto", 7, KILL),
    ],
    ids=lambda fault: f"{fault.call} {fault.kind}",
)
def test_daemons_that_die_or_fail_at_a_call_lose_and_double_nothing(tmp_path: Path, fault: Fault) -> None:
    with supervised(tmp_path, fault) as daemons:
        lgsco, ofsted = (daemons[name].one for name in ("lgsco", "ofsted"))
        for daemon in daemons.values():
            daemon.keep_alive()
        sent = {f"{CASE} {n}.pdf": f"decision {n} ".encode() * 10 ** (n + 1) for n in range(FILES)}
        for name, content in sent.items():
            lgsco.drop(content, name)
        ofsted.drop(b"{}", f"{CASE} concern.json", CONCERN)

        def at_rest() -> bool:
            try:
                return (
                    lgsco.states() == ["acknowledged"] * FILES
                    and ofsted.states() == ["acknowledged"]
                    and not any(
                        one.files(folder) for one in (lgsco, ofsted) for folder in (one.home.spool, one.sshd.zone)
                    )
                )
            except OSError:
                return False  # a file went away while we looked

        until(daemons, at_rest)
        for daemon in daemons.values():
            daemon.stop()
        assert {p.name: p.read_bytes() for p in ofsted.files(ofsted.home.inbound)} == sent
        assert [p.read_bytes() for p in lgsco.files(lgsco.home.inbound)] == [b"{}"]
        for daemon in daemons.values():
            daemon.one.verify()
            events = daemon.one.events()
            assert events.count("acknowledged") == daemon.one.states().count("acknowledged")
            assert events.count("delivered") == len(daemon.one.states("in"))
            assert not {"witness.conflict", "quarantined", "envelope.quarantined"} & set(events)
            assert not NOT_FOR_PEOPLE.search(daemon.said.read_text())
            assert "round.broken" not in daemon.said.read_text()
            assert daemon.was_met(), f"{daemon.one.home.root.name} never met its fault"
            if fault.kind != KILL and '"daemon.ready"' in daemon.said.read_text().partition("error: ")[0]:
                assert daemon.lives == 1
