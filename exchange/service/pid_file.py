"""The pid file of a home: whoever holds its lock is the only daemon there; the lock dies with the process.

The file is removed after a clean stop. So a lock only counts if, once it is held, the file that is locked is still the
one that has the name: another process may have opened the file just before its owner removed it.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from config.errors import NotNow

PATIENCE = 1.0
"""Seconds after which a lock that somebody else holds is a daemon's: a command that looks holds it for no time."""

_PAUSE = 0.05


@contextlib.contextmanager
def only_one(pid_file: Path) -> Iterator[None]:
    """Hold the home for this process; raises NotNow when another daemon has it."""
    deadline = time.monotonic() + PATIENCE
    while (handle := _hold(pid_file)) is None:
        if time.monotonic() > deadline:
            raise NotNow("another handover daemon runs on this home", hint="stop it first, or let it do the work")
        time.sleep(_PAUSE)
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
        pid_file.unlink(missing_ok=True)
    finally:
        os.close(handle)


def is_held(pid_file: Path) -> bool:
    """Whether a daemon holds the home at this moment."""
    try:
        with pid_file.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _hold(pid_file: Path) -> int | None:
    """The locked file, if nobody else had it and it is still the one of that name."""
    handle = os.open(pid_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), pid_file.lstat()):
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None
