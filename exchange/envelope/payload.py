"""The payload as the manifest describes it: its name, size, digest and media type.

The name is the only place where the file's own name travels (the tar member is always called `payload`), and it
comes from the other side: it must be a single name that is safe to give to a file.

    name         1 to 255 bytes of UTF-8 in NFC; no "/", no control character, no character that turns the
                 direction of writing, not "." or ".."
    size         bytes
    sha256       64 lower-case hexadecimal digits
    media_type   `type/subtype`

>>> is_name("24 015 493 decision.pdf"), is_name("../decision.pdf"), is_name("-rf"), is_name("a\\nb")
(True, False, True, False)
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from exchange.envelope.fields import SHA256, Fields, ManifestError
from ledger.canonical import Json

MAX_NAME: Final = 255
"""Longest name, in bytes, that Linux file systems take."""

_FORBIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters (C0, DEL, C1), lone surrogates, and the two separators that break lines."""
_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Bidirectional embeddings, overrides and isolates: they make `gpj.exe` look like `exe.jpg`."""
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,125}", re.ASCII)
_ANY: Final = re.compile(r".*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Payload:
    """The file that travels, as its sender described it."""

    name: str
    size: int
    sha256: str
    media_type: str

    def to_json(self) -> dict[str, Json]:
        """The object that the manifest holds."""
        return {"name": self.name, "size": self.size, "sha256": self.sha256, "media_type": self.media_type}

    @classmethod
    def from_json(cls, value: Json) -> "Payload":
        """Read the object strictly; raises ManifestError, with reason `bad-name` for the name."""
        fields = Fields(value, "the payload in a manifest")
        name = fields.text("name", _ANY)
        if not is_name(name):
            raise ManifestError("the payload's name is not one that a file can safely have", reason="bad-name")
        payload = cls(
            name=name,
            size=fields.integer("size", least=0),
            sha256=fields.text("sha256", SHA256),
            media_type=fields.text("media_type", _MEDIA_TYPE),
        )
        fields.done()
        return payload


def is_name(name: str) -> bool:
    """Whether `name` may be given to a file here and on the other side: one rule for sender and receiver."""
    if any(unicodedata.category(character) in _FORBIDDEN_CATEGORIES or character in _TURNING for character in name):
        return False
    if name in ("", ".", "..") or "/" in name or not unicodedata.is_normalized("NFC", name):
        return False
    return len(name.encode("utf-8")) <= MAX_NAME
