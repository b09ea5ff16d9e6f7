"""A rename that replaces nothing: of two who want one name at the same moment one gets it, and the other is told.

`renameat2` with RENAME_NOREPLACE is one step. Where the kernel or the file system does not know it (NFS), the file
gets its new name as a second one, which fails in the same way, and then loses the old one: whoever stops in between
leaves one file with both names.
"""

import ctypes
import errno
import os
from pathlib import Path

_AT_FDCWD = -100
_NOREPLACE = 1
_UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
"""What renameat2 says where it, or the flag, is not known."""


def rename_new(source: Path, target: Path) -> None:
    """Rename within one file system; raises FileExistsError where anything has the name `target`, a link too."""
    number = _rename_without_replacing(source, target)
    if number in _UNKNOWN:
        os.link(source, target, follow_symlinks=False)
        source.unlink()
    elif number:
        raise OSError(number, os.strerror(number), str(source), None, str(target))


def _rename_without_replacing(source: Path, target: Path) -> int:
    """The system call; returns 0 or its error number."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # a C library older than the call
        return errno.ENOSYS
    while call(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _NOREPLACE) != 0:
        number = ctypes.get_errno()
        if number != errno.EINTR:
            return number
    return 0
