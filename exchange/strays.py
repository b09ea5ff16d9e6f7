"""Details without a file: a sidecar that lies alone is put aside, before it can speak for another file of that name.

A sidecar that comes too late (its file has been taken) would otherwise stay, and days later send a file of the same
name under the wrong council.
"""

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exchange import files
from exchange.drop import SCAN_DEPTH, SIDECAR, WHY
from exchange.parts import Parts

PATIENCE = timedelta(minutes=10)
"""How long a sidecar may wait for its file."""

_WHY = (
    b"These details were NOT used: no file of that name lay beside them for ten minutes.\n\n"
    b"If the file has gone already, it went without them; see 'handover list --all'.\n"
    b"What to do: put these details into the outbound folder first, and the file after them.\n"
)


def put_aside(parts: Parts) -> int:
    """Move every sidecar that has lain alone for PATIENCE into held/; returns how many."""
    moved = 0
    for path in list(_alone(parts.home.outbound, 0)):
        since = datetime.fromtimestamp(path.lstat().st_ctime, UTC)
        if parts.effects.clock() - since < PATIENCE:
            continue
        folders = path.relative_to(parts.home.outbound).parts[:-1]
        target = files.place(path, parts.home.held.joinpath(*folders[:1] or ("unsorted",)), path.name)
        files.write_new(target.with_name(target.name + WHY), _WHY, 0o640)
        moved += 1
    return moved


def _alone(directory: Path, depth: int) -> Iterator[Path]:
    """Sidecars below `directory` whose file, finished or not, is not beside them."""
    try:
        listing = list(os.scandir(directory))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    names = {entry.name for entry in listing}
    for entry in listing:
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode) and depth < SCAN_DEPTH:
            yield from _alone(directory / entry.name, depth + 1)
        elif stat.S_ISREG(mode) and entry.name.endswith(SIDECAR):
            owner = entry.name.removesuffix(SIDECAR)
            if not any(name == owner or name.startswith((f"{owner}.part", f".{owner[:100]}")) for name in names):
                yield directory / entry.name
