"""One machine's disk: real files, and a memory of what a power cut could still take back.

    a name (create, rename, unlink, mkdir, rmdir)   may be undone until a directory that holds it is synced
    the content of a file                           may be short or empty until the file is synced
    a rename                                        happened or did not; never half
    after WRITTEN_BACK seconds                      the kernel has written all of it by itself

What is undone takes with it every later change that builds on it: one of the same name, one inside a directory that was
never made. SQLite's files are not touched: what it has committed is on the disk, that is its own affair.
"""

import errno
import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

WRITTEN_BACK = 40.0
"""Seconds after which nothing depends on a sync any more."""

link_free_rename, real_unlink, real_mkdir, real_rmdir, real_open = os.rename, os.unlink, os.mkdir, os.rmdir, os.open


@dataclass(slots=True)
class Change:
    """A name that was changed, and how to take that back."""

    paths: tuple[str, ...]
    at: float
    undo: Callable[[], None]
    grave: str | None = None
    """Where what it took away lies."""
    removes: bool = False
    makes: bool = False
    synced: bool = False


class Disk:
    """Everything below `root`; `graves` keeps what was deleted, for as long as that may be undone."""

    def __init__(self, root: Path, graves: Path, now: Callable[[], float]) -> None:
        self.prefix = f"{root}/"
        self._graves = graves
        self._now = now
        self._buried = 0
        self._changes: list[Change] = []
        self._unsynced: dict[int, float] = {}
        graves.mkdir()

    # --- what the program does --------------------------------------------------------------------------------------

    def opened(self, path: str, flags: int, mode: int) -> int:
        """os.open for writing."""
        new = not os.path.lexists(path)
        handle = real_open(path, flags, mode)
        if new:
            self._note((path,), lambda: real_unlink(path))
        if flags & (os.O_WRONLY | os.O_RDWR):
            self._unsynced[os.fstat(handle).st_ino] = self._now()
        return handle

    def rename(self, source: str, target: str) -> None:
        """os.replace."""
        grave = self._bury(target) if os.path.lexists(target) and not Path(source).samefile(target) else None
        try:
            link_free_rename(source, target)
        except OSError:
            if grave is not None:
                link_free_rename(grave, target)
            raise

        def undo() -> None:
            link_free_rename(target, source)
            if grave is not None:
                link_free_rename(grave, target)

        self._note((source, target), undo, grave)

    def unlink(self, path: str) -> None:
        """os.unlink."""
        if stat.S_ISDIR(os.lstat(path).st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        grave = self._bury(path)
        self._note((path,), lambda: link_free_rename(grave, path), grave)

    def mkdir(self, path: str, mode: int) -> None:
        """os.mkdir."""
        real_mkdir(path, mode)
        self._note((path,), lambda: shutil.rmtree(path), makes=True)

    def rmdir(self, path: str) -> None:
        """os.rmdir."""
        mode = stat.S_IMODE(os.lstat(path).st_mode)
        real_rmdir(path)
        self._note((path,), lambda: real_mkdir(path, mode), removes=True)

    def sync_file(self, handle: int) -> None:
        """os.fsync of a file: its content is safe."""
        self._unsynced.pop(os.fstat(handle).st_ino, None)

    def sync_directory(self, directory: str) -> None:
        """os.fsync of a directory: its names are safe, and the changes on which they build.

        Whether the directory itself is safe is another question; the one from which something came need not be.
        """
        needed: set[str] = set()
        gone: set[str] = set()
        for change in reversed(self._changes):
            if (
                any(_folder(path) == directory for path in change.paths)
                or not needed.isdisjoint(change.paths)
                or any(path.startswith(f"{removed}/") for removed in gone for path in change.paths)
            ):
                change.synced = True
                needed.update(change.paths)
                gone.update(change.paths if change.removes else ())
                for path in change.paths:
                    if _folder(path) != directory:
                        needed.update(map(str, Path(path).parents))
        self._forget()

    # --- what a power cut does --------------------------------------------------------------------------------------

    def is_safe(self, path: Path) -> bool:
        """Whether a file would be there, and whole, after a power cut now."""
        pending = any(str(path) in change.paths for change in self._changes if not change.synced)
        return not pending and path.stat().st_ino not in self._unsynced

    def may_come_back(self) -> Iterator[bytes]:
        """The content of every file that was taken away and would be there again after a power cut now."""
        for change in self._changes:
            if change.grave is not None and not change.synced and os.path.lexists(change.grave):
                yield Path(change.grave).read_bytes()

    def lose_power(self, chance: random.Random) -> int:
        """Take back what chance takes of all that was not synced; returns how many things that were."""
        self._forget()
        before = self._now() - WRITTEN_BACK
        how = chance.choice(("nothing", "everything", "some", "some"))
        lost: list[Change] = []
        for change in self._changes:
            drawn = not change.synced and change.at > before and (how == "everything" or chance.random() < 0.5)
            if (drawn and how != "nothing") or any(_builds_on(change, earlier) for earlier in lost):
                lost.append(change)
        for change in reversed(lost):
            change.undo()
        torn = self._tear(chance, {inode for inode, at in self._unsynced.items() if at > before}, how)
        self._changes.clear()
        self._unsynced.clear()
        return len(lost) + torn

    def _tear(self, chance: random.Random, inodes: set[int], how: str) -> int:
        torn = 0
        for path in sorted(Path(self.prefix).rglob("*")) if inodes and how != "nothing" else ():
            status = path.lstat()
            if status.st_ino in inodes and stat.S_ISREG(status.st_mode) and status.st_size and chance.random() < 0.7:
                os.truncate(path, chance.choice((0, chance.randrange(status.st_size))))
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
                torn += 1
        return torn

    def settle(self) -> None:
        """Everything is written: somebody has synced the whole disk."""
        self._changes.clear()
        self._unsynced.clear()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _note(
        self,
        paths: tuple[str, ...],
        undo: Callable[[], None],
        grave: str | None = None,
        *,
        removes: bool = False,
        makes: bool = False,
    ) -> None:
        self._changes.append(Change(paths, self._now(), undo, grave, removes, makes))
        if len(self._changes) > 500:
            self._forget()

    def _forget(self) -> None:
        """What is synced, or old, and builds on nothing that may be undone, can be forgotten."""
        before = self._now() - WRITTEN_BACK
        kept: list[Change] = []
        for change in self._changes:
            safe = change.synced or change.at <= before
            if not safe or any(_builds_on(change, earlier) for earlier in kept):
                kept.append(change)
        self._changes = kept
        for inode in [inode for inode, at in self._unsynced.items() if at <= before]:
            del self._unsynced[inode]

    def _bury(self, path: str) -> str:
        self._buried += 1
        grave = str(self._graves / str(self._buried))
        link_free_rename(path, grave)
        return grave


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _builds_on(later: Change, earlier: Change) -> bool:
    """Whether a change cannot have reached the disk without an earlier one."""
    if not set(later.paths).isdisjoint(earlier.paths):
        return True
    if earlier.makes and any(path.startswith(f"{earlier.paths[0]}/") for path in later.paths):
        return True
    return later.removes and any(path.startswith(f"{later.paths[0]}/") for path in earlier.paths)
