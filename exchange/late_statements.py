"""Ledger keys of a partner that vouch for nothing, or not yet, and with which an honest partner may have signed what it
says of its ledger.

    ended, or left out by a newer card     what was sealed before comes late; and until it hears that we have accepted
                                           its next key, the partner tells its last checkpoint with the one we know
    announced, and waiting for a person    the partner may have reason to think that we know it

What only these have signed is not believed (`ledger.witness`). It is no conflict where it is no news; as long as a key
waits; and for a day after the key has ended here, and after the next one has come. If the ledger still grows with it
then, somebody should ask: the one who ended the key, or the one who uses it, may be a thief.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from config.times import from_text
from exchange.former_keys import former_ledger_keys
from exchange.key_desk import waiting
from keys import succession
from keys.announcement import Announcement, Signed
from ledger.entry import Entry
from ledger.key_events import OF_TRUST, key_entries
from ledger.note import Verifier, parse_vkey
from ledger.view import View

PATIENCE = timedelta(days=1)


def excused(view: View, size: int, *, partner: str, now: datetime) -> tuple[Verifier, ...]:
    """The keys with which the partner may have signed a checkpoint of `size` entries that comes now."""
    changes = [entry for entry in key_entries(view, OF_TRUST) if entry.partner == partner and _is_of_ledger(entry)]
    awaited = [one.announcement for one in waiting(view) if one.partner == partner]
    texts = [one.key for one in awaited if one.purpose == "ledger" and one.action in succession.COMES]
    known = view.witnessed(partner)
    always = bool(texts) or (known is not None and size <= known.size)
    for number, entry in enumerate(changes):
        following = next((one for one in changes[number + 1 :] if _comes(one)), entry)
        lately = any(abs(now - from_text(one.at)) <= PATIENCE for one in (entry, following))
        if always or lately:
            texts += former_ledger_keys(entry)
            # also a key that a person has accepted since the verifiers were read
            texts += [one.key for one in _announced(entry)]
    return tuple(parse_vkey(text) for text in dict.fromkeys(texts))


def _comes(entry: Entry) -> bool:
    return entry.event == "partner.added" or any(one.action in succession.COMES for one in _announced(entry))


def _is_of_ledger(entry: Entry) -> bool:
    if entry.event == "partner.added":
        return bool(former_ledger_keys(entry))
    return any(one.purpose == "ledger" for one in _announced(entry))


def _announced(entry: Entry) -> Iterator[Announcement]:
    if "announcement" in entry.detail:
        yield Signed.from_json(entry.detail["announcement"]).announcement
