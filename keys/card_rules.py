"""What a partner card may hold, rule by rule, and the two records inside it.

Every text here ends up in a configuration, a command or on a screen of somebody who did not write it, so each field
has the narrowest form that its use needs. All rules raise CardError and name the field, never its value.

>>> SigningKey("ssh-ed25519 AAAA", "2026-11-24T00:00:00.000Z").covers(times.from_text("2026-11-24T09:30:00Z"))
True
>>> check_landing(Landing("-oProxyCommand=x", 22, "lgsco", "drop", ()))
Traceback (most recent call last):
keys.card_rules.CardError: a card's landing host is neither a host name nor an address
"""

import ipaddress
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from config import times
from config.errors import Refused
from keys import age
from keys.composite import CompositeKey
from keys.openssh import BadKey, PublicKey, host_key_fingerprint
from ledger import note

PARTNER = "{partner}"
"""In a landing's user or path: the id of the organisation that uploads."""

MAX_KEYS = 16
"""Most keys of one purpose: two are in use during a rotation, the rest is history that must stay verifiable."""

MAX_PQ_KEYS = 6
"""The same for a post-quantum purpose, whose keys take 2 KB each."""

MIN_YEAR = 2000
"""OpenSSH's times begin in 1970; one that it cannot read would spoil the whole allowed_signers file."""

MAX_NAME, MAX_PATH, MAX_USER = 120, 255, 64

_SLUG = re.compile(r"[a-z][a-z0-9-]{1,31}")
_ORIGIN_REST = re.compile(r"[a-z0-9][a-z0-9./-]{0,63}")
_HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.I | re.A
)
_USER = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{MAX_USER - 1}}}")


class CardError(Refused):
    """A card that cannot be used; the reason is `not-a-card` unless it is one of the more telling codes."""

    reason = "not-a-card"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An OpenSSH line and the time in which its signatures count: from `valid_from` until just before `valid_until`."""

    line: str
    valid_from: str
    valid_until: str | None = None

    def covers(self, at: datetime) -> bool:
        """Whether a signature recorded at that time counts."""
        if at < times.from_text(self.valid_from):
            return False
        return self.valid_until is None or at < times.from_text(self.valid_until)

    def ending(self, at: datetime) -> "SigningKey":
        """The same with an end, which is never put off; one that never counted gets the shortest time there is."""
        first = times.later(times.from_text(self.valid_from), timedelta(seconds=1))
        # SPEC: FORMATS 4 valid-before: OpenSSH tells time to the second
        end = max(first, at.replace(microsecond=0))
        if self.valid_until is not None:
            end = min(end, times.from_text(self.valid_until))
        return replace(self, valid_until=times.to_text(end))


@dataclass(frozen=True, slots=True)
class Landing:
    """Where uploads to this organisation go, and the host keys that its server proves itself with."""

    host: str
    port: int
    user: str
    path: str
    host_keys: tuple[str, ...]

    def user_for(self, partner: str) -> str:
        """The user name with which `partner` (an organisation's id) logs in."""
        return self.user.replace(PARTNER, partner)

    def path_for(self, partner: str) -> str:
        """The folder that `partner` uploads into."""
        return self.path.replace(PARTNER, partner)


class Table:
    """A TOML table that gives out values of the expected type, or CardError."""

    __slots__ = ("_name", "_values")

    def __init__(self, values: object, name: str) -> None:
        if not isinstance(values, dict):
            raise CardError(f"{name} is not a table")
        self._values: dict[str, object] = values
        self._name = name

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def text(self, key: str) -> str:
        """A string."""
        value = self._values.get(key)
        if not isinstance(value, str):
            raise CardError(f"{self._name} has no text '{key}'")
        return value

    def number(self, key: str) -> int:
        """An integer, not a truth value."""
        value = self._values.get(key)
        if type(value) is not int:
            raise CardError(f"{self._name} has no number '{key}'")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        values = self._list(key)
        texts = tuple(value for value in values if isinstance(value, str))
        if len(texts) != len(values):
            raise CardError(f"{self._name} has something other than text in '{key}'")
        return texts

    def table(self, key: str) -> "Table":
        """A table inside this one."""
        return Table(self._values.get(key), f"'{key}' of {self._name}")

    def tables(self, key: str) -> list["Table"]:
        """A list of tables."""
        return [Table(value, f"'{key}' of {self._name}") for value in self._list(key)]

    def _list(self, key: str) -> list[object]:
        values = self._values.get(key)
        if not isinstance(values, list):
            raise CardError(f"{self._name} has no list '{key}'")
        return values


def check_identity(organisation: str, name: str, issued: str, origin: str) -> None:
    """Who it is: an id that is safe as a folder's name, a name that is safe to show, an origin under the id."""
    if not _SLUG.fullmatch(organisation):
        raise CardError("a card's organisation is not an id of 2 to 32 small letters, digits and hyphens")
    if not _shown(name, MAX_NAME) or name.strip() != name:
        raise CardError(f"a card's name is not up to {MAX_NAME} printable characters")
    _moment(issued, "issued")
    # nobody's ledger may carry the name of another organisation's
    if not origin.startswith(f"{organisation}/") or not _ORIGIN_REST.fullmatch(origin[len(organisation) + 1 :]):
        raise CardError("a card's ledger origin does not begin with the organisation's id and a slash")


def check_verifiers(keys: Sequence[str], purpose: Literal["ledger", "witness", "witness-pq"], name: str) -> list[bytes]:
    """Verifier keys of one kind: the ledger's are called exactly `name`, the witness's begin with it."""
    _count(keys, purpose, MAX_PQ_KEYS if purpose == "witness-pq" else MAX_KEYS)
    found = []
    for text in keys:
        try:
            verifier = note.parse_vkey(text)
        except note.NoteError:
            raise CardError(f"a card's {purpose} key is not a verifier key") from None
        if not isinstance(verifier, _VERIFIERS[purpose]):
            raise CardError(f"a card's {purpose} key is of the kind for another purpose", reason="wrong-key-type")
        if not (verifier.name == name if purpose == "ledger" else verifier.name.startswith(name)):
            raise CardError(f"a card's {purpose} key carries another name than the card")
        found.append(verifier.public if purpose == "witness-pq" else _honest(verifier.public, purpose))
    return found


_VERIFIERS = {
    "ledger": note.Ed25519Verifier,
    "witness": note.CosignatureVerifier,
    "witness-pq": note.MlDsaVerifier,
}


def check_signing(keys: Sequence[SigningKey]) -> list[bytes]:
    """Signing keys with their times, which OpenSSH can only tell to the second."""
    _count(keys, "signing")
    _check_times(keys)
    return [_openssh(key.line, "signing") for key in keys]


def check_composite(keys: Sequence[SigningKey]) -> list[bytes]:
    """The same for composite keys; gives their Ed25519 halves, which serve no other purpose either."""
    _count(keys, "signing-pq", MAX_PQ_KEYS)
    _check_times(keys)
    found = []
    for key in keys:
        try:
            composite = CompositeKey.parse(key.line)
        except BadKey as error:
            raise CardError(f"a card's signing-pq key is not usable: {error.message}", reason=error.reason) from None
        if composite.line != key.line:
            raise CardError("a card's signing-pq key has a comment or another spelling")
        found.append(composite.ed25519.raw)
    return found


def _check_times(keys: Sequence[SigningKey]) -> None:
    for key in keys:
        start = _moment(key.valid_from, "valid_from")
        end = _moment(key.valid_until, "valid_until") if key.valid_until is not None else None
        if start.microsecond or (end and end.microsecond):
            raise CardError("a card's signing key is valid from or until a fraction of a second")
        if start.year < MIN_YEAR:
            raise CardError("a card's signing key is older than the mechanism")
        if end is not None and end <= start:
            raise CardError("a card's signing key ends before it begins")


def check_transport(lines: Sequence[str]) -> list[bytes]:
    """The keys that uploads log in with."""
    _count(lines, "transport")
    return [_openssh(line, "transport") for line in lines]


def check_recipients(texts: Sequence[str]) -> Literal["pq", "x25519"]:
    """Recipients of one kind, which is the organisation's pin."""
    _count(texts, "encryption")
    try:
        kinds = {age.parse_recipient(text).kind for text in texts}
    except age.AgeError:
        raise CardError("a card's recipient is not an age recipient") from None
    check_distinct(texts)
    # SPEC: FORMATS 1 one envelope never mixes post-quantum and classical recipients
    if len(kinds) > 1:
        raise CardError("a card mixes post-quantum and classical recipients", reason="mixed-recipients")
    return "pq" if kinds == {"pq"} else "x25519"


def check_landing(landing: Landing | None) -> list[bytes]:
    """An address that is safe to hand to a client; gives the Ed25519 host keys, which serve no other purpose either."""
    if landing is None:
        return []
    if not _HOST.fullmatch(landing.host) and not _is_address(landing.host):
        raise CardError("a card's landing host is neither a host name nor an address")
    if not 1 <= landing.port <= 65535:
        raise CardError("a card's landing port is not between 1 and 65535")
    if not _USER.fullmatch(landing.user_for("x")):
        raise CardError("a card's landing user is not a plain user name")
    path = landing.path_for("x")
    steps = path.removeprefix("/").split("/")
    safe = all(step not in ("", ".", "..") for step in steps) or path == "."
    if not _shown(path, MAX_PATH) or not safe or set("{}\\") & set(path):
        raise CardError("a card's landing path is not a plain folder")
    _count(landing.host_keys, "host")
    for line in landing.host_keys:
        try:
            host_key_fingerprint(line)
        except BadKey as error:
            raise CardError(f"a card's host key is not usable: {error.message}", reason=error.reason) from None
    check_distinct(landing.host_keys)
    return [PublicKey.parse(line).raw for line in landing.host_keys if line.startswith("ssh-ed25519 ")]


def check_distinct(keys: Iterable[object]) -> None:
    """One key, one purpose, once."""
    # SPEC: FORMATS 4 one key and one namespace per purpose
    keys = list(keys)
    if len(set(keys)) != len(keys):
        raise CardError("a card holds the same key twice", reason="key-shared")


def _openssh(line: str, purpose: str) -> bytes:
    try:
        key = PublicKey.parse(line)
    except BadKey as error:
        raise CardError(f"a card's {purpose} key is not usable: {error.message}", reason=error.reason) from None
    if key.line != line:
        raise CardError(f"a card's {purpose} key has a comment or another spelling")
    return key.raw


def _honest(raw: bytes, purpose: str) -> bytes:
    try:
        return PublicKey(raw).raw
    except BadKey as error:
        raise CardError(f"a card's {purpose} key is not usable: {error.message}", reason=error.reason) from None


def _count(keys: Sequence[object], purpose: str, most: int = MAX_KEYS) -> None:
    if not 1 <= len(keys) <= most:
        raise CardError(f"a card does not hold 1 to {most} {purpose} keys")


def _moment(text: str, field: str) -> datetime:
    try:
        moment = times.from_text(text)
    except times.BadTime:
        raise CardError(f"a card's {field} is not a time") from None
    if times.to_text(moment) != text:
        raise CardError(f"a card's {field} is not written with milliseconds")
    return moment


def _shown(text: str, limit: int) -> bool:
    return 1 <= len(text) <= limit and text.isprintable() and unicodedata.is_normalized("NFC", text)


def _is_address(text: str) -> bool:
    try:
        return str(ipaddress.ip_address(text)) == text
    except ValueError:
        return False
