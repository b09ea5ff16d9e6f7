"""A partner's new card, beside what was known before: whether its ledger goes on, and which keys of it end.

A ledger goes on where a key on the card has signed the checkpoint that we witnessed last, or where the partner has
announced a key on the card as the successor of one that counted. Where neither is so, the partner has a new home: what
was witnessed of the old ledger is closed on record (`ledger.closing`).
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


def goes_on(view: View, card: Card) -> bool:
    """Whether the ledger of a card is the one that was witnessed; also where none was yet."""
    known = view.witnessed(card.organisation)
    if known is None or set(card.ledger_keys) & _announced(view, card.organisation):
        return True
    try:
        open_checkpoint(known.note.encode(), [parse_vkey(key) for key in card.ledger_keys])
    except Refused:
        return False
    return True


def _announced(view: View, partner: str) -> set[str]:
    """Ledger keys that a key which counted has vouched for, whether or not a person has confirmed them yet."""
    found: set[str] = set()
    for entry in key_entries(view, ("partner.key-accepted", "partner.key-waiting")):
        if entry.partner == partner and entry.seq >= view.begun(partner) and "announcement" in entry.detail:
            one = Signed.from_json(entry.detail["announcement"]).announcement
            if one.action in COMES and one.purpose == "ledger":
                found.add(one.key)
    return found


def close_where_new(tx: Transaction, card: Card, before: Card | None) -> Entry | None:
    """In the commit that trusts a card: close the ledger that it does not continue; returns the entry that says so."""
    return (
        None
        if goes_on(tx, card)
        else closing.close(tx, card.organisation, () if before is None else before.ledger_keys)
    )


def in_words(closed: Entry) -> str:
    """What an administrator is told who has just confirmed the card."""
    return (
        f"{closed.partner} has a new ledger: the one before is closed at {closed.detail['size']} entries, as entry "
        f"{closed.seq} says, and witnessing and numbers begin anew"
    )
