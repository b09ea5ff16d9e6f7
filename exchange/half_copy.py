"""A copy on its way into an outbound folder: hidden, locked until it has its name, and cleared away without its writer.

    .<16 hexadecimal digits>.submit.part

Whoever writes one holds a lock on it (flock), which ends with the process. So what has such a name and no lock was left
by a process that was killed, or by a power cut, and `clear` removes it. Nobody else's hidden files are touched: a
browser's download, or a copy over the network, may still be going on.
"""

import contextlib
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from exchange import files, walk

_ENDING = ".submit.part"
_NAME = re.compile(rf"\.[0-9a-f]{{16}}{re.escape(_ENDING)}")


@dataclass(frozen=True, slots=True)
class HalfCopy:
    """A hidden file, and the file to write to."""

    path: Path
    file: BinaryIO

    def finish(self) -> None:
        """All of it is written: make it durable, and let nobody think that it is still being written."""
        files.sync_file(self.file)
        self.file.close()


@contextmanager
def half_copy(folder: Path, mode: int = 0o666) -> Iterator[HalfCopy]:
    """A new one, for a `with` block; at its end it is gone, unless it was given its name."""
    copy, lock = _locked(folder, mode)
    try:
        with copy.file:
            yield copy
    finally:
        copy.path.unlink(missing_ok=True)
        os.close(lock)


def _locked(folder: Path, mode: int) -> tuple[HalfCopy, int]:
    while True:
        path = folder / f".{secrets.token_hex(8)}{_ENDING}"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        copy = HalfCopy(path, os.fdopen(handle, "wb"))
        # not the handle that is written to: the lock lasts longer
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            # where there are no locks, nothing is cleared either
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX)
            if os.fstat(lock).st_nlink:
                return copy, lock
            os.close(lock)
        # it was cleared away before it was locked
        copy.file.close()


def clear(outbound: Path) -> None:
    """Remove every such file below `outbound`, in folders that are looked into, that nobody has locked."""
    for folder, listing in walk.folders(outbound):
        for entry in listing:
            if _NAME.fullmatch(entry.name) is not None:
                with contextlib.suppress(OSError):
                    _clear_one(folder / entry.name)


def _clear_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            files.remove(path)
    finally:
        os.close(handle)
