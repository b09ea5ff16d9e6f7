"""Durable file operations: what has returned from here survives a power cut, and nothing is ever overwritten.

A rename is atomic but not durable: the directories on both sides are synced before a function returns. A name that
is taken is never replaced, and nothing is put there to keep it free: `place` renames in a way that fails where there
is something (`exchange/rename.py`), and tries the next name. With a note, a placement can be repeated after a crash:
the note says where the file was about to appear.

    note written -> renamed            no source left: it is where the note says
"""

import errno
import json
import os
import secrets
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from config import durable
from config.errors import NotNow, Refused
from exchange.rename import rename_new

NAME_MAX = 255
"""Longest file name in bytes on the file systems that Linux offers."""

_SUFFIX_MAX = 32
"""Bytes of a suffix that is kept whole; what is longer is no suffix, and may have to be shortened."""

RESERVE = 1024 * 1024
"""Bytes of a disk that files leave free: a ledger that cannot write stops everything."""

OTHER_DISK = "a folder of the home lies on another file system than the spool"
ONE_DISK = "put outbound, inbound, held, sent and spool on one file system, under one mount"

_PIECE = 1024 * 1024

sync_directory = durable.sync_directory
make_directory = durable.make_directory
is_there = durable.is_there


class DiskFull(NotNow):
    """There is no room for what would have to be written."""


class TooLarge(Refused):
    """A file of somebody else that is larger than allowed, or does not stop growing."""

    reason = "too-large"


def may_read(path: Path) -> bool:
    """Whether we have the right to read what lies at `path`; raises OSError where that cannot be found out.

    `os.access` takes a failing disk for a missing right, and the file would be refused for good.
    """
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
    except PermissionError:
        return False
    except OSError as problem:
        # a link, a socket: no file, but that is another objection
        if problem.errno not in (errno.ELOOP, errno.ENXIO):
            raise
    return True


def sync_directories(directories: Iterable[Path]) -> None:
    """Make the names in several folders durable, each folder once."""
    for directory in dict.fromkeys(directories):
        sync_directory(directory)


def sync_file(file: BinaryIO) -> None:
    """Make what was written to an open file durable."""
    file.flush()
    os.fsync(file.fileno())


def require_room(directory: Path, size: int, what: str = "a file") -> None:
    """Raise DiskFull unless `size` more bytes fit and RESERVE bytes are left for the ledger."""
    if room_in(directory) < size + size // 1000:
        raise no_room(what)


def room_in(directory: Path) -> int:
    """How many bytes fit so that RESERVE bytes are left; less than zero where they are not."""
    room = os.statvfs(directory)
    return room.f_bavail * room.f_frsize - RESERVE


def no_room(what: str = "a file") -> DiskFull:
    """What is said where there is none."""
    return DiskFull(f"the disk has no room for {what}", hint="make room; it goes on by itself")


def write_new(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a whole file that is there completely or not at all, replacing an older one of the same name."""
    write_all_new({path: data}, mode)


def write_all_new(contents: Mapping[Path, bytes], mode: int = 0o600) -> None:
    """The same for many files: all are synced one after the other, which a disk does far quicker than one at a time.

    Where that fails, some of them may be there; each is whole.
    """
    temporaries = {path: path.with_name(f".{secrets.token_hex(8)}.part") for path in contents}
    try:
        for path, temporary in temporaries.items():
            _write(temporary, contents[path], mode)
        for temporary in temporaries.values():
            with temporary.open("rb") as file:
                sync_file(file)
        for path, temporary in temporaries.items():
            temporary.replace(path)
    except BaseException:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)
        raise
    sync_directories(path.parent for path in contents)


def _write(path: Path, data: bytes, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def move(source: Path, target: Path) -> None:
    """Rename within one file system, durably on both sides; raises NotNow where that is impossible."""
    rename(source, target)
    _sync_both(source, target)


def rename(source: Path, target: Path) -> None:
    """The same, but not yet durable."""
    with _one_file_system():
        source.replace(target)


def move_new(source: Path, target: Path) -> bool:
    """The same, but False, and nothing has moved, where `target` is there already."""
    try:
        with _one_file_system():
            rename_new(source, target)
    except FileExistsError:
        return False
    _sync_both(source, target)
    return True


@contextmanager
def _one_file_system() -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        if problem.errno == errno.EXDEV:
            raise NotNow(OTHER_DISK, hint=ONE_DISK) from None
        raise


def can_be_moved(source: Path, target: Path) -> bool:
    """Whether a file of one folder can be renamed into another; nothing is touched.

    Linux compares the mounts before it looks for the file: a second mount of the same disk counts as another disk.
    """
    name = f".{secrets.token_hex(16)}"
    try:
        if source.stat().st_dev != target.stat().st_dev:
            return False
        (source / name).rename(target / name)
    except OSError as problem:
        return problem.errno != errno.EXDEV
    return True


def _sync_both(source: Path, target: Path) -> None:
    sync_directories((target.parent, source.parent))


def bring(source: Path, target: Path, limit: int) -> None:
    """Move a file that may lie on another file system: where a rename is impossible, a synced copy takes its place.

    Of a file that is larger than `limit` bytes, or grows while it is copied, nothing is kept: raises TooLarge.

    A crash in between leaves it in both places, never in none.
    """
    try:
        source.replace(target)
    except OSError as problem:
        if problem.errno != errno.EXDEV:
            raise
        temporary = target.with_name(f".{target.name}.part")
        # the folder belongs to somebody else, who may put a link there at any moment
        handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            with os.fdopen(handle, "rb") as original, temporary.open("wb") as copy:
                _copy(original, copy, limit)
                sync_file(copy)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(target.parent)
        source.unlink()
    else:
        sync_directory(target.parent)
    sync_directory(source.parent)


def place(
    source: Path,
    directory: Path,
    name: str,
    note: Path | None = None,
    *,
    taken: Callable[[Path], bool] = is_there,
    room: int = 0,
    **facts: str,
) -> Path:
    """Move `source` into `directory` under `name`, or `name (2)`, `name (3)` … where that is `taken`; returns where it
    is now. Whatever appears there at the same moment keeps its name.

    With a `note`, a file that the caller keeps until it needs no repetition, the same call after a crash finishes
    the same placement. `facts` are kept in the note. `room` is that of `names_like`.
    """
    if note is not None and note.exists() and was_placed(source, note):
        return Path(read_note(note)["target"])
    make_directory(directory)
    for target in map(directory.joinpath, names_like(name, room=room)):
        if taken(target):
            continue
        if note is not None:
            write_new(note, json.dumps({**facts, "target": str(target)}).encode("ascii"))
        if move_new(source, target):
            return target
    raise NotNow("no free name is left in a folder")  # names_like never ends


def was_placed(source: Path, note: Path) -> bool:
    """Whether the placement that a note announced has happened: the file is not here, or also there, where it stays."""
    target = Path(read_note(note)["target"])
    if is_there(source):
        if not is_there(target) or not os.path.samestat(source.lstat(), target.lstat()):
            return False
        source.unlink()
    if target.parent.is_dir():
        # the process may have been killed before it synced what it had renamed
        _sync_both(source, target)
    return True


def read_note(note: Path) -> dict[str, str]:
    """What a note of `place` says: `target`, and the facts that were given."""
    try:
        raw = json.loads(note.read_bytes())
    except ValueError:
        raw = None
    if not isinstance(raw, dict) or not isinstance(raw.get("target"), str):
        raise NotNow("a note in the spool cannot be read", hint="restore the spool, or ask for help")
    return raw


def bring_aside(source: Path, directory: Path, name: str, limit: int) -> Path:
    """Bring `source` into a directory in which nobody else writes, under `name` or the next free one."""
    make_directory(directory, 0o700)
    target = next(path for path in map(directory.joinpath, names_like(name)) if not is_there(path))
    bring(source, target, limit)
    return target


def _copy(source: BinaryIO, target: BinaryIO, limit: int) -> None:
    """Copy at most `limit` bytes: the owner of the source may go on appending to it without end."""
    left = limit
    while piece := source.read(min(_PIECE, left + 1)):
        left -= len(piece)
        if left < 0:
            raise TooLarge("a file is larger than is taken")
        target.write(piece)


def remove(path: Path) -> None:
    """Delete a file if it is there, durably."""
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync_directory(path.parent)


def remove_tree(directory: Path) -> None:
    """Delete a flat directory of ours and the files in it."""
    if not directory.is_dir():
        return
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()
    sync_directory(directory.parent)


def names_like(name: str, longest: int = NAME_MAX, *, room: int = 0) -> Iterator[str]:
    """Names to try without end: `name`, then `stem (2).suffix` …, each at most `longest` bytes and in NFC; from the
    second on, `room` bytes less, so that endings of that length tell them apart."""
    name = unicodedata.normalize("NFC", name)
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(os.fsencode(suffix)) > _SUFFIX_MAX:
        stem, dot, suffix = name, "", ""
    yield _shortened(stem, dot + suffix, longest)
    number = 2
    while True:
        yield _shortened(stem, f" ({number}){dot}{suffix}", longest - room)
        number += 1


def _shortened(stem: str, ending: str, longest: int) -> str:
    while len((stem + ending).encode("utf-8", "surrogateescape")) > longest and stem:
        stem = stem[:-1]
    return stem + ending
