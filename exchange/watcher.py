"""Hints that something happened in a folder. The periodic rescan is the truth; this only makes it quick.

inotify's queue overflows silently, network shares give no events, and a recursive watch can miss files in new folders.
So an event is never an instruction: it wakes the scan and tells which file was just closed or renamed in.
"""

import os
from collections.abc import Callable
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

Hint = Callable[[Path | None], None]
"""Called with the path of a file that was closed after writing or renamed in, or None for anything else."""


class _Handler(FileSystemEventHandler):
    """Turns watchdog's events into hints. An exception here would end watchdog's thread, so a hint must not raise."""

    def __init__(self, hint: Hint) -> None:
        self._hint = hint

    def on_closed(self, event: FileSystemEvent) -> None:
        self._hint(Path(os.fsdecode(event.src_path)))

    def on_moved(self, event: FileSystemEvent) -> None:
        self._hint(Path(os.fsdecode(event.dest_path)) if event.dest_path else None)

    def on_created(self, _event: FileSystemEvent) -> None:
        # a rename from outside arrives as a creation without a close, so nothing is concluded from it
        self._hint(None)


class Watcher:
    """Watches folders recursively until closed; a folder that cannot be watched is left to the rescan."""

    def __init__(self) -> None:
        self._observer: BaseObserver = Observer()
        self._started = False

    def watch(self, directory: Path, hint: Hint) -> bool:
        """Send hints about everything below `directory`; False where the system offers no events for it."""
        try:
            self._observer.schedule(_Handler(hint), str(directory), recursive=True)
        except OSError:
            return False
        return True

    def start(self) -> bool:
        """Begin; False if the system refuses (too many watches): the rescan goes on alone."""
        try:
            self._observer.start()
        except OSError:
            return False
        self._started = True
        return True

    def close(self) -> None:
        """Stop and wait for the thread."""
        if self._started:
            self._observer.stop()
            self._observer.join()
