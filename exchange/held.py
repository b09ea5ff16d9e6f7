"""Finds the file of one handover in `held/`, by the explanation beside it, which ends with the handover's id.

People write to this folder too: nothing but the end of a plain file is read, and nothing is followed.
"""

import errno
import os
import stat
from pathlib import Path

from exchange import archive
from exchange.drop import WHY

_NOT_FOR_US = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO)
"""Why something in held/ is not an explanation of ours: it has gone, or it is a link, a socket, or not to be read."""


def find(held: Path, identifier: str) -> tuple[Path | None, Path | None]:
    """The explanation of a held file, and the file beside it; None for what is gone.

    Raises OSError where this machine fails to read it now.
    """
    wanted = f"Handover:  {identifier}\n".encode()
    for why in held.rglob(f"*{WHY}"):
        if _end_of(why, len(wanted)) == wanted:
            for path in why.parent.iterdir():
                if path != why and archive.fitting(path.name, WHY) == why.name:
                    return why, path
            return why, None
    return None, None


def _end_of(path: Path, size: int) -> bytes:
    """The last bytes of a plain file; empty for anything else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        if problem.errno not in _NOT_FOR_US:
            raise
        return b""
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size < size:
            return b""
        file.seek(-size, os.SEEK_END)
        return file.read(size)
