"""What this machine keeps the service from: full disks, folders that are gone or lie on other disks, a ledger that
somebody else holds.

Looked at when it is asked for, so that it is told even where nothing can be recorded.
"""

import os
import re
from pathlib import Path

from config.errors import NotNow
from config.home import Home
from exchange import drop, files
from ledger.database import LedgerMissing, check_lock

WORK = ("outbound", "inbound", "held", "sent", "spool", "quarantine", "landing")
"""The folders of a home in which files move, by the names that people know."""

RENAMED = ("outbound", "inbound", "held", "sent")
"""Those between which and the spool files move by renaming."""

_MOUNTS = Path("/proc/self/mountinfo")


def troubles(home: Home) -> list[str]:
    """Each as a sentence for a person; empty if all is well."""
    return [*_full(home), *_gone(home), *_elsewhere(home), *_unwritable(home.ledger)]


def full_disks(home: Home) -> list[str]:
    """The names of the folders, and of the ledger, whose disk has no room left."""
    places = {name: getattr(home, name) for name in WORK} | {"ledger": home.ledger.parent}
    return [name for name, folder in places.items() if folder.is_dir() and files.room_in(folder) < 0]


def on_other_disks(home: Home) -> list[str]:
    """Folders, by name, from or to which no file can be moved: they, or some folder in them, lie on another disk than
    the spool, or are mounted for themselves. A service sees mounts of its own there, which a shell does not."""
    folders = {name: getattr(home, name) for name in (*RENAMED, "spool")}
    mounts = _mounts()
    return [
        name
        for name, folder in folders.items()
        if folder.is_dir()
        and home.spool.is_dir()
        and (not files.can_be_moved(home.spool, folder) or _holds_any(folder.resolve(), mounts))
    ]


def closed_folders(home: Home) -> int:
    """How many folders in outbound this process may not look into, or not take the files from that lie there."""
    return sum(_is_closed(folder, files_lie_there) for folder, files_lie_there in drop.folders(home.outbound))


def _is_closed(folder: Path, files_lie_there: bool) -> bool:
    needed = os.R_OK | os.X_OK | (os.W_OK if files_lie_there else 0)
    if os.access(folder, needed, effective_ids=True):
        return False
    try:
        # what has gone meanwhile is not closed
        return files.is_there(folder)
    except OSError:
        return True


def folders_apart(names: str) -> str:
    """For a person."""
    return f"on another disk than the spool, or mounted for itself, so that no file can be moved: {names}"


def _full(home: Home) -> list[str]:
    names = full_disks(home)
    return [f"the disk is full that holds: {', '.join(names)}; make room, and it goes on by itself"] if names else []


def _gone(home: Home) -> list[str]:
    gone = [name for name in WORK if not getattr(home, name).is_dir()]
    return [f"the {name} folder is missing" for name in gone]


def _elsewhere(home: Home) -> list[str]:
    names = on_other_disks(home)
    return [folders_apart(", ".join(names))] if names else []


def _mounts() -> list[Path]:
    """Where something is mounted, as this process sees it; empty where Linux does not tell."""
    try:
        lines = _MOUNTS.read_bytes().splitlines()
    except OSError:
        return []
    points = [re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), line.split(b" ")[4]) for line in lines]
    return [Path(os.fsdecode(point)) for point in points]


def _holds_any(folder: Path, mounts: list[Path]) -> bool:
    return any(folder in mount.parents for mount in mounts)


def _unwritable(ledger: Path) -> list[str]:
    """Whoever may only read it cannot tell whether somebody holds it."""
    if not os.access(ledger, os.W_OK):
        return []
    try:
        check_lock(ledger)
    except LedgerMissing:
        return []
    except NotNow as problem:
        return [f"{problem.message}: nothing is taken"]
    return []
