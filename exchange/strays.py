"""Details without a file: a sidecar that lies alone is put aside, before it can speak for another file of that name.

A sidecar that comes too late (its file has been taken) would otherwise stay, and days later send a file of the same
name under the wrong council.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exchange import archive, files, intake
from exchange.drop import SCAN_DEPTH, SIDECAR, WHY, Candidate
from exchange.failures import Failures
from exchange.parts import Parts

PATIENCE = timedelta(minutes=10)
"""How long a sidecar may wait for its file."""

_WHY = (
    b"These details were NOT used: no file of that name lay beside them for ten minutes.\n\n"
    b"If the file has gone already, it went without them; see 'handover list --all'.\n"
    b"What to do: Put these details into the outbound folder first, and the file after them.\n"
)


def put_aside(parts: Parts) -> int:
    """Move every sidecar that has lain alone for PATIENCE into held/; returns how many. One that cannot be moved keeps
    no other where it is: it is tried again in the next round, and until then it `keeps_back` a file of its name."""
    failures = Failures()
    moved = 0
    known, alone = parts.spool.strays, set(_alone(parts.home.outbound, 0, failures))
    for path in sorted(alone | known.keys()):
        with failures.kept():
            status = _look(path)
            is_new = path in alone and status is not None and _is_late(parts, status)
            if status is None or (intake.which(status) != known.get(path) and not is_new):
                known.pop(path, None)
                continue
            # who may read it can change while it waits, and it is the same
            known[path] = intake.which(status)
            _put_aside(parts, path)
            del known[path]
            moved += 1
    failures.raise_first()
    return moved


def keeps_back(parts: Parts, candidate: Candidate) -> bool:
    """Whether a file must wait, for beside it lies a sidecar that does not speak for it, and could not be put aside."""
    stray = parts.spool.strays.get(candidate.sidecar)
    if stray is None:
        return False
    with contextlib.suppress(OSError):
        status = _look(candidate.sidecar)
        return status is not None and intake.which(status) == stray
    return True


def _look(path: Path) -> os.stat_result | None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return path.lstat()
    return None


def _is_late(parts: Parts, status: os.stat_result) -> bool:
    since = datetime.fromtimestamp(status.st_ctime, UTC)
    return parts.effects.clock() - since >= PATIENCE


def _put_aside(parts: Parts, path: Path) -> None:
    folders = path.relative_to(parts.home.outbound).parts[:-1]
    directory = parts.home.held.joinpath(*folders[:1] or ("unsorted",))
    files.make_directory(directory)
    text = directory / f".{parts.effects.random(8).hex()}.part"
    try:
        # before the sidecar moves: where there is no room for its explanation, it stays
        files.write_new(text, _WHY, 0o640)
        target = files.place(path, directory, path.name, taken=_is_taken, room=len(WHY))
        # a person's own file may have come under the explanation's name meanwhile: it is not replaced
        files.place(text, directory, archive.fitting(target.name, WHY))
    finally:
        text.unlink(missing_ok=True)


def _is_taken(path: Path) -> bool:
    """Also where a held file would take it for its own: what is released goes with the sidecar beside it."""
    beside = (path.name, archive.fitting(path.name, WHY), path.name.removesuffix(SIDECAR))
    return any(files.is_there(path.with_name(name)) for name in beside)


def _alone(directory: Path, depth: int, failures: Failures) -> Iterator[Path]:
    """Sidecars below `directory` whose file, finished or not, is not beside them."""
    try:
        listing = list(os.scandir(directory))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    names = {entry.name for entry in listing}
    for entry in listing:
        mode = 0
        with failures.kept(), contextlib.suppress(FileNotFoundError):
            mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode) and depth < SCAN_DEPTH:
            yield from _alone(directory / entry.name, depth + 1, failures)
        elif stat.S_ISREG(mode) and entry.name.endswith(SIDECAR):
            owner = entry.name.removesuffix(SIDECAR)
            if not any(name == owner or name.startswith((f"{owner}.part", f".{owner[:100]}")) for name in names):
                yield directory / entry.name
