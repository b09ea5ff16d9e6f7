"""Running numbers as ranges, as two control messages name them: `[[5,6],[9,9]]` is 5, 6 and 9.

There is one way to write a set of numbers: ranges in ascending order, each from its first to its last number, no two of
which touch, and at most MAX_NUMBERS numbers in all, so that nobody can name a million of them in a few bytes.

>>> to_ranges([9, 5, 6])
[[5, 6], [9, 9]]
>>> read([[5, 6], [9, 9]])
(5, 6, 9)
>>> in_words([5, 6, 9])
'5-6, 9'
"""

from collections.abc import Iterable
from typing import Final

from exchange.envelope.fields import MAX_INTEGER
from ledger.canonical import Json

MAX_NUMBERS: Final = 100
"""As many as are asked about at once (ledger/gaps.py)."""


def to_ranges(numbers: Iterable[int]) -> list[Json]:
    """The ranges that hold exactly these numbers; `read(to_ranges(numbers)) == tuple(sorted(set(numbers)))`."""
    ranges: list[list[Json]] = []
    end = None
    for number in sorted(set(numbers)):
        if number - 1 == end:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
        end = number
    return list(ranges)


def read(value: Json) -> tuple[int, ...] | None:
    """The numbers, of which there is at least one, in ascending order; None for anything that `to_ranges` would not
    write."""
    if not isinstance(value, list | tuple) or not 0 < len(value) <= MAX_NUMBERS:
        return None
    numbers: list[int] = []
    for item in value:
        if not isinstance(item, list | tuple) or len(item) != 2 or not all(type(end) is int for end in item):
            return None
        first, last = int(item[0]), int(item[1])
        # the next range begins at least two above the last number, or it would be the same range
        least = numbers[-1] + 2 if numbers else 1
        if not (least <= first <= last <= MAX_INTEGER and len(numbers) + last - first < MAX_NUMBERS):
            return None
        numbers += range(first, last + 1)
    return tuple(numbers)


def in_words(numbers: Iterable[int]) -> str:
    """For a person."""
    ranges = (item for item in to_ranges(numbers) if isinstance(item, list))
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in ranges)
