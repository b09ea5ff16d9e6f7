"""What each kind of fault does to a running organisation, and how it ends.

A fault is a function that begins it and returns the one that ends it.
"""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.line import KIB, Line
from tests.soak.plan import Planned
from tests.soak.service import Service
from tests.sshd import make_key

End = Callable[[], None]

ERRORS = (
    "write:error=EIO", "write:error=ENOSPC", "pwrite64:error=EIO", "pwrite64:error=ENOSPC", "fsync:error=EIO",
    "fdatasync:error=EIO", "openat:error=EIO", "openat:error=EMFILE", "openat:error=EROFS", "rename:error=EIO",
    "rename:error=ENOSPC", "unlink:error=EIO", "mkdir:error=ENOSPC", "rmdir:error=EIO",
    "newfstatat:error=EIO", "getdents64:error=EIO", "read:error=EINTR", "connect:error=ETIMEDOUT",
    "connect:error=ECONNREFUSED", "sendto:error=ECONNRESET", "sendto:error=EPIPE", "recvfrom:error=ECONNRESET",
)  # fmt: skip
"""A close that fails is left to the sweep: Linux closes all the same, which strace prevents, and handles would run out.

Reads that fail with EIO are left to the sweep: of the ledger's own file they mean that it is damaged."""

DEADLY = ("fsync", "pwrite64", "rename", "unlink", "sendto", "write", "openat")
_DETACH = 10.0


@dataclass
class Disk:
    """A file system in memory, to be full or read-only for a while."""

    folder: Path
    options: str
    size: int

    def mount(self) -> None:
        """Make it."""
        _mount(self.folder, f"{self.options},size={self.size}")

    def unmount(self) -> None:
        """Remove it."""
        subprocess.run(["umount", "--lazy", self.folder], check=False)

    def fill(self, room: int) -> None:
        """Make it no larger than what lies there, and `room`."""
        with contextlib.suppress(
            subprocess.CalledProcessError
        ):  # more was written between the two: then it is not full
            self._remount(f"size={self._used() + room}")

    def empty(self) -> None:
        """As large as it was."""
        self._remount(f"size={self.size}")

    def forbid(self) -> None:
        """Read-only, if nobody is just writing."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self._remount("ro")

    def allow(self) -> None:
        """Writable again."""
        self._remount("rw")

    def _used(self) -> int:
        said = subprocess.run(["df", "--output=used", "-B1", self.folder], capture_output=True, text=True, check=True)
        return int(said.stdout.split()[-1])

    def _remount(self, what: str) -> None:
        _mount(self.folder, f"remount,{what}")


def _mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True, capture_output=True)


@dataclass
class Target:
    """One organisation, and everything of it that can break."""

    service: Service
    line: Line
    """From its daemon to its partner's server."""
    home: Disk
    zone: Disk
    """In which its partner's files land."""
    keys: list[str]
    """Whom its server lets in."""


def begin(target: Target, planned: Planned) -> End:
    """Begin a fault; what is returned ends it."""
    return _FAULTS[planned.kind](target, Random(planned.seed))


def _nothing() -> None:
    """Nothing is left to end."""


def _dies(number: signal.Signals) -> Callable[[Target, Random], End]:
    def begin(target: Target, _random: Random) -> End:
        target.service.wanted = False
        target.service.kill(signal.SIGCONT)
        target.service.kill(number)
        return lambda: setattr(target.service, "wanted", True)

    return begin


def _frozen(target: Target, _random: Random) -> End:
    target.service.kill(signal.SIGSTOP)
    return lambda: target.service.kill(signal.SIGCONT)


def _cut(*, reset: bool) -> Callable[[Target, Random], End]:
    def begin(target: Target, _random: Random) -> End:
        target.line.cut(reset=reset)
        return _nothing

    return begin


def _cut_after(target: Target, random: Random) -> End:
    target.line.cut()
    target.line.reset = random.random() < 0.5
    for _ in range(6):
        limit = int(10 ** random.uniform(1, 6))
        target.line.cuts.append((limit, None) if random.random() < 0.5 else (None, limit))
    return target.line.mend


def _silent(target: Target, random: Random) -> End:
    target.line.fall_silent(new_ones=random.random() < 0.5)

    def end() -> None:
        target.line.mend()
        if random.random() < 0.5:  # else a connection that was lost on the way stays half open
            target.line.cut()

    return end


def _slow(target: Target, random: Random) -> End:
    target.line.cut()
    target.line.rate = int(KIB * 2 ** random.uniform(0, 9))
    return _well_again(target)


def _late(target: Target, random: Random) -> End:
    target.line.delay = random.uniform(0.02, 0.3)
    target.line.cut()
    return _well_again(target)


def _well_again(target: Target) -> End:
    def end() -> None:
        target.line.mend()
        target.line.cut()

    return end


def _refused(target: Target, _random: Random) -> End:
    target.line.refuse()
    return target.line.mend


def _server_stopped(target: Target, _random: Random) -> End:
    target.service.one.sshd.stop()
    return target.service.one.sshd.start


def _sessions_killed(target: Target, _random: Random) -> End:
    for process in target.service.one.sshd.sessions():
        subprocess.run(["kill", "-KILL", str(process)], check=False, capture_output=True)
    return _nothing


def _login_refused(target: Target, _random: Random) -> End:
    sshd = target.service.one.sshd
    sshd.authorize(make_key()[1])
    for process in sshd.sessions():
        subprocess.run(["kill", str(process)], check=False, capture_output=True)
    return lambda: sshd.authorize(*target.keys)


def _full(of: Callable[[Target], Disk]) -> Callable[[Target, Random], End]:
    def begin(target: Target, random: Random) -> End:
        of(target).fill(int(4 * KIB * 2 ** random.uniform(0, 8)))
        return of(target).empty

    return begin


def _read_only(target: Target, _random: Random) -> End:
    target.zone.forbid()
    return target.zone.allow


def _calls(injection: Callable[[Random], str]) -> Callable[[Target, Random], End]:
    def begin(target: Target, random: Random) -> End:
        pid = target.service.pid()
        if pid is None:
            return _nothing
        what = injection(random)
        strace = subprocess.Popen(
            ["strace", "-f", "-q", "-o", "/dev/null", "-p", str(pid), f"--trace={what.partition(':')[0]}",
             "-e", f"inject={what}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

        def end() -> None:
            strace.terminate()
            deadline = time.monotonic() + _DETACH
            while strace.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            strace.kill()
            strace.wait()
            if target.service.pid() == pid:
                target.service.kill(signal.SIGCONT)

        return end

    return begin


def _fails(random: Random) -> str:
    return f"{random.choice(ERRORS)}:when={random.randint(1, 9)}+{random.choice((1, 2, 5, 20))}"


def _kills(random: Random) -> str:
    return f"{random.choice(DEADLY)}:signal=SIGKILL:when={random.randint(1, 60)}"


def _clock_fast(target: Target, random: Random) -> End:
    # not slow: the keys of these organisations are as old as the run, and were not valid before
    target.service.offset.write_text(str(random.uniform(1, 7200)))
    return lambda: _right(target)


def _right(target: Target) -> None:
    target.service.offset.write_text("0")


_FAULTS: dict[str, Callable[[Target, Random], End]] = {
    "killed": _dies(signal.SIGKILL),
    "terminated": _dies(signal.SIGTERM),
    "down": _dies(signal.SIGTERM),
    "frozen": _frozen,
    "cut": _cut(reset=False),
    "reset": _cut(reset=True),
    "cut-after": _cut_after,
    "silent": _silent,
    "slow": _slow,
    "late": _late,
    "refused": _refused,
    "refused-long": _refused,
    "server-stopped": _server_stopped,
    "sessions-killed": _sessions_killed,
    "login-refused": _login_refused,
    "zone-full": _full(lambda target: target.zone),
    "zone-read-only": _read_only,
    "home-full": _full(lambda target: target.home),
    "calls-fail": _calls(_fails),
    "call-kills": _calls(_kills),
    "clock-fast": _clock_fast,
}
