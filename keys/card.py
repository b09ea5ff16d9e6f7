"""The partner card: one public file that says how to reach an organisation, and which keys are its own.

    NAME.toml      what follows, TOML 1.0, at most 64 KiB, in exactly the spelling that `Card.encode` writes
    NAME.toml.sig  SSHSIG (namespace `card@handover`) by one of the card's own signing keys, valid when it was issued

    card = "handover/1"            organisation, name, issued
    [ledger]                       origin (begins with the organisation's id), keys: verifier keys of C2SP signed-note
    [witness]                      keys: the same, of the kind that cosigns
    [witness_pq]                   keys: the same for post-quantum cosignatures; left out where there is none
    [[signing]]                    key (OpenSSH line), valid_from, valid_until (left out: no end); whole seconds
    [[signing_pq]]                 the same for composite keys (`keys.composite`); left out where there is none
    [encryption]                   recipients: age, all `age1pq1…` or all `age1…`
    [transport]                    keys: OpenSSH lines that the organisation's uploads log in with
    [landing]                      host, port, user, path, host_keys; left out where the organisation only collects

The signature shows that the card is in one piece and made by the holder of its keys. It does not show who that is:
anybody can make a card. So a card is imported only with its fingerprint (SHA-256 of NAME.toml), which two people have
read to each other. `{partner}` in the landing's user and path stands for the id of the organisation that uploads.

No key serves two purposes, nor does the Ed25519 half of a composite key, and every Ed25519 key is an honest point
(`keys.openssh`). `parse(data).encode() == data`.

>>> print(fingerprint(b"not a card, but any bytes have one"))
58d5 367d 78dd 6717 8afc a7d8 9660 ea8f 8c4a 4ea7 21e4 06cf 2efa fb17 9d28 69a5
>>> same_fingerprint(fingerprint(b""), "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855")
True
>>> Landing("sftp.example.org", 22, "{partner}", "drop/{partner}", ()).path_for("lgsco")
'drop/lgsco'
"""

import hashlib
import hmac
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

from config import times
from keys import sshsig
from keys.card_rules import (
    CardError,
    Landing,
    SigningKey,
    Table,
    check_composite,
    check_distinct,
    check_identity,
    check_landing,
    check_recipients,
    check_signing,
    check_transport,
    check_verifiers,
)

__all__ = [
    "Card",
    "CardError",
    "Landing",
    "SigningKey",
    "fingerprint",
    "parse",
    "same_fingerprint",
    "sign",
    "verify",
]

NAMESPACE = "card@handover"
VERSION = "handover/1"

MAX_CARD = 64 * 1024
"""Longest card that is read: sixteen post-quantum recipients of 2 KB and everything else take half of it."""

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"'})
_STRING = r'"(?:[^"\\\x00-\x1f\x7f]|\\["\\])*"'
_LINE = re.compile(rf"|\[[a-z_]+\]|\[\[signing(?:_pq)?\]\]|[a-z_]+ = (?:{_STRING}|\[|[0-9]{{1,5}})|  {_STRING},|\]")
"""Every line that a card can have, a blank one included."""

_AS_EXPORTED = "ask for the file as it was exported"
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Card:
    """What one organisation says about itself. A Card that exists has passed every rule; CardError otherwise."""

    organisation: str
    name: str
    issued: str
    ledger_origin: str
    ledger_keys: tuple[str, ...]
    witness_keys: tuple[str, ...]
    signing_keys: tuple[SigningKey, ...]
    recipients: tuple[str, ...]
    transport_keys: tuple[str, ...]
    landing: Landing | None = None
    witness_pq: tuple[str, ...] = ()
    signing_pq: tuple[SigningKey, ...] = ()

    def __post_init__(self) -> None:
        # SPEC: FORMATS 7 one public file per organisation
        check_identity(self.organisation, self.name, self.issued, self.ledger_origin)
        keys = [
            *check_verifiers(self.ledger_keys, "ledger", self.ledger_origin),
            *check_verifiers(self.witness_keys, "witness", f"{self.organisation}/"),
            *check_signing(self.signing_keys),
            *check_transport(self.transport_keys),
            *(check_verifiers(self.witness_pq, "witness-pq", f"{self.organisation}/") if self.witness_pq else ()),
            *(check_composite(self.signing_pq) if self.signing_pq else ()),
        ]
        check_distinct([*keys, *check_landing(self.landing)])
        check_recipients(self.recipients)
        if len(self.encode()) > MAX_CARD:
            raise CardError(f"a card is longer than {MAX_CARD} bytes", reason="too-large")

    @property
    def pin(self) -> Literal["pq", "x25519"]:
        """How strong an envelope to this organisation must be at least."""
        # SPEC: FORMATS 1 a partner is pinned to pq or x25519 in its card
        return check_recipients(self.recipients)

    def encode(self) -> bytes:
        """The one spelling of the file."""
        lines = [
            f"card = {_quoted(VERSION)}",
            f"organisation = {_quoted(self.organisation)}",
            f"name = {_quoted(self.name)}",
            f"issued = {_quoted(self.issued)}",
            "\n[ledger]",
            f"origin = {_quoted(self.ledger_origin)}",
            *_listed("keys", self.ledger_keys),
            "\n[witness]",
            *_listed("keys", self.witness_keys),
            *(["\n[witness_pq]", *_listed("keys", self.witness_pq)] if self.witness_pq else []),
            *_timed("signing", self.signing_keys),
            *_timed("signing_pq", self.signing_pq),
        ]
        lines += ["\n[encryption]", *_listed("recipients", self.recipients)]
        lines += ["\n[transport]", *_listed("keys", self.transport_keys)]
        if self.landing is not None:
            lines += [
                "\n[landing]",
                f"host = {_quoted(self.landing.host)}",
                f"port = {self.landing.port}",
                f"user = {_quoted(self.landing.user)}",
                f"path = {_quoted(self.landing.path)}",
                *_listed("host_keys", self.landing.host_keys),
            ]
        return "".join(f"{line}\n" for line in lines).encode()


def parse(data: bytes) -> Card:
    """Read a card; `parse(data).encode() == data`, or CardError."""
    if len(data) > MAX_CARD:
        raise CardError(f"a card is longer than {MAX_CARD} bytes", reason="too-large")
    try:
        text = data.decode()
        # before TOML's own parser, which needs seconds for some hostile texts of this size
        for number, line in enumerate(text.split("\n"), 1):
            if not _LINE.fullmatch(line):
                raise CardError(f"a card is not in its one canonical spelling in line {number}", hint=_AS_EXPORTED)
        top = Table(tomllib.loads(text), "the card")
    except ValueError:
        raise CardError("a card is not TOML") from None
    if top.text("card") != VERSION:
        raise CardError("a card is of a version that is not known here", reason="unknown-version")
    ledger = top.table("ledger")
    card = Card(
        organisation=top.text("organisation"),
        name=top.text("name"),
        issued=top.text("issued"),
        ledger_origin=ledger.text("origin"),
        ledger_keys=ledger.texts("keys"),
        witness_keys=top.table("witness").texts("keys"),
        signing_keys=_signing(top.tables("signing")),
        recipients=top.table("encryption").texts("recipients"),
        transport_keys=top.table("transport").texts("keys"),
        landing=_landing(top.table("landing")) if "landing" in top else None,
        witness_pq=top.table("witness_pq").texts("keys") if "witness_pq" in top else (),
        signing_pq=_signing(top.tables("signing_pq")) if "signing_pq" in top else (),
    )
    # whatever was not read above (an unknown key, a comment, another order) is missing here
    if card.encode() != data:
        raise CardError("a card is not in its one canonical spelling", hint=_AS_EXPORTED)
    return card


def fingerprint(data: bytes) -> str:
    """What two people read to each other: SHA-256 of the file, 64 hexadecimal digits in groups of four."""
    digits = hashlib.sha256(data).hexdigest()
    return " ".join(digits[at : at + 4] for at in range(0, 64, 4))


def same_fingerprint(one: str, other: str) -> bool:
    """Whether both are the same complete fingerprint, blanks and case aside; in constant time."""
    # SPEC: FORMATS 7 imported only with its fingerprint confirmed
    a, b = ("".join(text.split()).lower() for text in (one, other))
    if not _FINGERPRINT.fullmatch(a) or not _FINGERPRINT.fullmatch(b):
        return False
    return hmac.compare_digest(a, b)


def sign(data: bytes, signer: sshsig.Signer) -> str:
    """The armoured signature of a card's file; CardError if `signer` may not sign this card."""
    _own_key(parse(data), signer.public)
    return sshsig.sign(signer, BytesIO(data), NAMESPACE)


def verify(data: bytes, armored: str) -> Card:
    """The card, if one of its own signing keys signed the file; raises CardError or SignatureError."""
    card = parse(data)
    # SPEC: FORMATS 4 namespace card@handover
    _own_key(card, sshsig.verify(armored, BytesIO(data), NAMESPACE))
    return card


def _own_key(card: Card, public: sshsig.PublicKey) -> None:
    issued = times.from_text(card.issued)
    key = next((key for key in card.signing_keys if key.line == public.line), None)
    if key is None:
        raise CardError("a card is not signed by one of its own signing keys", reason="unknown-key")
    if not key.covers(issued):
        raise CardError("a card is signed by a key that was not valid when it was issued", reason="key-not-valid")


def _signing(tables: Iterable[Table]) -> tuple[SigningKey, ...]:
    return tuple(
        SigningKey(key.text("key"), key.text("valid_from"), key.text("valid_until") if "valid_until" in key else None)
        for key in tables
    )


def _timed(name: str, keys: Iterable[SigningKey]) -> list[str]:
    lines = []
    for key in keys:
        lines += [f"\n[[{name}]]", f"key = {_quoted(key.line)}", f"valid_from = {_quoted(key.valid_from)}"]
        lines += [f"valid_until = {_quoted(key.valid_until)}"] if key.valid_until is not None else []
    return lines


def _landing(table: Table) -> Landing:
    return Landing(
        table.text("host"), table.number("port"), table.text("user"), table.text("path"), table.texts("host_keys")
    )


def _quoted(text: str) -> str:
    # SPEC: TOML 1.0 String: a basic string; control characters never get here, they are no part of any field
    return f'"{text.translate(_ESCAPES)}"'


def _listed(key: str, values: Iterable[str]) -> list[str]:
    return [f"{key} = [", *(f"  {_quoted(value)}," for value in values), "]"]
