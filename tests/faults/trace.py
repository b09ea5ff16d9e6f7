"""strace beside a command: which system calls it made about our folders and the network, and a fault at one of them.

A point is a call by its name and number within a thread, as strace counts for `when=`; counting begins when strace
attaches itself, after start-up.

>>> line = '12 openat(AT_FDCWD</work>, "/tmp/base/lgsco/handover.toml", O_RDONLY|O_CLOEXEC) = 3'
>>> [call.name for call in calls(line, "/tmp/base")]
['openat']
>>> calls(line, "/tmp/other")
[]
>>> Fault("openat", 7, "EIO").injection
'inject=openat:error=EIO:when=7'
"""

import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KILL = "KILL"
"""The fault that is no error: the process dies before the call is made."""

ABOUT_FILES = {
    "openat": (KILL, "EIO", "ENOSPC", "EINTR", "EMFILE"),
    "write": (KILL, "EIO", "ENOSPC", "EINTR"),
    "pwrite64": (KILL, "EIO", "ENOSPC", "EINTR"),
    "writev": (KILL, "EIO", "ENOSPC"),
    "fsync": (KILL, "EIO", "ENOSPC", "EINTR"),
    "fdatasync": (KILL, "EIO", "ENOSPC", "EINTR"),
    "rename": (KILL, "EIO", "ENOSPC"),
    "renameat": (KILL, "EIO", "ENOSPC"),
    "renameat2": (KILL, "EIO", "ENOSPC"),
    "link": (KILL, "EIO"),
    "linkat": (KILL, "EIO"),
    "unlink": (KILL, "EIO"),
    "unlinkat": (KILL, "EIO"),
    "mkdir": (KILL, "EIO", "ENOSPC"),
    "mkdirat": (KILL, "EIO", "ENOSPC"),
    "rmdir": (KILL, "EIO"),
    "ftruncate": (KILL, "EIO", "ENOSPC"),
    "chmod": (KILL, "EIO"),
    "fchmod": (KILL, "EIO"),
    "fchmodat": (KILL, "EIO"),
    "close": (KILL, "EIO"),
    "read": ("EIO", "EINTR"),
    "pread64": ("EIO", "EINTR"),
    "getdents64": ("EIO",),
    "newfstatat": ("EIO",),
    "stat": ("EIO",),
    "lstat": ("EIO",),
    "fstat": ("EIO",),
    "statfs": ("EIO",),
    "access": ("EIO",),
    "flock": ("EIO",),
    "fcntl": ("ENOLCK",),
    "lseek": ("EIO",),
    "mmap": ("ENOMEM",),
}
ABOUT_THE_NETWORK = {
    "connect": (KILL, "ECONNREFUSED", "ETIMEDOUT", "EINTR"),
    "sendto": (KILL, "ECONNRESET", "EPIPE", "EINTR"),
    "recvfrom": (KILL, "ECONNRESET", "EINTR"),
}
CALLS = {**ABOUT_FILES, **ABOUT_THE_NETWORK}
"""System calls, and the faults that are tried at each."""

_CALL = re.compile(r"(\d+) +(\w+)\((.*)")
_ATTACH_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Which call, by its number from 1 on within a thread, and what happens to it."""

    call: str
    number: int
    kind: str

    @property
    def injection(self) -> str:
        """As strace wants it."""
        what = "signal=SIGKILL" if self.kind == KILL else f"error={self.kind}"
        return f"inject={self.call}:{what}:when={self.number}"


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was seen: its name, its number within its thread, and what it was about."""

    name: str
    number: int
    about: str


def calls(log: str, base: str) -> list[Call]:
    """The calls of a log that are about files below `base` or about the network, in their order.

    Only the first of a name and number counts, since strace counts within each thread.
    """
    counts: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, int], Call] = {}
    for line in log.splitlines():
        match = _CALL.match(line)
        if match is None or match[2] not in CALLS:
            continue
        thread, name, rest = match.groups()
        counts[thread, name] += 1
        # giving back a lock never fails
        if name in ABOUT_THE_NETWORK or (base in rest and "F_UNLCK" not in rest):
            number = counts[thread, name]
            found.setdefault((name, number), Call(name, number, rest))
    return list(found.values())


@contextmanager
def strace(pid: int, log: Path, *options: str, also: Sequence[int] = ()) -> Iterator[None]:
    """strace attached to a waiting process; at the end of the block it has seen the end of that process.

    It watches what the processes `also` do meanwhile, too.
    """
    pids = (pid, *also)
    process = subprocess.Popen(
        ["strace", "-f", *(word for one in pids for word in ("-p", str(one))), "-o", str(log), *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + _ATTACH_SECONDS
        while not all(map(_is_traced, pids)):
            assert process.poll() is None, "strace does not attach itself"
            assert time.monotonic() < deadline, "strace does not attach itself"
            time.sleep(0.002)
        yield
        if also:
            process.terminate()
        process.wait(_ATTACH_SECONDS)
    finally:
        process.kill()
        process.communicate()


def _is_traced(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return re.search(r"^TracerPid:\s+[1-9]", status, re.MULTILINE) is not None
