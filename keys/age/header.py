"""The textual header of an age file: which recipients can open it, and a code that authenticates all of that.

    age-encryption.org/v1                                    version line
    -> X25519 XEl0dJ6y3C7KZkgmgWUicg63EyXJiwBJW8PdYJ/cYBE    stanza: type and arguments, then the body in lines
    qRS0AMjdjPvZ/WT08U2KL4G+PIooA3hy38SvLpvaC1E              of 64 characters, the last one shorter, maybe empty
    --- HK2NmOBN9Dpq0Gw6xMCuhFcQlQLvZ/wQUi/2scLG75s          HMAC-SHA-256 of everything up to and with the ---

Specification: C2SP age v1 (https://c2sp.org/age), "Header". Every value has one spelling, therefore
`parse(b).encode() == b` for whatever parses. Lines end with a line feed only. Stanzas of types that nobody knows
are kept, and ignored by who unwraps.

>>> stanza = Stanza(("X25519", "share"), b"body")
>>> header = Header((stanza,), b"").sealed(bytes(16))
>>> parse(header.encode()) == header
True
>>> header.authentic(bytes(16)), header.authentic(b"another file key")
(True, False)
"""

import hashlib
import hmac
import io
import re
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keys.age import raw64
from keys.age.errors import HeaderFailure
from keys.age.source import Source

FILE_KEY_SIZE = 16
COLUMNS = 64
MAC_SIZE = 32

MAX_HEADER = 1 << 20
"""A header is held in memory and each stanza may cost a key agreement: 600 post-quantum stanzas are the most."""

INTRO = b"age-encryption.org/"
_VERSION_LINE = INTRO + b"v1\n"
# SPEC: C2SP age ABNF: arg-line = "-> " argument *(SP argument) LF ; argument = 1*VCHAR
_ARGUMENT_LINE = re.compile(rb"-> ([!-~]+(?: [!-~]+)*)\n")
# SPEC: C2SP age ABNF: end = "--- " 43base64char LF
_END_LINE = re.compile(rb"--- ([A-Za-z0-9+/]{43})\n")


@dataclass(frozen=True, slots=True)
class Stanza:
    """One wrapped copy of the file key. `args` has at least one element, the type; `body` may be empty."""

    args: tuple[str, ...]
    body: bytes

    @property
    def type(self) -> str:
        """The first argument, which says who may know what the others mean."""
        return self.args[0]

    def encode(self) -> bytes:
        """The stanza's lines: the last one is shorter than 64 columns, empty where the body fills the one before."""
        body = raw64.encode(self.body)
        lines = [body[start : start + COLUMNS] for start in range(0, len(body) + 1, COLUMNS)]
        return "\n".join((" ".join(("->", *self.args)), *lines, "")).encode("ascii")


@dataclass(frozen=True, slots=True)
class Header:
    """All stanzas in their order, and the authentication code over them."""

    stanzas: tuple[Stanza, ...]
    mac: bytes

    def encode(self) -> bytes:
        """The header's bytes, from the version line to the line feed before the payload."""
        return b"%s %s\n" % (self._authenticated(), raw64.encode(self.mac).encode("ascii"))

    def sealed(self, file_key: bytes) -> "Header":
        """The same stanzas under the authentication code that belongs to `file_key`."""
        return replace(self, mac=self._code(file_key))

    def authentic(self, file_key: bytes) -> bool:
        """Whether the code is the one of `file_key`; compared in constant time."""
        return hmac.compare_digest(self.mac, self._code(file_key))

    def _authenticated(self) -> bytes:
        # SPEC: C2SP age, header MAC: up to and including the --- mark, excluding the space following it
        return b"".join((_VERSION_LINE, *(stanza.encode() for stanza in self.stanzas), b"---"))

    def _code(self, file_key: bytes) -> bytes:
        # SPEC: C2SP age, header MAC: HKDF-SHA-256(ikm = file key, salt = empty, info = "header")
        key = HKDF(SHA256(), MAC_SIZE, salt=b"", info=b"header").derive(file_key)
        return hmac.new(key, self._authenticated(), hashlib.sha256).digest()


def parse(data: bytes) -> Header:
    """The header that `data` is, with nothing after it; HeaderFailure otherwise."""
    source = Source(io.BytesIO(data))
    header = read(source)
    if source.peek(1):
        raise HeaderFailure("something follows the header")
    return header


def read(source: Source) -> Header:
    """Take a header from `source`, which then stands at the payload; HeaderFailure where the grammar is broken."""
    lines = _Lines(source)
    _check_version(source, lines)
    stanzas: list[Stanza] = []
    while not (line := lines.next()).startswith(b"---"):
        stanzas.append(_stanza(line, lines))
    end = _END_LINE.fullmatch(line)
    mac = raw64.decode(end[1].decode("ascii")) if end else None
    if mac is None:
        raise HeaderFailure("the header's last line is not --- and one canonical authentication code")
    # SPEC: C2SP age ABNF: header = v1-line 1*stanza end
    if not stanzas:
        raise HeaderFailure("the header names no recipient")
    return Header(tuple(stanzas), mac)


class _Lines:
    """The header's lines, up to `MAX_HEADER` bytes altogether."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._left = MAX_HEADER

    def next(self) -> bytes:
        line = self._source.line(self._left)
        if line is None:
            raise HeaderFailure(f"the header is longer than {MAX_HEADER} bytes")
        if not line.endswith(b"\n"):
            raise HeaderFailure("the header is cut short")
        self._left -= len(line)
        return line


def _check_version(source: Source, lines: _Lines) -> None:
    # Looked at before a whole line is read: what is not an age file at all may have no line feed for a long way.
    if source.peek(len(INTRO)) != INTRO:
        raise HeaderFailure("this is not an age file", hint="age files begin with age-encryption.org/v1")
    if lines.next() != _VERSION_LINE:
        raise HeaderFailure("this version of the age format is not known", hint="only v1 can be read")


def _stanza(line: bytes, lines: _Lines) -> Stanza:
    start = _ARGUMENT_LINE.fullmatch(line)
    if start is None:
        raise HeaderFailure("a stanza does not begin with -> and its arguments")
    parts: list[bytes] = []
    # SPEC: C2SP age ABNF: stanza = arg-line *full-line final-line ; full-line has 64, final-line fewer
    while not parts or len(parts[-1]) == COLUMNS:
        parts.append(lines.next()[:-1])
        if len(parts[-1]) > COLUMNS:
            raise HeaderFailure(f"a line of a stanza's body is longer than {COLUMNS} columns")
    # Latin-1 keeps one character per byte, so that any stray byte arrives at the decoder and is refused there.
    body = raw64.decode(b"".join(parts).decode("latin-1"))
    if body is None:
        raise HeaderFailure("a stanza's body is not canonical base64")
    return Stanza(tuple(start[1].decode("ascii").split(" ")), body)
