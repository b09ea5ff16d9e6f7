"""From the log of strace to operations on the disks of two machines.

strace writes every string as hexadecimal digits (`-xx`), so that content and names come through whole, and the path of
every open file (`-y`). What a call was about is found by its path at that moment, in the disk as it then is.

>>> text("\\\\x6f\\\\x6b")
'ok'
>>> parse('7 mkdir("\\\\x2f\\\\x61", 0700) = 0')
Call(thread=7, name='mkdir', arguments=('"\\\\x2f\\\\x61"', '0700'), result='0')
>>> parse("7 +++ exited with 0 +++") is None
True
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.powerloss.disk import Disk
from tests.powerloss.operations import ROOT, Cut, Drop, Make, Mode, Move, Name, Nameless, Operation, Place, Sync, Write

TRACED = (
    "openat", "creat", "write", "pwrite64", "writev", "pwritev", "pwritev2", "lseek", "rename", "renameat", "renameat2",
    "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "truncate",
    "ftruncate", "fsync", "fdatasync", "chmod", "fchmod", "fchmodat", "chroot", "fallocate", "copy_file_range",
    "sendfile", "splice",
)  # fmt: skip
"""Every call that can change a disk, and `chroot` and `lseek`, without which they cannot be understood."""

OPTIONS = ("-y", "-xx", "-s", "100000000", f"--trace={','.join(TRACED)}")

IGNORED = "daemon.pid"
"""Its lock counts, and no lock outlives the machine."""

THEIRS = ("-wal", "-shm", "-journal")
"""Endings of names that SQLite makes and removes."""

END = -1
"""Where an open file is written to that was opened for appending, wherever it is read."""

_LINE = re.compile(r"(\d+) +(\w+)\((.*)\) += (.+)", re.DOTALL)
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_OPEN = re.compile(r"(?:\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>")


class Strange(AssertionError):
    """The log holds what this reader does not know: the model would not be of what happened."""


@dataclass(frozen=True, slots=True)
class Call:
    """One finished system call, its arguments as strace wrote them."""

    thread: int
    name: str
    arguments: tuple[str, ...]
    result: str


def parse(line: str) -> Call | None:
    """A line of the log, or None if it is about no finished call."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    thread, name, arguments, result = match.groups()
    return Call(int(thread), name, tuple(arguments.split(", ")), result)


def whole_lines(lines: Iterable[str]) -> Iterator[str]:
    """Calls that another thread interrupted put together again, where they ended."""
    begun: dict[str, str] = {}
    for line in lines:
        match = _RESUMED.fullmatch(line)
        if line.endswith(_UNFINISHED):
            begun[line.split(" ", 1)[0]] = line.removesuffix(_UNFINISHED)
        elif match is not None:
            yield begun.pop(match[1], "") + match[3]
        else:
            yield line


def data(argument: str) -> bytes:
    """What an argument says in hexadecimal digits."""
    return bytes.fromhex(argument.replace("\\x", ""))


def text(argument: str) -> str:
    """The same as a path."""
    return os.fsdecode(data(argument))


@dataclass(frozen=True, slots=True)
class Done:
    """One operation, on which machine's disk."""

    machine: str
    operation: Operation


class Reader:
    """Reads logs of calls into operations, and applies each to the disk of the machine that it happened on.

    `roots` says which folders belong to which machine, and where on its disk.
    """

    def __init__(self, disks: dict[str, Disk], roots: dict[Path, tuple[str, str]], umask: int) -> None:
        self._disks = disks
        self._roots = roots
        self._umask = umask
        self._numbers = 1_000_000
        self._offsets: dict[tuple[str, int], int] = {}
        self._nameless: dict[str, tuple[str, int]] = {}
        self._working: dict[int, str] = {}
        self._chroots: dict[int, str] = {}

    def read(self, log: str) -> Iterator[Done]:
        """Every operation in the log, after it was applied."""
        for line in whole_lines(log.splitlines()):
            call = parse(line)
            if call is None or call.result.startswith(("-1", "?")) or call.name not in TRACED:
                continue
            for argument in call.arguments:
                if argument.startswith("AT_FDCWD<"):
                    self._working[call.thread] = text(argument[9:-1])
            if call.name == "chroot":
                self._chroots[call.thread] = self._working[call.thread] = text(call.arguments[0].strip('"'))
            else:
                for machine, operation in self._operations(call):
                    self._disks[machine].apply(operation)
                    yield Done(machine, operation)

    def _operations(self, call: Call) -> Iterator[tuple[str, Operation]]:
        match call.name:
            case "openat":
                yield from self._open(call)
            case "write" | "pwrite64" | "lseek" | "ftruncate" | "fsync" | "fdatasync" | "fchmod":
                yield from self._on_open(call)
            case "mkdir" | "mkdirat":
                found, mode = self._find(call, 0), int(call.arguments[-1], 8)
                if found is not None:
                    yield found[0], self._make(found[1], mode, is_directory=True)
            case "rename" | "renameat" | "renameat2":
                old, new = self._find(call, 0), self._find(call, 2 if call.name != "rename" else 1)
                if (old is None) != (new is None) or (old is not None and new is not None and old[0] != new[0]):
                    raise Strange("a rename from one machine to another")
                if old is not None and new is not None:
                    yield old[0], Move(old[1], new[1])
            case "linkat" if (source := text(call.arguments[1].strip('"'))) in self._nameless:
                machine, number = self._nameless[source]
                found = self._find(call, 2)
                if found is None or found[0] != machine:
                    raise Strange("a file gets its name on another machine")
                yield machine, Name(number, found[1])
            case "unlink" | "rmdir" | "unlinkat":
                found = self._find(call, 0)
                if found is not None and found[1].name != IGNORED:
                    yield found[0], Drop(found[1], found[1].name.endswith(THEIRS))
            case "chmod" | "fchmodat":
                found = self._find(call, 0)
                if found is not None:
                    position = 2 if call.name == "fchmodat" else 1
                    yield found[0], Mode(self._number(*found), int(call.arguments[position], 8))
            case _:
                if any(self._locate(path) is not None for path in self._paths(call)):
                    raise Strange(f"a call that is not understood: {call.name}")

    def _open(self, call: Call) -> Iterator[tuple[str, Operation]]:
        flags = call.arguments[2]
        found = None if "O_RDONLY" in flags else self._find(call, 0)
        if found is None or found[1].name == IGNORED:
            return
        machine, place = found
        if "O_TMPFILE" in flags:
            yield machine, self._make_nameless(machine, call)
            return
        number = self._disks[machine].at(place)
        if number is None:
            made = self._make(place, int(call.arguments[3], 8), is_directory=False)
            number = made.number
            yield machine, made
        elif "O_TRUNC" in flags and self._disks[machine].data_of(number):
            yield machine, Cut(number, 0)
        self._offsets[machine, number] = END if "O_APPEND" in flags else 0

    def _on_open(self, call: Call) -> Iterator[tuple[str, Operation]]:
        match = _OPEN.match(call.arguments[0])
        located = None if match is None else self._locate(text(match[1]))
        if located is None:
            return
        machine, place = located
        number = ROOT if place is None else self._disks[machine].at(place)
        if number is None:
            number = self._nameless.get(text(call.arguments[0].split("<")[1].split(">")[0]), (machine, None))[1]
        if number is None:
            return  # a file whose name is gone: nobody will find it
        key, result = (machine, number), int(call.result.split(" ")[0])
        match call.name:
            case "write":
                to_the_end = self._offsets[key] == END
                at = len(self._disks[machine].data_of(number)) if to_the_end else self._offsets[key]
                self._offsets[key] = END if to_the_end else at + result
                yield machine, Write(number, at, data(call.arguments[1].strip('"'))[:result])
            case "pwrite64":
                yield machine, Write(number, int(call.arguments[3]), data(call.arguments[1].strip('"'))[:result])
            case "lseek":
                self._offsets[key] = END if self._offsets.get(key) == END else result
            case "ftruncate":
                yield machine, Cut(number, int(call.arguments[1]))
            case "fchmod":
                yield machine, Mode(number, int(call.arguments[1], 8))
            case _:
                yield machine, Sync(number)

    def _make_nameless(self, machine: str, call: Call) -> Nameless:
        """It is known by the path that strace shows of it, and by that of its handle."""
        match = _OPEN.match(call.result)
        if match is None:
            raise Strange("a file without a name that has no handle")
        self._numbers += 1
        for path in (text(match[1]), f"/proc/self/fd/{call.result.split('<')[0]}"):
            self._nameless[path] = (machine, self._numbers)
        self._offsets[machine, self._numbers] = 0
        return Nameless(self._numbers, int(call.arguments[3], 8) & ~self._umask)

    def _make(self, place: Place, mode: int, *, is_directory: bool) -> Make:
        self._numbers += 1
        name = place.name
        return Make(self._numbers, place, mode & ~self._umask, is_directory, _is_theirs(name), name.endswith(THEIRS))

    # --- where a path leads -----------------------------------------------------------------------------------------

    def _paths(self, call: Call) -> list[str]:
        """Every path that a call names, of open files too."""
        strings = [match[1] for one in call.arguments if (match := _STRING.fullmatch(one)) is not None]
        opened = [match[1] for one in call.arguments if (match := _OPEN.match(one)) is not None]
        return [self._absolute(call, text(path)) for path in strings] + [text(path) for path in opened]

    def _find(self, call: Call, position: int) -> tuple[str, Place] | None:
        """The machine and place that the path at `position`, or behind the open directory there, leads to."""
        above = _OPEN.match(call.arguments[position])
        if above is not None:
            position += 1
        match = _STRING.fullmatch(call.arguments[position])
        if match is None:
            raise Strange(f"a path that is not understood: {call.arguments[position][:80]}")
        path = self._absolute(call, text(match[1]), None if above is None else text(above[1]))
        located = self._locate(path)
        if located is None or located[1] is None:
            return None
        return located[0], located[1]

    def _absolute(self, call: Call, path: str, above: str | None = None) -> str:
        if path.startswith("/"):
            return self._chroots.get(call.thread, "") + path
        return os.path.normpath(f"{above or self._working.get(call.thread, '')}/{path}")

    def _locate(self, path: str) -> tuple[str, Place | None] | None:
        """Which machine's disk, and where; None for a place means the top of that disk."""
        for root, (machine, below) in self._roots.items():
            if path == str(root) or path.startswith(f"{root}/"):
                parts = [part for part in f"{below}/{path[len(str(root)) :]}".split("/") if part]
                return machine, self._place(machine, parts)
        return None

    def _place(self, machine: str, parts: list[str]) -> Place | None:
        directory = ROOT
        for part in parts[:-1]:
            number = self._disks[machine].at(Place(directory, part))
            if number is None:
                raise Strange(f"a folder that was never made: {'/'.join(parts)}")
            directory = number
        return Place(directory, parts[-1]) if parts else None

    def _number(self, machine: str, place: Place) -> int:
        number = self._disks[machine].at(place)
        if number is None:
            raise Strange(f"a file that was never made: {place.name}")
        return number


@dataclass(frozen=True, slots=True)
class Loaded:
    """A folder as it was found: what would make it, and what the file system said of each file, by its number."""

    operations: tuple[Operation, ...]
    known: dict[int, os.stat_result]

    def replayed(self) -> Disk:
        """A disk that holds it, all of it safe."""
        disk = Disk()
        for operation in self.operations:
            disk.apply(operation)
        disk.sync_all()
        return disk


def load(folder: Path, seen: dict[Path, Path]) -> Loaded:
    """What lies in `folder`; links that are keys of `seen` are the folders they lead to."""
    operations: list[Operation] = []
    known: dict[int, os.stat_result] = {}

    def walk(directory: Path, above: int) -> None:
        for path in sorted(directory.iterdir()):
            real = seen.get(path, path)
            status, number = real.lstat(), len(known) + 2
            known[number] = status
            place, mode = Place(above, path.name), stat.S_IMODE(status.st_mode)
            operations.append(Make(number, place, mode, real.is_dir(), _is_theirs(path.name)))
            if real.is_dir():
                walk(real, number)
            else:
                operations.append(Write(number, 0, real.read_bytes()))

    walk(folder, ROOT)
    return Loaded(tuple(operations), known)


def _is_theirs(name: str) -> bool:
    return name.endswith((*THEIRS, ".db", ".db.part"))
