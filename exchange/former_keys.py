"""Keys of partners that their newer cards do not name any more, as the ledger remembers them: what they have signed or
cosigned before verifies for ever, and nothing new does.

    former_witnesses    field of the detail of `partner.added`: verifier keys of the card before
    former_signers      the same of its signing keys, each with its time: keys/former.py

A ledger of a version that recorded no `former_signers`, or one whose card before could not be read, knows only those
that came with an announcement.
"""

from collections.abc import Iterable

from config.times import from_text
from keys import succession
from keys.announcement import Announcement, Signed
from keys.card import Card
from keys.former import Former
from ledger.canonical import Json
from ledger.entry import Entry
from ledger.key_events import key_entries
from ledger.note import Verifier, parse_vkey
from ledger.view import View

WITNESSES = "former_witnesses"
SIGNERS = "former_signers"


def left_out(before: Card, card: Card) -> dict[str, Json]:
    """For the detail of `partner.added`: what the card `before`, with all that was announced since, named and the
    new one does not."""
    named = (*card.witness_keys, *card.witness_pq)
    witnesses: list[Json] = [key for key in (*before.witness_keys, *before.witness_pq) if key not in named]
    return {SIGNERS: Former.left_out(before, card).to_json(), **({WITNESSES: witnesses} if witnesses else {})}


def former_witnesses(view: View) -> dict[str, tuple[Verifier, ...]]:
    """Partner -> witness keys that its newer cards do not name any more: they cosign nothing new, and what they have
    cosigned still verifies."""
    found: dict[str, dict[str, Verifier]] = {}
    for entry in key_entries(view, ("partner.added",)):
        named = entry.detail.get(WITNESSES, [])
        for key in named if isinstance(named, list) else ():
            found.setdefault(str(entry.partner), {})[str(key)] = parse_vkey(str(key))
    return {partner: tuple(keys.values()) for partner, keys in found.items()}


def former_signers(entries: Iterable[Entry]) -> dict[str, Former]:
    """Partner -> its former signing keys, each until its end, and never longer than until the card without it was
    taken; revocations that came later are not in this.

    Raises CardError or AnnouncementError for an entry that says none: what was recorded was read before.
    """
    found: dict[str, Former] = {}
    came: dict[str, list[Announcement]] = {}
    cards: dict[str, Json] = {}
    for entry in entries:
        partner, card = str(entry.partner), entry.detail.get("card_sha256")
        if entry.event == "partner.key-accepted" and "announcement" in entry.detail:
            said_then = Signed.from_json(entry.detail["announcement"]).announcement
            came.setdefault(partner, []).append(succession.counted(said_then, entry.at))
        # the same card once more leaves nothing out
        elif entry.event == "partner.added" and cards.get(partner) != card:
            announced, said = came.pop(partner, []), entry.detail.get(SIGNERS)
            former = Former.announced(announced) if said is None else Former.from_json(said)
            found[partner] = found.get(partner, Former()).joined(former.until(from_text(entry.at)))
            cards[partner] = card
    return found
