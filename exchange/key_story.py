"""The whole story of one key, ours or a partner's: whose it is, for what, since when, until when, and who ended it.

Everything is read from the ledger and the cards; no private key is needed. Ours are in `key.…` entries. What is left of
a partner's is found by `exchange.key_traces`, also after its newer cards.
"""

from dataclasses import asdict, dataclass

from config.errors import Misuse
from exchange.key_traces import said_in, traces
from keys import age
from keys.announcement import Subject
from keys.own_keys import OwnKey
from keys.rotation import of_ledger
from keys.trust import Trust
from ledger.entry import Entry
from ledger.key_events import key_entries
from ledger.view import View

ALGORITHMS = {
    "witness": "ed25519-cosignature",
    "signing-pq": "mldsa44-ed25519",
    "witness-pq": "mldsa44-cosignature",
}
"""Where it is not plain ed25519."""


@dataclass(frozen=True, slots=True)
class KeyStory:
    """Times are texts in UTC; None: has not happened, or is not known here."""

    owner: str
    ours: bool
    purpose: Subject
    algorithm: str | None
    fingerprint: str
    public: str | None
    begins: str | None
    """From when on it could be used here; of a partner's key of which that is not known, from our first entry with that
    partner on."""
    state: str
    """current, retired or revoked."""
    ended_at: str | None = None
    """When our ledger recorded the end."""
    ended_entry: int | None = None
    ended_by: str | None = None
    """The account that ordered it, unless that was redacted; a partner's announcement is taken by the daemon."""
    since: str | None = None
    """Of a revoked one: from then on somebody else may have had it, as its owner says; `begins` where that was not
    recorded."""
    told: tuple[str, ...] = ()
    """Of ours: the partners that have taken its end."""

    def to_json(self) -> dict[str, object]:
        """Stable field names for programs."""
        return {**asdict(self), "told": list(self.told)}


def story(me: str, ledger: View, trust: Trust, wanted: str) -> KeyStory:
    """The story of the key with that fingerprint; raises Misuse if there is none."""
    entries = key_entries(ledger)
    own = of_ledger(ledger).find(wanted)
    if own is not None:
        return _ours(me, ledger, own, entries)
    for partner in trust.partners:
        found = _theirs(ledger, trust, partner, wanted, [entry for entry in entries if entry.partner == partner])
        if found is not None:
            return found
    raise Misuse(
        "no key of ours or of a partner has this fingerprint",
        hint="'handover keys list', 'keys inventory' and 'keys history' show the fingerprints",
    )


def _ours(me: str, ledger: View, own: OwnKey, entries: list[Entry]) -> KeyStory:
    ends = [e for e in entries if e.key == own.fingerprint and e.event in ("key.retired", "key.revoked")]
    # a retired key may have been revoked since
    end = ends[-1] if ends else None
    said = said_in(end)
    told = () if said is None else tuple(sorted(_told(entries, said.number)))
    return KeyStory(
        owner=me,
        ours=True,
        purpose=own.purpose,
        algorithm=algorithm(own.purpose, own.public),
        fingerprint=own.fingerprint,
        public=own.public,
        # a ledger key signs from its very entry on, also one that partners are to use later
        begins=min(own.begins, own.made_at) if own.purpose == "ledger" else own.begins,
        state=own.ended or "current",
        ended_at=own.ended_at,
        ended_entry=None if end is None else end.seq,
        ended_by=_by(ledger, end),
        since=said.at if said is not None and said.action == "revoke" else None,
        told=told,
    )


def _theirs(ledger: View, trust: Trust, partner: str, wanted: str, entries: list[Entry]) -> KeyStory | None:
    found = traces(trust.confirmed(partner), entries, wanted)
    if found is None:
        return None
    begins = _first_with(ledger, partner) if found.came is None else found.came.at
    return KeyStory(
        owner=partner,
        ours=False,
        purpose=found.purpose,
        algorithm=None if found.public is None else algorithm(found.purpose, found.public),
        fingerprint=wanted,
        public=found.public,
        begins=begins,
        state=found.state,
        ended_at=None if found.ended is None else found.ended.at,
        ended_entry=None if found.ended is None else found.ended.seq,
        ended_by=_by(ledger, found.ended),
        since=(found.since or begins) if found.state == "revoked" else None,
    )


def _first_with(ledger: View, partner: str) -> str | None:
    """The earliest time at which anything was recorded of that partner: no key of it counted before."""
    found = ledger.rows("SELECT at FROM entries WHERE +partner = ? ORDER BY at LIMIT 1", partner)
    return str(found[0][0]) if found else None


def algorithm(purpose: Subject, public: str) -> str:
    """What a public half is, in the words of `keys list`."""
    if purpose == "encryption":
        return "mlkem768x25519" if age.parse_recipient(public).kind == "pq" else "x25519"
    if purpose == "host":
        return public.split(" ")[0].removeprefix("ssh-")
    return ALGORITHMS.get(purpose, "ed25519")


def _told(entries: list[Entry], number: int) -> set[str]:
    return {str(e.partner) for e in entries if e.event == "key.taken-up" and e.detail.get("number") == number}


def _by(ledger: View, entry: Entry | None) -> str | None:
    if entry is None:
        return None
    by = ledger.openings(entry.seq).get("by")
    return str(by) if by is not None else ("daemon" if entry.actor == "daemon" else None)
