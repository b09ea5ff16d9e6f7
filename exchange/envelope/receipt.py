"""A receipt: what became of one handover, and where in the receiver's own ledger that is written.

It travels as the field `receipt` of a manifest of kind `receipt` (exchange/envelope/manifest.py), signed as a whole in
the namespace `receipt@handover`; there is no payload (FORMATS 3, docs/formats.md):

    {"at":"2026-11-23T10:16:02.500Z",        when the receiver decided
     "entry":1207,                           index of that entry in the receiver's ledger
     "envelope_sha256":"…",                  the very envelope that was received
     "handover":"<UUIDv7>",                  which handover
     "manifest_sha256":"…",                  the very manifest that was signed
     "outcome":"delivered" | "rejected",
     "proof":"c2sp.org/tlog-proof@v1\\n…",    tlog-proof of that entry
     "reason":"" | "<code>"}                 empty exactly when delivered

Only a valid receipt proves delivery; "uploaded" does not. Whether this one is valid (signature, proof, the right
digests) is for exchange/receipts.py to say: here is only its form.

>>> receipt = Receipt(
...     handover="01a205b3-d000-7000-8000-000000000000", manifest_sha256="0" * 64, envelope_sha256="1" * 64,
...     outcome="rejected", reason="no-agreement", at="2026-11-23T10:16:02.500Z", entry=1207, proof="c2sp.org/…")
>>> Receipt.from_json(receipt.to_json()) == receipt
True
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from exchange.envelope.fields import CODE, SHA256, Fields
from ledger.canonical import Json
from ledger.identifier import is_id

Outcome: TypeAlias = Literal["delivered", "rejected"]

_ANY: Final = re.compile(r".*", re.DOTALL)
_PROOF: Final = re.compile(r".+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of `handover`. Digests are 64 lower-case hexadecimal digits; `at` is a time text."""

    handover: str
    manifest_sha256: str
    envelope_sha256: str
    outcome: Outcome
    reason: str
    """Empty exactly when delivered, else the code of the first objection."""
    at: str
    entry: int
    proof: str

    def to_json(self) -> dict[str, Json]:
        """The object that the manifest holds; not checked here, the manifest's `encode` does it."""
        return {
            "handover": self.handover,
            "manifest_sha256": self.manifest_sha256,
            "envelope_sha256": self.envelope_sha256,
            "outcome": self.outcome,
            "reason": self.reason,
            "at": self.at,
            "entry": self.entry,
            "proof": self.proof,
        }

    @classmethod
    def from_json(cls, value: Json) -> "Receipt":
        """Read the object strictly; raises ManifestError with reason `bad-receipt`."""
        fields = Fields(value, "a receipt", reason="bad-receipt")
        # SPEC: FORMATS 3: exactly these fields
        handover = fields.text("handover", _ANY)
        if not is_id(handover):
            raise fields.error("names no handover id")
        outcome = _outcome(fields)
        # SPEC: FORMATS 3: "reason":"<code>", of which a delivery has none
        reason = fields.text("reason", re.compile("") if outcome == "delivered" else CODE)
        receipt = cls(
            handover=handover,
            manifest_sha256=fields.text("manifest_sha256", SHA256),
            envelope_sha256=fields.text("envelope_sha256", SHA256),
            outcome=outcome,
            reason=reason,
            at=fields.time("at"),
            entry=fields.integer("entry", least=0),
            proof=fields.text("proof", _PROOF),
        )
        fields.done()
        return receipt


def _outcome(fields: Fields) -> Outcome:
    # SPEC: FORMATS 3: "outcome":"delivered"|"rejected"
    return "delivered" if fields.text("outcome", re.compile("delivered|rejected")) == "delivered" else "rejected"
