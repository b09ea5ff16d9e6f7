"""A sharing agreement as values: the parties, and one flow for each kind of concern that may go from one to another.

>>> media_type("24 015 493 Decision.PDF")
'application/pdf'
>>> media_type("decision")
'application/octet-stream'
"""

import datetime
from dataclasses import dataclass
from typing import Literal

from config.units import duration_text, keep_text, size_text

MEDIA_TYPES = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
    "eml": "message/rfc822",
}
"""IANA media type by file name extension: the kinds of file that an agreement can allow."""

Json = str | int | None | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Flow:
    """One kind of concern and the one direction in which it goes."""

    category: str
    """Its short name, which is the folder's name too: `upheld-decision`."""
    title: str
    """Its name for people."""
    sender: str
    recipient: str
    when: str
    """In words: what is to be sent, and when."""
    types: tuple[str, ...]
    """Extensions without the dot, in small letters; each one a key of MEDIA_TYPES."""
    max_bytes: int
    gateways: tuple[str, ...]
    """The legal powers that may be named, and that are named where a file says nothing else."""
    reference: Literal["required", "optional"]
    reference_pattern: str
    """A complaint reference, in the small language of `config.agreement.reference`."""
    receipt_deadline: datetime.timedelta
    retention: datetime.timedelta | None
    """How long the recipient keeps what it got; None where the agreement does not say."""
    keep_sent: datetime.timedelta | None = None
    """How long the sender keeps the original after the receipt, zero: not at all; None where nothing is said."""

    def to_json(self) -> dict[str, Json]:
        """For `--json`; durations and sizes as they are written in the file."""
        return {
            "category": self.category,
            "title": self.title,
            "sender": self.sender,
            "recipient": self.recipient,
            "when": self.when,
            "types": list(self.types),
            "max_size": size_text(self.max_bytes),
            "gateways": list(self.gateways),
            "reference": self.reference,
            "reference_pattern": self.reference_pattern,
            "receipt_deadline": duration_text(self.receipt_deadline),
            "retention": None if self.retention is None else duration_text(self.retention),
            "keep_sent": None if self.keep_sent is None else keep_text(self.keep_sent),
        }


@dataclass(frozen=True, slots=True)
class Agreement:
    """One version of one agreement; both sides must hold the identical file, which `sha256` names."""

    id: str
    version: str
    title: str
    parties: tuple[str, ...]
    in_force: datetime.date
    review: datetime.date | None
    gateways: tuple[tuple[str, str], ...]
    """Every legal power that a flow may name, and what it is."""
    flows: tuple[Flow, ...]
    """At least one; no two have the same category."""
    sha256: str
    """Of the file's bytes, in hexadecimal."""

    def flow(self, category: str) -> Flow | None:
        """The flow of a category."""
        return next((flow for flow in self.flows if flow.category == category), None)

    def flows_from(self, sender: str, recipient: str) -> tuple[Flow, ...]:
        """What one party may send to another."""
        return tuple(flow for flow in self.flows if (flow.sender, flow.recipient) == (sender, recipient))

    def to_json(self) -> dict[str, Json]:
        """For `--json`."""
        return {
            "id": self.id,
            "version": self.version,
            "title": self.title,
            "parties": list(self.parties),
            "in_force": self.in_force.isoformat(),
            "review": None if self.review is None else self.review.isoformat(),
            "gateways": dict(self.gateways),
            "flows": [flow.to_json() for flow in self.flows],
            "sha256": self.sha256,
        }


def media_type(name: str) -> str:
    """The media type of a file by its name's extension, whatever the case; `application/octet-stream` if unknown."""
    return MEDIA_TYPES.get(extension(name), "application/octet-stream")


def extension(name: str) -> str:
    """The extension in small letters without its dot; empty if there is none.

    >>> extension("a.tar.GZ"), extension("decision"), extension(".pdf")
    ('gz', '', '')
    """
    stem, dot, ending = name.rpartition(".")
    return ending.casefold() if dot and stem else ""
