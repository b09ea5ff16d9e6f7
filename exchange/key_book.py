"""What the ledger says about keys, read on whenever an entry about them was added.

our own keys      keys.own_keys over `key.…` entries
partners' keys    their confirmed cards, and every `partner.key-accepted` since the card was confirmed
their former ones what earlier cards named and newer ones do not (`exchange.former_keys`)
"""

import threading
from collections.abc import Iterable, Sequence

from config.errors import Misuse, NotNow
from config.times import from_text
from exchange.former_keys import former_signers
from keys import own_keys, succession
from keys.announcement import Announcement, Signed
from keys.own_keys import OwnKeys
from keys.succession import AnnouncementRefused
from keys.trust import Trust
from ledger.canonical import Json
from ledger.entry import Entry
from ledger.key_events import OF_OURS, OF_TRUST, WitnessEnd, key_entries, last_change
from ledger.note import parse_vkey
from ledger.view import View

_NOTHING = -1
"""The number before that of the first entry."""


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
    for partner, said in _in_force(key_entries(view, OF_TRUST)).items():
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
    entries = key_entries(view, OF_TRUST)
    return cards.carried(accepted(entries), former_signers(entries))


def check_carried(cards: Trust, partner: str, view: View) -> None:
    """Raise NotNow unless all that `view` holds can be believed of the `cards`, and that of `partner` is the newest.

    For the transaction that has recorded what was judged before it began: a person, or what another partner said, may
    have been quicker, and what does not go together would leave nobody's keys to be believed.
    """
    confirmed = [entry for entry in key_entries(view, ("partner.added",)) if entry.partner == partner]
    try:
        carried_forward(cards, view)
        current = not confirmed or confirmed[-1].detail.get("issued") == cards.confirmed(partner).issued
    except (AnnouncementRefused, Misuse):
        current = False
    if not current:
        raise NotNow(f"what is known of the keys of {partner} has just changed", hint="nothing was accepted; try again")


class KeyBook:
    """The newest answers over one ledger. Any thread may ask.

    Whoever sends or receives asks for every message, and a ledger may hold thousands of entries about keys: of our own
    only what was added is read, and partners' are read again only if what counts has changed.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._lock = threading.Lock()
        self._own = OwnKeys()
        self._own_until = _NOTHING
        """The number of the last entry that is in `_own`."""
        self._cards: Trust | None = None
        self._trust: Trust | None = None
        self._trust_until = _NOTHING

    def own(self) -> OwnKeys:
        """Our own keys."""
        with self._lock:
            last = last_change(self._view.rows, OF_OURS)
            if last < self._own_until:
                # not the ledger that it was: whoever writes or verifies says so
                self._own, self._own_until = OwnKeys(), _NOTHING
            if last > self._own_until and (added := key_entries(self._view, OF_OURS, self._own_until + 1)):
                self._own, self._own_until = own_keys.from_entries(added, self._own), added[-1].seq
            return self._own

    def trust(self, cards: Trust) -> Trust:
        """The partners' keys, given their confirmed cards."""
        with self._lock:
            last = last_change(self._view.rows, OF_TRUST)
            if self._trust is None or self._cards is not cards or last != self._trust_until:
                self._cards, self._trust = cards, carried_forward(cards, self._view)
                self._trust_until = last
            return self._trust
