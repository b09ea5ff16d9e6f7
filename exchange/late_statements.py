"""Ledger keys of a partner that vouch for nothing, or not yet, and with which an honest partner may have signed what it
says of its ledger.

    ended, or left out by a newer card     what was sealed before comes late; and until it hears that we have accepted
                                           its next key, the partner tells its last checkpoint with the one we know
    announced, and waiting for a person    the partner may have reason to think that we know it

What only these have signed is not believed (`ledger.witness`). It is no conflict as long as such a key waits, and for a
day after the partner's ledger keys have changed here. If it still goes on then, somebody should ask: the one who ended
the key, or the one who uses it, may be a thief.
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


def excused(view: View, partner: str, now: datetime) -> tuple[Verifier, ...]:
    """The keys of which that may be so now."""
    changes = [entry for entry in key_entries(view, OF_TRUST) if entry.partner == partner and _is_of_ledger(entry)]
    awaited = [one.announcement for one in waiting(view) if one.partner == partner]
    texts = [one.key for one in awaited if one.purpose == "ledger" and one.action in succession.COMES]
    if not texts and not (changes and now - from_text(changes[-1].at) <= PATIENCE):
        return ()
    for entry in changes:
        texts += former_ledger_keys(entry)
        texts += [one.key for one in _announced(entry) if one.action not in succession.COMES]
    return tuple(parse_vkey(text) for text in dict.fromkeys(texts))


def _is_of_ledger(entry: Entry) -> bool:
    if entry.event == "partner.added":
        return bool(former_ledger_keys(entry))
    return any(one.purpose == "ledger" for one in _announced(entry))


def _announced(entry: Entry) -> Iterator[Announcement]:
    if "announcement" in entry.detail:
        yield Signed.from_json(entry.detail["announcement"]).announcement
