"""A file that has no name until it is whole: whoever dies before that, or a power cut, leaves nothing of it behind.

    O_TMPFILE in the folder -> written -> synced -> linked under the first free name -> folder synced

It is for content in clear, in a folder of somebody else, where nobody would look for half of it. Where the file system
knows no such files (NFS), a hidden `.part` does instead, which only a crash leaves there.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from exchange import files

_OPENED = Path("/proc/self/fd")
_UNKNOWN = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
"""What opening says where there are no files without a name."""


@dataclass(frozen=True, slots=True)
class Unnamed:
    """A file to write to. `spare` is its name where there must be one."""

    folder: Path
    file: BinaryIO
    spare: Path | None

    def place(self, name: str) -> Path:
        """Make it durable under `name`, or `name (2)` …, which is returned; what has a name keeps it."""
        files.sync_file(self.file)
        if self.spare is not None:
            return files.place(self.spare, self.folder, name)
        handle = self.file.fileno()
        for target in map(self.folder.joinpath, files.names_like(name)):
            try:
                # with any descriptor beside it, the link is followed to the file
                os.link(_OPENED / str(handle), target, src_dir_fd=handle, follow_symlinks=True)
            except FileExistsError:
                continue
            break
        files.sync_directory(self.folder)
        return target


@contextmanager
def unnamed(folder: Path, spare: str) -> Iterator[Unnamed]:
    """A new file in `folder`, for a `with` block; at its end it is gone, unless it was placed."""
    try:
        handle = os.open(folder, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o666) if _OPENED.is_dir() else None
    except OSError as problem:
        if problem.errno not in _UNKNOWN:
            raise
        handle = None
    if handle is not None:
        with os.fdopen(handle, "wb") as file:
            yield Unnamed(folder, file, None)
        return
    temporary = folder / spare
    try:
        with temporary.open("wb") as file:
            yield Unnamed(folder, file, temporary)
    finally:
        temporary.unlink(missing_ok=True)
