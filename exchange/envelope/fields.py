"""One JSON object, read field by field: every field typed and bounded, none left over.

What the manifest and the receipt are read with. A field is taken once; `done` refuses whatever was not taken, so an
unknown field is never silently ignored.

>>> fields = Fields({"entry": 7, "colour": "red"}, "receipt")
>>> fields.integer("entry", least=0)
7
>>> fields.done()
Traceback (most recent call last):
...
exchange.envelope.fields.ManifestError: receipt holds a field that is not known there
"""

import datetime
import re
from collections.abc import Mapping
from typing import Final

from config.errors import Refused
from config.times import BadTime, from_text
from ledger.canonical import Json

MAX_INTEGER: Final = 2**53 - 1
"""Largest integer that canonical JSON can hold (RFC 8785 3.2.2.3: the numbers are IEEE 754 doubles)."""

SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
CODE: Final = re.compile(r"[a-z][a-z0-9-]{0,63}", re.ASCII)
"""A short stable code: a reason, a category."""
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class ManifestError(Refused):
    """A manifest, or a part of it such as a receipt, that does not say what it must; `reason` says in which way."""

    reason = "bad-manifest"


class Fields:
    """The fields of one object that are not yet taken; every method raises ManifestError, naming `where`."""

    __slots__ = ("_left", "_reason", "_where")

    def __init__(self, value: Json, where: str, *, reason: str = ManifestError.reason) -> None:
        self._where = where
        self._reason = reason
        if not isinstance(value, Mapping):
            raise self.error("is not an object")
        self._left = dict(value)

    def error(self, what: str) -> ManifestError:
        """The error that says `what` is wrong with this object; never holds a value of it."""
        return ManifestError(f"{self._where} {what}", reason=self._reason)

    def text(self, name: str, form: re.Pattern[str]) -> str:
        """A text that has the whole `form`."""
        value = self._left.pop(name, None)
        if not isinstance(value, str) or form.fullmatch(value) is None:
            raise self.error(f"has no {name} in the right form")
        return value

    def optional_text(self, name: str, form: re.Pattern[str]) -> str | None:
        """A text that has the whole `form`, or None where the field is absent (null is refused)."""
        return self.text(name, form) if name in self._left else None

    def integer(self, name: str, *, least: int) -> int:
        """An integer from `least` to MAX_INTEGER; true and false are not integers."""
        value = self._left.pop(name, None)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MAX_INTEGER:
            raise self.error(f"has no {name} that is an integer of at least {least}")
        return value

    def time(self, name: str) -> str:
        """A time in our form, as its text."""
        value = self._left.pop(name, None)
        try:
            if isinstance(value, str):
                from_text(value)
                return value
        except BadTime:
            pass
        raise self.error(f"has no {name} that is a time in UTC")

    def date(self, name: str) -> str | None:
        """A day that exists, as `2026-11-23`, or None where the field is absent."""
        value = self.optional_text(name, _DATE)
        if value is not None:
            try:
                datetime.date.fromisoformat(value)
            except ValueError:
                raise self.error(f"names a day in {name} that does not exist") from None
        return value

    def texts(self, name: str, form: re.Pattern[str], *, most: int) -> tuple[str, ...]:
        """A list of at most `most` texts that each have the whole `form`."""
        value = self._left.pop(name, None)
        if not isinstance(value, list | tuple) or len(value) > most:
            raise self.error(f"has no {name} that is a list of at most {most}")
        found = tuple(item for item in value if isinstance(item, str) and form.fullmatch(item))
        if len(found) != len(value):
            raise self.error(f"has an item in {name} that is not in the right form")
        return found

    def object(self, name: str) -> Mapping[str, Json]:
        """Another object, unread."""
        value = self._left.pop(name, None)
        if not isinstance(value, Mapping):
            raise self.error(f"has no {name} that is an object")
        return value

    def take(self, name: str) -> Json:
        """Whatever stands there, unread; None where nothing does."""
        return self._left.pop(name, None)

    def has(self, name: str) -> bool:
        """Whether the field is there and not yet taken."""
        return name in self._left

    def done(self) -> None:
        """Refuse whatever is left."""
        if self._left:
            raise self.error("holds a field that is not known there")
