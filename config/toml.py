"""A TOML file together with the line on which each key stands, and one error that lists everything wrong in it.

`tomllib` reads the values but forgets where they stood. `read` lets it decide what is TOML (version 1.0.0), then walks
over the same text once more, knowing that it is well formed, and notes the line of every key, table and array element:

    [watch]             ("watch",) -> 1
    rescan = "30s"      ("watch", "rescan") -> 2
    list = [1,          ("watch", "list") -> 3, ("watch", "list", 0) -> 3
      2]                ("watch", "list", 1) -> 4

>>> document = read(b'[watch]\\nrescan = "30s"\\n', "handover.toml")
>>> document.data, document.line(("watch", "rescan"))
({'watch': {'rescan': '30s'}}, 2)
>>> raise BadFile("handover.toml", [Problem(2, "watch.rescan", "is not a duration")])
Traceback (most recent call last):
config.toml.BadFile: handover.toml:2: watch.rescan: is not a duration
"""

import contextlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from config.errors import Misuse

Path = tuple[str | int, ...]

MAX_FILE = 2**20
"""What a person writes by hand stays far below a mebibyte; a larger file is something else."""

_TOO_DEEP = 32
"""Nothing of ours nests deeper than four; past this a file is hostile or broken."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# SPEC: TOML 1.0.0 String: up to two quotes may stand directly before the three that close
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: the line (from 1), the dotted key (may be empty), and what, in lower case."""

    line: int
    where: str
    what: str


class BadFile(Misuse):
    """A file that an administrator wrote cannot be used; `problems` holds everything wrong in it, by line."""

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.line, p.where)))
        lines = [f"{file}:{p.line}: " + (f"{p.where}: " if p.where else "") + p.what for p in self.problems]
        several = [f"{file} has {len(lines)} mistakes"] if len(lines) > 1 else []
        super().__init__("\n  ".join(several + lines))


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says, and where."""

    file: str
    data: Mapping[str, object]
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """The line of a key, or of the nearest table around it that is written down; 1 for the whole file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(content: bytes, file: str) -> Document:
    """Read a TOML file; `file` is its name for messages. Raises BadFile."""
    if len(content) > MAX_FILE:
        raise BadFile(file, [Problem(1, "", "is larger than 1 MiB")])
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadFile(file, [Problem(line, "", "is not UTF-8 text; save the file as UTF-8")]) from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadFile(file, [_syntax(str(error), text)]) from None
    except (RecursionError, ValueError):  # ValueError: a number with thousands of digits
        raise BadFile(file, [Problem(1, "", "cannot be read: it nests or counts too far")]) from None
    if _depth(data) > _TOO_DEEP:
        raise BadFile(file, [Problem(1, "", "is nested too deeply")])
    return Document(file, data, _Walk(text).lines())


def write(value: str | float | list[str]) -> str:
    """A text, number, truth value or list as TOML writes it: nearly as JSON does."""
    # SPEC: TOML 1.0.0 String: DEL must be escaped, which JSON does not ask for
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "rescan"?` for the nearest known word, else an empty text."""
    from difflib import get_close_matches  # only needed when something is wrong already

    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else ""


def _syntax(message: str, text: str) -> Problem:
    """Tomllib's own words, with the line taken out of them."""
    what, _, place = message.partition(" (at ")
    match = re.match(r"line ([0-9]+)", place)
    line = int(match[1]) if match else text.rstrip("\n").count("\n") + 1
    return Problem(line, "", f"is not TOML: {what[:1].lower()}{what[1:]}")


def _depth(value: object) -> int:
    """How many tables and arrays lie inside each other, counted without recursion and no further than needed."""
    layer, depth = [value], 0
    while layer and depth <= _TOO_DEEP:
        inner: list[object] = []
        for item in layer:
            inner += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        layer, depth = inner, depth + 1
    return depth


class _LostError(Exception):
    """The walk does not find what the grammar has at this place."""


class _Walk:
    """One pass over text that tomllib has accepted; it may therefore trust the grammar.

    Should it get lost all the same, it stops: problems after that place are told with an earlier line.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._found: dict[Path, int] = {}
        self._array_tables: dict[Path, int] = {}

    def lines(self) -> dict[Path, int]:
        """Every path with the line on which it first stands."""
        with contextlib.suppress(_LostError, IndexError):
            self._walk()
        return self._found

    def _walk(self) -> None:
        table: Path = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._peek("[["):
                table = self._resolve(self._key(2))
                index = self._array_tables.get(table, -1) + 1
                self._array_tables[table] = index
                self._note(table)
                table = (*table, index)
                self._note(table)
                self._at += 2
            elif self._peek("["):
                table = self._resolve(self._key(1))
                self._note(table)
                self._at += 1
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _resolve(self, key: Path) -> Path:
        """A header inside an array of tables means the array's newest element."""
        path: Path = ()
        for number, part in enumerate(key):
            path = (*path, part)
            if path in self._array_tables and number < len(key) - 1:
                path = (*path, self._array_tables[path])
        return path

    def _pair(self, table: Path) -> None:
        path = table
        for part in self._key(0):
            path = (*path, part)
            self._note(path)
        self._at += 1  # the equals sign
        self._skip(_BLANK)
        self._value(path)

    def _key(self, brackets: int) -> Path:
        """A dotted key; stops at the `=` or `]` behind it."""
        self._at += brackets
        parts: list[str] = []
        while True:
            self._skip(_BLANK)
            quoted = self._text[self._at] in "\"'"
            word = self._take(_STRING if quoted else _BARE_KEY)
            parts.append(next(iter(tomllib.loads(f"{word} = 0"))) if quoted else word)
            self._skip(_BLANK)
            if not self._peek("."):
                return tuple(parts)
            self._at += 1

    def _value(self, path: Path) -> None:
        if self._peek("["):
            self._items(path, "]")
        elif self._peek("{"):
            self._items(path, "}")
        else:
            self._take(_STRING if self._text[self._at] in "\"'" else _SCALAR)

    def _items(self, path: Path, end: str) -> None:
        self._at += 1
        number = 0
        self._skip(_BLANK)
        while not self._peek(end):
            if end == "}":
                self._pair(path)
            else:
                self._note((*path, number))
                self._value((*path, number))
                number += 1
            self._skip(_BLANK)
            if self._peek(","):
                self._at += 1
            self._skip(_BLANK)
        self._at += 1

    def _note(self, path: Path) -> None:
        self._found.setdefault(path, self._line)

    def _peek(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = self._skip(pattern)
        if not found:
            raise _LostError
        return found

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        found = match[0] if match else ""
        self._at += len(found)
        self._line += found.count("\n")
        return found
