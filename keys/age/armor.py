"""ASCII armour around an age file: strict PEM, for places that take text only.

    -----BEGIN AGE ENCRYPTED FILE-----
    YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBURWlGMHlwcXIrYnB2Y3FY      lines of exactly 64 characters,
    yPC8DpksHoMx+2Y=                                                      the last one of 4 to 64, with padding
    -----END AGE ENCRYPTED FILE-----

Specification: C2SP age v1 (https://c2sp.org/age), "ASCII armor"; RFC 7468 3, figure 3. A line ends with LF or CR LF;
white space may stand before and after the whole, and nowhere else; no headers, no checksum, canonical base64.

>>> import io
>>> text = io.BytesIO()
>>> writer = ArmorWriter(text)
>>> writer.write(b"age-encryption.org/v1"); writer.finish()
21
>>> print(text.getvalue().decode(), end="")
-----BEGIN AGE ENCRYPTED FILE-----
YWdlLWVuY3J5cHRpb24ub3JnL3Yx
-----END AGE ENCRYPTED FILE-----
>>> ArmorReader(Source(io.BytesIO(text.getvalue()))).read(100)
b'age-encryption.org/v1'
"""

import binascii

from keys.age.errors import ArmorFailure
from keys.age.source import Source, Writable, write_all

BEGIN = b"-----BEGIN AGE ENCRYPTED FILE-----"
END = b"-----END AGE ENCRYPTED FILE-----"
COLUMNS = 64
LINE_BYTES = 48

MAX_WHITESPACE = 1024
"""White space before or after the armour beyond this is refused, so that nobody is kept reading blanks."""

_BLOCK_LINES = 1024
"""Lines that are decoded at once where nothing is out of the ordinary."""

_WHITESPACE = b" \t\n\v\f\r"


def looks_armored(head: bytes) -> bool:
    """Whether a file that begins with `head` and is no binary age file was meant as armour, be it good or bad."""
    return b"-----" in head or head.isspace()


class ArmorWriter:
    """Encodes what is written to it; `finish` writes the last line and the END line."""

    __slots__ = ("_dst", "_pending")

    def __init__(self, dst: Writable) -> None:
        self._dst = dst
        self._pending = bytearray()
        write_all(dst, BEGIN + b"\n")

    def write(self, data: bytes | memoryview) -> int:
        """Take all of `data`."""
        self._pending += data
        whole = len(self._pending) // LINE_BYTES * LINE_BYTES
        self._lines(self._pending[:whole])
        del self._pending[:whole]
        return len(data)

    def finish(self) -> None:
        """Nothing can be written afterwards."""
        self._lines(self._pending)
        write_all(self._dst, END + b"\n")

    def _lines(self, data: bytearray) -> None:
        lines = (binascii.b2a_base64(data[at : at + LINE_BYTES]) for at in range(0, len(data), LINE_BYTES))
        write_all(self._dst, b"".join(lines))


class ArmorReader:
    """Decodes armour, block by block; ArmorFailure where it is not strict."""

    __slots__ = ("_decoded", "_ended", "_source", "_started")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._decoded = b""
        self._started = False
        self._ended = False

    def read(self, n: int, /) -> bytes:
        """Up to `n` bytes; empty once the END line and nothing but white space after it was seen."""
        if not self._started:
            self._begin()
        while not self._decoded and not self._ended:
            self._decoded = self._block()
        taken, self._decoded = self._decoded[:n], self._decoded[n:]
        return taken

    def _begin(self) -> None:
        skipped = 0
        while not (line := self._line()).strip(_WHITESPACE):
            skipped += len(line) + 1
            if skipped > MAX_WHITESPACE:
                raise ArmorFailure("there is too much white space before the armour")
        # SPEC: C2SP age armor: case-sensitive label "AGE ENCRYPTED FILE"
        if line != BEGIN:
            raise ArmorFailure("the armour does not begin with its BEGIN line")
        self._started = True

    def _block(self) -> bytes:
        """The next lines, decoded: all at once where they are full, else one by one, which also finds what is wrong."""
        return self._full_lines() or self._single_lines()

    def _full_lines(self) -> bytes:
        """Decode the next lines together if each of them has 64 characters of the alphabet; nothing is taken if not."""
        text = self._source.peek(_BLOCK_LINES * (COLUMNS + 2))
        ending = b"\r\n" if text[COLUMNS : COLUMNS + 2] == b"\r\n" else b"\n"
        width = COLUMNS + len(ending)
        count = len(text) // width
        body = text[: count * width].replace(ending, b"")
        # With that length there is one ending for each line, and here is the place of each; no other may remain below.
        if len(body) != count * COLUMNS or text[width - 1 : count * width : width] != b"\n" * count or b"=" in body:
            return b""
        try:
            data = binascii.a2b_base64(body, strict_mode=True)
        except ValueError:
            return b""
        self._source.take(count * width)
        return data

    def _single_lines(self) -> bytes:
        parts: list[bytes] = []
        for _ in range(_BLOCK_LINES):
            line = self._line()
            if line != END:
                parts.append(_decode(line))
                if len(parts[-1]) == LINE_BYTES:
                    continue
                # SPEC: RFC 7468 3: only the final line is shorter than 64 characters
                if self._line() != END:
                    raise ArmorFailure("a line within the armour is shorter than 64 columns")
            self._ended = True
            self._check_end()
            break
        return b"".join(parts)

    def _line(self) -> bytes:
        line = self._source.line(MAX_WHITESPACE)
        if not line:
            raise ArmorFailure("the armour has no END line" if line == b"" else "a line of the armour is too long")
        # SPEC: C2SP age armor: both LF and CRLF line endings
        return line.removesuffix(b"\n").removesuffix(b"\r")

    def _check_end(self) -> None:
        # SPEC: C2SP age armor: reject any data after the PEM encoding, except white space
        rest = self._source.take(MAX_WHITESPACE + 1)
        if rest.strip(_WHITESPACE):
            raise ArmorFailure("something follows the armour")
        if len(rest) > MAX_WHITESPACE:
            raise ArmorFailure("there is too much white space after the armour")


def _decode(line: bytes) -> bytes:
    """The bytes of one line of 4 to 64 characters of canonical padded base64."""
    try:
        data = binascii.a2b_base64(line, strict_mode=True)
    except ValueError:
        raise ArmorFailure("a line of the armour is not base64") from None
    # SPEC: C2SP age armor: canonical; the one spelling is found by going back, which also refuses an empty line
    if not data or len(line) > COLUMNS or binascii.b2a_base64(data, newline=False) != line:
        raise ArmorFailure("a line of the armour is not canonical base64 of 4 to 64 columns")
    return data
