"""What the ledger says about keys, read once and again whenever an entry about keys was added.

our own keys      keys.own_keys over `key.…` entries
partners' keys    their confirmed cards, and every `partner.key-accepted` since the card was confirmed
their former ones what earlier cards named and newer ones do not (`exchange.former_keys`)
"""

import threading
from collections.abc import Iterable, Sequence

from config.times import from_text
from exchange.former_keys import former_signers
from keys import own_keys, succession
from keys.announcement import Announcement, Signed
from keys.own_keys import OwnKeys
from keys.trust import Trust
from ledger.canonical import Json
from ledger.entry import Entry
from ledger.key_events import OF_PARTNERS, WitnessEnd, key_entries, last_change
from ledger.note import parse_vkey
from ledger.view import View


def accepted(entries: Iterable[Entry]) -> dict[str, Sequence[Announcement]]:
    """The announcements of every partner that were accepted since its card was confirmed, in that order.

    A revocation counts for ever: no card brings back a key that somebody else may have. So does what else outlasts it.

    Raises AnnouncementError for an entry that holds none: what was accepted was read before it was recorded.
    """
    return {
        partner: tuple(succession.counted(one, entry.at) for entry, one in found)
        for partner, found in _in_force(entries).items()
    }


def _in_force(entries: Iterable[Entry]) -> dict[str, list[tuple[Entry, Announcement]]]:
    found: dict[str, list[tuple[Entry, Announcement]]] = {}
    cards: dict[str, Json] = {}
    for entry in entries:
        partner = str(entry.partner)
        if entry.event == "partner.added":
            # the same card once more, perhaps because its file was broken, changes nothing
            if cards.get(partner) != entry.detail.get("card_sha256"):
                issued = str(entry.detail.get("issued", "~"))
                found[partner] = [said for said in found.get(partner, ()) if succession.outlasts(said[1], issued)]
            cards[partner] = entry.detail.get("card_sha256")
        elif entry.event == "partner.key-accepted" and "announcement" in entry.detail:
            signed = Signed.from_json(entry.detail["announcement"])
            found.setdefault(partner, []).append((entry, signed.announcement))
    return found


def witness_ends(view: View) -> dict[str, dict[bytes, WitnessEnd]]:
    """Partner -> id of a witness key -> when it ended, as the partner announced it."""
    found: dict[str, dict[bytes, WitnessEnd]] = {}
    for partner, said in _in_force(key_entries(view, OF_PARTNERS)).items():
        for entry, one in said:
            if one.purpose in ("witness", "witness-pq") and one.action not in succession.COMES:
                # the later of both clocks: until then what it cosigned was recorded as that of a key in use
                until = max(from_text(one.issued), from_text(entry.at))
                end = WitnessEnd(entry.seq, int(until.timestamp()))
                found.setdefault(partner, {}).setdefault(parse_vkey(one.key).key_id, end)
    return found


def carried_forward(cards: Trust, view: View) -> Trust:
    """The partners' cards with everything that they announced since, as a ledger has accepted it, and their former
    signing keys."""
    entries = key_entries(view, OF_PARTNERS)
    return cards.carried(accepted(entries), former_signers(entries))


class KeyBook:
    """The newest answers over one ledger. Any thread may ask."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._lock = threading.Lock()
        self._version = -2
        self._own = OwnKeys()
        self._cards: Trust | None = None
        self._trust: Trust | None = None

    def own(self) -> OwnKeys:
        """Our own keys."""
        with self._lock:
            self._refresh()
            return self._own

    def trust(self, cards: Trust) -> Trust:
        """The partners' keys, given their confirmed cards."""
        with self._lock:
            self._refresh()
            if self._trust is None or self._cards is not cards:
                self._cards, self._trust = cards, carried_forward(cards, self._view)
            return self._trust

    def _refresh(self) -> None:
        version = last_change(self._view.rows)
        if version != self._version:
            self._own = own_keys.from_entries(key_entries(self._view))
            self._trust = None
            self._version = version
