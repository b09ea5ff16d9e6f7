"""What SFTP version 3 says: each kind of packet as a value. `exchange.sftp.wire` is how it is spelt. Pure.

A client numbers its requests, and a server answers each once, under the same number, in any order:

    Init                                          -> Version
    Open, Opendir                                 -> Handle | Status
    Read                                          -> Data | Status         Data may be shorter than was asked for
    Readdir, Realpath, Readlink                   -> Names | Status
    Lstat, Stat, Fstat                            -> Attrs | Status
    Extended                                      -> ExtendedReply | Status
    every other request                           -> Status

Specification: draft-ietf-secsh-filexfer-02; the extensions: OpenSSH's PROTOCOL, section 4.

>>> Status(7, OK) == Status(id=7, code=0)
True
"""

from dataclasses import dataclass, field
from typing import Final

VERSION_NUMBER: Final = 3

READ, WRITE, APPEND, CREATE, TRUNCATE, EXCLUSIVE = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
"""Flags of OPEN."""

OK, EOF, NO_SUCH_FILE, DENIED, FAILURE, BAD_MESSAGE, NO_CONNECTION, CONNECTION_LOST, UNSUPPORTED = range(9)
"""Codes of STATUS."""

POSIX_RENAME: Final = b"posix-rename@openssh.com"
STATVFS: Final = b"statvfs@openssh.com"
FSYNC: Final = b"fsync@openssh.com"
LIMITS: Final = b"limits@openssh.com"


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is said of a file; absent = not said."""

    size: int | None = None
    owner: tuple[int, int] | None = None
    permissions: int | None = None
    times: tuple[int, int] | None = None
    extended: tuple[tuple[bytes, bytes], ...] | None = None


@dataclass(frozen=True, slots=True)
class Name:
    """One line of a directory."""

    name: bytes
    long_name: bytes
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class _Pairs:
    version: int
    extensions: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Init(_Pairs):
    """The client's first packet."""


@dataclass(frozen=True, slots=True)
class Version(_Pairs):
    """The server's first packet: the protocol and the extensions that it speaks."""


@dataclass(frozen=True, slots=True)
class _Numbered:
    id: int


@dataclass(frozen=True, slots=True)
class _OfPath(_Numbered):
    path: bytes


@dataclass(frozen=True, slots=True)
class _OfHandle(_Numbered):
    handle: bytes


@dataclass(frozen=True, slots=True)
class Open(_OfPath):
    """Answered by Handle or Status."""

    flags: int
    attributes: Attributes = field(default_factory=Attributes)


@dataclass(frozen=True, slots=True)
class Close(_OfHandle):
    """Answered by Status."""


@dataclass(frozen=True, slots=True)
class Read(_OfHandle):
    """Answered by Data (perhaps shorter) or Status (EOF)."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Write(_OfHandle):
    """Answered by Status."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Lstat(_OfPath):
    """Answered by Attrs or Status."""


@dataclass(frozen=True, slots=True)
class Fstat(_OfHandle):
    """Answered by Attrs or Status."""


@dataclass(frozen=True, slots=True)
class Setstat(_OfPath):
    """Answered by Status."""

    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Fsetstat(_OfHandle):
    """Answered by Status."""

    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Opendir(_OfPath):
    """Answered by Handle or Status."""


@dataclass(frozen=True, slots=True)
class Readdir(_OfHandle):
    """Answered by Names or Status (EOF)."""


@dataclass(frozen=True, slots=True)
class Remove(_OfPath):
    """Answered by Status."""


@dataclass(frozen=True, slots=True)
class Mkdir(_OfPath):
    """Answered by Status."""

    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Rmdir(_OfPath):
    """Answered by Status."""


@dataclass(frozen=True, slots=True)
class Realpath(_OfPath):
    """Answered by Names with one line."""


@dataclass(frozen=True, slots=True)
class Stat(_OfPath):
    """Answered by Attrs or Status; follows symbolic links."""


@dataclass(frozen=True, slots=True)
class Rename(_OfPath):
    """Answered by Status; must not replace an existing file."""

    new_path: bytes


@dataclass(frozen=True, slots=True)
class Readlink(_OfPath):
    """Answered by Names with one line."""


@dataclass(frozen=True, slots=True)
class Symlink(_OfPath):
    """Answered by Status; which of the two paths is which differs between servers."""

    other_path: bytes


@dataclass(frozen=True, slots=True)
class Status(_Numbered):
    """How a request ended."""

    code: int
    message: bytes = b""
    language: bytes = b""


@dataclass(frozen=True, slots=True)
class Handle(_OfHandle):
    """An open file or directory."""


@dataclass(frozen=True, slots=True)
class Data(_Numbered):
    """What was read."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Names(_Numbered):
    """Lines of a directory."""

    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Attrs(_Numbered):
    """What is known of a file."""

    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Extended(_Numbered):
    """A request that an extension defines."""

    request: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class ExtendedReply(_Numbered):
    """The answer that an extension defines."""

    payload: bytes


Request = (
    Open
    | Close
    | Read
    | Write
    | Lstat
    | Fstat
    | Setstat
    | Fsetstat
    | Opendir
    | Readdir
    | Remove
    | Mkdir
    | Rmdir
    | Realpath
    | Stat
    | Rename
    | Readlink
    | Symlink
    | Extended
)
Reply = Status | Handle | Data | Names | Attrs | ExtendedReply
Packet = Init | Version | Request | Reply
