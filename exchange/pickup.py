"""Our own pick-up folder for a partner without a server: to those who send, a landing zone like any other.

    collect/<partner>/<id>.age.part     being written
    collect/<partner>/<id>.age          whole, on the disk, waiting for the partner to collect and delete it

The partner deletes there, so it can also create, rename and exchange whatever it likes, at any moment. Nothing there is
believed: the folder is opened once, every name in it is reached through that handle, what is written is always a new
file, nothing is followed, and nothing that lies there is ever opened.
"""

import contextlib
import errno
import os
import stat
import weakref
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from exchange import files
from exchange.landing import (
    ConnectionLost,
    LandingError,
    NotThere,
    PickupFull,
    PickupOccupied,
    PickupUnusable,
    Progress,
    Small,
    SourceChanged,
)

MODE = 0o644
"""Of what waits: to our files the partner is any other user. Who else could reach them, the folder decides."""

BATCH = 32
"""Small files whose names are synced together."""

_PIECE = 1024 * 1024
_IN_THE_WAY = (errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.EEXIST, errno.ELOOP)
"""What a name that the partner has occupied can cause."""


class PickupFolder:
    """One folder on this machine, as `Landing` describes it."""

    def __init__(self, folder: Path, partner: str) -> None:
        """Open it; raises PickupUnusable."""
        self._partner = partner
        self._path = folder
        self._closed = False
        with self._told():
            # only an administrator can exchange the folder itself: what lies above it is not the partner's
            self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # not by `close`: another thread may be at work, and the number soon be that of another folder
        weakref.finalize(self, os.close, self._folder)

    def put(self, source: BinaryIO, size: int, name: str, *, offset: int = 0, progress: Progress | None = None) -> None:
        """See Landing; always a new file, so there is nothing to go on behind."""
        with self._told():
            self._require_room(size)
            handle = self._create(name)
        try:
            self._fill(handle, source, size, progress)
        except (LandingError, SourceChanged, OSError):
            # half a file would keep the disk full
            with contextlib.suppress(OSError):
                self._unlink(name)
            raise
        finally:
            os.close(handle)

    def put_many(
        self, files: Iterable[Small], done: Callable[[Small], None] | None = None, *, sync: bool = True
    ) -> None:
        """See Landing."""
        placed: deque[Small] = deque()
        try:
            for small in files:
                self.put(BytesIO(small.data), len(small.data), small.name)
                with self._told():
                    self._rename(small.name, small.final)
                placed.append(small)
                if len(placed) == BATCH:
                    self._finish(placed, done)
        except LandingError:
            self._finish(placed, done)
            raise
        self._finish(placed, done)

    def resume_offset(self, source: BinaryIO, size: int, name: str) -> int:
        """See Landing: what lies there may have been exchanged, and on this machine a file is quickly written anew."""
        return 0

    def rename(self, old: str, new: str) -> None:
        """See Landing."""
        with self._told():
            try:
                self._rename(old, new)
            except FileNotFoundError:
                if self.size(new) is None:
                    raise
            self._sync()

    def list(self) -> list[tuple[str, int]]:
        """See Landing."""
        with self._told(), os.scandir(self._handle()) as entries:
            found = [(entry.name, self.size(entry.name)) for entry in entries]
        return sorted((name, size) for name, size in found if size is not None)

    def size(self, name: str) -> int | None:
        """See Landing; what is not a file of our own does not count."""
        with self._told():
            try:
                found = os.stat(name, dir_fd=self._handle(), follow_symlinks=False)
            except FileNotFoundError:
                return None
        ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1
        return found.st_size if ours else None

    def remove(self, name: str) -> None:
        """See Landing."""
        with self._told():
            self._unlink(name)
            self._sync()

    def get(
        self, name: str, dst: BinaryIO, *, most: int | None = None, progress: Callable[[int], None] | None = None
    ) -> int:
        """See Landing; nobody collects from himself."""
        raise NotThere(self._partner)

    def get_many(self, listed: Sequence[tuple[str, int]], done: Callable[[str, bytes], None]) -> None:
        """See Landing; nobody collects from himself."""

    def remove_many(self, names: Collection[str], done: Callable[[str], None]) -> None:
        """See Landing; nobody collects from himself."""

    def close(self) -> None:
        """See Landing."""
        self._closed = True

    def _create(self, name: str) -> int:
        self._unlink(name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(name, flags, MODE, dir_fd=self._handle())
        # the service's umask keeps everything from others
        os.fchmod(handle, MODE)
        return handle

    def _fill(self, handle: int, source: BinaryIO, size: int, progress: Progress | None) -> None:
        source.seek(0)
        written = 0
        while written < size and (piece := source.read(min(_PIECE, size - written))):
            rest = memoryview(piece)
            with self._told():
                while rest:
                    rest = rest[os.write(handle, rest) :]
            written += len(piece)
            if progress is not None:
                progress(written)
        if written < size:
            raise SourceChanged("a file is shorter than it was when it was sealed")
        with self._told():
            os.fsync(handle)

    def _rename(self, old: str, new: str) -> None:
        os.rename(old, new, src_dir_fd=self._handle(), dst_dir_fd=self._handle())

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._handle())

    def _sync(self) -> None:
        os.fsync(self._handle())

    def _finish(self, placed: deque[Small], done: Callable[[Small], None] | None) -> None:
        if placed:
            with self._told():
                self._sync()
        while placed:
            small = placed.popleft()
            if done is not None:
                done(small)

    def _require_room(self, size: int) -> None:
        room = os.fstatvfs(self._handle())
        if room.f_bavail * room.f_frsize < size + files.RESERVE:
            raise PickupFull(self._partner)

    def _handle(self) -> int:
        if self._closed:
            raise ConnectionLost(self._partner, "it was closed")
        # one that was moved away, or that a disk was mounted on, is a folder that nobody looks into
        if not os.path.samestat(self._path.stat(), os.fstat(self._folder)):
            raise ConnectionLost(self._partner, "its folder was exchanged")
        return self._folder

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what the operating system says into a LandingError; an OSError would hold a name."""
        try:
            yield
        except OSError as problem:
            raise self._error(problem) from None

    def _error(self, problem: OSError) -> LandingError:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            return PickupFull(self._partner)
        if problem.errno in _IN_THE_WAY and self._path.is_dir():
            return PickupOccupied(self._partner)
        return PickupUnusable(self._partner, (problem.strerror or "unknown reason").lower())
