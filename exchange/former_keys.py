"""Keys of partners that their newer cards do not name any more, as the ledger remembers them: what they have signed or
cosigned before verifies for ever, and nothing new does.

    former_witnesses    field of the detail of `partner.added`: verifier keys of the card before
    former_ledger       the same of its ledger keys
    former_signers      the same of its signing keys, each with its time: keys/former.py

A ledger of a version that recorded no `former_signers`, or one whose card before could not be read, knows only those
that came with an announcement.
"""

from collections.abc import Iterable, Mapping

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
LEDGER = "former_ledger"
SIGNERS = "former_signers"


def left_out(before: Card, card: Card) -> dict[str, Json]:
    """For the detail of `partner.added`: what the card `before`, with all that was announced since, named and the
    new one does not."""
    named = (*card.witness_keys, *card.witness_pq)
    witnesses: list[Json] = [key for key in (*before.witness_keys, *before.witness_pq) if key not in named]
    ledger: list[Json] = [key for key in before.ledger_keys if key not in card.ledger_keys]
    return {
        SIGNERS: Former.left_out(before, card).to_json(),
        **({WITNESSES: witnesses} if witnesses else {}),
        **({LEDGER: ledger} if ledger else {}),
    }


def former_witnesses(view: View) -> dict[str, tuple[Verifier, ...]]:
    """Partner -> witness keys that its newer cards do not name any more: they cosign nothing new, and what they have
    cosigned still verifies."""
    return _by_partner(
        (entry, str(key)) for entry in key_entries(view, ("partner.added",)) for key in _listed(entry.detail, WITNESSES)
    )


def announced_witnesses(view: View) -> dict[str, tuple[Verifier, ...]]:
    """Partner -> every witness key whose announcement was accepted: of many, a card has room for the newest only."""
    return _by_partner(
        (entry, Signed.from_json(entry.detail["announcement"]).announcement.key)
        for entry in key_entries(view, ("partner.key-accepted",))
        if entry.detail.get("purpose") in ("witness", "witness-pq") and "announcement" in entry.detail
    )


def former_ledger_keys(entry: Entry) -> list[str]:
    """The verifier keys of the partner's ledger that the card of this entry does not name any more."""
    return [str(key) for key in _listed(entry.detail, LEDGER)]


def _listed(detail: Mapping[str, Json], field: str) -> list[Json]:
    named = detail.get(field, [])
    return named if isinstance(named, list) else []


def _by_partner(named: Iterable[tuple[Entry, str]]) -> dict[str, tuple[Verifier, ...]]:
    found: dict[str, dict[str, Verifier]] = {}
    for entry, key in named:
        found.setdefault(str(entry.partner), {})[key] = parse_vkey(key)
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
            former, said = Former.announced(came.pop(partner, [])), entry.detail.get(SIGNERS)
            if said is not None:
                # what was announced may be more than the card before had room for
                former = former.joined(Former.from_json(said))
            found[partner] = found.get(partner, Former()).joined(former.until(from_text(entry.at)))
            cards[partner] = card
    return found
