"""A request: the running numbers of a partner that never came although higher ones did.

It travels as the field `request` of a manifest of kind `request` (exchange/envelope/manifest.py), signed as a whole in
the namespace `request@handover`; there is no payload, and it expires (docs/formats.md):

    {"missing":[[5,6],[9,9]]}        ranges of numbers (exchange/envelope/numbers.py)

Whoever gets it sends the same sealed envelopes once more, or says by an absence (exchange/envelope/absence.py) which of
them will never come. It asks, and proves nothing.

>>> Request.from_json({"missing": [[5, 6], [9, 9]]})
Request(missing=(5, 6, 9))
"""

from dataclasses import dataclass

from exchange.envelope import numbers
from exchange.envelope.fields import Fields
from ledger.canonical import Json


@dataclass(frozen=True, slots=True)
class Request:
    """The numbers that never came, ascending."""

    missing: tuple[int, ...]

    def to_json(self) -> dict[str, Json]:
        """The object that the manifest holds."""
        return {"missing": numbers.to_ranges(self.missing)}

    @classmethod
    def from_json(cls, value: Json) -> "Request":
        """Read the object strictly; raises ManifestError with reason `bad-request`."""
        fields = Fields(value, "a request", reason="bad-request")
        missing = numbers.read(fields.take("missing"))
        if missing is None:
            raise fields.error("has no missing numbers in the right form")
        fields.done()
        return cls(missing)
