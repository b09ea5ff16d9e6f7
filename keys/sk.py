"""SSH keys in a FIDO token (`ssh-keygen -t ed25519-sk`): read and checked here, never made; for administrators only.

    line         "sk-ssh-ed25519@openssh.com" SP base64(blob)
    blob         string the type | string Ed25519 public key | string application, "ssh:" and whatever follows
    signature    64 bytes of Ed25519 | flags, 1 byte | counter, 4 bytes
    signed       SHA-256(application) | flags | counter | SHA-256(what SSH would sign)

Specification: OpenSSH PROTOCOL.u2f. The token signs only after somebody has touched it, and says so in the lowest bit
of the flags: a signature without it is refused. The counter is not looked at, since nobody keeps the last one.

>>> key = SkKey(bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"), "ssh:")
>>> SkKey.parse(key.line) == key
True
>>> key.line[:60]
'sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc'
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from keys.openssh import BadKey, PublicKey, fingerprint, put_string, take_string

KEY_TYPE: Final = "sk-ssh-ed25519@openssh.com"
EXTRA_BYTES: Final = 5
"""Flags and counter, which follow the 64 bytes of Ed25519."""

TOUCHED: Final = 0x01
"""The flag that somebody has touched the token."""

_APPLICATION = re.compile(r"ssh:[!-~]{0,251}")
_LINE = re.compile(r"sk-ssh-ed25519@openssh\.com ([A-Za-z0-9+/]{1,2000}={0,2})(?: [^\x00-\x1f\x7f]{0,500})?\n?")


@dataclass(frozen=True, slots=True)
class SkKey:
    """The public half: an honest Ed25519 key (`keys.openssh`), and for which application the token uses it."""

    raw: bytes
    application: str

    kind: ClassVar[str] = KEY_TYPE
    signature_bytes: ClassVar[int] = 64

    def __post_init__(self) -> None:
        PublicKey(self.raw)
        if not _APPLICATION.fullmatch(self.application):
            raise BadKey("a token's key is for another application than SSH")

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read one OpenSSH line, with or without a comment; `parse(key.line) == key`; raises BadKey."""
        match = _LINE.fullmatch(line)
        if match is None:
            raise BadKey(f"a line is not a public key of type {KEY_TYPE}", reason="wrong-key-type")
        try:
            blob = base64.b64decode(match[1], validate=True)
        except binascii.Error:
            raise BadKey("a public key is not base64") from None
        key = cls.from_blob(blob)
        if key.line != f"{KEY_TYPE} {match[1]}":
            raise BadKey("a public key is not in canonical base64")
        return key

    @classmethod
    def from_blob(cls, blob: bytes) -> Self:
        """Read the binary form; `from_blob(key.blob) == key`; raises BadKey."""
        # SPEC: PROTOCOL.u2f: string type, string public key, string application
        kind, rest = take_string(blob)
        if kind != KEY_TYPE.encode():
            raise BadKey(f"a public key is not of type {KEY_TYPE}", reason="wrong-key-type")
        raw, rest = take_string(rest)
        application, rest = take_string(rest)
        if rest:
            raise BadKey("a public key is followed by other bytes")
        return cls(raw, application.decode("latin-1"))

    @property
    def blob(self) -> bytes:
        """The binary form that SSH sends and signs."""
        return b"".join(map(put_string, (KEY_TYPE.encode(), self.raw, self.application.encode())))

    @property
    def line(self) -> str:
        """`sk-ssh-ed25519@openssh.com AAAA…`, without comment or line end."""
        return f"{KEY_TYPE} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """`SHA256:…` as `ssh-keygen -lf` prints it."""
        return fingerprint(self.blob)

    def accepts(self, signature: bytes, message: bytes) -> bool:
        """Whether the token signed `message` when somebody touched it; `signature` is 64 bytes, flags and counter."""
        made, extra = signature[: self.signature_bytes], signature[self.signature_bytes :]
        if len(extra) != EXTRA_BYTES or not extra[0] & TOUCHED:
            return False
        # SPEC: PROTOCOL.u2f: what an Ed25519 token signs
        said = hashlib.sha256(self.application.encode()).digest() + extra + hashlib.sha256(message).digest()
        return PublicKey(self.raw).accepts(made, said)
