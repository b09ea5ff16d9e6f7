"""An absence: running numbers that the partner asked for and that will never come, each with the reason.

It travels as the field `absence` of a manifest of kind `absence` (exchange/envelope/manifest.py), signed as a whole in
the namespace `absence@handover`; there is no payload, and it expires (docs/formats.md). Reasons stand in alphabetical
order, each with the ranges of its numbers (exchange/envelope/numbers.py), and no number has two:

    {"absent":[{"numbers":[[9,9]],"reason":"held"},{"numbers":[[5,6]],"reason":"withdrawn"}]}

    withdrawn, held, rejected   it was put aside after it had got its number
    by-hand                     it was made for a courier, who does not come through the landing zone
    lost                        what was sealed is no longer there
    acknowledged                the partner has signed a receipt for it: one of the two ledgers is wrong

Another reason may be named; it is recorded as it is.

>>> absence = Absence({"withdrawn": (5, 6), "held": (9,)})
>>> Absence.from_json(absence.to_json()) == absence
True
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from exchange.envelope import numbers
from exchange.envelope.fields import CODE, Fields
from exchange.envelope.numbers import MAX_NUMBERS
from ledger.canonical import Json

ACKNOWLEDGED: Final = "acknowledged"
"""The reason that contradicts the question."""
BY_HAND: Final = "by-hand"
LOST: Final = "lost"


@dataclass(frozen=True, slots=True)
class Absence:
    """Reason -> the numbers that it keeps from coming, ascending."""

    absent: Mapping[str, tuple[int, ...]]

    def to_json(self) -> dict[str, Json]:
        """The object that the manifest holds."""
        return {
            "absent": [
                {"numbers": numbers.to_ranges(absent), "reason": reason}
                for reason, absent in sorted(self.absent.items())
            ]
        }

    @classmethod
    def from_json(cls, value: Json) -> "Absence":
        """Read the object strictly; raises ManifestError with reason `bad-absence`."""
        fields = Fields(value, "an absence", reason="bad-absence")
        items = fields.take("absent")
        fields.done()
        if not isinstance(items, list | tuple) or not 0 < len(items) <= MAX_NUMBERS:
            raise fields.error("names no numbers")
        absent = dict(_item(item) for item in items)
        if list(absent) != sorted(absent) or len(absent) != len(items):
            raise fields.error("names its reasons in another order, or one twice")
        named = [number for some in absent.values() for number in some]
        if len(named) > MAX_NUMBERS or len(set(named)) != len(named):
            raise fields.error("names a number twice, or too many")
        return cls(absent)


def _item(value: Json) -> tuple[str, tuple[int, ...]]:
    fields = Fields(value, "a reason of an absence", reason="bad-absence")
    reason, absent = fields.text("reason", CODE), numbers.read(fields.take("numbers"))
    if absent is None:
        raise fields.error("has no numbers in the right form")
    fields.done()
    return reason, absent
