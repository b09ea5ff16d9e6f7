"""The files that our private keys lie in: read only where nobody else could have, written whole or not at all.

    DIR                       0700, ours         FILE    regular, 0600 or stricter, ours, no link
    write                     .FILE.XXXX.tmp → write → fsync → rename → fsync DIR

A file is checked after it was opened, not before, so that it cannot be exchanged in between.
"""

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from config.durable import sync_directory
from config.errors import NotNow
from keys.key_errors import DamagedKey, ExposedKey, ForeignOwner, MissingKey, UnreadableKey

MAX_FILE = 64 * 1024
"""Longest file that is read: a private key and its public half each take under 5 KB."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check_folder(folder: Path) -> None:
    """Raise the error that fits if `folder` is not a folder that is ours alone."""
    try:
        status = folder.lstat()
    except FileNotFoundError:
        raise MissingKey("the key folder is not there", hint="make it with 'handover init'") from None
    except OSError as error:
        raise _unreadable("the key folder", error) from None
    if not stat.S_ISDIR(status.st_mode):
        raise DamagedKey("the key folder is not a folder", hint="a link is not followed here; put the folder itself")
    _check_access(status, "the key folder", "700")


def names(folder: Path) -> list[str]:
    """The names of all files in `folder`, sorted; those of unfinished writes left out."""
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise _unreadable("the key folder", error) from None


def check_file(path: Path, what: str) -> None:
    """Raise the error that fits if `path` is not a file that is ours alone; `what` names it."""
    with _opened(path, what):
        pass


def read(path: Path, what: str) -> bytes:
    """The bytes of a file that is ours alone; `what` names it in errors."""
    with _opened(path, what) as file:
        try:
            data = file.read(MAX_FILE + 1)
        except OSError as error:
            raise _unreadable(what, error) from None
    if len(data) > MAX_FILE:
        raise DamagedKey(f"{what} is far longer than any key", hint="restore it from the backup of the keys")
    return data


def write(path: Path, data: bytes) -> None:
    """Put `data` at `path`, for us alone: after a crash there is the old file or the new one. NotNow if it cannot."""
    try:
        _write(path, data)
        sync_directory(path.parent)
    except OSError as error:
        raise NotNow(f"a key cannot be written: {error.strerror}", hint="nothing was changed") from None


def remove(path: Path) -> None:
    """Delete a file, durably; one that is not there counts as deleted. NotNow if it cannot be."""
    try:
        path.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise NotNow(f"a key cannot be deleted: {error.strerror}", hint="it is tried again") from None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` against other processes of ours that add keys."""
    check_folder(folder)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def _opened(path: Path, what: str) -> Iterator[BinaryIO]:
    try:
        # O_NONBLOCK: a pipe in the place of a file must not hang us
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise MissingKey(f"{what} is not there", hint="restore it from the backup of the keys") from None
    except OSError as error:
        raise _unreadable(what, error) from None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise DamagedKey(f"{what} is not a regular file", hint="restore it from the backup of the keys")
        _check_access(status, what, "600")
        yield file


def _write(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)  # 0600, new, not followed
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _check_access(status: os.stat_result, what: str, mode: str) -> None:
    # SPEC: FORMATS 6 directory 0700, files 0600, checked at start
    if status.st_uid != os.geteuid():
        raise ForeignOwner(
            f"{what} belongs to user {status.st_uid}, but this is user {os.geteuid()}",
            hint="run as the user of the service, or give it that owner with chown",
        )
    if status.st_mode & _OTHERS:
        raise ExposedKey(
            f"{what} is open to other users (mode {stat.S_IMODE(status.st_mode):o}, expected {mode})",
            hint=f"close it with chmod {mode}, and rotate the keys if anybody else was on this machine",
        )


def _unreadable(what: str, error: OSError) -> UnreadableKey:
    return UnreadableKey(f"{what} cannot be read: {error.strerror}", hint="run as the user of the service")
