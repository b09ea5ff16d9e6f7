"""The manifest: what one message says, in the bytes that are signed.

First member of every envelope (exchange/envelope/sealing.py), RFC 8785 canonical JSON of at most 64 KiB. Version
`handover/1` (FORMATS 2, docs/formats.md). Fields that a kind does not have are left out, never null:

    field          concern     receipt     what it is
    version        yes         yes         "handover/1"
    kind           "concern"   "receipt"
    id             yes         yes         UUIDv7 of this message
    sequence       yes         -           counts up by one per sender and recipient, from 1
    sender         yes         yes         id of the organisation that signs
    recipient      yes         yes         id of the organisation that it is for
    recipient_key  yes         yes         fingerprint of the age recipient that it is sealed to
    created        yes         yes         time in UTC
    expires        yes         may         not valid afterwards; later than `created`
    agreement      yes         -           {id, version, sha256} of the sharing agreement
    payload        yes         -           {name, size, sha256, media_type} of the file
    concern        yes         -           {authority, category, gateways} and, where known, {reference,
                                           event_date, review_by, embargo_until}
    receipt        -           yes         exchange/envelope/receipt.py
    witness        yes         yes         ledger/witness.py: my newest checkpoint, my cosignature on yours

A kind without a payload says what it has to say in the field that has its own name. Those of kind `request`
(exchange/envelope/request.py) and `absence` (exchange/envelope/absence.py) must have `expires`, else they are as
receipts.

Because `recipient` and `recipient_key` are inside what is signed, nobody can encrypt the same words anew to somebody
else and have them believed. Kind decides the namespace of the signature: one purpose, one namespace.

>>> text = (b'{"created":"2026-11-23T10:16:03Z","id":"01a205b3-d000-7000-8000-000000000000","kind":"receipt",'
...     b'"receipt":{"at":"2026-11-23T10:16:02.500Z","entry":1207,"envelope_sha256":"' + b"1" * 64 + b'",'
...     b'"handover":"01a205b3-cfff-7000-8000-000000000000","manifest_sha256":"' + b"0" * 64 + b'",'
...     b'"outcome":"delivered","proof":"c2sp.org/tlog-proof@v1\\\\n","reason":""},"recipient":"lgsco",'
...     b'"recipient_key":"SHA256:' + b"A" * 43 + b'","sender":"ofsted","version":"handover/1","witness":{}}')
>>> manifest = parse(text)
>>> manifest.namespace, manifest.said.outcome, manifest.encode() == text
('receipt@handover', 'delivered', True)
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from config.times import from_text
from exchange.envelope.absence import Absence
from exchange.envelope.fields import CODE, SHA256, Fields, ManifestError
from exchange.envelope.key_news import Announced, Answer
from exchange.envelope.payload import Payload
from exchange.envelope.receipt import Receipt
from exchange.envelope.request import Request
from ledger import canonical
from ledger.canonical import CanonicalError, Json
from ledger.identifier import is_id

__all__ = ["VERSION", "AgreementRef", "Concern", "Manifest", "ManifestError", "Payload", "parse"]

VERSION: Final = "handover/1"
MAX_BYTES: Final = 64 * 1024
"""FORMATS 1: it is read into memory whole, before anything about the sender is known."""
MAX_GATEWAYS: Final = 16
"""Far more than there are legal gateways in any agreement."""

_ORGANISATION: Final = re.compile(r"[a-z][a-z0-9-]{1,31}", re.ASCII)
_FINGERPRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}", re.ASCII)
_NAME_OF_AGREEMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_AUTHORITY: Final = re.compile(r"[A-Z][0-9]{8}", re.ASCII)
_GATEWAY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_REFERENCE: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,64}")
_ANY: Final = re.compile(r".*", re.DOTALL)


class Said(Protocol):
    """What a control message says: `read(said.to_json()) == said`, where `read` is that of its kind."""

    def to_json(self) -> dict[str, Json]:
        """The object that the manifest holds."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of message must hold, may hold, and under which namespace it is signed."""

    must: frozenset[str]
    may: frozenset[str]
    namespace: str
    read: Callable[[Json], Said] | None = None
    """Of a control message, which has no payload: reads the field of its name, or raises ManifestError."""


KINDS: Final[Mapping[str, Kind]] = {
    # SPEC: FORMATS 4: one namespace per purpose
    "concern": Kind(
        frozenset({"sequence", "expires", "agreement", "payload", "concern"}), frozenset(), "manifest@handover"
    ),
    # SPEC: FORMATS 3: kind `receipt`, no payload
    "receipt": Kind(frozenset({"receipt"}), frozenset({"expires"}), "receipt@handover", Receipt.from_json),
    "request": Kind(frozenset({"request", "expires"}), frozenset(), "request@handover", Request.from_json),
    "absence": Kind(frozenset({"absence", "expires"}), frozenset(), "absence@handover", Absence.from_json),
    "announcement": Kind(
        frozenset({"announcement", "expires"}), frozenset(), "manifest-announcement@handover", Announced.from_json
    ),
    "acceptance": Kind(frozenset({"acceptance", "expires"}), frozenset(), "acceptance@handover", Answer.from_json),
}
"""Every kind of message; a new control message is a line here, one in exchange/messages.py, and its namespace in
keys/trust.py."""

CONTROL: Final = tuple(name for name, kind in KINDS.items() if kind.read is not None)
"""The kinds without a payload."""

_DEPENDS_ON_KIND: Final = ("sequence", "expires", "agreement", "payload", "concern", *CONTROL)


@dataclass(frozen=True, slots=True)
class AgreementRef:
    """The sharing agreement under which the file goes, by name, version and digest of its file."""

    id: str
    version: str
    sha256: str

    def to_json(self) -> dict[str, Json]:
        """The object that the manifest holds."""
        return {"id": self.id, "version": self.version, "sha256": self.sha256}

    @classmethod
    def from_json(cls, value: Json) -> "AgreementRef":
        """Read the object strictly; raises ManifestError."""
        fields = Fields(value, "the agreement in a manifest")
        agreement = cls(
            id=fields.text("id", _NAME_OF_AGREEMENT),
            version=fields.text("version", _NAME_OF_AGREEMENT),
            sha256=fields.text("sha256", SHA256),
        )
        fields.done()
        return agreement


@dataclass(frozen=True, slots=True)
class Concern:
    """What the file is about: an authority by its GSS code, a category of the agreement, the legal gateways."""

    authority: str
    category: str
    reference: str | None
    gateways: tuple[str, ...]
    event_date: str | None
    review_by: str | None
    embargo_until: str | None = None

    def to_json(self) -> dict[str, Json]:
        """The object that the manifest holds; what is not known is left out."""
        return _without_absent(
            {
                "authority": self.authority,
                "category": self.category,
                "reference": self.reference,
                "gateways": list(self.gateways),
                "event_date": self.event_date,
                "review_by": self.review_by,
                "embargo_until": self.embargo_until,
            }
        )

    @classmethod
    def from_json(cls, value: Json) -> "Concern":
        """Read the object strictly; raises ManifestError."""
        fields = Fields(value, "the concern in a manifest")
        concern = cls(
            authority=fields.text("authority", _AUTHORITY),
            category=fields.text("category", CODE),
            reference=fields.optional_text("reference", _REFERENCE),
            gateways=fields.texts("gateways", _GATEWAY, most=MAX_GATEWAYS),
            event_date=fields.date("event_date"),
            review_by=fields.date("review_by"),
            embargo_until=fields.date("embargo_until"),
        )
        fields.done()
        return concern


@dataclass(frozen=True, slots=True)
class Manifest:
    """One message. Building one checks nothing: `encode` and `parse` do, by the same rules.

    A concern that is still to be sealed has no payload yet; `exchange.envelope.sealing.seal` fills it in.
    """

    kind: str
    id: str
    sequence: int | None
    sender: str
    recipient: str
    recipient_key: str
    created: str
    expires: str | None
    agreement: AgreementRef | None
    payload: Payload | None
    concern: Concern | None
    said: Said | None
    """What a control message says, in the field that has the name of its kind."""
    witness: Mapping[str, Json]
    version: str = VERSION

    @property
    def namespace(self) -> str:
        """The SSHSIG namespace of this kind; raises ManifestError for an unknown kind."""
        return _kind(self.kind).namespace

    def encode(self) -> bytes:
        """The bytes that are signed; raises ManifestError for whatever `parse` would refuse."""
        try:
            data = canonical.encode(self.to_json())
        except CanonicalError:
            raise ManifestError("a manifest holds a value that JSON cannot") from None
        parse(data)
        return data

    def to_json(self) -> dict[str, Json]:
        """The object, unchecked."""
        return _without_absent(
            {
                "version": self.version,
                "kind": self.kind,
                "id": self.id,
                "sequence": self.sequence,
                "sender": self.sender,
                "recipient": self.recipient,
                "recipient_key": self.recipient_key,
                "created": self.created,
                "expires": self.expires,
                "agreement": None if self.agreement is None else self.agreement.to_json(),
                "payload": None if self.payload is None else self.payload.to_json(),
                "concern": None if self.concern is None else self.concern.to_json(),
                **({} if self.said is None else {self.kind: self.said.to_json()}),
                "witness": self.witness,
            }
        )


def parse(data: bytes) -> Manifest:
    """Read a manifest strictly; `parse(data).encode() == data`, or ManifestError."""
    # SPEC: FORMATS 1: RFC 8785 canonical JSON, at most 64 KiB, no duplicate key
    if len(data) > MAX_BYTES:
        raise ManifestError(f"a manifest is larger than {MAX_BYTES} bytes", reason="manifest-too-large")
    try:
        value = canonical.decode(data, limit=MAX_BYTES)
    except CanonicalError as problem:
        raise ManifestError(f"in a manifest, {problem.message}", reason=problem.reason) from None
    return _from_json(value)


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise ManifestError("a manifest is of an unknown kind", reason="unknown-kind")
    return KINDS[name]


def _from_json(value: Json) -> Manifest:
    fields = Fields(value, "a manifest")
    # SPEC: FORMATS 1: an unknown manifest version is refused, before anything else is read
    version = fields.text("version", _ANY)
    if version != VERSION:
        raise ManifestError("a manifest is of an unknown version", reason="unknown-version")
    name = fields.text("kind", _ANY)
    kind = _kind(name)
    for field in _DEPENDS_ON_KIND:
        if field in kind.must and not fields.has(field):
            raise fields.error(f"of kind {name} has no {field}")
        if fields.has(field) and field not in kind.must | kind.may:
            raise fields.error(f"of kind {name} has a {field}")
    identifier = fields.text("id", _ANY)
    if not is_id(identifier):
        raise fields.error("has no id that is a UUIDv7")
    manifest = Manifest(
        kind=name,
        id=identifier,
        sequence=fields.integer("sequence", least=1) if fields.has("sequence") else None,
        sender=fields.text("sender", _ORGANISATION),
        recipient=fields.text("recipient", _ORGANISATION),
        recipient_key=fields.text("recipient_key", _FINGERPRINT),
        created=fields.time("created"),
        expires=fields.time("expires") if fields.has("expires") else None,
        agreement=AgreementRef.from_json(fields.object("agreement")) if fields.has("agreement") else None,
        payload=Payload.from_json(fields.object("payload")) if fields.has("payload") else None,
        concern=Concern.from_json(fields.object("concern")) if fields.has("concern") else None,
        said=kind.read(fields.object(name)) if kind.read is not None else None,
        witness=fields.object("witness"),
    )
    fields.done()
    if manifest.expires is not None and from_text(manifest.expires) <= from_text(manifest.created):
        raise fields.error("expires before it was created")
    return manifest


def _without_absent(value: Mapping[str, Json]) -> dict[str, Json]:
    return {name: item for name, item in value.items() if item is not None}
