"""One TOML table read key by key: what is wrong is collected, and reading goes on.

Every method gives back a value of its type even where the file has none that fits; such a value is never used,
because the problems are raised before anybody sees it.

>>> problems = []
>>> document = toml.read(b'size = 3\\nszie = 1', "x.toml")
>>> table = Table(document, (), document.data, problems)
>>> table.text("size"), table.no_others()
('', None)
>>> [(p.line, p.where, p.what) for p in problems]
[(1, 'size', 'must be text in quotes'), (2, 'szie', 'is not a key that Handover knows; did you mean "size"?')]
"""

import datetime
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from config import toml
from config.units import BadUnit

T = TypeVar("T", datetime.timedelta, int)

MAX_TEXT = 4_000
"""A title or a sentence that an agreement quotes; a longer text belongs into the agreement itself."""


class Form:
    """What a short text must look like, and how that is said."""

    def __init__(self, pattern: str, what: str) -> None:
        self._pattern = re.compile(pattern, re.ASCII)
        self.what = what

    def matches(self, text: str) -> bool:
        """Whether the whole text has this form."""
        return self._pattern.fullmatch(text) is not None


SLUG = Form("[a-z][a-z0-9-]{1,31}", "must be 2 to 32 small letters, digits and hyphens, and begin with a letter")
CATEGORY = Form("[a-z][a-z0-9-]{1,63}", "must be 2 to 64 small letters, digits and hyphens, and begin with a letter")
VERSION = Form("[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "must be 1 to 64 letters, digits, dots, hyphens and underscores")
GATEWAY = Form("[A-Za-z][A-Za-z0-9_]{0,63}", "must be 1 to 64 letters, digits and underscores, and begin with a letter")


class Table:
    """A table of a document; what is wrong with it goes into the list that it was given."""

    def __init__(
        self, document: toml.Document, path: toml.Path, data: Mapping[str, object], problems: list[toml.Problem]
    ) -> None:
        self._document = document
        self._path = path
        self._data = data
        self._problems = problems
        self._asked: list[str] = []

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are written down, in their order."""
        return tuple(self._data)

    def wrong(self, key: str, what: str, position: int | None = None) -> None:
        """Note a problem with a key, or with one element (from 0) of its list."""
        path = (*self._path, key) if position is None else (*self._path, key, position)
        where = ".".join(str(part) for part in self._path if isinstance(part, str))
        numbers = [part for part in self._path if isinstance(part, int)]
        where += "".join(f"[{number + 1}]" for number in numbers)
        self._problems.append(toml.Problem(self._document.line(path), f"{where}.{key}" if where else key, what))

    def no_others(self) -> None:
        """Note every key that nobody asked for."""
        for key in self._data:
            if key not in self._asked:
                self.wrong(key, f"is not a key that Handover knows{toml.did_you_mean(key, self._asked)}")

    def text(self, key: str) -> str:
        """A text that is not empty."""
        value = self._get(key)
        return "" if value is None else self._text(key, value)

    def form(self, key: str, form: Form) -> str:
        """A short text of a given form."""
        text = self.text(key)
        if text and not form.matches(text):
            self.wrong(key, form.what)
        return text

    def texts(self, key: str, at_most: int, form: Form | None = None, at_least: int = 1) -> tuple[str, ...]:
        """A list of different texts."""
        value = self._get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            self.wrong(key, "must be a list in square brackets")
            return ()
        if not at_least <= len(value) <= at_most:
            self.wrong(key, f"must list {at_least} to {at_most} texts")
        found: list[str] = []
        for position, item in enumerate(value):
            text = self._text(key, item, position)
            if text and form is not None and not form.matches(text):
                self.wrong(key, form.what, position)
            if text in found:
                self.wrong(key, "is listed already", position)
            found.append(text)
        return tuple(found)

    def date(self, key: str) -> datetime.date:
        """A date, written as TOML writes dates: 2019-12-05 without quotes."""
        return self._date(key, self._get(key)) or datetime.date.min

    def optional_date(self, key: str) -> datetime.date | None:
        """A date, or None where the key is left out."""
        return self._date(key, self._get(key, optional=True))

    def measured(self, key: str, parse: Callable[[str], T], *, optional: bool = False, zero: bool = False) -> T | None:
        """A duration or a size, above zero unless `zero` may be said; None where there is none."""
        value = self._get(key, optional=optional)
        text = "" if value is None else self._text(key, value)
        if not text:
            return None
        try:
            found = parse(text)
        except BadUnit as problem:
            self.wrong(key, problem.message)
            return None
        if not found and not zero:
            self.wrong(key, "must be more than zero")
        return found

    def table(self, key: str) -> "Table | None":
        """A table inside this one."""
        value = self._get(key)
        if value is not None and not isinstance(value, dict):
            self.wrong(key, f"must be a section that begins with [{key}]")
        return self._inner((key,), value) if isinstance(value, dict) else None

    def tables(self, key: str, at_most: int) -> tuple["Table", ...]:
        """A list of tables inside this one, at least one."""
        value = self._get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.wrong(key, f"must be sections that begin with [[{key}]]")
            return ()
        if not 1 <= len(value) <= at_most:
            self.wrong(key, f"must be 1 to {at_most} sections")
        return tuple(self._inner((key, number), item) for number, item in enumerate(value))

    def _inner(self, path: toml.Path, data: Mapping[str, object]) -> "Table":
        return Table(self._document, (*self._path, *path), data, self._problems)

    def _get(self, key: str, *, optional: bool = False) -> object:
        self._asked.append(key)
        if key not in self._data and not optional:
            self.wrong(key, "is missing")
        return self._data.get(key)

    def _text(self, key: str, value: object, position: int | None = None) -> str:
        if not isinstance(value, str):
            self.wrong(key, "must be text in quotes", position)
        elif not value.strip() or len(value) > MAX_TEXT:
            self.wrong(key, f"must be a text of 1 to {MAX_TEXT} characters", position)
        else:
            return value
        return ""

    def _date(self, key: str, value: object) -> datetime.date | None:
        if value is None:
            return None
        if isinstance(value, datetime.datetime) or not isinstance(value, datetime.date):
            self.wrong(key, "must be a date without quotes, like 2019-12-05")
            return None
        return value
