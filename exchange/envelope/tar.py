r"""The narrow tar inside an envelope: regular members of mode 0600, owner 0 and time 0, and nothing else.

    header (512)   content   zeros to a border of 512        for each member
    [x header (512)  "20 size=8589934592\n"  zeros]           before a member of 8 GiB or more, whose own size says 0
    zeros (1,024)                                             the end
    [zeros up to a border of 10,240]                          as tar programs fill their last record

    header: name (100)  mode (8)  uid (8)  gid (8)  size (12)  mtime (12)  checksum (8)  kind (1)  link (100)
            "ustar" NUL "00"  user (32)  group (32)  device major (8)  minor (8)  prefix (155)  zeros (12)

Specification: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header". A number is octal digits up to
a NUL. One member has two spellings, because GNU tar writes the device numbers of a file as zero digits and Python as
NULs; every other bit of a header is fixed by name and size. What `tar --format=ustar --owner=0 --group=0
--numeric-owner --mode=0600 --mtime=@0` and Python's `tarfile` write is read; GNU's base-256 numbers are not.

>>> import io
>>> archive = header("payload", 3) + b"abc" + padding(3) + END
>>> members = Members(io.BytesIO(archive))
>>> members.next()
Member(name='payload', size=3)
>>> members.read(100), members.read(100), members.next()
(b'abc', b'', None)
"""

import re
from dataclasses import dataclass
from typing import Final, Protocol

from config.errors import Refused

BLOCK: Final = 512
RECORD: Final = 20 * BLOCK
"""What tar programs fill their output up to."""
END: Final = bytes(2 * BLOCK)
HEADER_LIMIT: Final = 8**11
"""8 GiB: the first size that eleven octal digits cannot hold."""
MAX_SIZE: Final = 2**53 - 1
"""The largest size that the manifest can say."""

_MODE: Final = 0o600
_MAGIC: Final = b"ustar\x0000"
_DEVICES: Final = b"0000000\0" * 2
_SIZE: Final = re.compile(rb"[0-7]{11}\0")
_NAME: Final = re.compile(rb"[!-~]{1,100}")
_PAX: Final = re.compile(rb"[1-9][0-9] size=([1-9][0-9]{9,15})\n")
_PAX_FORMS: Final = {"././@PaxHeader": 0, "./PaxHeaders/payload": 0o644, "PaxHeaders.0/payload": 0}
"""Name and mode of an extended header as Python, GNU tar and Go write them; the standard leaves both open."""
_OUR_PAX_NAME: Final = "././@PaxHeader"
_MAX_PAX: Final = 64
"""A record `size` of up to 16 digits has under 30 bytes."""


class TarError(Refused):
    """An archive that is not the narrow kind; `reason` is `bad-tar`, `not-a-file`, `truncated` or `trailing-data`."""

    reason = "bad-tar"


class Readable(Protocol):
    """What is read from."""

    def read(self, n: int, /) -> bytes:
        """Up to `n` bytes; empty at the end only."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in the archive."""

    name: str
    size: int


def header(name: str, size: int) -> bytes:
    """Everything that precedes the content of a member: 512 bytes, or 1,536 from 8 GiB on. 0 ≤ size ≤ MAX_SIZE."""
    if size < HEADER_LIMIT:
        return _block(name, size)
    # SPEC: FORMATS 1: pax records only where a size of 8 GiB or more needs one
    record = _pax_record(size)
    return _block(_OUR_PAX_NAME, len(record), kind=b"x", mode=0) + record + padding(len(record)) + _block(name, 0)


def padding(size: int) -> bytes:
    """The zeros that follow `size` bytes of content."""
    return bytes(-size % BLOCK)


class Members:
    """Reads an archive from `source`, member after member, never more than it is asked for."""

    __slots__ = ("_left", "_offset", "_pad", "_source")

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._offset = 0
        self._left = 0
        self._pad = 0

    def next(self) -> Member | None:
        """The next member; None once the end, and nothing but permitted zeros after it, was seen. TarError."""
        self._finish_member()
        block = self._exactly(BLOCK)
        if block == bytes(BLOCK):
            self._check_end()
            return None
        name, size, kind = _parse(block)
        if kind == b"x":
            size = self._extended_size(size)
            name, inner_size, kind = _parse(self._exactly(BLOCK))
            if kind != b"0" or inner_size != 0:
                raise TarError("an extended header in a tar does not precede a file of 8 GiB or more")
        self._left, self._pad = size, -size % BLOCK
        return Member(name, size)

    def read(self, n: int, /) -> bytes:
        """Up to `n` bytes of the current member; empty at its end, where its padding is checked. TarError."""
        if not self._left:
            self._finish_member()
            return b""
        data = self._source.read(min(n, self._left))
        if not data and n:
            raise _truncated()
        self._left -= len(data)
        self._offset += len(data)
        return data

    def _finish_member(self) -> None:
        if self._left:
            raise TarError("a member of a tar was not read to its end")
        if any(self._exactly(self._pad)):
            raise TarError("a member of a tar is followed by something other than zeros")
        self._pad = 0

    def _extended_size(self, size: int) -> int:
        # SPEC: POSIX pax Extended Header: "%d %s=%s\n", <length>, <keyword>, <value>; here exactly one, `size`
        record = self._exactly(size) if size <= _MAX_PAX else b""
        match = _PAX.fullmatch(record)
        wanted = int(match[1]) if match else 0
        if not HEADER_LIMIT <= wanted <= MAX_SIZE or _pax_record(wanted) != record:
            raise TarError("an extended header in a tar holds something other than a size of 8 GiB or more")
        if any(self._exactly(-size % BLOCK)):
            raise TarError("an extended header in a tar is followed by something other than zeros")
        return wanted

    def _check_end(self) -> None:
        # SPEC: POSIX ustar: two blocks of zeros end the archive. SPEC: FORMATS 1: nothing follows, no second archive
        if any(self._exactly(BLOCK)):
            raise TarError("a tar has a single block of zeros where two end it")
        allowed = -self._offset % RECORD
        while piece := self._source.read(BLOCK):
            self._offset += len(piece)
            allowed -= len(piece)
            if any(piece) or allowed < 0:
                raise TarError("something follows the end of a tar", reason="trailing-data")
        if self._offset % BLOCK:
            raise TarError("a tar does not end on a border of 512 bytes", reason="trailing-data")

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._source.read(size - len(data))
            if not piece:
                raise _truncated()
            data += piece
        self._offset += size
        return data


def _parse(block: bytes) -> tuple[str, int, bytes]:
    """Name, size and kind of one header block; `_block` of them gives the same bytes, or TarError."""
    if block[257:265] != _MAGIC:
        raise TarError("a tar has a header that is not of the ustar form")
    kind = block[156:157]
    # SPEC: FORMATS 1: regular members; a link, a device, a directory is refused
    if kind not in (b"0", b"x"):
        raise TarError("a tar has a member that is not a regular file", reason="not-a-file")
    raw_name, raw_size = block[:100].rstrip(b"\0"), block[124:136]
    if not _NAME.fullmatch(raw_name) or not _SIZE.fullmatch(raw_size):
        raise TarError("a tar has a header whose name or size is not in the plain form")
    name, size = raw_name.decode("ascii"), int(raw_size[:-1], 8)
    mode = _PAX_FORMS.get(name, 0) if kind == b"x" else _MODE
    devices = _DEVICES if block[329:345] == _DEVICES else bytes(16)
    # SPEC: FORMATS 1: mtime 0, mode 0600, owner 0
    if (kind == b"x" and name not in _PAX_FORMS) or _block(name, size, kind=kind, mode=mode, devices=devices) != block:
        raise TarError("a tar has a header with another mode, owner, time or checksum than it must have")
    return name, size, kind


def _block(name: str, size: int, *, kind: bytes = b"0", mode: int = _MODE, devices: bytes = _DEVICES) -> bytes:
    front = (
        name.encode("ascii").ljust(100, b"\0") + b"%07o\0%07o\0%07o\0" % (mode, 0, 0) + b"%011o\0%011o\0" % (size, 0)
    )
    back = kind + bytes(100) + _MAGIC + bytes(64) + devices + bytes(155 + 12)
    # SPEC: POSIX ustar, chksum: the sum of all bytes of the header, those of chksum itself taken as blanks
    checksum = sum(front) + sum(b" " * 8) + sum(back)
    return front + b"%06o\0 " % checksum + back


def _pax_record(size: int) -> bytes:
    body = b" size=%d\n" % size
    # The length counts itself; with 10 to 16 digits of size it has always two.
    return b"%d" % (len(body) + 2) + body


def _truncated() -> TarError:
    return TarError("a tar is cut short", reason="truncated")
