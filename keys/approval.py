"""Two-person approval: what administrators sign, and which order an entry of the ledger carries out.

An order is canonical JSON (RFC 8785), at most 16 KiB. Two administrators sign these bytes, each with an SSH key of
their own that the service does not have, and with stock tools (`ssh-keygen -Y sign -n approve@handover`):

    {"arguments": {…}, "asked", "expires", "id", "organisation", "policy", "v": 1, "what"}

    what             arguments
    keys rotate      purpose, overlap (seconds), begins (time or null: at once), replaces (fingerprint),
                     token (true, false, or null: where the present one is)
    keys revoke      purpose, fingerprint, since (time); lost, if it is
    keys accept      partner, purpose, fingerprint, sha256 (of the announcement)
    partner add      partner, card_sha256, weaker (whether post-quantum keys of the card before may be gone),
                     older (whether the card may be older than what is known of the partner's keys)
    approval policy  administrators (keys), required (orders), lifetime (seconds), revoke (at-once or wait)

`policy` is the number of the entry with the policy in force (-1: none), so whatever changes the policy voids every
order that waits. `id` (UUIDv7) makes each order another text: a signature fits one order only.

A *policy* says which orders need two signatures, and by whom. It is an order itself.

>>> asked, expires = "2026-11-24T09:30:00.000Z", "2026-12-01T09:30:00.000Z"
>>> what, arguments = "partner add", {"partner": "ofsted", "card_sha256": "00", "weaker": False, "older": False}
>>> order = Order("lgsco", "019aae33-0000-7000-8000-000000000000", asked, expires, -1, what, arguments)
>>> parse(order.encode()) == order
True
>>> parse(order.encode().replace(b"add", b"sub"))
Traceback (most recent call last):
keys.approval.OrderError: an order says nothing that is known here
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Literal, Protocol, TypeGuard, get_args

from config import times
from config.errors import Refused
from keys import sshsig
from keys.announcement import AnnouncementError, Signed
from keys.openssh import BadKey, PublicKey
from keys.sk import SkKey
from keys.sshsig import SignatureError
from keys.succession import COMES
from ledger import canonical
from ledger.canonical import Json
from ledger.identifier import is_id

# SPEC: FORMATS 4 one namespace per purpose
NAMESPACE = "approve@handover"

NEEDED = 2
"""Signatures by different keys."""

What = Literal["keys rotate", "keys revoke", "keys accept", "partner add", "approval policy"]
WHATS: tuple[What, ...] = get_args(What)
POLICY: What = "approval policy"

MAX_ORDER = 16 * 1024
"""Longest order: a policy with thirty administrators takes a quarter of it."""

_ARGUMENTS: Mapping[What, frozenset[str]] = {
    "keys rotate": frozenset({"purpose", "overlap", "begins", "replaces", "token"}),
    "keys revoke": frozenset({"purpose", "fingerprint", "since"}),
    "keys accept": frozenset({"partner", "purpose", "fingerprint", "sha256"}),
    "partner add": frozenset({"partner", "card_sha256", "weaker", "older"}),
    POLICY: frozenset({"administrators", "required", "lifetime", "revoke"}),
}
_WHERE_TRUE: Mapping[What, frozenset[str]] = {
    "keys revoke": frozenset({"lost"}),
    "partner add": frozenset({"new_ledger"}),
}
"""Arguments that are left out unless they are true."""

ACTS: Mapping[str, What] = {
    "key.rotating": "keys rotate",
    "key.revoked": "keys revoke",
    "partner.key-accepted": "keys accept",
    "partner.added": "partner add",
    "approval.policy": POLICY,
}
"""The entry that carries out each order: where it stands, the order was carried out."""


class OrderError(Refused):
    """A text that is no order, a policy that is none, or a signature that does not count."""

    reason = "not-an-order"


@dataclass(frozen=True, slots=True)
class Policy:
    """Which orders need two signatures, by which keys (OpenSSH lines without comment)."""

    administrators: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    lifetime: int = 7 * 86400
    """Seconds for which an order waits for its signatures."""
    revoke: str = "at-once"
    """`at-once`: revoking does not wait for the signatures; they are given afterwards. `wait`: it does."""

    def to_json(self) -> dict[str, Json]:
        """The arguments of the order that brings it into force; sorted, so that equal policies are equal texts."""
        return {
            "administrators": sorted(self.administrators),
            "required": sorted(self.required),
            "lifetime": self.lifetime,
            "revoke": self.revoke,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> "Policy":
        """Read it strictly: `from_json(p.to_json()).to_json() == p.to_json()`; raises OrderError."""
        keys, required = value.get("administrators"), value.get("required")
        lifetime, revoke = value.get("lifetime"), value.get("revoke")
        if not _texts(keys) or not _texts(required) or type(lifetime) is not int or revoke not in ("at-once", "wait"):
            raise OrderError("a policy lacks a part")
        made = cls(tuple(keys), tuple(required), lifetime, str(revoke))
        if set(required) - set(WHATS) or POLICY in required or lifetime < 1:
            raise OrderError("a policy asks for what is not known here")
        # one private key is one person, however its public half is spelled
        if len({_raw(line) for line in keys}) != len(keys) or (required and len(keys) < NEEDED):
            raise OrderError(f"a policy has fewer than {NEEDED} administrators with keys of their own")
        if made.to_json() != value:
            raise OrderError("a policy is not in its one spelling")
        return made

    def demands(self, what: What) -> bool:
        """Whether such an order needs signatures; one that changes the policy always does, and so does a revocation
        where new keys do, because it makes one."""
        return what in self.required or what == POLICY or (what == "keys revoke" and "keys rotate" in self.required)


@dataclass(frozen=True, slots=True)
class Order:
    """One order, as it is signed. Times are texts in UTC with milliseconds."""

    organisation: str
    id: str
    asked: str
    expires: str
    policy: int
    what: What
    arguments: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """For an entry."""
        return {"v": 1, **{name: getattr(self, name) for name in self.__slots__}}

    def encode(self) -> bytes:
        """The bytes that are signed."""
        return canonical.encode(self.to_json())


class Said(Protocol):
    """An entry, or the draft of one."""

    @property
    def event(self) -> str:
        """What happened."""

    @property
    def key(self) -> str | None:
        """A fingerprint."""

    @property
    def partner(self) -> str | None:
        """An organisation's id."""

    @property
    def detail(self) -> Mapping[str, Json]:
        """Whatever else."""


def parse(data: bytes) -> Order:
    """Read an order; `parse(data).encode() == data`, or OrderError."""
    try:
        fields = canonical.decode(data, limit=MAX_ORDER)
    except canonical.CanonicalError:
        raise OrderError("an order is not canonical JSON") from None
    return from_json(fields)


def from_json(value: object) -> Order:
    """The same from an entry; raises OrderError."""
    fields = value if isinstance(value, Mapping) else {}
    what = next((known for known in WHATS if known == fields.get("what")), None)
    arguments, policy = fields.get("arguments"), fields.get("policy")
    texts = {
        name: text for name in ("organisation", "id", "asked", "expires") if isinstance(text := fields.get(name), str)
    }
    if what is None or not isinstance(arguments, Mapping) or not _are_known(what, arguments):
        raise OrderError("an order says nothing that is known here")
    if len(texts) != 4 or type(policy) is not int or policy < -1 or not is_id(texts["id"]):
        raise OrderError("an order lacks a field")
    if not all(map(_is_time, (texts["asked"], texts["expires"]))) or texts["asked"] >= texts["expires"]:
        raise OrderError("an order does not say until when it may be carried out")
    made = Order(**texts, policy=policy, what=what, arguments=arguments)
    if made.to_json() != fields:
        raise OrderError("an order has a field that is not known here")
    if what == POLICY:
        Policy.from_json(arguments)
    elif not all(isinstance(value, str | int | None) for value in arguments.values()):
        raise OrderError("an order's arguments are not plain values")
    return made


def _are_known(what: What, arguments: Mapping[str, Json]) -> bool:
    more = set(arguments) - _ARGUMENTS[what]
    left_out = _ARGUMENTS[what] - set(arguments)
    return not left_out and more <= _WHERE_TRUE.get(what, frozenset()) and all(arguments[name] is True for name in more)


def signer(armored: str, order: Order) -> str:
    """The key (an OpenSSH line) that signed an order; raises SignatureError. Says nothing about whose it is.

    It may lie in a FIDO token, which somebody has to touch.
    """
    try:
        return sshsig.verify(armored, BytesIO(order.encode()), NAMESPACE).line
    except SignatureError as problem:
        if problem.reason != "wrong-key-type":
            raise
    return sshsig.verify_sk(armored, BytesIO(order.encode()), NAMESPACE).line


def administrator_key(text: str) -> str:
    """The line of an administrator's key, without its comment; raises OrderError."""
    return _key(text)


def fingerprint(line: str) -> str:
    """How people know an administrator's key."""
    return _parsed(line).fingerprint


def what_of(said: Said) -> What | None:
    """Which order an entry carries out; None for what no administrator orders.

    That a partner's key has ended is taken at the partner's word; so is a key that its confirmed card holds already.
    """
    if said.event == "partner.key-accepted" and (
        said.detail.get("action") not in COMES or "announcement" not in said.detail
    ):
        return None
    return ACTS.get(said.event)


def fits(order: Order, said: Said) -> bool:
    """Whether an entry does what the order says, and nothing else."""
    asked, detail = order.arguments, said.detail
    match said.event:
        case "key.rotating" if order.what == "keys revoke":
            # what a revoked key is replaced by belongs to the revocation
            return detail.get("purpose") == asked["purpose"] and detail.get("lost") == asked.get("lost")
        case "key.rotating" if order.what == "keys rotate":
            same = all(detail.get(name) == asked[name] for name in ("purpose", "overlap"))
            open_ = {"begins": detail.get("begins"), "token": detail.get("token", False)}
            left = all(asked[name] in (None, value) for name, value in open_.items())
            return same and left and (said.key or "") == asked["replaces"]
        case "key.revoked" if order.what == "keys revoke":
            if not completes(order, said):
                # a successor for later goes with it, if the book knows it as one: another is made that is used now
                return detail.get("purpose") == asked["purpose"]
            return detail.get("lost") == asked.get("lost") and _begins(detail) == asked["since"]
        case "partner.key-accepted" if order.what == "keys accept":
            same = (said.partner, said.key) == (asked["partner"], asked["fingerprint"])
            return same and detail.get("sha256") == asked["sha256"]
        case "partner.added" if order.what == "partner add":
            same = (said.partner, detail.get("card_sha256")) == (asked["partner"], asked["card_sha256"])
            taken = ("weaker", "older", "new_ledger")
            return same and all(asked.get(name) is True or not detail.get(name) for name in taken)
        case "approval.policy":
            return order.what == POLICY
    return False


def completes(order: Order, said: Said) -> bool:
    """Whether an order is done with an entry that fits it, and not only under way."""
    if what_of(said) != order.what:
        return False
    return said.event != "key.revoked" or said.key == order.arguments["fingerprint"]


def _begins(detail: Mapping[str, Json]) -> str | None:
    """From when on a revoked key is said to count no more."""
    try:
        return Signed.from_json(detail.get("announcement")).announcement.at
    except AnnouncementError:
        return None


def _key(text: str) -> str:
    try:
        return _parsed(text).line
    except BadKey as problem:
        what = f"the key of an administrator is not usable: {problem.message}"
        raise OrderError(what, reason=problem.reason) from None


def _raw(line: str) -> bytes:
    if _key(line) != line:
        raise OrderError("the key of an administrator has a comment")
    return _parsed(line).raw


def _parsed(text: str) -> PublicKey | SkKey:
    return SkKey.parse(text) if text.startswith("sk-") else PublicKey.parse(text)


def _texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _is_time(text: str) -> bool:
    try:
        return times.to_text(times.from_text(text)) == text
    except times.BadTime:
        return False
