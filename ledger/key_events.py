"""What the ledger says about keys: which entries do, and which ledger keys have to sign a checkpoint.

    key.rotating     a person wants a new key; it is being made
    key.created      it is there and was tried out; with its public half and, where it replaces one, its announcement
    key.discarded    it could not be finished; it is gone and was never used
    key.announcing   a person wants everything that was not accepted announced again, now
    key.announced    its announcement went to a partner         key.taken-up   the partner has accepted it
    key.retired      it is used no more, from this entry on     key.revoked    the same, because somebody may have it
    key.destroyed    its private half is gone

    partner.added    a partner's card was confirmed
    partner.key-…    what became of a partner's announcement

A new ledger key signs from the very commit that holds its `key.created`, beside the old one, until `key.retired`. So
whoever knows the old key sees that it stood by the new one, and a key that nobody recorded vouches for nothing.

>>> from ledger.entry import Entry
>>> def entry(seq, event, key, **detail):
...     return Entry(seq, "2026-11-24T09:30:00.000Z", event, "operator", key=key, detail=detail)
>>> told = [entry(0, "key.created", "SHA256:a", purpose="ledger", public="one"),
...     entry(4, "key.created", "SHA256:b", purpose="ledger", public="two"), entry(9, "key.retired", "SHA256:a")]
>>> in_force(told, 4), in_force(told, 5), in_force(told, 10)
(('one',), ('one', 'two'), ('two',))
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ledger.entry import Entry
from ledger.known import Rows
from ledger.view import View

OF_OURS = (
    "key.rotating",
    "key.announcing",
    "key.created",
    "key.discarded",
    "key.announced",
    "key.taken-up",
    "key.retired",
    "key.revoked",
    "key.destroyed",
)
"""Events about our own keys."""

OF_TRUST = ("partner.added", "partner.key-accepted")
"""Events after which another key of a partner counts, or one does no more."""

OF_PARTNERS = (*OF_TRUST, "partner.key-waiting", "partner.key-refused")
"""Events about whom we trust, with which keys, or may."""

ENDINGS = ("key.retired", "key.revoked")
"""Events after which a key of ours is used no more."""

_LAST = "SELECT max(seq) FROM entries WHERE event IN"
_CHANGES = ("key.created", *ENDINGS)


@dataclass(frozen=True, slots=True)
class WitnessEnd:
    """When a partner's witness key ended: what it cosigned later counts for nothing."""

    seq: int
    """The entry that recorded it: who cosigned a checkpoint that holds it did so later."""
    at: int
    """The same in Unix seconds, as a cosignature tells its time."""

    def is_before(self, size: int, time: int) -> bool:
        """Whether a cosignature on our checkpoint of `size` entries was made after the end, as far as can be told."""
        return size > self.seq or time > self.at


def key_entries(view: View, events: Sequence[str] = (*OF_OURS, *OF_PARTNERS), since: int = 0) -> list[Entry]:
    """Every entry about keys from number `since` on, in order."""
    return view.entries_saying(events, since)


def last_change(rows: Rows, events: Sequence[str]) -> int:
    """The number of the last entry of these events; -1 if there is none."""
    found = rows(" ".join((_LAST, f"({', '.join('?' * len(events))})")), *events)
    return -1 if not found or found[0][0] is None else int(found[0][0])


def first_added(view: View, partner: str) -> int:
    """The number of the entry with which a partner was added for the first time; 0 if it never was."""
    found = view.rows("SELECT min(seq) FROM entries WHERE event = 'partner.added' AND +partner = ?", partner)
    return found[0][0] or 0 if found else 0


def changed_since(view: View, seq: int) -> bool:
    """Whether an entry from number `seq` on may have changed which keys sign the ledger."""
    return last_change(view.rows, _CHANGES) >= seq


def ledger_keys(view: View) -> tuple[str, ...]:
    """The verifier keys that have to sign the next checkpoint, oldest first; none where nobody recorded any."""
    return in_force(key_entries(view, _CHANGES), view.size)


def in_force(entries: Iterable[Entry], size: int) -> tuple[str, ...]:
    """The same for the checkpoint of `size` entries."""
    found: dict[str, str] = {}
    for entry in entries:
        if entry.seq >= size or entry.key is None:
            continue
        public = entry.detail.get("public")
        if entry.event == "key.created" and entry.detail.get("purpose") == "ledger" and isinstance(public, str):
            found[entry.key] = public
        elif entry.event in ENDINGS:
            found.pop(entry.key, None)
    return tuple(found.values())


def schedule(entries: Sequence[Entry]) -> list[tuple[int, tuple[str, ...]]]:
    """(from this size of the ledger on, the keys that have to sign its checkpoints), in order of size."""
    sizes = [entry.seq + 1 for entry in entries if entry.event in _CHANGES]
    return [(size, in_force(entries, size)) for size in sizes]
