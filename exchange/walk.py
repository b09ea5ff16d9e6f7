"""Every folder below another one, and what lies in it, where people or partners may make folders as they like.

A tree of theirs may be deeper than a function can go that calls itself for each level, its paths longer than any call
takes, and a folder unreadable or gone before it is reached: none of this keeps the rest from being walked.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from exchange.drop import SCAN_DEPTH


def folders(top: Path, depth: int | None = SCAN_DEPTH) -> Iterator[tuple[Path, list[os.DirEntry[str]]]]:
    """`top` and every folder up to `depth` levels below it, each with its listing; None: as deep as a path reaches.

    No link is followed, and what cannot be listed is left out.
    """
    waiting = [(top, 0)]
    while waiting:
        folder, level = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                listing = list(entries)
        except OSError:
            continue
        yield folder, listing
        if depth is None or level < depth:
            waiting.extend((folder / entry.name, level + 1) for entry in listing if _is_folder(entry))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
