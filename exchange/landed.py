"""What lies in a partner's landing zone: taken into the spool, or put aside where it is no envelope.

The folder belongs to the partner, who may change anything in it at any moment. So names and kinds are checked before a
file is taken and its kind once more when it is opened, nothing that is taken replaces anything, and what cannot be
believed is kept in quarantine under an id, never under a name that somebody else chose.
"""

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from config.errors import Refused
from exchange import files
from exchange.parts import Parts
from ledger.entry import Draft
from ledger.identifier import is_id, new_id

ENDING = ".age"
"""Of every envelope's name; the rest of the name is the id of the message."""


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


def take_in(parts: Parts, partner: str, path: Path) -> Arrival | None:
    """Take one landed file into the spool; what is no envelope goes to quarantine (None). Folders stay where they are.

    So does a file whose namesake in the spool is not finished yet: nothing there is ever replaced.
    """
    try:
        mode = path.lstat().st_mode
        name = path.name.removesuffix(ENDING)
        if stat.S_ISDIR(mode):
            return None
        if not stat.S_ISREG(mode):
            quarantine(parts, partner, path, None, "not-a-file")
        elif not (path.name.endswith(ENDING) and is_id(name)):
            quarantine(parts, partner, path, None, "bad-name")
        else:
            taken = parts.spool.take_in(path, partner, path.name)
            return None if taken is None else Arrival(partner, taken)
    except FileNotFoundError:
        # it is the partner's folder: what lay there a moment ago may be gone
        return None
    return None


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
    """Keep what could not be believed, out of the way and under an id, and record that it came."""
    known = parts.ledger.handover(partner, "in", name) if name is not None else None
    handover = name if name is not None and (known is None or known.state in ("received", "quarantined")) else None
    incident = known is not None and known.state != "received"
    now = parts.effects.clock()
    kept_as = handover or new_id(now, parts.effects.random)
    parts.ledger.write(
        lambda tx: tx.append(
            Draft(
                event="envelope.quarantined" if incident else "quarantined",
                actor="daemon",
                handover=kept_as,
                partner=partner,
                direction="in",
                bytes=path.lstat().st_size,
                detail={"reason": reason, **({"about": name} if incident and name else {})},
            )
        )
    )
    if name is not None:
        for ending in (".payload", ".delivery"):
            path.with_suffix(ending).unlink(missing_ok=True)
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode):
        files.bring_aside(path, parts.home.quarantine / partner, f"{kept_as}{ENDING}")
    elif stat.S_ISDIR(mode):
        files.make_directory(parts.home.quarantine / partner, 0o700)
        files.move(path, parts.home.quarantine / partner / kept_as)
    else:
        # a link or a pipe has no content to keep, and would only be a trap there
        files.remove(path)
