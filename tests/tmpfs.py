"""A small file system of its own, to fill it up. Mounting needs root (CAP_SYS_ADMIN)."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def tmpfs(folder: Path, options: str) -> Iterator[Path]:
    """Mount a tmpfs on `folder`, which is made; fails the test, clearly, where that is not possible."""
    folder.mkdir()
    mount(folder, options)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def mount(folder: Path, options: str) -> None:
    """Mount, or with `remount,…` change."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.fail(f"this test fills up a disk and needs the right to mount one (run as root): {done.stderr.strip()}")
