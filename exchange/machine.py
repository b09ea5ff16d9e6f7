"""What this machine keeps the service from: full disks, folders that are gone, a ledger that somebody else holds.

Looked at when it is asked for, so that it is told even where nothing can be recorded.
"""

import os
from pathlib import Path

from config.errors import NotNow
from config.home import Home
from exchange import files
from ledger.database import LedgerMissing, check_lock

WORK = ("outbound", "inbound", "held", "sent", "spool", "quarantine", "landing")
"""The folders of a home in which files move, by the names that people know."""


def troubles(home: Home) -> list[str]:
    """Each as a sentence for a person; empty if all is well."""
    return [*_full(home), *_gone(home), *_unwritable(home.ledger)]


def full_disks(home: Home) -> list[str]:
    """The names of the folders, and of the ledger, whose disk has no room left."""
    places = {name: getattr(home, name) for name in WORK} | {"ledger": home.ledger.parent}
    return [name for name, folder in places.items() if folder.is_dir() and files.room_in(folder) < 0]


def _full(home: Home) -> list[str]:
    names = full_disks(home)
    return [f"the disk is full that holds: {', '.join(names)}; make room, and it goes on by itself"] if names else []


def _gone(home: Home) -> list[str]:
    gone = [name for name in WORK if not getattr(home, name).is_dir()]
    return [f"the {name} folder is missing" for name in gone]


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
