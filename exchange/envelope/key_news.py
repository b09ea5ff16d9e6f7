"""What two kinds of control messages say: a change of keys, and what the partner made of it.

announcement    {"text": …, "signatures": [ … ]}                                     keys/announcement.py
acceptance      {"number": …, "sha256": of that text, "outcome": "accepted" | "waiting" | "refused"}
"""

from dataclasses import dataclass

from exchange.envelope.fields import CODE, SHA256, Fields, ManifestError
from keys.announcement import AnnouncementError, Signed
from keys.key_info import WEAK
from ledger.canonical import Json


@dataclass(frozen=True, slots=True)
class Announced:
    """What an announcement message says."""

    signed: Signed

    def to_json(self) -> dict[str, Json]:
        """The object that the manifest holds."""
        return self.signed.to_json()

    @classmethod
    def from_json(cls, value: Json) -> "Announced":
        """Read the object strictly; raises ManifestError."""
        try:
            return cls(Signed.from_json(value))
        except AnnouncementError as problem:
            reason = WEAK if problem.reason == WEAK else "bad-announcement"
            raise ManifestError(f"in a manifest, {problem.message}", reason=reason) from None


@dataclass(frozen=True, slots=True)
class Answer:
    """What an acceptance message says."""

    number: int
    sha256: str
    outcome: str

    def to_json(self) -> dict[str, Json]:
        """The object that the manifest holds."""
        return {"number": self.number, "sha256": self.sha256, "outcome": self.outcome}

    @classmethod
    def from_json(cls, value: Json) -> "Answer":
        """Read the object strictly; raises ManifestError."""
        fields = Fields(value, "the acceptance in a manifest", reason="bad-acceptance")
        answer = cls(fields.integer("number", least=1), fields.text("sha256", SHA256), fields.text("outcome", CODE))
        fields.done()
        return answer
