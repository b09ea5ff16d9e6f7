"""SFTP version 3 on the wire: bytes of the values in `exchange.sftp.packets`, and back. Pure.

    packet       uint32 length | byte type | uint32 id | fields        length counts everything after itself
    string       uint32 length | bytes                                 RFC 4251 5; uint32 and uint64 big-endian
    attributes   uint32 flags | flag 01: uint64 size | 02: uint32 uid, uint32 gid | 04: uint32 permissions
                 | 08: uint32 atime, uint32 mtime | 80000000: uint32 count, count × (string type, string data)
    names        uint32 count | count × (string name, string long name, attributes)

Init and Version carry a version number in the place of the id, then pairs of strings: the server's extensions.
Specification: draft-ietf-secsh-filexfer-02. What parses encodes to the identical bytes, or is refused.

>>> packet = encode(Write(7, b"h", 3, b"abc"))
>>> packet.hex(" ", -4)
'00000019 06000000 07000000 01680000 00000000 00030000 00036162 63'
>>> parse(packet[4:])
Write(id=7, handle=b'h', offset=3, data=b'abc')
>>> parse(bytes([255, 0]))
Traceback (most recent call last):
exchange.sftp.wire.WireError: an SFTP packet is of no known type
"""

import struct
from collections.abc import Iterator
from typing import Any, Final

from config.errors import Refused
from exchange.sftp.packets import (
    Attributes,
    Attrs,
    Close,
    Data,
    Extended,
    ExtendedReply,
    Fsetstat,
    Fstat,
    Handle,
    Init,
    Lstat,
    Mkdir,
    Name,
    Names,
    Open,
    Opendir,
    Packet,
    Read,
    Readdir,
    Readlink,
    Realpath,
    Remove,
    Rename,
    Rmdir,
    Setstat,
    Stat,
    Status,
    Symlink,
    Version,
    Write,
)

MAX_PACKET: Final = 256 * 1024 + 1024
"""Longest packet taken: OpenSSH's 256 KiB for a message, with room for what a server adds to 256 KiB of data."""

# SPEC: draft-ietf-secsh-filexfer-02 3 packet types, and 4 to 8 their fields in order, the id included
_LAYOUTS: Final[dict[int, tuple[type[Any], str]]] = {
    1: (Init, "up"),
    2: (Version, "up"),
    3: (Open, "usua"),
    4: (Close, "us"),
    5: (Read, "usqu"),
    6: (Write, "usqs"),
    7: (Lstat, "us"),
    8: (Fstat, "us"),
    9: (Setstat, "usa"),
    10: (Fsetstat, "usa"),
    11: (Opendir, "us"),
    12: (Readdir, "us"),
    13: (Remove, "us"),
    14: (Mkdir, "usa"),
    15: (Rmdir, "us"),
    16: (Realpath, "us"),
    17: (Stat, "us"),
    18: (Rename, "uss"),
    19: (Readlink, "us"),
    20: (Symlink, "uss"),
    101: (Status, "uuss"),
    102: (Handle, "us"),
    103: (Data, "us"),
    104: (Names, "un"),
    105: (Attrs, "ua"),
    200: (Extended, "usx"),
    201: (ExtendedReply, "ux"),
}
"""u uint32, q uint64, s string, a attributes, n names, p pairs of strings to the end, x everything to the end."""

_TYPES: Final = {kind: number for number, (kind, _) in _LAYOUTS.items()}

# SPEC: draft-ietf-secsh-filexfer-02 5 flags of attributes
_SIZE, _OWNER, _PERMISSIONS, _TIMES, _EXTENDED = 0x01, 0x02, 0x04, 0x08, 0x80000000
_KNOWN: Final = _SIZE | _OWNER | _PERMISSIONS | _TIMES | _EXTENDED


class WireError(Refused):
    """Bytes are no packet of this protocol."""

    reason = "not-sftp"


def encode(packet: Packet) -> bytes:
    """The whole packet, its length in front; numbers must fit their fields, and strings 2^32-1 bytes."""
    number = _TYPES[type(packet)]
    kind, layout = _LAYOUTS[number]
    pieces = [bytes([number])]
    for letter, name in zip(layout, kind.__match_args__, strict=True):
        pieces.append(_put(letter, getattr(packet, name)))
    body = b"".join(pieces)
    return _uint32(len(body)) + body


def write_header(number: int, handle: bytes, offset: int, length: int) -> bytes:
    """`encode(Write(number, handle, offset, data))` without the `length` bytes of data that follow it."""
    body = b"\x06" + _uint32(number) + _string(handle) + struct.pack(">QI", offset, length)
    return _uint32(len(body) + length) + body


def parse(body: bytes) -> Packet:
    """The packet whose bytes after the length are `body`; `encode(parse(b)) == length + b`; raises WireError."""
    kind, layout = _LAYOUTS.get(body[0] if body else 0, (None, ""))
    if kind is None:
        raise WireError("an SFTP packet is of no known type")
    reader = _Reader(body, 1)
    values = [reader.take(letter) for letter in layout]
    if not reader.at_end:
        raise WireError("an SFTP packet is longer than its fields")
    packet: Packet = kind(*values)
    return packet


class Splitter:
    """Cuts a stream of bytes into packets: feed it what came, and take what is complete."""

    def __init__(self, limit: int = MAX_PACKET) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Every packet that is complete with `data`; raises WireError, after which the stream is of no use."""
        self._buffer += data
        start = 0
        while len(self._buffer) - start >= 4:
            length = int.from_bytes(self._buffer[start : start + 4], "big")
            if not 1 <= length <= self._limit:
                raise WireError("an SFTP packet is empty or longer than any may be")
            if len(self._buffer) - start - 4 < length:
                break
            body = bytes(self._buffer[start + 4 : start + 4 + length])
            start += 4 + length
            yield parse(body)
        del self._buffer[:start]


def text(value: str) -> bytes:
    """A path as it is sent; `name(text(value)) == value`."""
    return value.encode("utf-8", "surrogateescape")


def name(value: bytes) -> str:
    """A path as it came, any bytes; `text(name(value)) == value`."""
    return value.decode("utf-8", "surrogateescape")


class _Reader:
    __slots__ = ("_at", "_body")

    def __init__(self, body: bytes, at: int = 0) -> None:
        self._body = body
        self._at = at

    @property
    def at_end(self) -> bool:
        return self._at == len(self._body)

    def take(self, letter: str) -> object:
        match letter:
            case "u":
                return self.number(4)
            case "q":
                return self.number(8)
            case "s":
                return self.string()
            case "a":
                return self.attributes()
            case "n":
                return tuple(self.one_name() for _ in range(self.number(4)))
            case "p":
                return tuple(self.pairs_to_end())
            case _:
                return self.exactly(len(self._body) - self._at)

    def exactly(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._body):
            raise WireError("an SFTP packet ends within a field")
        found, self._at = self._body[self._at : end], end
        return found

    def number(self, width: int) -> int:
        return int.from_bytes(self.exactly(width), "big")

    def string(self) -> bytes:
        return self.exactly(self.number(4))

    def pair(self) -> tuple[bytes, bytes]:
        return self.string(), self.string()

    def pairs_to_end(self) -> Iterator[tuple[bytes, bytes]]:
        while not self.at_end:
            yield self.pair()

    def one_name(self) -> Name:
        return Name(self.string(), self.string(), self.attributes())

    def attributes(self) -> Attributes:
        flags = self.number(4)
        if flags & ~_KNOWN:
            raise WireError("attributes of a file carry unknown flags")
        return Attributes(
            size=self.number(8) if flags & _SIZE else None,
            owner=(self.number(4), self.number(4)) if flags & _OWNER else None,
            permissions=self.number(4) if flags & _PERMISSIONS else None,
            times=(self.number(4), self.number(4)) if flags & _TIMES else None,
            extended=tuple(self.pair() for _ in range(self.number(4))) if flags & _EXTENDED else None,
        )


def _put(letter: str, value: Any) -> bytes:
    match letter:
        case "u":
            return _uint32(value)
        case "q":
            return struct.pack(">Q", value)
        case "s":
            return _string(value)
        case "a":
            return _attributes(value)
        case "n":
            lines = (_string(one.name) + _string(one.long_name) + _attributes(one.attributes) for one in value)
            return _uint32(len(value)) + b"".join(lines)
        case "p":
            return b"".join(_string(key) + _string(said) for key, said in value)
        case _:
            return bytes(value)


def _uint32(value: int) -> bytes:
    return struct.pack(">I", value)


def _string(value: bytes) -> bytes:
    return _uint32(len(value)) + value


def _attributes(value: Attributes) -> bytes:
    flags, pieces = 0, []
    if value.size is not None:
        flags |= _SIZE
        pieces.append(struct.pack(">Q", value.size))
    if value.owner is not None:
        flags |= _OWNER
        pieces.append(struct.pack(">II", *value.owner))
    if value.permissions is not None:
        flags |= _PERMISSIONS
        pieces.append(_uint32(value.permissions))
    if value.times is not None:
        flags |= _TIMES
        pieces.append(struct.pack(">II", *value.times))
    if value.extended is not None:
        flags |= _EXTENDED
        pieces.append(_uint32(len(value.extended)))
        pieces.extend(_string(key) + _string(said) for key, said in value.extended)
    return _uint32(flags) + b"".join(pieces)
