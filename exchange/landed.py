"""What lies in a partner's landing zone: taken into the spool, or put aside where it is no envelope.

The folder belongs to the partner, who may change anything in it at any moment. So names and kinds are checked before a
file is taken and its kind once more when it is opened, nothing that is taken replaces anything, and what cannot be
believed is kept in quarantine under an id, never under a name that somebody else chose.
"""

import contextlib
import errno
import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO

from config.errors import Refused
from exchange import files
from exchange.parts import Parts
from ledger.entry import Draft
from ledger.identifier import is_id, new_id
from ledger.store import Transaction

OVERHEAD = 1024 * 1024
"""What header, manifest, signature and padding add to a payload at most, besides 16 bytes per 64 KiB."""

UNREADABLE = "envelope.unreadable"

ENDING = ".age"
"""Of every envelope's name; the rest of the name is the id of the message."""


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


def limit(parts: Parts) -> int:
    """How large an envelope may be: the largest payload, and what sealing adds to it."""
    largest = parts.home.settings.limits.max_bytes
    return largest + largest // 4096 + OVERHEAD


def _note_unreadable(parts: Parts, partner: str, path: Path) -> None:
    """Record once that a file lies there which the service may not take: its owner or the server must be put right."""
    name = path.name.removesuffix(ENDING)
    if not is_id(name):
        return
    sql = "SELECT 1 FROM entries WHERE event = ? AND json_extract(CAST(entry AS TEXT), '$.detail.about') = ?"
    if not parts.ledger.rows(sql, UNREADABLE, name):
        draft = Draft(event=UNREADABLE, actor="daemon", partner=partner, detail={"about": name})
        parts.ledger.write(lambda tx: tx.append(draft))


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


def quarantine(parts: Parts, partner: str, path: Path, name: str | None, reason: str) -> None:
    """Keep what could not be believed, out of the way and under an id, and record that it came.

    It is moved first and recorded then, so that what cannot be moved is not recorded again in every round. An id that
    is one of our own handovers, or of one that was decided, is not believed either: it stands in `about` only.
    """
    known = parts.ledger.handover(partner, "in", name) if name is not None else None
    ours = name is not None and parts.ledger.find_one_or_none("out", name) is not None
    free = name is not None and not ours and (known is None or known.state in ("received", "quarantined"))
    kept_as = name if free and name is not None else new_id(parts.effects.clock(), parts.effects.random)
    draft = Draft(
        event="quarantined" if known is None or known.state == "received" else "envelope.quarantined",
        actor="daemon",
        handover=kept_as,
        partner=partner,
        direction="in",
        bytes=path.lstat().st_size,
        detail={"reason": reason, **({"about": name} if name is not None and name != kept_as else {})},
    )
    _put_aside(parts, partner, path, kept_as)
    parts.ledger.write(lambda tx: tx.append(draft))
    if name is not None:
        for ending in (".payload", ".delivery"):
            path.with_suffix(ending).unlink(missing_ok=True)


def _put_aside(parts: Parts, partner: str, path: Path, kept_as: str) -> None:
    """Into quarantine; a link or a pipe has no content to keep, and what is too large is not worth the disk."""
    status = path.lstat()
    if stat.S_ISREG(status.st_mode) and status.st_size <= limit(parts):
        files.bring_aside(path, parts.home.quarantine / partner, f"{kept_as}{ENDING}", limit(parts))
    elif stat.S_ISDIR(status.st_mode):
        files.make_directory(parts.home.quarantine / partner, 0o700)
        files.move(path, parts.home.quarantine / partner / kept_as)
    else:
        files.remove(path)


def note_unrecorded(parts: Parts) -> None:
    """After a crash between the two: record what lies in quarantine and is in no entry."""
    for folder in sorted(parts.home.quarantine.iterdir()):
        for path in sorted(folder.glob(f"*{ENDING}")) if folder.is_dir() else ():
            name = path.name.removesuffix(ENDING)
            if not is_id(name) or parts.ledger.rows("SELECT 1 FROM entries WHERE handover = ?", name):
                continue
            draft = Draft(
                event="quarantined",
                actor="daemon",
                handover=name,
                partner=folder.name,
                direction="in",
                bytes=path.lstat().st_size,
                detail={"reason": "interrupted"},
            )
            parts.ledger.write(partial(Transaction.append, draft=draft))
