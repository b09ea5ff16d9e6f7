"""The whole story of one key, ours or a partner's: whose it is, for what, since when, until when, and who ended it.

Everything is read from the ledger and the cards; no private key is needed. Ours are in `key.…` entries. A partner's
stand in the card that a person confirmed, or in an announcement that was accepted since.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from config.errors import Misuse
from keys import age, succession
from keys.announcement import Announcement, Signed, Subject, fingerprint
from keys.card import Card
from keys.own_keys import OwnKey
from keys.rotation import of_ledger
from keys.succession import COMES
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
    algorithm: str
    fingerprint: str
    public: str
    begins: str | None
    """From when on it could be used here."""
    state: str
    """current, retired or revoked."""
    ended_at: str | None = None
    """When our ledger recorded the end."""
    ended_entry: int | None = None
    ended_by: str | None = None
    """The account that ordered it, unless that was redacted; a partner's announcement is taken by the daemon."""
    since: str | None = None
    """Of a revoked one: from then on somebody else may have had it, as its owner says."""
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
    said = _said(end)
    told = () if said is None else tuple(sorted(_told(entries, said.number)))
    return KeyStory(
        owner=me,
        ours=True,
        purpose=own.purpose,
        algorithm=algorithm(own.purpose, own.public),
        fingerprint=own.fingerprint,
        public=own.public,
        begins=own.begins,
        state=own.ended or "current",
        ended_at=own.ended_at,
        ended_entry=None if end is None else end.seq,
        ended_by=_by(ledger, end),
        since=said.at if said is not None and said.action == "revoke" else None,
        told=told,
    )


def _theirs(ledger: View, trust: Trust, partner: str, wanted: str, entries: list[Entry]) -> KeyStory | None:
    card = trust.confirmed(partner)
    accepted = [(entry, said) for entry in entries if entry.event == "partner.key-accepted" and (said := _said(entry))]
    announced = [(e.at, one.purpose, one.key) for e, one in accepted]
    confirmed = next((entry.at for entry in entries if entry.event == "partner.added"), None)
    named = [(confirmed, purpose, public) for purpose, public in _in_card(card)]
    for begins, purpose, public in (*named, *announced):
        if fingerprint(purpose, public) != wanted:
            continue
        ends = [
            (e, one) for e, one in accepted if one.action not in COMES and (one.purpose, one.key) == (purpose, public)
        ]
        end, said = ends[-1] if ends else (None, None)
        return KeyStory(
            owner=partner,
            ours=False,
            purpose=purpose,
            algorithm=algorithm(purpose, public),
            fingerprint=wanted,
            public=public,
            begins=begins,
            state="current" if said is None else {"retire": "retired", "revoke": "revoked"}[said.action],
            ended_at=None if end is None else end.at,
            ended_entry=None if end is None else end.seq,
            ended_by=_by(ledger, end),
            since=said.at if said is not None and said.action == "revoke" else None,
        )
    return None


def _in_card(card: Card) -> Iterator[tuple[Subject, str]]:
    yield from (("signing", key.line) for key in card.signing_keys)
    yield from (("encryption", text) for text in card.recipients)
    yield from (("transport", line) for line in card.transport_keys)
    yield from (("ledger", text) for text in card.ledger_keys)
    yield from (("witness", text) for text in card.witness_keys)
    yield from (("signing-pq", key.line) for key in card.signing_pq)
    yield from (("witness-pq", text) for text in card.witness_pq)
    yield from (("host", line) for line in (card.landing.host_keys if card.landing is not None else ()))


def algorithm(purpose: Subject, public: str) -> str:
    """What a public half is, in the words of `keys list`."""
    if purpose == "encryption":
        return "mlkem768x25519" if age.parse_recipient(public).kind == "pq" else "x25519"
    if purpose == "host":
        return public.split(" ")[0].removeprefix("ssh-")
    return ALGORITHMS.get(purpose, "ed25519")


def _said(entry: Entry | None) -> Announcement | None:
    if entry is None or "announcement" not in entry.detail:
        return None
    return succession.counted(Signed.from_json(entry.detail["announcement"]).announcement, entry.at)


def _told(entries: list[Entry], number: int) -> set[str]:
    return {str(e.partner) for e in entries if e.event == "key.taken-up" and e.detail.get("number") == number}


def _by(ledger: View, entry: Entry | None) -> str | None:
    if entry is None:
        return None
    by = ledger.openings(entry.seq).get("by")
    return str(by) if by is not None else ("daemon" if entry.actor == "daemon" else None)
