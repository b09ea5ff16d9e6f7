"""Two real daemons, each a process of its own, whose landing zones are served by OpenSSH."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from config.home import Home
from config.sample import Value
from exchange.audit import read_ledger, verify_home
from exchange.questions import Row, all_rows
from tests.organisations import CASE, DECISION, NAMES, PASSPHRASE, TOPOLOGIES, introduce, make_home
from tests.sshd import Sshd

PICKUP = "collect"
"""Name of the pick-up folder on the server of the one who hosts."""

PATIENCE = 60.0
"""Seconds that a test waits for what must happen: far more than it takes on a busy machine."""


@dataclass
class Running:
    """One organisation: its home, its SFTP server, and its daemon while that runs."""

    home: Home
    sshd: Sshd
    process: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def log_file(self) -> Path:
        return self.home.root / "daemon.log"

    def log(self) -> list[dict[str, object]]:
        """Every line of the daemon's log; each must be JSON."""
        return [json.loads(line) for line in self.log_file.read_text().splitlines()]

    def command(self, *arguments: str, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Run one `handover` command on this home."""
        return subprocess.run(
            [sys.executable, "-m", "exchange", "--home", str(self.home.root), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, **self.environment},
            check=False,
        )

    def start(self) -> None:
        """Start the daemon and wait until it is ready."""
        with self.log_file.open("ab") as log:
            before = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "exchange", "--home", str(self.home.root), "run"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
            )
        wait_for(lambda: b"daemon.ready" in self.log_file.read_bytes()[before:] or self._ended())
        assert self.process.poll() is None, self.log_file.read_text()

    def _ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(number)
        return process.wait(PATIENCE)

    def rows(self) -> list[Row]:
        return all_rows(self.home)

    def states(self, direction: str = "out") -> list[str]:
        return [row.state for row in self.rows() if row.direction == direction]

    def events(self) -> list[str]:
        with read_ledger(self.home) as ledger:
            # tests that wait ask again and again
            return [event for (event,) in ledger.rows("SELECT event FROM entries ORDER BY seq")]

    def drop(self, content: bytes, name: str = f"{CASE} decision.pdf", folders: tuple[str, ...] = DECISION) -> None:
        """Drop a file as a careful program does: under another name, then renamed."""
        folder = self.home.outbound.joinpath(*folders)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.part").write_bytes(content)
        (folder / f"{name}.part").rename(folder / name)

    def files(self, folder: Path) -> list[Path]:
        return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))

    def waiting(self) -> list[Path]:
        """Every file on the server: what has landed, and what the partner is to collect."""
        folders = (self.sshd.zone, self.sshd.base / PICKUP)
        return [path for folder in folders if folder.is_dir() for path in self.files(folder)]

    def verify(self) -> None:
        report = verify_home(self.home)
        assert report.ok, report.problems


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds; fails after PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "what should have happened did not"
        time.sleep(0.1)


@contextmanager
def exchange(
    base: Path, values: dict[str, Value] | None = None, topology: str = "push"
) -> Iterator[dict[str, Running]]:
    """Both organisations, introduced, each with its own sshd; the daemons are not started.

    `values` go into both homes, but for settings about the organisation itself as a partner. In another topology one of
    the two servers does not run: its organisation collects from a second folder on the other.
    """
    with ExitStack() as stack:
        servers = {organisation: stack.enter_context(Sshd()) for organisation in NAMES}
        homes = {}
        collector = TOPOLOGIES[topology]
        if collector:
            servers[collector].stop()
        for organisation, server in servers.items():
            address = server.address()
            host = next(other for other in NAMES if other != organisation)
            homes[organisation] = make_home(
                base,
                organisation,
                {
                    "keys.passphrase_file": "passphrase",
                    "watch.quiet": "300ms",
                    "watch.rescan": "2s",
                    "retry.first": "200ms",
                    "retry.max": "1s",
                    "landing.port": server.port,
                    "landing.user": address.user,
                    "landing.path": address.path,
                    "landing.host_keys": [server.host_public],
                    **(collecting(servers[host], host) if organisation == collector else {}),
                    **{key: value for key, value in (values or {}).items() if f".{organisation}." not in key},
                },
                server=organisation != collector,
            )
            passphrase = homes[organisation].root / "passphrase"
            passphrase.touch(mode=0o600)
            passphrase.write_text(PASSPHRASE.reveal())
        introduce(homes, base)
        running = {}
        for organisation, partner in (("lgsco", "ofsted"), ("ofsted", "lgsco")):
            _serve(homes[organisation].landing / partner, servers[organisation].zone)
            if partner == collector:
                _serve(homes[organisation].collect / partner, servers[organisation].base / PICKUP)
            running[organisation] = Running(homes[organisation], servers[organisation])
            _authorize(servers[partner], homes[organisation])
        try:
            yield running
        finally:
            for one in running.values():
                if one.process is not None:
                    one.process.kill()
                    one.process.wait()


def collecting(server: Sshd, host: str) -> dict[str, Value]:
    """What is said of the partner who hosts, for a new pick-up folder on its server."""
    path = server.seen(server.new_folder(PICKUP))
    return {f"partners.{host}.collect.path": path, f"partners.{host}.collect.every": "250ms"}


def _serve(folder: Path, served: Path) -> None:
    """A folder of the home is one that sshd serves."""
    folder.rmdir()
    folder.symlink_to(served)


def _authorize(server: Sshd, home: Home) -> None:
    from exchange.audit import public_keyring

    server.authorize(*(info.public for info in public_keyring(home).infos() if info.purpose == "transport"))
