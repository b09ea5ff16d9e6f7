"""What lies in a partner's landing zone: taken into the spool, or put aside where it is no envelope.

The folder belongs to the partner, who may change anything in it at any moment. So names and kinds are checked before a
file is taken and its kind once more when it is opened, and nothing that is taken replaces anything.
"""

import contextlib
import errno
import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from config.errors import Refused
from exchange import seldom
from exchange.parts import Parts
from exchange.quarantine import ENDING, limit, quarantine
from ledger.entry import Draft
from ledger.identifier import is_id

UNREADABLE = "envelope.unreadable"

UNFINISHED_FOR = timedelta(days=30)
"""As long as an envelope is valid, its upload can still be finished."""


class Unauthenticated(Refused):
    """Refused before the sender was known: kept in quarantine, and nothing is said to anybody."""

    reason = "unauthenticated"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One envelope in the spool: from which landing zone, and whether it was already here before a restart."""

    partner: str
    path: Path
    recovered: bool = False


def landed(parts: Parts, partner: str) -> list[Path]:
    """What lies in one partner's landing zone under a finished name, oldest id first."""
    landing = parts.home.landing / partner
    if not landing.is_dir():
        return []
    return [path for path in sorted(landing.iterdir()) if not path.name.endswith(".part") and path.name[0] != "."]


def clear_unfinished(parts: Parts, partner: str) -> None:
    """Remove uploads that nobody has gone on with for UNFINISHED_FOR: their sender has given them up, or sends anew."""
    landing = parts.home.landing / partner
    for path in landing.glob("*.part") if landing.is_dir() else ():
        with contextlib.suppress(FileNotFoundError, PermissionError):
            status = path.lstat()
            age = parts.effects.clock() - datetime.fromtimestamp(status.st_ctime, UTC)
            if age > UNFINISHED_FOR and stat.S_ISREG(status.st_mode):
                path.unlink()


def take_in(parts: Parts, partner: str, path: Path) -> Arrival | None:
    """Take one landed file into the spool; what is no envelope goes to quarantine (None). Folders stay where they are.

    So does a file whose namesake in the spool is not finished yet: nothing there is ever replaced.
    """
    try:
        mode = path.lstat().st_mode
        name = path.name.removesuffix(ENDING)
        if stat.S_ISDIR(mode):
            return None
        is_envelope = path.name.endswith(ENDING) and is_id(name)
        if not stat.S_ISREG(mode):
            quarantine(parts, partner, path, None, "not-a-file")
        elif path.lstat().st_size > limit(parts):
            quarantine(parts, partner, path, name if is_envelope else None, "too-large")
        elif not is_envelope:
            quarantine(parts, partner, path, None, "bad-name")
        else:
            taken = parts.spool.take_in(path, partner, path.name, limit(parts))
            return None if taken is None else Arrival(partner, taken)
    except FileNotFoundError:
        # it is the partner's folder: what lay there a moment ago may be gone
        return None
    except PermissionError:
        _note_unreadable(parts, partner, path)
    return None


def _note_unreadable(parts: Parts, partner: str, path: Path) -> None:
    """Record once that a file lies there which the service may not take: its owner or the server must be put right.

    Of many such files, one an hour.
    """
    name = path.name.removesuffix(ENDING)
    if not is_id(name):
        return
    sql = "SELECT 1 FROM entries WHERE event = ? AND json_extract(CAST(entry AS TEXT), '$.detail.about') = ?"
    if not parts.ledger.rows(sql, UNREADABLE, name):
        seldom.append(parts, Draft(event=UNREADABLE, actor="daemon", partner=partner, detail={"about": name}))


def open_regular(path: Path) -> BinaryIO:
    """Step 1 once more: the partner could exchange a file for a link or a pipe until the moment it was taken."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        if problem.errno in (errno.ELOOP, errno.ENXIO):
            raise Unauthenticated("what landed is no regular file", reason="not-a-file") from None
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Unauthenticated("what landed is no regular file", reason="not-a-file")
    return os.fdopen(handle, "rb")
