"""Finds the file of one handover in `held/`, by the explanation beside it, which ends with the handover's id; and the
explanations that somebody has left alone there.

People write to this folder too: nothing but the end of a plain file is read, and nothing is followed.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from exchange import archive
from exchange.drop import SCAN_DEPTH, SIDECAR, WHY, is_unfinished
from ledger.identifier import ID_LENGTH, is_id

_NOT_FOR_US = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO)
"""Why something in held/ is not an explanation of ours: it has gone, or it is a link, a socket, or not to be read."""


def find(held: Path, identifier: str) -> tuple[Path | None, Path | None]:
    """The explanation of a held file, and the file beside it; None for what is gone.

    Raises OSError where this machine fails to read it now.
    """
    wanted, alone = _last_line(identifier).encode(), None
    for folder, listed in _folders(held):
        for why in listed:
            if why.endswith(WHY) and _end_of(folder / why, len(wanted)) == wanted:
                for name in listed:
                    if name != why and archive.fitting(name, WHY) == why:
                        return folder / why, folder / name
                alone = folder / why
    return alone, None


def left_alone(held: Path) -> Iterator[tuple[Path, dict[Path, str]]]:
    """Every folder with explanations whose files have gone: each of these, with the handover that it names.

    Not where another file lies there without an explanation: it could be the one, under the name that it is to have.
    """
    for folder, listed in _folders(held) if held.exists() else ():
        names = {name for name in listed if not is_unfinished(name)}
        whys = {name for name in names if name.endswith(WHY)}
        explained_by = {name: archive.fitting(name, WHY) for name in names - whys}
        alone = whys - set(explained_by.values())
        if alone and all(why in whys or name.endswith(SIDECAR) for name, why in explained_by.items()):
            said = {folder / why: _named(folder / why) for why in sorted(alone)}
            yield folder, {why: identifier for why, identifier in said.items() if identifier is not None}


def _folders(folder: Path, depth: int = 0) -> Iterator[tuple[Path, list[str]]]:
    """Every folder, and what lies in it but for folders. Deeper ones than SCAN_DEPTH are not ours: a hostile tree must
    end. The first one must be there: that it cannot be read says nothing about what is in it."""
    try:
        with os.scandir(folder) as entries:
            listing = sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, PermissionError):
        if depth == 0:
            raise
        return
    deeper = [entry.name for entry in listing if entry.is_dir(follow_symlinks=False)]
    yield folder, [entry.name for entry in listing if entry.name not in deeper]
    for name in deeper if depth < SCAN_DEPTH else ():
        yield from _folders(folder / name, depth + 1)


def _named(why: Path) -> str | None:
    end = _end_of(why, len(_last_line("")) + ID_LENGTH)
    said = re.fullmatch(_last_line("(.*)"), end.decode("utf-8", "replace"))
    return said[1] if said is not None and is_id(said[1]) else None


def _last_line(identifier: str) -> str:
    return f"Handover:  {identifier}\n"


def _end_of(path: Path, size: int) -> bytes:
    """The last bytes of a plain file; empty for anything else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        if problem.errno not in _NOT_FOR_US:
            raise
        return b""
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size < size:
            return b""
        file.seek(-size, os.SEEK_END)
        return file.read(size)
