"""Finds one file below a folder in which people may write, rename and link as they like, and takes it out of there.

Every folder on the way is opened from the one above it, and none of them may be a link; the file is opened once, and
everything after that is about what was opened. So nobody can put another file in its place, or another folder in the
way, and have that destroyed: what was taken and is not what was looked at goes back.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from config.errors import NotNow, Refused
from exchange import files
from exchange.rename import rename_new

_PIECE = 1024 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)
"""No such name, a file or a link where a folder was, a link or a socket where the file was."""


class NotThere(Refused):
    """The file does not lie where it was put."""

    reason = "not-found"


class NotTheOne(Refused):
    """Something lies there that is not the file that was handed over."""

    reason = "changed"


@dataclass(frozen=True, slots=True)
class Found:
    """A file that was opened in its folder."""

    folder: int
    """The folder's descriptor."""
    name: str
    file: BinaryIO

    @property
    def status(self) -> os.stat_result:
        """Of what was opened, whatever its name stands for by now."""
        return os.fstat(self.file.fileno())


@contextmanager
def found(root: Path, place: tuple[str, ...]) -> Iterator[Found]:
    """The file at `place` below `root`, for a `with` block; raises NotThere."""
    missing = NotThere("no file lies where it was put")
    with _folder(root, place[:-1]) as folder, _opened(place[-1], missing, folder) as file:
        yield Found(folder, place[-1], file)


def _opened(path: str | Path, else_: Refused, folder: int | None = None) -> BinaryIO:
    """A regular file, which is opened once; raises `else_` where there is none."""
    try:
        handle = os.open(path, _FILE, dir_fd=folder)
    except OSError as problem:
        if problem.errno in _GONE:
            raise else_ from None
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise else_
    return os.fdopen(handle, "rb")


@contextmanager
def _folder(root: Path, parts: tuple[str, ...]) -> Iterator[int]:
    if not all(parts) or any(part in (".", "..") or "/" in part or "\0" in part for part in parts):
        raise NotThere("the recorded place of a file is none")
    try:
        # which folder this is, the administrator decides: it may be a link itself
        handle = os.open(root, _FOLDER)
    except FileNotFoundError:
        raise NotNow("a folder of the home is missing", hint="mount it again, or 'handover config check'") from None
    try:
        for part in parts:
            inner = _open_inner(part, handle)
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def _open_inner(part: str, folder: int) -> int:
    try:
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as problem:
        if problem.errno in _GONE:
            raise NotThere("a file's folder is gone") from None
        raise


def require(file: BinaryIO, expected: str) -> os.stat_result:
    """Raise NotTheOne unless an open file has this content and keeps still while it is read; how it looked then."""
    before = os.fstat(file.fileno())
    file.seek(0)
    digest = sha256()
    while piece := file.read(_PIECE):
        digest.update(piece)
    if digest.hexdigest() != expected:
        raise NotTheOne("a file is not the one that was handed over")
    if _look(os.fstat(file.fileno())) != _look(before):
        raise NotTheOne("a file was changed while it was looked at")
    return before


def require_at(path: Path, expected: str) -> None:
    """The same for a file in a folder of our own."""
    with _opened(path, NotTheOne("what was taken is no file")) as file:
        require(file, expected)


def take(one: Found, target: Path, seen: os.stat_result) -> None:
    """Move what was found to `target`, in a folder of our own; raises NotTheOne, and it is where it was.

    `seen` is how it looked when its content was read.
    """
    if _look(os.stat(one.name, dir_fd=one.folder, follow_symlinks=False)) != _look(seen):
        raise NotTheOne("another file lies in a file's place by now")
    try:
        os.rename(one.name, target, src_dir_fd=one.folder)
    except OSError as problem:
        if problem.errno == errno.EXDEV:
            raise NotNow(files.OTHER_DISK, hint=files.ONE_DISK) from None
        raise
    if _look(target.lstat()) != _look(seen):
        give_back(target, one)
        raise NotTheOne("another file came into a file's place")
    files.sync_directory(target.parent)
    os.fsync(one.folder)


def give_back(source: Path, one: Found) -> None:
    """What was taken by mistake gets its name again, or the next free one: it may be anything, even a folder."""
    # the folder itself, wherever it has been moved to meanwhile
    folder = Path(f"/proc/self/fd/{one.folder}")
    for name in files.names_like(one.name):
        with contextlib.suppress(FileExistsError):
            rename_new(source, folder / name)
            return


def _look(status: os.stat_result) -> tuple[int, int, int, int, int]:
    return (status.st_dev, status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns)
