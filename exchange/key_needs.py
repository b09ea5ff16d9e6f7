"""Why a key that was replaced must stay.

a partner has not accepted its successor, or anything else that it vouches for
a handover that it signed has no receipt
an envelope that only it opens lies here, or may wait where we collect
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from config.times import from_text, to_text
from exchange.control import CLOCK_TOLERANCE
from exchange.parts import Parts
from exchange.sender import EXPIRES_AFTER
from exchange.topology import Topology
from keys import age
from keys.announcement import can_sign, raw
from keys.own_keys import OwnKey, OwnKeys, Sent
from keys.succession import COMES
from ledger.handover import State

_UNDER_WAY: tuple[State, ...] = ("accepted", "sealed", "sent", "received")

_SIGNED_BY = (
    "SELECT count(*) FROM handovers h WHERE h.direction = 'out' AND h.state IN ('sealed', 'sent') AND EXISTS "
    "(SELECT 1 FROM entries e WHERE (e.handover, e.partner, e.direction) = (h.id, h.partner, h.direction) "
    "AND e.event = 'sealed' AND ? IN (json_extract(CAST(e.entry AS TEXT), '$.detail.signed_by'), "
    "json_extract(CAST(e.entry AS TEXT), '$.detail.signed_pq')) "
    # what a courier carried may never be answered; it is refused after its time anyway
    "AND (json_extract(CAST(e.entry AS TEXT), '$.detail.by_hand') IS NULL OR e.at >= ?))"
)
_SEALED_BEFORE = (
    "SELECT count(*) FROM handovers WHERE direction = 'out' AND state IN ('sealed', 'sent') AND sealed_at < ?"
)


def to_open(parts: Parts, key: OwnKey) -> int:
    """How many envelopes lie in this home that an encryption key opens."""
    identities = parts.keyring.identities({key.fingerprint})
    return sum(_opens(path, identity) for identity in identities for path in _envelopes(parts))


def unanswered(parts: Parts, key: OwnKey) -> int:
    """How many of our handovers under way a signing key has signed."""
    expired = parts.effects.clock() - EXPIRES_AFTER
    return _count(parts, _SIGNED_BY, key.fingerprint, to_text(expired))


def needed(parts: Parts, own: OwnKeys, key: OwnKey, without: Sequence[str] = ()) -> str | None:
    """Why a replaced key must stay; None where nothing needs it."""
    successor = next((one for one in own.usable(key.purpose) if one.replaces == key.fingerprint), None)
    if successor is None:
        return "nothing has replaced it"
    if parts.effects.clock() < from_text(successor.begins):
        return f"its successor is for later, from {successor.begins} on"
    asked = [partner for partner in sorted(parts.agreements) if partner not in without]
    missing = [partner for partner in asked if partner not in successor.partners]
    if missing:
        return f"{', '.join(missing)} has not accepted its successor"
    unheard = _unheard(own, key, asked)
    if unheard:
        return f"{', '.join(unheard)} has not accepted an announcement that only it vouches for"
    for partner in without:
        under_way = parts.ledger.handovers(partner=partner, states=_UNDER_WAY)
        if under_way or parts.ledger.handovers(partner=partner, receipt="due"):
            return f"something is under way between {partner} and us, and could not be finished"
    if key.purpose in ("signing", "signing-pq", "ledger", "witness", "witness-pq"):
        number = unanswered(parts, key)
        if key.purpose not in ("signing", "signing-pq"):
            number = _count(parts, _SEALED_BEFORE, successor.made_at)
        if number:
            return f"{number} handovers that were sealed with it have no receipt"
    if key.purpose == "encryption":
        if to_open(parts, key):
            return "an envelope that it opens has not been opened"
        return _to_collect(parts, successor)
    return None


def last_words(own: OwnKeys) -> list[Sent]:
    """Announcements that still matter: of keys that have not ended, and the ends themselves."""
    ended = {key.fingerprint for key in own.keys if key.ended is not None}
    return [s for s in own.announcements if s.fingerprint not in ended or s.signed.announcement.action not in COMES]


def _unheard(own: OwnKeys, key: OwnKey, partners: Sequence[str]) -> list[str]:
    """Partners that would believe an announcement no more if the key had ended before it came."""
    if not can_sign(key.purpose):
        return []
    mine = raw(key.purpose, key.public)
    others = [one for one in own.usable(key.purpose) if one.fingerprint != key.fingerprint]

    def is_heard(partner: str, sent: Sent) -> bool:
        signers = sent.signed.signers()
        known = {raw(one.purpose, one.public) for one in others if one.is_for(partner)}
        return mine not in signers or bool(known & signers)

    late = [sent for sent in last_words(own) if not sent.taken >= set(partners)]
    return [p for p in partners if not all(p in sent.taken or is_heard(p, sent) for sent in late)]


def _to_collect(parts: Parts, successor: OwnKey) -> str | None:
    """Who may still have something for us under the replaced key where we cannot see it, and until when.

    A collection that finds nothing proves nothing: what a partner sealed before may reach its server later. Once it
    has accepted the successor it seals nothing more under the old key, and what it had sealed expires.
    """
    for partner, heard in sorted(successor.accepted):
        if partner not in parts.agreements or not Topology.of(parts.home, parts.trust.card(partner)).collects:
            continue
        until = from_text(heard) + EXPIRES_AFTER + CLOCK_TOLERANCE
        if parts.effects.clock() < until:
            return f"an envelope that it opens may wait on the server of {partner} until {to_text(until)}"
    return None


def _count(parts: Parts, sql: str, *values: str) -> int:
    return int(parts.ledger.rows(sql, *values)[0][0])


def _envelopes(parts: Parts) -> Iterator[Path]:
    """Every envelope that lies in this home and may still be opened."""
    for folder in (parts.home.landing, parts.home.spool / "in", parts.home.quarantine):
        # each lies right in its partner's folder: what a partner makes below it in its landing zone is none of ours
        yield from (path for path in folder.glob("*/*") if path.is_file() and not path.name.startswith("."))


def _opens(path: Path, identity: age.Identity) -> bool:
    try:
        with path.open("rb") as source:
            age.Reader(source, [identity])
    except (age.AgeError, OSError):
        return False
    return True
