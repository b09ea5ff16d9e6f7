"""Folders within folders: deeper than a function can go that calls itself for each, or than a path can be long."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

TREES = [pytest.param(1500, "d", id="levels"), pytest.param(20, "n" * 240, id="long path")]
"""How many levels, and the name of each."""


@contextmanager
def nested(folder: Path, levels: int, name: str) -> Iterator[Path]:
    """So many folders of one name within each other below `folder`, for a `with` block; gives the first."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        # the path of the last is longer than any call takes
        os.mkdir(name, dir_fd=here)
        deeper = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    try:
        yield folder / name
    finally:
        subprocess.run(["rm", "-rf", folder / name], check=True)
