"""What lies in the outbound folders, and when a file there is complete.

    outbound/<partner>/<category>/<authority>/FILE          the folders say partner, category and authority
    outbound/<partner>/<category>/<authority>/FILE.concern.toml    optional sidecar, overrides

A scan looks at everything below `outbound` without following links. A file is complete when it has not changed
(size, modification time *and* inode) since our own first sighting for the quiet period, or has been closed after
writing or renamed in (then at once), and nobody holds it open for writing. Age by modification time
proves nothing, since copies preserve it.
"""

import contextlib
import errno
import fcntl
import os
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SIDECAR = ".concern.toml"
"""Ending of the file that says what the folders cannot."""

WHY = ".why.txt"
"""Ending of the explanation beside a held file."""

_UNFINISHED = (".part", ".tmp", ".partial", ".crdownload", ".filepart", ".swp")
_HIDDEN = (".", "~$")

MAX_FOLDERS = 3
"""partner, category, authority"""

LEASE_PAUSE = 1.0
"""Seconds after which a file that somebody holds open for writing is looked at again."""

_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO)
"""Why a file cannot be opened that nobody is writing to for that: it has gone, is not to be read, or is none."""

_NO_LEASES = (errno.EINVAL, errno.EACCES, errno.EPERM, errno.ENOSYS, errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOLCK)
"""What asking for a lease says where there are none, or none on the files of others."""

SCAN_DEPTH = 8
"""Deeper folders than this are not looked into: nobody sorts files so, and a hostile tree must end."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What `lstat` said about a file: if any of it changes, the file is not at rest."""

    size: int
    modified_ns: int
    inode: int
    device: int
    links: int
    mode: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Sighting":
        """From an `lstat` result."""
        kind = stat.S_IFMT(status.st_mode)
        return cls(status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev, status.st_nlink, kind)

    @property
    def is_regular(self) -> bool:
        """Neither link, directory, pipe, socket nor device."""
        return self.mode == stat.S_IFREG


@dataclass(frozen=True, slots=True)
class Candidate:
    """One file below `outbound`: its folders, its name, and how it looked."""

    path: Path
    folders: tuple[str, ...]
    sighting: Sighting

    @property
    def sidecar(self) -> Path:
        """Where its sidecar would be."""
        return self.path.with_name(self.path.name + SIDECAR)


def is_unfinished(name: str) -> bool:
    """Whether a name says that its file is still being written, or is not meant to be sent at all.

    >>> [is_unfinished(n) for n in ("decision.pdf", "decision.pdf.part", "~$decision.docx", ".DS_Store")]
    [False, True, True, True]
    """
    return name.startswith(_HIDDEN) or name.lower().endswith((*_UNFINISHED, SIDECAR))


def scan(outbound: Path) -> Iterator[Candidate]:
    """Every file below `outbound` whose name is not in progress, in the order of the folders' listing."""
    yield from _scan(outbound, ())


def folders(outbound: Path) -> Iterator[tuple[Path, bool]]:
    """`outbound`, and every folder below it that `scan` looks into, or would if it might; and whether files lie in it,
    as far as can be seen."""
    yield from _folders(outbound, 0)


def _folders(directory: Path, depth: int) -> Iterator[tuple[Path, bool]]:
    try:
        with os.scandir(directory) as entries:
            found = [(e.name, e.is_dir(follow_symlinks=False)) for e in entries if not is_unfinished(e.name)]
    except (FileNotFoundError, NotADirectoryError):
        return
    except PermissionError:
        found = []
    yield directory, any(not is_folder for _, is_folder in found)
    for name in [name for name, is_folder in found if is_folder] if depth < SCAN_DEPTH else ():
        yield from _folders(directory / name, depth + 1)


def _scan(directory: Path, folders: tuple[str, ...]) -> Iterator[Candidate]:
    try:
        listing = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    for entry in listing:
        if is_unfinished(entry.name):
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except (FileNotFoundError, PermissionError):
            continue
        if stat.S_ISDIR(status.st_mode):
            if len(folders) < SCAN_DEPTH:
                yield from _scan(directory / entry.name, (*folders, entry.name))
        else:
            yield Candidate(directory / entry.name, folders, Sighting.of(status))


class Completeness:
    """Remembers our own sightings, to tell a file at rest from one that is being written.

    `monotonic` gives seconds that never go back; `quiet` is the quiet period in seconds. One instance per
    daemon; `judge` and `closed` may be called from different threads.
    """

    def __init__(self, quiet: float, monotonic: Callable[[], float]) -> None:
        self._quiet = quiet
        self._monotonic = monotonic
        self._first: dict[Path, tuple[Sighting, float]] = {}
        self._closed: set[Path] = set()
        self._unmatched: set[Path] = set()
        self._hinting = threading.Lock()

    def closed(self, path: Path) -> None:
        """A hint from the watcher: `path` was closed after writing, or renamed in."""
        with self._hinting:
            self._closed.add(path)

    def judge(self, candidate: Candidate) -> bool:
        """Whether `candidate` is complete now; the first call for a file starts its quiet period."""
        return self.is_quiet(candidate) and self.is_finished(candidate)

    def is_quiet(self, candidate: Candidate) -> bool:
        """The first half of `judge`, which looks at nothing but the sighting: whether the quiet period is over."""
        now = self._monotonic()
        known = self._first.get(candidate.path)
        with self._hinting:
            hinted = candidate.path in self._closed
            self._closed.discard(candidate.path)
        if known is None or known[0] != candidate.sighting:
            # a hint counts only for a file with content: programs create, close and reopen empty files
            since = now - self._quiet if hinted and candidate.sighting.size > 0 else now
            known = (candidate.sighting, since)
            self._first[candidate.path] = known
        elif hinted and candidate.sighting.size > 0:
            known = (candidate.sighting, now - self._quiet)
            self._first[candidate.path] = known
        return now - known[1] >= self._quiet

    def is_finished(self, candidate: Candidate) -> bool:
        """The second half, for a file that is quiet: whether nobody holds it open for writing."""
        if candidate.sighting.is_regular and is_open_for_writing(candidate.path):
            # ask again in a while, not at once and for ever
            since = self._monotonic() - self._quiet + LEASE_PAUSE
            self._first[candidate.path] = (candidate.sighting, since)
            return False
        return True

    def forget(self, path: Path) -> None:
        """The file was taken, or is gone."""
        self._first.pop(path, None)
        with self._hinting:
            self._closed.discard(path)

    def keep_only(self, seen: set[Path]) -> None:
        """Forget every file that the last scan did not see, and hints that two scans found no file for."""
        for path in self._first.keys() - seen:
            self.forget(path)
        with self._hinting:
            self._closed -= self._unmatched - seen
            self._unmatched = set(self._closed)

    def waiting(self) -> float | None:
        """Seconds until the next file could become complete; None when none is waiting."""
        if not self._first:
            return None
        now = self._monotonic()
        return max(0.0, min(since + self._quiet - now for _, since in self._first.values()))


def is_open_for_writing(path: Path) -> bool:
    """Whether some process holds `path` open for writing, as far as the kernel tells.

    A read lease is granted only on a file that nobody writes to. Where there are no leases (the file system knows none,
    or the file belongs to somebody else) the answer is False, and the quiet period alone decides. Where this machine
    fails to tell (no handle left, a disk that does not read), True: then it is asked again.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as problem:
        return problem.errno not in _NO_FILE
    try:
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as problem:
        return problem.errno not in _NO_LEASES
    else:
        with contextlib.suppress(OSError):
            fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False
    finally:
        os.close(handle)
