"""Finds the file of one handover in `held/`, by the explanation beside it, which ends with the handover's id; and the
explanations that somebody has left alone there.

People write to this folder too: nothing but the end of a plain file is read, and nothing is followed.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exchange import archive
from exchange.drop import SCAN_DEPTH, WHY, is_unfinished
from ledger.identifier import ID_LENGTH, is_id

_NOT_FOR_US = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO)
"""Why something in held/ is not an explanation of ours: it has gone, or it is a link, a socket, or not to be read."""

_LAST_LINE = re.compile(rb"(?:\A|\n)Handover:  ([0-9a-f-]{%d})\s*\Z" % ID_LENGTH)
_LOOKED_AT = 128
"""Bytes from the end of an explanation in which its last line must be."""

_NOBODYS = "lost+found"
"""Where a file system begins, it keeps this folder for itself, and nobody else may look into it."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A folder right below held/ with all below it; or what lies in held/ itself."""

    folders: list[tuple[Path, list[str]]] = field(default_factory=list)
    """Each folder, and what lies in it but for folders."""
    unseen: list[OSError] = field(default_factory=list)
    """Why some could not be looked into."""


def find(held: Path, identifier: str) -> tuple[Path | None, Path | None]:
    """The explanation of a held file, and the file beside it; None for what is gone.

    Raises OSError where this machine fails to read it now, or it is not found and could lie where we may not look.
    """
    alone = None
    unseen: list[OSError] = []
    for part in _parts(held):
        unseen += part.unseen
        for folder, names in part.folders:
            explained = _explained(names)
            for why in names:
                if _is_explanation(why, explained) and named(folder / why) == identifier:
                    for name in explained:
                        if explained[name] == why:
                            return folder / why, folder / name
                    alone = folder / why
    if unseen:
        raise unseen[0]
    return alone, None


def left_alone(held: Path) -> Iterator[tuple[Path, dict[Path, str]]]:
    """Every folder with explanations whose files have gone: each of these, with the handover that it names.

    Not where another file lies without an explanation, there or in a folder beside it or below: it could be the one,
    under the name that it is to have. Nor where we may not look.
    """
    for part in _parts(held) if held.exists() else ():
        if part.unseen or any(_unexplained(names) for _, names in part.folders):
            continue
        for folder, names in part.folders:
            explained = _explained(names)
            whys = (folder / name for name in names if _is_explanation(name, explained))
            said = {why: named(why) for why in whys if why.name not in explained.values()}
            if said:
                yield folder, {why: identifier for why, identifier in said.items() if identifier is not None}


def with_files(held: Path) -> frozenset[str]:
    """The handovers whose file still lies there: beside its explanation, or for all that anybody can tell.

    Raises OSError where this machine cannot read all of it.
    """
    found = []
    for part in _parts(held):
        if part.unseen:
            raise part.unseen[0]
        doubtful = any(_unexplained(names) for _, names in part.folders)
        for folder, names in part.folders:
            explained = _explained(names)
            whys = (name for name in names if _is_explanation(name, explained))
            with_one = frozenset(explained.values())
            found += [named(folder / why) for why in whys if doubtful or why in with_one]
    return frozenset(identifier for identifier in found if identifier is not None)


def is_left_alone(held: Path, why: Path) -> bool:
    """Whether an explanation is one of those."""
    return any(why in alone for _, alone in left_alone(held))


def _explained(names: Sequence[str]) -> dict[str, str]:
    """Those files of a folder that have an explanation beside them, and which. An explanation can be such a file."""
    there = frozenset(names)
    beside = {name: archive.fitting(name, WHY) for name in names}
    return {name: why for name, why in beside.items() if why != name and why in there}


def _is_explanation(name: str, explained: Mapping[str, str]) -> bool:
    return name.endswith(WHY) and not is_unfinished(name) and name not in explained


def _unexplained(names: Sequence[str]) -> bool:
    explained = _explained(names)
    return any(not (is_unfinished(name) or name.endswith(WHY) or name in explained) for name in names)


def _parts(held: Path) -> Iterator[_Part]:
    """All of held/, which must be there: that it cannot be read says nothing about what is in it."""
    names, deeper = _listing(held)
    yield _Part([(held, names)])
    for name in deeper:
        part = _Part()
        _collect(held / name, part)
        if name != _NOBODYS or part.folders:
            yield part


def _collect(folder: Path, part: _Part, depth: int = 1) -> None:
    """Folders deeper than SCAN_DEPTH are not ours: a hostile tree must end."""
    try:
        names, deeper = _listing(folder)
    except (FileNotFoundError, PermissionError) as problem:
        part.unseen.append(problem)
        return
    part.folders.append((folder, names))
    for name in deeper if depth < SCAN_DEPTH else ():
        _collect(folder / name, part, depth + 1)


def _listing(folder: Path) -> tuple[list[str], list[str]]:
    """What lies in a folder, and the folders there."""
    with os.scandir(folder) as entries:
        listing = sorted(entries, key=lambda entry: entry.name)
    deeper = [entry.name for entry in listing if entry.is_dir(follow_symlinks=False)]
    return [entry.name for entry in listing if entry.name not in deeper], deeper


def named(why: Path) -> str | None:
    """The handover that an explanation names in its last line; None for any other file.

    An editor may have ended the lines in another way, or added an empty one.
    """
    said = _LAST_LINE.search(_end_of(why, _LOOKED_AT))
    identifier = None if said is None else said[1].decode("ascii")
    return identifier if identifier is not None and is_id(identifier) else None


def _end_of(path: Path, size: int) -> bytes:
    """At most so many of the last bytes of a plain file; none of anything else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        if problem.errno not in _NOT_FOR_US:
            raise
        return b""
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            return b""
        file.seek(-min(size, status.st_size), os.SEEK_END)
        return file.read(size)
