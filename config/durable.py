"""Folders and files that survive a power cut: what has returned from here is on the disk.

A file is whole or not there at all, whenever the power goes; a name is durable when its folder has been synced.
"""

import errno
import os
import secrets
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_there(path: Path) -> bool:
    """Whether anything lies at `path`, be it a link to nothing; raises OSError where that cannot be found out.

    `os.path.lexists` takes every error for a no, and what is cleared away because it seemed to be gone is lost.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def make_directory(directory: Path, mode: int = 0o750) -> None:
    """Create `directory` and its missing parents durably."""
    if directory.is_dir():
        return
    # looked at once more: another may have made it just now
    if is_there(directory) and not directory.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(directory))
    make_directory(directory.parent, mode)
    directory.mkdir(mode=mode, exist_ok=True)
    sync_directory(directory.parent)


def write_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a whole file, replacing an older one of the same name."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
