"""Durations and sizes as an administrator writes them: a whole number and one unit, no blank.

    duration   NUMBER ms|s|m|h|d|w         30s   15m   90d
    keeping    a duration, or none         90d   none
    size       NUMBER B|KiB|MiB|GiB|TiB    64KiB   10GiB

Powers of 1,024 only: `10GB` is refused, because people read two numbers into it.

>>> parse_duration("15m")
datetime.timedelta(seconds=900)
>>> duration_text(parse_duration("7d"))
'7d'
>>> parse_size("10GiB")
10737418240
>>> size_text(65536)
'64KiB'
"""

import re
from datetime import timedelta

from config.errors import Misuse

MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
MAX_DURATION = timedelta(days=36_525)
"""A hundred years: more is a slip of the pen, and times that far away no longer fit a date."""
MAX_SIZE = 2**50
"""A pebibyte: no file that is handed over comes near, and every sum with it fits 64 bits."""

# Enough digits for every value under the caps, few enough to keep int() cheap.
_DURATION = re.compile(r"(0|[1-9][0-9]{0,12})(ms|s|m|h|d|w)")
_SIZE = re.compile(r"(0|[1-9][0-9]{0,15})(B|KiB|MiB|GiB|TiB)")


class BadUnit(Misuse):
    """A text that is not a duration or a size in our form."""


def parse_duration(text: str) -> timedelta:
    """The length of time from 0 to MAX_DURATION; raises BadUnit."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise BadUnit('is not a duration; write a number and ms, s, m, h, d or w, like "30s"')
    milliseconds = int(match[1]) * MILLISECONDS[match[2]]
    if milliseconds > MAX_DURATION // timedelta(milliseconds=1):
        raise BadUnit("is longer than a hundred years")
    return timedelta(milliseconds=milliseconds)


def duration_text(duration: timedelta) -> str:
    """The shortest spelling, in days before weeks: `parse_duration(duration_text(d)) == d` for whole milliseconds."""
    milliseconds = duration // timedelta(milliseconds=1)
    if milliseconds == 0:
        return "0s"
    unit = next(u for u in ("d", "h", "m", "s", "ms") if milliseconds % MILLISECONDS[u] == 0)
    return f"{milliseconds // MILLISECONDS[unit]}{unit}"


def parse_keep(text: str) -> timedelta:
    """How long something is kept: a duration above zero, or `none`, which is zero; raises BadUnit."""
    if text == "none":
        return timedelta(0)
    duration = parse_duration(text)
    if not duration:
        raise BadUnit("must be longer than zero; write none where nothing is kept")
    return duration


def keep_text(duration: timedelta) -> str:
    """The same written back: `parse_keep(keep_text(d)) == d` for whole milliseconds."""
    return duration_text(duration) if duration else "none"


def parse_size(text: str) -> int:
    """The number of bytes from 0 to MAX_SIZE; raises BadUnit."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise BadUnit('is not a size; write a number and B, KiB, MiB, GiB or TiB, like "10GiB"')
    size = int(match[1]) * BYTES[match[2]]
    if size > MAX_SIZE:
        raise BadUnit("is larger than 1024TiB")
    return size


def size_text(size: int) -> str:
    """The shortest spelling: `parse_size(size_text(n)) == n` for every n from 0 to MAX_SIZE."""
    if size == 0:
        return "0B"
    unit = next(u for u in reversed(BYTES) if size % BYTES[u] == 0)
    return f"{size // BYTES[unit]}{unit}"
