"""What a program does to a disk, as values: the only language between the recorder and the model of the disk."""

from dataclasses import dataclass

ROOT = 1
"""Number of the topmost directory of a disk."""


@dataclass(frozen=True, slots=True)
class Place:
    """A name in a directory; directories and files are known by numbers that never change, like inodes."""

    directory: int
    name: str


@dataclass(frozen=True, slots=True)
class Make:
    """A new, empty file or directory. SQLite may be the one who knows what its content is worth (`theirs`), and who
    makes and removes its name as it likes (`at_once`)."""

    number: int
    place: Place
    mode: int
    is_directory: bool = False
    theirs: bool = False
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Nameless:
    """A new, empty file without a name: until it gets one, nobody can find it."""

    number: int
    mode: int


@dataclass(frozen=True, slots=True)
class Name:
    """A nameless file gets its name."""

    number: int
    place: Place
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """A rename, which may replace what has the new name."""

    old: Place
    new: Place


@dataclass(frozen=True, slots=True)
class Drop:
    """A name is taken away: of a file, or of an empty directory."""

    place: Place
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes into a file."""

    number: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """A file gets another size."""

    number: int
    size: int


@dataclass(frozen=True, slots=True)
class Mode:
    """A file or directory gets other permissions."""

    number: int
    mode: int


@dataclass(frozen=True, slots=True)
class Sync:
    """fsync of a file or of a directory."""

    number: int


Entry = Make | Name | Move | Drop
"""What changes a directory."""

Operation = Entry | Nameless | Write | Cut | Mode | Sync
