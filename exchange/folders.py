"""The folders in which a file was dropped: kept with what was decided about it, and found again when it goes back."""

import os
from urllib.parse import quote, unquote_to_bytes

from config.authorities import UnknownAuthority
from config.times import from_text, to_text
from exchange.parts import Parts
from exchange.spool import Claim
from ledger.handover import Handover

OPENING = "folders"
"""What the opening of a `held` entry is called that has them: a folder's name could be a person's."""


def as_text(claim: Claim) -> str:
    """As the opening has them: each escaped, so that no name can be two."""
    return "/".join(quote(os.fsencode(folder)) for folder in claim.folders)


def of_held(parts: Parts, handover: Handover) -> tuple[str, ...]:
    """Those of a file that was held; where nothing says so, those that mean the same."""
    for entry in parts.ledger.entries_of(handover):
        kept = parts.ledger.openings(entry.seq).get(OPENING) if entry.event == "held" else None
        if kept is not None:
            return tuple(os.fsdecode(unquote_to_bytes(folder)) for folder in str(kept).split("/") if folder)
    return as_agreed(parts, handover)


def as_agreed(parts: Parts, handover: Handover) -> tuple[str, ...]:
    """Partner, category and council, as far as they are known."""
    dropped_at = handover.dropped_at or to_text(parts.effects.clock())
    folders = (handover.partner, handover.category, _council(parts, handover, dropped_at))
    return tuple(folder for folder in folders if folder is not None)


def _council(parts: Parts, handover: Handover, dropped_at: str) -> str | None:
    if handover.authority is None:
        return None
    try:
        return parts.register.resolve(handover.authority, from_text(dropped_at).date()).short_name
    except UnknownAuthority:
        return handover.authority
