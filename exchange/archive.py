"""Where an outgoing file ends: `held/` with the reason, or `sent/` with a readable receipt.

Both are recorded in the ledger first, so each function here can be repeated after a crash until the spool's folder
of the handover is gone.
"""

import os

from config.times import from_text
from exchange import files
from exchange.drop import SIDECAR, WHY
from exchange.parts import Parts
from exchange.spool import Claim
from ledger.handover import Handover

RECEIPT = ".receipt.txt"
"""Ending of the note that tells a case officer that a file arrived."""

UNSORTED = "unsorted"
"""Folder below `held/` for files that lay in no partner's folder."""


_HELD = "This file was NOT sent. Nothing of it has left this organisation."
_REFUSED = "The partner organisation REFUSED this file. It has not been delivered to anybody there."
_WITHDRAWN = "This file was WITHDRAWN before the partner organisation acknowledged it."


def hold(parts: Parts, claim: Claim) -> None:
    """Move a file that may not go to `held/<folder>/` and explain beside it what to do."""
    handover = parts.ledger.find_one("out", claim.id)
    why = str(parts.ledger.openings(handover.decided_seq).get("why", ""))
    _put_aside(parts, claim, _HELD, why.splitlines())


def return_to_sender(parts: Parts, claim: Claim, handover: Handover) -> None:
    """Move a file that the partner refused, or that was withdrawn, to `held/<folder>/` and say so beside it."""
    if handover.state == "rejected":
        _put_aside(parts, claim, _REFUSED, [f"The partner's reason: {handover.reason or 'none given'}."])
    else:
        _put_aside(parts, claim, _WITHDRAWN, ["It was withdrawn by this organisation."])


def _put_aside(parts: Parts, claim: Claim, headline: str, why: list[str]) -> None:
    payload = parts.spool.payload(claim.id)
    if os.path.lexists(payload):
        folder = claim.folders[0] if claim.folders else UNSORTED
        target = files.place(payload, parts.home.held / folder, claim.name)
        files.write_new(target.with_name(_fitting(target.name, WHY)), _why_text(claim, headline, why), 0o640)
        if claim.sidecar is not None:
            files.write_new(target.with_name(_fitting(target.name, SIDECAR)), claim.sidecar.encode(), 0o640)
    parts.spool.clear(claim.id)


def keep(parts: Parts, handover: Handover) -> None:
    """Move an acknowledged file to `sent/…` with its receipt, or destroy it where nothing is to be kept."""
    claim = parts.spool.read_claim(handover.id)
    payload = parts.spool.payload(handover.id)
    if claim is not None and payload.exists():
        if parts.home.settings.partner(handover.partner).keeps_sent:
            target = files.place(payload, parts.home.sent.joinpath(*claim.folders), claim.name)
            text = receipt_text(parts, handover)
            files.write_new(target.with_name(_fitting(target.name, RECEIPT)), text.encode(), 0o640)
        else:
            files.remove(payload)
    parts.spool.clear(handover.id)


def receipt_text(parts: Parts, handover: Handover) -> str:
    """What a case officer reads beside a sent file."""
    card = parts.trust.card(handover.partner)
    delivered = from_text(handover.delivered_at or handover.acknowledged_at or "")
    return (
        f"{card.name} has received this file and signed for it.\n\n"
        f"Delivered:      {delivered:%d %B %Y, %H:%M:%S} (UTC)\n"
        f"Handover:       {handover.id}\n"
        f"Size:           {handover.bytes} bytes\n"
        f"Ledger entry:   {handover.decided_seq} (ours)\n\n"
        f"The whole life of this handover, with its proof:  handover ledger show {handover.id}\n"
    )


def _why_text(claim: Claim, headline: str, why: list[str]) -> bytes:
    reasons = "".join(f"  - {line}\n" for line in why)
    return (
        f"{headline}\n\nWhy:\n{reasons}\n"
        "What to do: mend what is said above, then move the file back into its outbound folder.\n\n"
        f"Dropped:   {claim.dropped_at}\n"
        f"Handover:  {claim.id}\n"
    ).encode()


def _fitting(name: str, ending: str) -> str:
    """`name` + `ending`, the name shortened where both together would be too long for a file system."""
    while len(os.fsencode(name + ending)) > files.NAME_MAX:
        name = name[:-1]
    return name + ending
