"""Hints that something happened in a folder. The periodic rescan is the truth; this only makes it quick.

inotify's queue overflows silently, network shares give no events, a folder that was deleted and made again, or mounted
anew, is another one than is watched, and the kernel gives a user so many watches and no more. So an event is never an
instruction: it wakes the scan and tells which file was just closed or renamed in. And with every rescan `renew` looks
whether what is watched is still what lies there, and begins again where it is not.
"""

import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.inotify import InotifyObserver

from exchange import walk

Hint = Callable[[Path | None], None]
"""Called with the path of a file that was closed after writing or renamed in, or None for anything else."""

_WANTED: list[type[FileSystemEvent]] = [
    FileClosedEvent, FileMovedEvent, FileCreatedEvent, DirCreatedEvent, DirMovedEvent,
]  # fmt: skip
"""Of anything else, our own looks at files included, the kernel is not to tell us: its queue is short."""


class _Handler(FileSystemEventHandler):
    """Turns watchdog's events into hints. An exception would end watchdog's thread, so it goes to `failed` instead."""

    def __init__(self, hint: Hint, failed: Callable[[Exception], None]) -> None:
        self._hint = hint
        self._failed = failed

    def dispatch(self, event: FileSystemEvent) -> None:
        """Every event comes through here."""
        try:
            super().dispatch(event)
        except Exception as problem:
            # the file is found by the rescan
            self._failed(problem)

    def on_closed(self, event: FileSystemEvent) -> None:
        self._hint(Path(os.fsdecode(event.src_path)))

    def on_moved(self, event: FileSystemEvent) -> None:
        self._hint(Path(os.fsdecode(event.dest_path)) if event.dest_path else None)

    def on_created(self, _event: FileSystemEvent) -> None:
        # a rename from outside arrives as a creation without a close, so nothing is concluded from it
        self._hint(None)


class _Observer(InotifyObserver):
    """The library's, which does not tell by itself that the thread has ended that the kernel tells of events."""

    @property
    def is_reading(self) -> bool:
        """Whether anybody still hears of events."""
        return self._inotify_fd.is_alive()


@dataclass(slots=True)
class Watcher:
    """Watches folders with all that is in them until closed; what cannot be watched is left to the rescan."""

    failed: Callable[[Exception], None] = lambda _: None
    """Told of what a hint raised."""
    is_complete: bool = True
    """Whether everything was watched when that was looked at last; else files are found by the rescan alone."""
    _hints: dict[Path, Hint] = field(default_factory=dict)
    _observer: _Observer | None = None
    _watched: dict[Path, tuple[int, int] | None] = field(default_factory=dict)
    _too_deep: int = 0
    """How many of the folders are not watched, because a tree in them is deeper than the library can go."""
    _missed_before: bool = False

    def watch(self, directory: Path, hint: Hint) -> None:
        """Send hints about everything below `directory`, from the next `renew` on."""
        self._hints[directory] = hint

    def renew(self) -> bool:
        """Watch anew if a folder is another one than is watched, or if folders are not watched; whether it did.

        To be called by one thread, first to begin and then with every rescan.
        """
        missed = self._missed() > 0
        # a folder that was made a moment ago is watched in a moment: it counts when it is missed twice
        begin = not self._is_alive() or self._watched != self._present() or (missed and self._missed_before)
        if begin:
            self.close()
            self._begin()
            missed = self._missed() > 0
        self.is_complete = self._observer is not None and not (missed and self._missed_before)
        self._missed_before = missed
        return begin

    def close(self) -> None:
        """Stop and wait for the threads."""
        observer, self._observer = self._observer, None
        self._watched.clear()
        if observer is not None:
            observer.stop()
            observer.join()

    def _is_alive(self) -> bool:
        """The thread for a folder ends when the folder is deleted; one that is made then may look like the old one.

        And the one for all ends when a tree comes that is deeper than the library can go.
        """
        observer = self._observer
        return observer is not None and observer.is_reading and all(one.is_alive() for one in observer.emitters)

    def _begin(self) -> None:
        # the library would write paths, and tracebacks, to stderr
        logging.getLogger("watchdog").setLevel(logging.CRITICAL + 1)
        warnings.filterwarnings("ignore", module=r"watchdog\.")
        present = self._present()
        observer, self._too_deep = None, 0
        try:
            observer = _Observer()
            observer.start()
            for directory, hint in self._hints.items():
                if present[directory] is not None:
                    self._schedule(observer, directory, hint)
        except OSError:
            # no watch, or no more of them, is to be had
            if observer is not None and observer.is_alive():
                observer.stop()
                observer.join()
            return
        self._observer, self._watched = observer, present

    def _schedule(self, observer: _Observer, directory: Path, hint: Hint) -> None:
        handler = _Handler(hint, self.failed)
        try:
            observer.schedule(handler, str(directory.resolve()), recursive=True, event_filter=_WANTED)
        except RecursionError:
            # a partner can make such a tree in its landing zone: the other folders are watched all the same
            self._too_deep += 1

    def _present(self) -> dict[Path, tuple[int, int] | None]:
        return {directory: _identity(directory) for directory in self._hints}

    def _missed(self) -> int:
        """How many folders are there that the kernel does not watch for us."""
        # as deep as the library goes: else what it watches down there would stand for what it does not watch above
        wanted = sum(1 for directory in self._hints for _ in walk.folders(directory.resolve(), depth=None))
        return max(self._too_deep, wanted - _kernels_watches())


def _identity(directory: Path) -> tuple[int, int] | None:
    try:
        status = directory.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino)


def _kernels_watches() -> int:
    """How many folders the kernel watches for this process, which watches nothing else."""
    watches = 0
    for handle in Path("/proc/self/fdinfo").iterdir():
        try:
            watches += handle.read_bytes().count(b"inotify wd:")
        except OSError:
            # it was closed a moment ago
            continue
    return watches
