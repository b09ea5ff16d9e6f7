"""A partner's new card, beside what was known before: whether its ledger goes on, or is another one.

A ledger goes on where a key on the card was known as its key before, has signed the checkpoint that we witnessed last,
or was announced by the partner. Where none is, it may be that of a new home, if a person says so: what was witnessed of
the old ledger is then closed on record (`ledger.closing`). The card of a ledger whose key was revoked a minute ago
looks the same, and so does that of one which was put back to an older state first.
"""

from config.errors import Refused
from keys.announcement import Signed
from keys.card import Card
from keys.succession import COMES
from ledger import closing
from ledger.entry import Entry
from ledger.head import open_checkpoint
from ledger.key_events import key_entries
from ledger.note import parse_vkey
from ledger.store import Transaction
from ledger.view import View


def goes_on(view: View, card: Card, before: Card | None) -> bool:
    """Whether the ledger of a card is the one that was witnessed; also where none was yet."""
    known = view.witnessed(card.organisation)
    counted = _announced(view, card.organisation) | set(() if before is None else before.ledger_keys)
    if known is None or counted & set(card.ledger_keys):
        return True
    try:
        open_checkpoint(known.note.encode(), [parse_vkey(key) for key in card.ledger_keys])
    except Refused:
        return False
    return True


def _announced(view: View, partner: str) -> set[str]:
    """Ledger keys of this ledger that one which counted has vouched for, whether or not a person has confirmed them
    yet, and those that they took the place of: an older card names only these."""
    found: set[str] = set()
    for entry in key_entries(view, ("partner.key-accepted", "partner.key-waiting")):
        if entry.partner == partner and entry.seq >= view.begun(partner) and "announcement" in entry.detail:
            one = Signed.from_json(entry.detail["announcement"]).announcement
            if one.action in COMES and one.purpose == "ledger":
                found |= {key for key in (one.key, one.replaces) if key is not None}
    return found


def is_new(view: View, card: Card, before: Card | None, *, ordered: bool) -> bool:
    """Whether the card closes the ledger that was witnessed; raises Refused where it does and nobody `ordered` that."""
    if goes_on(view, card, before):
        return False
    if not ordered:
        raise Refused(
            f"the card names no key of {card.organisation}'s ledger that is known here",
            hint="ask its administrator: if its ledger key was revoked, let the announcement of that arrive first "
            "('handover status' or 'handover keys history'); only if it has a new home, '--new-ledger' closes the "
            "ledger of the old one, on record",
            reason="new-ledger",
        )
    return True


def close_former(tx: Transaction, card: Card, before: Card | None) -> Entry | None:
    """In the commit that trusts a card which `is_new`: close the ledger before; returns the entry that says so."""
    return closing.close(tx, card.organisation, () if before is None else before.ledger_keys)


def in_words(closed: Entry) -> str:
    """What an administrator is told who has just confirmed the card."""
    return (
        f"{closed.partner} has a new ledger: the one before is closed at {closed.detail['size']} entries, as entry "
        f"{closed.seq} says, and witnessing and numbers begin anew"
    )
