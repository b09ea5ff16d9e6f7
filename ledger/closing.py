"""A partner's ledger comes to its end and another one begins: its passphrase or its machine was lost, its home is new.

    witness.closed          a person has confirmed a card whose ledger keys do not continue what we witnessed: the last
                            checkpoint of the old ledger, signed by it and by us, stays in this entry, and so in our own
                            tree, for ever; we witness the new ledger from its beginning
    renumbered              a handover that is on its way to the partner gets a number among those of the new ledger
    unanswered              a handover from the old ledger, whose receipt had not gone, is owed none any more
    witness.former-ledger   seen from the new home: the partner still witnesses the ledger that we had before

Running numbers count from 1 again, both ways: `known.Known.begun` says from which entry on. The id of a handover is
never forgotten, so nothing that was delivered is delivered again.

Only a person's order closes a ledger. Whatever a partner's message says, or whoever holds its keys, what we have
witnessed counts on.
"""

from collections.abc import Sequence
from dataclasses import replace

from config.errors import Refused
from ledger import checkpoint, note
from ledger.canonical import Json
from ledger.entry import Draft, Entry
from ledger.handover import Handover, State
from ledger.known import CLOSED
from ledger.note import Verifier
from ledger.statement import Statement
from ledger.transaction import Transaction
from ledger.view import View

__all__ = ["CLOSED", "FORMER", "close", "is_of_closed", "shown_former", "without_former"]

FORMER = "witness.former-ledger"

_ON_THEIR_WAY: Sequence[State] = ("accepted", "sealed", "sent")


def close(tx: Transaction, partner: str, former_keys: Sequence[str]) -> Entry | None:
    """Record up to where a partner's ledger was witnessed, and begin anew; None where nothing was.

    `former_keys` are the keys that signed it, as vkeys, as far as they are known: with them anybody can check it.
    """
    known = tx.witnessed(partner)
    if known is None:
        return None
    keys: list[Json] = list(former_keys)
    cosigned = note.add_signatures(known.note.encode(), known.cosigned.splitlines()).decode()
    detail: dict[str, Json] = {
        "size": known.size,
        "root": known.root.hex(),
        "checkpoint": cosigned,
        "ledger_keys": keys,
        "seen": tx.partner_seen(partner),
    }
    entry = tx.append(Draft(event=CLOSED, actor="operator", partner=partner, detail=detail))
    tx.forget_witnessed(partner)
    for handover in tx.handovers(partner=partner, direction="in", receipt="due"):
        tx.append(_about(handover, "unanswered"))
    for handover in tx.handovers(states=_ON_THEIR_WAY, partner=partner, direction="out"):
        # what a courier carries is sealed for the old ledger's keys, and cannot be sealed anew
        if "by_hand" not in tx.entry(handover.first_seq).detail:
            number = tx.next_sequence(partner)
            tx.append(_about(handover, "renumbered").replace(detail={"sequence": number}))
    return entry


def _about(handover: Handover, event: str) -> Draft:
    draft = Draft(event=event, actor="operator", handover=handover.id, partner=handover.partner)
    return draft.replace(direction=handover.direction)


def is_of_closed(view: View, partner: str, signed: bytes) -> bool:
    """Whether a key that signed the ledger which was closed last has signed a checkpoint: it may have been under way,
    or lain somewhere, since before a person said that this ledger is no more. Raises Refused."""
    begun = view.begun(partner)
    return bool(begun) and bool(_signers(str(view.entry(begun).detail["checkpoint"])) & _signers(signed.decode()))


def _signers(signed: str) -> set[tuple[str, bytes]]:
    """Who signed a checkpoint in the name of its own origin."""
    body, signatures = note.split(signed.encode(errors="replace"))
    origin = checkpoint.parse(body).origin
    return {(one.name, one.key_id) for one in signatures if one.name == origin}


def without_former(
    tx: Transaction, partner: str, statement: Statement, own: Sequence[Verifier], witnesses: Sequence[Verifier]
) -> Statement:
    """What a partner says, without a cosignature on a ledger that we had before; the first is recorded.

    The partner's own witness key must have cosigned it. As soon as the partner has witnessed this ledger, or if it
    shows a second other one, that is a conflict as before: this function leaves it to whoever looks next.
    """
    if statement.seen == 0:
        return statement
    try:
        opened = note.open_note(statement.cosigned.encode(errors="replace"), witnesses)
        stated, keys = checkpoint.parse(opened.text), _signers(statement.cosigned)
    except Refused:
        return statement
    ours = {(verifier.name, verifier.key_id) for verifier in own}
    if not keys or keys & ours or stated.size != statement.seen or stated.origin not in {name for name, _ in ours}:
        return statement
    if tx.rows("SELECT 1 FROM cosignatures WHERE partner = ? LIMIT 1", partner):
        return statement
    named: list[Json] = [key_id.hex() for _, key_id in sorted(keys)]
    before = _told(tx, partner)
    if before is None:
        detail: dict[str, Json] = {"size": stated.size, "root": stated.root.hex(), "keys": named}
        tx.append(Draft(event=FORMER, actor="daemon", partner=partner, detail=detail))
    elif before.detail["keys"] != named:
        return statement
    return replace(statement, cosigned="", seen=0)


def shown_former(view: View, partner: str) -> int | None:
    """How many entries of another ledger of ours the partner witnesses instead of this one; None if it does not."""
    told = _told(view, partner)
    return None if told is None or view.partner_seen(partner) else int(str(told.detail["size"]))


def _told(view: View, partner: str) -> Entry | None:
    found = view.rows("SELECT seq FROM entries WHERE event = ? AND +partner = ? ORDER BY seq LIMIT 1", FORMER, partner)
    return view.entry(int(found[0][0])) if found else None
