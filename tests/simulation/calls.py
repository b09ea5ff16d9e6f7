"""The calls that reach a disk, led to the simulated machine whose disk it is.

Installed for the length of a run and then taken out again: the functions of `os`, `io.open`, the ledger's commit, and
the rename that replaces nothing. Below no machine's folder, everything is as it always was.
"""

import errno
import io
import os
import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from exchange import files, rename
from exchange.drop import SIDECAR
from exchange.sender import UNFINISHED
from ledger.store import Ledger
from tests.simulation.machine import Machine

T = TypeVar("T")
Name = str | bytes | os.PathLike[str] | os.PathLike[bytes]

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Calls:
    """Which machine's program is running now; None: the world outside acts, and nothing of it fails."""

    def __init__(self, machines: list[Machine], chance: random.Random) -> None:
        self._machines = machines
        self._chance = chance
        self._running: Machine | None = None

    @contextmanager
    def by(self, machine: Machine | None) -> Iterator[None]:
        """Within this block the program of that machine runs, or nobody's."""
        before, self._running = self._running, machine
        try:
            yield
        finally:
            self._running = before

    @contextmanager
    def installed(self) -> Iterator[None]:
        """The calls are led here within this block."""
        real_fsync, real_stat, real_statvfs, real_io_open = os.fsync, os.stat, os.statvfs, io.open
        real_os_open, real_commit = os.open, Ledger._commit

        def open_(path: Name, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            machine = self._of(path, dir_fd) if flags & _WRITING else None
            if machine is None:
                return real_os_open(path, flags, mode, dir_fd=dir_fd)
            return self._step(machine, "create", partial(machine.disk.opened, _text(path, dir_fd), flags, mode))

        def io_open(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            machine = None if isinstance(file, int) or not set("wxa+") & set(mode) else self._of(file)
            if machine is None:
                return real_io_open(file, mode, *args, **kwargs)
            flags = os.O_CLOEXEC | os.O_CREAT | (os.O_RDWR if "+" in mode else os.O_WRONLY)
            flags |= os.O_TRUNC if "w" in mode else os.O_EXCL if "x" in mode else os.O_APPEND
            handle = self._step(machine, "create", partial(machine.disk.opened, _text(file), flags, 0o666))
            return real_io_open(handle, mode.replace("x", "w"), *args, **kwargs)

        def fsync(handle: int) -> None:
            path = Path(str(Path(f"/proc/self/fd/{handle}").readlink()).removesuffix(" (deleted)"))
            machine = self._of(path)
            if machine is None:
                real_fsync(handle)
            elif path.is_dir():
                self._step(machine, "sync directory", partial(machine.disk.sync_directory, str(path)))
            else:
                self._step(machine, "sync file", partial(machine.disk.sync_file, handle))

        def stat_(path: Any, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
            status = real_stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
            if isinstance(path, Path) and path.name.endswith((SIDECAR, UNFINISHED)) and self._of(path) is not None:
                return _changed_when_modified(status)
            return status

        def statvfs(path: Any) -> os.statvfs_result:
            machine, said = None if isinstance(path, int) else self._of(path), real_statvfs(path)
            if machine is None or not machine.full or self._running is not machine:
                return said
            return os.statvfs_result((*said[:3], 0, 0, *said[5:]))

        def fstatvfs(handle: int) -> os.statvfs_result:
            return statvfs(Path(f"/proc/self/fd/{handle}").readlink())

        def commit(ledger: Ledger, jobs: Any) -> None:
            machine = self._of(ledger.path)
            act = partial(real_commit, ledger, jobs)
            if machine is None:
                act()
            else:
                self._step(machine, "commit", act)

        def token_hex(size: int) -> str:
            return self._chance.randbytes(size).hex()

        with ExitStack() as stack:
            for place, name, function in (
                (os, "open", open_),
                (io, "open", io_open),
                (os, "fsync", fsync),
                (os, "stat", stat_),
                (os, "statvfs", statvfs),
                (os, "fstatvfs", fstatvfs),
                (os, "replace", self._two("rename", os.replace, lambda m: m.disk.rename)),
                (os, "rename", self._two("rename", os.rename, lambda m: m.disk.rename)),
                (files, "rename_new", self._two("rename", rename.rename_new, lambda m: partial(_rename_new, m))),
                (os, "unlink", self._one("unlink", os.unlink, lambda m: m.disk.unlink)),
                (os, "remove", self._one("unlink", os.remove, lambda m: m.disk.unlink)),
                (os, "rmdir", self._one("rmdir", os.rmdir, lambda m: m.disk.rmdir)),
                (os, "mkdir", self._mkdir(os.mkdir)),
                (secrets, "token_hex", token_hex),
                (Ledger, "_commit", commit),
            ):
                stack.enter_context(mock.patch.object(place, name, function))
            yield

    def _one(self, kind: str, real: Callable[..., None], which: Callable[[Machine], Callable[[str], None]]) -> Any:
        def call(path: Name, *, dir_fd: int | None = None) -> None:
            machine = self._of(path, dir_fd)
            if machine is None:
                real(path, dir_fd=dir_fd)
            else:
                self._step(machine, kind, partial(which(machine), _text(path, dir_fd)))

        return call

    def _two(self, kind: str, real: Callable[..., None], which: Callable[[Machine], Callable[[str, str], None]]) -> Any:
        def call(source: Name, target: Name, **folders: int | None) -> None:
            machine = self._of(target, folders.get("dst_dir_fd"))
            if machine is None:
                real(source, target, **folders)
            else:
                names = _text(source, folders.get("src_dir_fd")), _text(target, folders.get("dst_dir_fd"))
                self._step(machine, kind, partial(which(machine), *names))

        return call

    def _mkdir(self, real: Callable[..., None]) -> Any:
        def call(path: Name, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
            machine = self._of(path) if dir_fd is None else None
            if machine is None:
                real(path, mode, dir_fd=dir_fd)
            else:
                self._step(machine, "mkdir", partial(machine.disk.mkdir, _text(path), mode))

        return call

    def _step(self, machine: Machine, kind: str, act: Callable[[], T]) -> T:
        return machine.step(kind, act) if machine is self._running else act()

    def _of(self, path: Name, folder: int | None = None) -> Machine | None:
        text = _text(path, folder)
        return next((machine for machine in self._machines if text.startswith(machine.disk.prefix)), None)


def _text(path: Name, folder: int | None = None) -> str:
    """The whole path, also of a name in a folder that is open as that number."""
    name = os.fsdecode(path)
    if folder is None or name.startswith("/"):
        return name
    return str(Path(f"/proc/self/fd/{folder}").readlink() / name)


def _rename_new(machine: Machine, source: str, target: str) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), source, None, target)
    machine.disk.rename(source, target)


def _changed_when_modified(status: os.stat_result) -> os.stat_result:
    """The time of the last change is the machine's own, real one: the simulated one is that of the modification."""
    named = {name: getattr(status, name) for name in dir(status) if name.startswith("st_")}
    named |= {"st_ctime": status.st_mtime, "st_ctime_ns": status.st_mtime_ns}
    return os.stat_result((*status[:9], int(status.st_mtime)), named)
