r"""Complaint references: a small pattern language, and finding one in the name of a file.

A pattern is a safe piece of a regular expression, made of these parts only:

    \d{N}   \d          N digits, one digit
    [A-Z]{N}  [A-Z]     N capital letters, one capital letter
    A-Z a-z 0-9 / -     themselves
    blank               between two parts of a reference

`find_reference` is forgiving about the blanks: in a name they may be hyphens, underscores, dots or nothing.

>>> PATTERN = r"\d{2} \d{3} \d{3}"
>>> [find_reference(name, PATTERN) for name in ("24 015 493 decision.pdf", "24-015-493.pdf", "final 24015493.docx")]
['24 015 493', '24 015 493', '24 015 493']
>>> find_reference("20261123 decision.pdf", PATTERN) is None  # that is a date
True
>>> is_reference("24 015 493", PATTERN), is_reference("24015493", PATTERN), example(PATTERN)
(True, False, '12 345 678')
"""

import datetime
import re
from functools import lru_cache
from itertools import cycle

_PART = re.compile(r"(\\d|\[A-Z\])(?:\{([1-9]|1[0-9])\})?|([A-Za-z0-9/-])|( )")
_MAX_PATTERN = 64
"""A manifest carries references of at most 64 characters."""

# What people type for the blank in a reference; a no-break space comes with text that was copied from a web page.
_BETWEEN = "[ \u00a0_.-]?"


def is_pattern(pattern: str) -> bool:
    """Whether a text is a pattern of this language; every such pattern is a valid regular expression."""
    return (
        0 < len(pattern) <= _MAX_PATTERN
        and pattern == pattern.strip()
        and "  " not in pattern
        and re.fullmatch(f"(?:{_PART.pattern})+", pattern) is not None
    )


def is_reference(text: str, pattern: str) -> bool:
    """Whether a text is a reference in its one right spelling."""
    return re.fullmatch(pattern, text, re.ASCII) is not None


def example(pattern: str) -> str:
    """A made-up reference of the right form, for messages; `is_reference(example(p), p)` holds for every pattern."""
    digits, letters = cycle("1234567890"), cycle("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    made = ""
    for part in _PART.finditer(pattern):
        kind, count, itself, blank = part.groups()
        source = digits if kind == r"\d" else letters
        made += (itself or blank) or "".join(next(source) for _ in range(int(count or 1)))
    return made


def find_reference(file_name: str, pattern: str) -> str | None:
    """The one reference that a file's name holds, in its right spelling; None if there is none or if there are two.

    Eight digits without any separator that read as a date of this or the last century are taken for a date.
    """
    found = set()
    for match in _forgiving(pattern).finditer(file_name):
        if not _is_date(match[0]):
            found.add(" ".join(match.groups()))
    return found.pop() if len(found) == 1 else None


@lru_cache(maxsize=64)
def _forgiving(pattern: str) -> re.Pattern[str]:
    parts = _BETWEEN.join(f"({part})" for part in pattern.split(" "))
    # Not inside a longer number or word: 124 015 493 is no reference.
    return re.compile(rf"(?<![0-9A-Za-z]){parts}(?![0-9A-Za-z])", re.ASCII)


def _is_date(text: str) -> bool:
    if not re.fullmatch(r"(?:19|20)[0-9]{6}", text):
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True
