"""What came and was decided before comes again: it gets the same receipt again, and is not delivered twice.

    the same envelope       also where our key for it has been destroyed since: by its digest, without opening it
    the same manifest       whatever encrypted it
    the same file anew      sealed again under its id, as a key of the first envelope has ended (exchange/reseal.py)

Anything else under a known id is an incident. Whoever repeats a message without need, with a copy that anybody on the
way could keep, gets answers ever more seldom.
"""

import hashlib
import hmac
from typing import BinaryIO

from exchange import seldom
from exchange.envelope.manifest import Manifest
from exchange.envelope.sealing import Opened
from exchange.landed import Unauthenticated
from exchange.parts import Parts
from exchange.retry import growing
from ledger.entry import Draft
from ledger.handover import Handover

_PIECE = 1024 * 1024

_DESCRIBES = ("received", "rejected")
"""Entries that say of what content a handover is."""


def is_decided(source: BinaryIO, known: Handover) -> bool:
    """After a restart: whether this is the very envelope that was decided, its answer being on its way anyway.

    Anything else under a known id goes through all steps: it may be a repetition, or another message.
    """
    return known.is_answered and known.receipt != "sent" and is_same(source, known)


def is_same(source: BinaryIO, known: Handover) -> bool:
    """Whether this is, byte for byte, the envelope that was decided; `source` is at its beginning afterwards."""
    source.seek(0)
    digest = hashlib.sha256()
    while piece := source.read(_PIECE):
        digest.update(piece)
    source.seek(0)
    return hmac.compare_digest(digest.hexdigest(), known.envelope_sha256 or "")


def repeat(parts: Parts, opened: Opened, known: Handover) -> None:
    """Let a message under a known id be answered again; raises Unauthenticated for another one."""
    if known.manifest_sha256 != opened.manifest_sha256 and not _is_sealed_anew(parts, opened.manifest, known):
        raise Unauthenticated("an id is used for two different manifests", reason="id-reused")
    answer(parts, known)


def _is_sealed_anew(parts: Parts, manifest: Manifest, known: Handover) -> bool:
    """Whether it is the file that was decided: its number, its content, and what it is about are the same.

    What has been redacted since proves nothing.
    """
    entry = next(one for one in reversed(parts.ledger.entries_of(known)) if one.event in _DESCRIBES)
    if manifest.payload is None or manifest.concern is None:
        return False
    digest = parts.ledger.openings(entry.seq).get("payload_sha256")
    about = (known.sequence, known.authority, known.category)
    return (
        isinstance(digest, str)
        and hmac.compare_digest(digest, manifest.payload.sha256)
        and about == (manifest.sequence, manifest.concern.authority, manifest.concern.category)
    )


def answer(parts: Parts, known: Handover) -> None:
    """Make the receipt due again, unless it is, or went a moment ago."""
    resend = parts.home.settings.retry.resend
    before = [entry.at for entry in parts.ledger.entries_of(known) if entry.event == "repeated"]
    lately = bool(before) and seldom.ago(parts, before[-1]) < growing(resend / 2, 4 * resend, len(before))
    if known.receipt == "due" or lately:
        return
    parts.ledger.write(
        lambda tx: tx.append(
            Draft(event="repeated", actor="daemon", handover=known.id, partner=known.partner, direction="in")
        )
    )
