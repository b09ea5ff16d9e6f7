"""Receipts: made from the ledger alone, and checked before anything is believed.

A receipt says what became of one handover and proves it by an entry of the receiver's own ledger. It is a pure
function of that ledger: made twice, it is the same. Only a receipt that passes every step of `accept_receipt`
acknowledges a handover.
"""

import hmac
from functools import partial
from typing import Final

from config.errors import Refused
from config.times import from_text
from exchange import crossed, seldom, sender
from exchange.control import Due, Message
from exchange.envelope.manifest import Manifest
from exchange.envelope.receipt import Receipt
from exchange.envelope.sealing import Opened
from exchange.parts import Parts
from exchange.troubles import note_signed
from ledger import entry as entries
from ledger import tlogproof, witness
from ledger.canonical import Json
from ledger.entry import Draft, Entry
from ledger.handover import Handover
from ledger.store import Transaction

KIND: Final = "receipt"
UNKNOWN: Final = "unknown-handover"


class ReceiptRefused(Refused):
    """A receipt that proves nothing; `reason` says why."""

    reason = "receipt-refused"


def receipt_for(parts: Parts, handover: Handover) -> Receipt:
    """What became of an incoming handover, with the proof of the entry that says so."""
    entry = parts.ledger.entry(handover.decided_seq)
    return Receipt(
        handover=handover.id,
        manifest_sha256=handover.manifest_sha256 or "",
        envelope_sha256=handover.envelope_sha256 or "",
        outcome="rejected" if handover.state == "rejected" else "delivered",
        reason=handover.reason or "",
        at=entry.at,
        entry=entry.seq,
        proof=parts.ledger.prove(entry.seq, at_least=parts.own.prove_from).decode(),
    )


def due(parts: Parts, partner: str) -> list[Due]:
    """A receipt for everything that came from a partner, was decided, and has not been answered since."""
    if not parts.own.fingerprints("ledger", partner):
        # its proof would be signed by a ledger key that the partner does not know yet: after a revocation
        return []
    return [
        Due(
            kind=KIND,
            say=partial(receipt_for, parts, handover),
            sent=Draft(event="receipted", actor="daemon", handover=handover.id, partner=partner, direction="in"),
        )
        for handover in parts.ledger.handovers(partner=partner, direction="in", receipt="due")
    ]


def accept(parts: Parts, message: Message) -> None:
    """Take a receipt in; what it decided is settled: the original goes to its last place."""
    decided = accept_receipt(parts, message.partner, message.opened, again=message.again)
    if decided is not None:
        sender.settle(parts, decided)


def accept_receipt(parts: Parts, partner: str, opened: Opened, *, again: bool = False) -> Handover | None:
    """Check a receipt whose signature and sender hold; acknowledge, or record why not. Returns what changed.

    `again` says that this very file may have been accepted just before a crash: then it is no second receipt.
    """
    receipt = opened.manifest.said
    if not isinstance(receipt, Receipt):
        raise ReceiptRefused("a receipt message holds no receipt", reason="no-receipt")
    try:
        handover = parts.ledger.handover(partner, "out", receipt.handover)
        if handover is None:
            raise ReceiptRefused("a receipt names a handover that was never sent there", reason=UNKNOWN)
        if again and _was_accepted(parts, handover, opened):
            return handover
        _check_expiry(parts, opened.manifest)
        _check(parts, partner, handover, receipt)
        note_signed(parts, partner, opened.manifest.created, handover.sent_at)
    except Refused as problem:
        detail: dict[str, Json] = {"reason": problem.reason, "message": opened.manifest.id, "about": receipt.handover}
        refused = Draft(event="receipt.refused", actor="daemon", partner=partner, detail=detail)
        # whoever repeats receipts makes us write that down once an hour; one that names nothing of ours is like another
        seldom.append(parts, refused, "reason", *(() if problem.reason == UNKNOWN else ("about",)))
        return None
    delivered = receipt.outcome == "delivered"

    def record(tx: Transaction) -> None:
        crossed.note(tx, handover)
        tx.append(
            Draft(
                event="acknowledged" if delivered else "rejected",
                actor="daemon",
                handover=receipt.handover,
                partner=partner,
                direction="out",
                detail={
                    "delivered_at": receipt.at,
                    "their_entry": receipt.entry,
                    "receipt_sha256": opened.manifest_sha256,
                    **({} if delivered else {"reason": receipt.reason}),
                },
            )
        )
        tx.keep_document("receipt", partner, receipt.handover, opened.manifest_bytes, opened.signature)
        if opened.composite_signature is not None:
            tx.keep_document("receipt-pq", partner, receipt.handover, opened.manifest_bytes, opened.composite_signature)

    parts.ledger.write(record)
    return parts.ledger.handover(partner, "out", receipt.handover)


def _check_expiry(parts: Parts, manifest: Manifest) -> None:
    if manifest.expires is not None and from_text(manifest.expires) <= parts.effects.clock():
        raise ReceiptRefused("a receipt has expired", reason="expired")


def _check(parts: Parts, partner: str, handover: Handover, receipt: Receipt) -> None:
    """Steps in order; the first that fails decides."""
    # (1) it is about the very manifest and the very envelope that were sent, or were before they were sealed anew
    sealed = [entry for entry in parts.ledger.entries_of(handover) if entry.event == "sealed"]
    about = [one for one in sealed if _is_same(receipt.manifest_sha256, one.detail.get("manifest_sha256"))]
    if not about:
        raise ReceiptRefused("a receipt is for another manifest", reason="other-manifest")
    if not any(_is_same(receipt.envelope_sha256, one.envelope_sha256) for one in about):
        raise ReceiptRefused("a receipt is for another envelope", reason="other-envelope")
    # (2) states only move forward; a withdrawal can cross with a delivery of which we did not hear
    if handover.state not in ("sealed", "sent", *(("withdrawn",) if receipt.outcome == "delivered" else ())):
        raise ReceiptRefused("the handover was decided before this receipt came", reason="already-decided")
    # (3) the proof is of an entry in the partner's ledger, signed by the partner's ledger key
    proof = tlogproof.parse(receipt.proof.encode())
    if proof.extra is None or proof.index != receipt.entry:
        raise ReceiptRefused("a receipt's proof is of another entry", reason="other-entry")
    stated = proof.verify(proof.extra, parts.trust.ledger_verifiers(partner))
    # of that ledger and no other: what we have cosigned of it says the same
    witness.compare(parts.ledger, partner, stated)
    # (4) and that entry says the same as the receipt
    if not _says(entries.parse(proof.extra), parts.me, receipt):
        raise ReceiptRefused("the partner's ledger entry does not say what its receipt says", reason="entry-disagrees")


def _is_same(said: str, recorded: Json) -> bool:
    return isinstance(recorded, str) and hmac.compare_digest(said, recorded)


def _was_accepted(parts: Parts, handover: Handover, opened: Opened) -> bool:
    decided = parts.ledger.entry(handover.decided_seq)
    return decided.detail.get("receipt_sha256") == opened.manifest_sha256


def _says(entry: Entry, me: str, receipt: Receipt) -> bool:
    return (
        entry.seq == receipt.entry
        and entry.event == receipt.outcome
        and entry.handover == receipt.handover
        and entry.partner == me
        and entry.direction == "in"
        and entry.at == receipt.at
        and entry.envelope_sha256 == receipt.envelope_sha256
        and entry.detail.get("manifest_sha256") == receipt.manifest_sha256
        and entry.detail.get("reason", "") == receipt.reason
    )
