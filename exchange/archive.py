"""Where an outgoing file ends: `held/` with the reason, or `sent/` with a readable receipt.

Both are recorded in the ledger first, so each function here can be repeated after a crash until the spool's folder
of the handover is gone.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from config.times import from_text
from exchange import files
from exchange.drop import SIDECAR, WHY
from exchange.parts import Parts
from exchange.refusals import meaning
from exchange.spool import Claim
from ledger.canonical import Json
from ledger.copies import KEPT, copy_of, place_text
from ledger.entry import Draft
from ledger.handover import Handover
from ledger.store import Transaction

RECEIPT = ".receipt.txt"
"""Ending of the note that tells a case officer that a file arrived."""

MAX_RECEIPT = 64 * 1024
"""A receipt for people is a few lines; what is larger is none."""

_NAMED = re.compile(rb"^Handover:       (\S+)$", re.MULTILINE)

UNSORTED = "unsorted"
"""Folder below `held/` for files that lay in no partner's folder."""


_HELD = "This file was NOT sent. Nothing of it has left this organisation."
_REFUSED = "The partner organisation REFUSED this file. It has not been delivered to anybody there."
_WITHDRAWN = "This file was WITHDRAWN before the partner organisation acknowledged it."
_MEND = "Mend what is said above, then move the file back into its outbound folder."


def hold(parts: Parts, claim: Claim) -> None:
    """Move a file that may not go to `held/<folder>/` and explain beside it what to do."""
    handover = parts.ledger.find_one("out", claim.id)
    why = str(parts.ledger.openings(handover.decided_seq).get("why", ""))
    _put_aside(parts, claim, _HELD, why.splitlines())


def return_to_sender(parts: Parts, claim: Claim, handover: Handover) -> None:
    """Move a file that the partner refused, or that was withdrawn, to `held/<folder>/` and say so beside it."""
    if handover.state == "rejected":
        said = meaning(handover.reason)
        _put_aside(parts, claim, _REFUSED, [said.why], said.what_to_do)
    else:
        _put_aside(parts, claim, _WITHDRAWN, ["It was withdrawn by this organisation."])


def _put_aside(parts: Parts, claim: Claim, headline: str, why: list[str], what_to_do: str = _MEND) -> None:
    if parts.spool.holds(claim.id):
        folder = claim.folders[0] if claim.folders else UNSORTED
        target = _place(parts, claim, parts.home.held / folder, WHY, SIDECAR)
        _write_beside(parts, claim, target, WHY, _why_text(claim, headline, why, what_to_do))
        if claim.sidecar is not None and claim.sidecar_seen:
            _write_beside(parts, claim, target, SIDECAR, claim.sidecar.encode())
    parts.spool.clear(claim.id)


def keep(parts: Parts, claim: Claim, handover: Handover, until: Mapping[str, Json]) -> None:
    """Move an acknowledged file to `sent/…` with its receipt, and record where it lies and until when it is kept."""
    target = _place(parts, claim, parts.home.sent.joinpath(*claim.folders), RECEIPT)
    _write_beside(parts, claim, target, RECEIPT, receipt_text(parts, handover).encode())
    place = place_text(target.relative_to(parts.home.sent).parts)

    def record(tx: Transaction) -> None:
        # after a crash between this and the end of the claim it has been recorded
        if copy_of(tx, handover).kept is None:
            draft = Draft(event=KEPT, actor="daemon", handover=handover.id, partner=handover.partner, direction="out")
            tx.append(draft.replace(private={"place": place}, detail=until))

    parts.ledger.write(record)


def _place(parts: Parts, claim: Claim, directory: Path, *beside: str) -> Path:
    """Under a name that is free together with those of the texts beside it."""

    def taken(path: Path) -> bool:
        return any(files.is_there(path.with_name(fitting(path.name, ending))) for ending in ("", *beside))

    source, note = parts.spool.payload(claim.id), parts.spool.note(claim.id)
    return files.place(source, directory, claim.name, note, taken=taken, room=max(map(len, beside)))


def _write_beside(parts: Parts, claim: Claim, target: Path, ending: str, text: bytes) -> None:
    """A text beside a placed file; a case officer's own file is never replaced."""
    source = parts.spool.payload(claim.id).with_name(f"text{ending}")
    note = source.with_name(f"{source.name}.place")
    if not note.exists():
        files.write_new(source, text, 0o640)
    files.place(source, target.parent, fitting(target.name, ending), note)


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


def names(receipt: bytes, handover: str) -> bool:
    """Whether a text is the receipt of a handover for people."""
    return handover.encode() in _NAMED.findall(receipt)


def names_another(receipt: bytes, handover: str) -> bool:
    """Whether a text is a receipt for people, and not that of this handover."""
    return bool(_NAMED.findall(receipt)) and not names(receipt, handover)


def _why_text(claim: Claim, headline: str, why: list[str], what_to_do: str) -> bytes:
    reasons = "".join(f"  - {line}\n" for line in why)
    return (
        f"{headline}\n\nWhy:\n{reasons}\n"
        f"What to do: {what_to_do}\n\n"
        f"Dropped:   {claim.dropped_at}\n"
        f"Handover:  {claim.id}\n"
    ).encode()


def fitting(name: str, ending: str) -> str:
    """`name` + `ending`, the name shortened where both together would be too long for a file system."""
    while len(os.fsencode(name + ending)) > files.NAME_MAX:
        name = name[:-1]
    return name + ending
