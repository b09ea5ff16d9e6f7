"""One SFTP session of the embedded server: a partner sees "/" with its own folder in it, and plain files in that.

    /                  only the folder, nothing can be made here
    /<user>/<name>     regular files, one level; no folders, no links

The folder is opened once, and every file is reached through that handle by one plain name, never followed if it is a
link: whatever path a client sends, there is nothing else that could be reached. Requests for anything else (links,
folders, modes, owners) are answered "not supported".
"""

import contextlib
import errno
import os
import posixpath
import stat
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TypeVar

from exchange.sftp import packets as say
from exchange.sftp.requests import LARGEST_WRITE
from exchange.sftp.wire import MAX_PACKET, encode, name, text

T = TypeVar("T")

MAX_HANDLES = 64
"""Open files and listings of one session: a client of ours needs 32."""

NAMES_AT_ONCE = 100
"""Lines of a directory in one answer."""

_EXTENSIONS = (
    (say.POSIX_RENAME, b"1"),
    (say.STATVFS, b"2"),
    (say.FSYNC, b"1"),
    (say.LIMITS, b"1"),
)

_CODES = {
    errno.ENOENT: say.NO_SUCH_FILE,
    errno.ENOTDIR: say.NO_SUCH_FILE,
    errno.ELOOP: say.NO_SUCH_FILE,
    errno.EACCES: say.DENIED,
    errno.EPERM: say.DENIED,
    errno.EROFS: say.DENIED,
}


class Session:
    """The open handles of one client; `answer` is called by one thread."""

    def __init__(self, landing: Path, user: str) -> None:
        self._user = user
        self._folder = os.open(landing / user, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._files: dict[bytes, int] = {}
        self._listings: dict[bytes, Iterator[say.Name]] = {}
        self._count = 0

    def close(self) -> None:
        """Close everything that the client left open."""
        for handle in (*self._files.values(), self._folder):
            os.close(handle)
        self._files.clear()
        self._listings.clear()

    def answer(self, packet: say.Packet) -> bytes:
        """The packet that answers `packet`; raises nothing that a client can cause."""
        if isinstance(packet, say.Init):
            return encode(say.Version(say.VERSION_NUMBER, _EXTENSIONS))
        try:
            return encode(self._do(packet))
        except OSError as problem:
            code = _CODES.get(problem.errno or 0, say.FAILURE)
        except (ValueError, OverflowError):
            code = say.BAD_MESSAGE
        return encode(say.Status(0 if isinstance(packet, say.Version) else packet.id, code))

    def _do(self, packet: say.Packet) -> say.Reply:
        match packet:
            case say.Open(number, path, flags):
                return say.Handle(number, self._open(self._plain_name(path), flags))
            case say.Write(number, handle, offset, data):
                _write_all(self._file(handle), data, offset)
            case say.Read(number, handle, offset, length):
                data = os.pread(self._file(handle), min(length, LARGEST_WRITE), offset)
                return say.Data(number, data) if data or not length else say.Status(number, say.EOF)
            case say.Close(number, handle):
                self._close(handle)
            case say.Fstat(number, handle):
                return say.Attrs(number, _attributes(os.fstat(self._file(handle))))
            case say.Stat(number, path) | say.Lstat(number, path):
                return say.Attrs(number, _attributes(self._stat(path)))
            case say.Setstat(number, path, attributes):
                self._stat(path)
                if attributes.size is not None:
                    return say.Status(number, say.UNSUPPORTED)
            case say.Fsetstat(number, handle, attributes):
                _resize(self._file(handle), attributes)
            case say.Remove(number, path):
                os.unlink(self._plain_name(path), dir_fd=self._folder)
            case say.Opendir(number, path):
                return say.Handle(number, self._open_listing(path))
            case say.Readdir(number, handle):
                lines = self._next_lines(handle)
                return say.Names(number, lines) if lines else say.Status(number, say.EOF)
            case say.Realpath(number, path):
                return say.Names(number, (say.Name(self._clean(path), b"", say.Attributes()),))
            case say.Rename(number, old, new):
                self._rename_new(self._plain_name(old), self._plain_name(new))
            case say.Extended(number, request, payload):
                return self._extended(number, request, payload)
            case say.Init() | say.Version():
                raise ValueError
            case _:
                return say.Status(packet.id, say.UNSUPPORTED)
        return say.Status(number, say.OK)

    def _extended(self, number: int, request: bytes, payload: bytes) -> say.Reply:
        if request == say.LIMITS:
            # SPEC: OpenSSH PROTOCOL 4.8 limits: packet, read, write, open handles
            return say.ExtendedReply(number, _uint64s(MAX_PACKET, LARGEST_WRITE, LARGEST_WRITE, MAX_HANDLES))
        first, rest = _string(payload)
        if request == say.POSIX_RENAME:
            second, rest = _string(rest)
            old, new = self._plain_name(first), self._plain_name(second)
            os.rename(old, new, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        elif request == say.FSYNC:
            os.fsync(self._file(first))
        elif request == say.STATVFS:
            room = os.fstatvfs(self._folder)
            # SPEC: OpenSSH PROTOCOL 4.4 statvfs: the file system's id is nobody's business
            counts = (room.f_blocks, room.f_bfree, room.f_bavail, room.f_files, room.f_ffree, room.f_favail, 0)
            flags = room.f_flag & (os.ST_RDONLY | os.ST_NOSUID)
            return say.ExtendedReply(number, _uint64s(room.f_bsize, room.f_frsize, *counts, flags, room.f_namemax))
        else:
            return say.Status(number, say.UNSUPPORTED)
        if rest:
            raise ValueError
        return say.Status(number, say.OK)

    def _clean(self, path: bytes) -> bytes:
        # The working folder is "/"; a ".." above it stays there.
        return posixpath.normpath(b"/" + path.lstrip(b"/"))

    def _plain_name(self, path: bytes) -> str:
        """The name of a file in the folder; raises OSError for every other path."""
        match name(self._clean(path)).split("/"):
            case ["", self._user, plain]:
                return plain
            case ["", _]:
                raise PermissionError(errno.EACCES, "")
        raise FileNotFoundError(errno.ENOENT, "")

    def _is_folder(self, path: bytes) -> bool:
        return self._clean(path) in (b"/", text("/" + self._user))

    def _open(self, plain: str, flags: int) -> bytes:
        if len(self._files) + len(self._listings) >= MAX_HANDLES:
            raise OSError(errno.EMFILE, "")
        mode = (None, os.O_RDONLY, os.O_WRONLY, os.O_RDWR)[flags & (say.READ | say.WRITE)]
        if mode is None:
            raise ValueError
        for flag, also in ((say.CREATE, os.O_CREAT), (say.TRUNCATE, os.O_TRUNC), (say.EXCLUSIVE, os.O_EXCL)):
            mode |= also if flags & flag else 0
        # NONBLOCK: opening a FIFO must not stop us; it is refused right afterwards.
        mode |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(plain, mode, 0o660, dir_fd=self._folder)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise PermissionError(errno.EACCES, "")
        return self._keep(self._files, file)

    def _open_listing(self, path: bytes) -> bytes:
        if not self._is_folder(path):
            raise FileNotFoundError(errno.ENOENT, "")
        if len(self._files) + len(self._listings) >= MAX_HANDLES:
            raise OSError(errno.EMFILE, "")
        return self._keep(self._listings, self._lines(self._clean(path) == b"/"))

    def _lines(self, top: bool) -> Iterator[say.Name]:
        if top:
            yield say.Name(text(self._user), text(self._user), _attributes(os.fstat(self._folder)))
            return
        with os.scandir(self._folder) as entries:
            names = sorted(entry.name for entry in entries)
        for plain in names:
            with contextlib.suppress(FileNotFoundError):  # gone since it was listed
                found = os.stat(plain, dir_fd=self._folder, follow_symlinks=False)
                yield say.Name(text(plain), text(plain), _attributes(found))

    def _next_lines(self, handle: bytes) -> tuple[say.Name, ...]:
        return tuple(islice(_known(self._listings, handle), NAMES_AT_ONCE))

    def _keep(self, table: dict[bytes, T], value: T) -> bytes:
        self._count += 1
        handle = self._count.to_bytes(8, "big")
        table[handle] = value
        return handle

    def _file(self, handle: bytes) -> int:
        return _known(self._files, handle)

    def _close(self, handle: bytes) -> None:
        if self._listings.pop(handle, None) is None:
            os.close(_known(self._files, handle))
            del self._files[handle]

    def _stat(self, path: bytes) -> os.stat_result:
        if self._is_folder(path):
            return os.fstat(self._folder)
        return os.stat(self._plain_name(path), dir_fd=self._folder, follow_symlinks=False)

    def _rename_new(self, old: str, new: str) -> None:
        """The protocol's own rename: never replaces."""
        os.link(old, new, src_dir_fd=self._folder, dst_dir_fd=self._folder, follow_symlinks=False)
        os.unlink(old, dir_fd=self._folder)


def _known(table: Mapping[bytes, T], handle: bytes) -> T:
    if handle not in table:
        raise ValueError
    return table[handle]


def _write_all(file: int, data: bytes, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(file, rest, offset)
        rest, offset = rest[written:], offset + written


def _resize(file: int, attributes: say.Attributes) -> None:
    """Only the length can be set; times, modes and owners are the server's business."""
    if attributes.size is not None:
        os.ftruncate(file, attributes.size)


def _attributes(found: os.stat_result) -> say.Attributes:
    return say.Attributes(
        size=found.st_size, permissions=found.st_mode, times=(int(found.st_atime), int(found.st_mtime))
    )


def _uint64s(*values: int) -> bytes:
    return b"".join(min(value, 2**64 - 1).to_bytes(8, "big") for value in values)


def _string(payload: bytes) -> tuple[bytes, bytes]:
    end = 4 + int.from_bytes(payload[:4], "big")
    if len(payload) < end or end < 4:
        raise ValueError
    return payload[4:end], payload[end:]
