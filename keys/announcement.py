"""An announcement: one change of one organisation's keys, vouched for by keys that its partners know already.

    {"action": "rotate" | "add" | "retire" | "revoke", "at", "issued", "key", "number", "organisation", "purpose",
     "replaces", "v": 1}                                             RFC 8785 canonical JSON, at most 8 KiB

    rotate   `key` (a public half) comes beside `replaces`, and is used from `at` on
    add      `key` is the first of a purpose that nobody needs to have, used from `at` on; `replaces` is null
    retire   `key` is used no more, from `at` on; its private half is destroyed
    revoke   the same, because somebody else may have it: nothing that is recorded from `at` on counts

`purpose` is one of ours (`keys.key_info`), or `host`: a host key of the organisation's SFTP server. `number` counts up
by one for each announcement of an organisation. With the text go SSHSIG signatures (namespace `announcement@handover`):

    signing, transport, ledger, witness,   by the old key and by the new one; a retirement by a key that stays;
    signing-pq                             a first key by itself, a signing key and a ledger key
    encryption, host, witness-pq           by a signing key and a ledger key, because these keys cannot sign for us
    every one of them                      by a signing-pq key too, where the organisation has one

What an announcement changes is `keys.succession`. `parse(data).encode() == data`.

>>> key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM"
>>> now = "2026-11-24T09:30:00.000Z"
>>> one = Announcement("lgsco", 1, now, "retire", "transport", key, None, now)
>>> parse(one.encode()) == one
True
>>> parse(one.encode().replace(b"retire", b"forget"))
Traceback (most recent call last):
keys.announcement.AnnouncementError: an announcement says nothing that is known here
"""

import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Literal, cast, get_args

from config import times
from config.errors import Refused
from keys import sshsig
from keys.key_info import OPTIONAL, InfoError, Purpose, fingerprint_of, raw_public
from keys.openssh import BadKey, host_key_fingerprint
from ledger import canonical
from ledger.canonical import Json

# SPEC: FORMATS 4 one namespace per purpose
NAMESPACE = "announcement@handover"

Action = Literal["rotate", "add", "retire", "revoke"]
Subject = Literal["signing", "encryption", "transport", "ledger", "witness", "signing-pq", "witness-pq", "host"]
SUBJECTS: tuple[Subject, ...] = get_args(Subject)

MAX_TEXT = 8 * 1024
"""Longest text: two post-quantum recipients take 4 KB of it."""

MAX_NUMBER = 2**31
MAX_SIGNATURES = 6
"""Two or three are needed, and twice as many while the keys that vouch are being replaced themselves."""

_ORGANISATION = re.compile(r"[a-z][a-z0-9-]{1,31}", re.ASCII)


class AnnouncementError(Refused):
    """A text that is no announcement, or signatures that do not fit it."""

    reason = "not-an-announcement"


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is said. Times are texts in UTC with milliseconds."""

    organisation: str
    number: int
    issued: str
    action: Action
    purpose: Subject
    key: str
    replaces: str | None
    at: str

    @property
    def fingerprint(self) -> str:
        """Of the key that it is about."""
        return fingerprint(self.purpose, self.key)

    def encode(self) -> bytes:
        """The bytes that are signed."""
        return canonical.encode({"v": 1, **asdict(self)})


@dataclass(frozen=True, slots=True)
class Signed:
    """An announcement's text and its signatures, as they travel and as the ledger keeps them."""

    text: str
    signatures: tuple[str, ...]

    @property
    def announcement(self) -> Announcement:
        """What it says; raises AnnouncementError."""
        return parse(self.text.encode(errors="replace"))

    @property
    def digest(self) -> str:
        """Tells announcements apart: of the text, in hexadecimal; signatures are no part of an identity."""
        return hashlib.sha256(self.text.encode(errors="replace")).hexdigest()

    def signers(self) -> frozenset[bytes]:
        """The raw public keys that signed the text; raises SignatureError if any signature does not hold."""
        text = self.text.encode(errors="replace")
        return frozenset(sshsig.verify_any(armored, BytesIO(text), NAMESPACE).raw for armored in self.signatures)

    def to_json(self) -> dict[str, Json]:
        """For a manifest or an entry."""
        return {"text": self.text, "signatures": list(self.signatures)}

    @classmethod
    def from_json(cls, value: object) -> "Signed":
        """Read it strictly, the form of the announcement included; raises AnnouncementError."""
        if not isinstance(value, Mapping) or set(value) != {"text", "signatures"}:
            raise AnnouncementError("an announcement is not a text with signatures")
        text, signatures = value["text"], value["signatures"]
        if not isinstance(text, str) or not isinstance(signatures, list) or not 1 <= len(signatures) <= MAX_SIGNATURES:
            raise AnnouncementError("an announcement is not a text with a few signatures")
        if not all(isinstance(armored, str) and len(armored) <= sshsig.MAX_COMPOSITE for armored in signatures):
            raise AnnouncementError("an announcement's signature is none")
        signed = cls(text, tuple(signatures))
        parse(text.encode(errors="replace"))
        return signed


def sign(announcement: Announcement, *signers: sshsig.Signer | sshsig.CompositeSigner) -> Signed:
    """The announcement with a signature by each of `signers`."""
    data = announcement.encode()
    parse(data)
    return Signed(data.decode(), tuple(sshsig.sign(signer, BytesIO(data), NAMESPACE) for signer in signers))


@functools.lru_cache(maxsize=256)
def parse(data: bytes) -> Announcement:
    """Read a text; `parse(data).encode() == data`, or AnnouncementError.

    What was read lately is remembered: all that a ledger has accepted is read whenever it accepts something more.
    """
    try:
        fields = canonical.decode(data, limit=MAX_TEXT)
    except canonical.CanonicalError:
        raise AnnouncementError("an announcement is not canonical JSON") from None
    names = ("organisation", "issued", "action", "purpose", "key", "at")
    texts = {name: text for name in names if isinstance(text := fields.get(name), str)}
    number, replaces = fields.get("number"), fields.get("replaces")
    if len(texts) != len(names) or type(number) is not int:
        raise AnnouncementError("an announcement lacks a field")
    purpose = next((known for known in SUBJECTS if known == texts["purpose"]), None)
    if texts["action"] not in get_args(Action) or purpose is None:
        raise AnnouncementError("an announcement says nothing that is known here")
    if not isinstance(replaces, str | None) or (replaces is None) != (texts["action"] != "rotate"):
        raise AnnouncementError("an announcement does not say what is replaced")
    if texts["action"] == "add" and purpose not in OPTIONAL:
        raise AnnouncementError("an announcement adds a key of a purpose that everybody has from the beginning")
    made = Announcement(
        texts["organisation"],
        number,
        texts["issued"],
        cast("Action", texts["action"]),
        purpose,
        texts["key"],
        replaces,
        texts["at"],
    )
    _check(made)
    if made.encode() != data:
        raise AnnouncementError("an announcement has a field that is not known here")
    return made


def fingerprint(purpose: Subject, public: str) -> str:
    """How people know a public half; raises AnnouncementError if it is none, or a weak one."""
    try:
        if purpose == "host":
            return host_key_fingerprint(public)
        return fingerprint_of(purpose, public)
    except (BadKey, InfoError) as problem:
        raise AnnouncementError(f"an announced key is not usable: {problem.message}", reason=problem.reason) from None


def _check(made: Announcement) -> None:
    if not _ORGANISATION.fullmatch(made.organisation) or not 1 <= made.number <= MAX_NUMBER:
        raise AnnouncementError("an announcement does not say whose it is")
    if not all(map(_is_time, (made.issued, made.at))):
        raise AnnouncementError("an announcement does not say when")
    ours = {fingerprint(made.purpose, public) for public in (made.key, made.replaces) if public is not None}
    if made.replaces is not None and len(ours) != 2:
        raise AnnouncementError("an announcement replaces a key with itself")


def _is_time(text: str) -> bool:
    try:
        return times.to_text(times.from_text(text)) == text
    except times.BadTime:
        return False


def can_sign(purpose: Subject) -> bool:
    """Whether a key of that purpose vouches for its own successor."""
    return purpose not in ("encryption", "host", "witness-pq")


def raw(purpose: Subject, public: str) -> bytes:
    """The bytes of a key that can sign."""
    return raw_public(cast("Purpose", purpose), public)
