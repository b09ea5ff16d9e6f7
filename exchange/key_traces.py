"""What a card and the entries about an organisation's keys still say of one of its keys, even where no card names it.

A card that was replaced is gone: its entry has only its digest. What is left of a key then is every announcement that
names it, also as the one that was replaced, and the signing and witness keys that a newer card left out.

    came     the acceptance of its announcement, where nothing says that it may have counted before
    ended    its revocation; else its retirement; else the card that names it no more

When in doubt it counted longer: `came` is None where that cannot be known, and a retirement that an older card made
forgotten (`partner add --older`) is none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from exchange.former_keys import SIGNERS, WITNESSES
from keys import succession
from keys.announcement import Action, Announcement, Signed, Subject, fingerprint
from keys.card import Card
from keys.former import Former
from keys.succession import COMES
from ledger import note
from ledger.canonical import Json
from ledger.entry import Entry


@dataclass(frozen=True, slots=True)
class Traces:
    """All that is left of one key."""

    purpose: Subject
    public: str | None
    """None: only its fingerprint was recorded."""
    came: Entry | None
    ended: Entry | None
    state: str
    """current, retired or revoked."""
    since: str | None
    """Of a revoked one: from when on it is in doubt; None where its owner's words were not recorded."""


@dataclass(frozen=True, slots=True)
class _Mention:
    """One entry that names the key."""

    entry: Entry
    purpose: Subject
    public: str | None
    counts: bool = True
    """Whether the key counted by then; one that waits for a person does not yet."""
    said: Announcement | None = None
    """The accepted announcement that is about it."""
    action: Action | None = None
    """What that does, also where only this was recorded."""


def traces(card: Card, entries: Sequence[Entry], wanted: str) -> Traces | None:
    """What is known of the key of that fingerprint, from the organisation's confirmed card and all entries about its
    keys, in order; None if it never counted as far as they say."""
    named = next(
        ((purpose, public) for purpose, public in in_card(card) if fingerprint(purpose, public) == wanted), None
    )
    mentions = [mention for entry in entries for mention in _mentions(entry, wanted)]
    counted = [one for one in mentions if one.counts]
    if named is None and not counted:
        return None
    purpose = counted[0].purpose if named is None else named[0]
    publics = [one.public for one in mentions if one.public is not None]
    cards = _cards(entries)
    ended, state = _end(counted, cards, is_named=named is not None)
    since = [None if one.said is None else one.said.at for one in counted if one.action == "revoke"]
    return Traces(
        purpose=purpose,
        public=named[1] if named is not None else next(iter(publics), None),
        came=_came(counted, cards, is_named=named is not None),
        ended=ended,
        state=state,
        since=None if None in since else min((at for at in since if at is not None), default=None),
    )


def in_card(card: Card) -> Iterator[tuple[Subject, str]]:
    """Every key that a card names."""
    yield from (("signing", key.line) for key in card.signing_keys)
    yield from (("encryption", text) for text in card.recipients)
    yield from (("transport", line) for line in card.transport_keys)
    yield from (("ledger", text) for text in card.ledger_keys)
    yield from (("witness", text) for text in card.witness_keys)
    yield from (("signing-pq", key.line) for key in card.signing_pq)
    yield from (("witness-pq", text) for text in card.witness_pq)
    yield from (("host", line) for line in (card.landing.host_keys if card.landing is not None else ()))


def said_in(entry: Entry | None) -> Announcement | None:
    """The announcement that an entry holds, as it counts; raises AnnouncementError for one that is none."""
    if entry is None or "announcement" not in entry.detail:
        return None
    return succession.counted(Signed.from_json(entry.detail["announcement"]).announcement, entry.at)


def _mentions(entry: Entry, wanted: str) -> Iterator[_Mention]:
    if entry.event == "partner.added":
        former = entry.detail.get(WITNESSES)
        for public in map(str, former if isinstance(former, list) else ()):
            purpose = _witness(public)
            if fingerprint(purpose, public) == wanted:
                yield _Mention(entry, purpose, public)
        for purpose, public in _signers(entry.detail.get(SIGNERS)):
            if fingerprint(purpose, public) == wanted:
                yield _Mention(entry, purpose, public)
    elif entry.event in ("partner.key-accepted", "partner.key-waiting"):
        accepted, said = entry.event == "partner.key-accepted", said_in(entry)
        if said is None:
            # a newer card was confirmed before it came: only what it did was recorded
            if accepted and entry.key == wanted:
                purpose, done = cast("Subject", entry.detail["purpose"]), cast("Action", entry.detail["action"])
                yield _Mention(entry, purpose, None, action=done)
            return
        if said.replaces is not None and fingerprint(said.purpose, said.replaces) == wanted:
            yield _Mention(entry, said.purpose, said.replaces)
        if said.fingerprint == wanted:
            action = said.action if accepted else None
            yield _Mention(entry, said.purpose, said.key, accepted, said if accepted else None, action)


def _signers(former: Json) -> Iterator[tuple[Subject, str]]:
    known = Former() if former is None else Former.from_json(former)
    yield from (("signing", key.line) for key in known.signing)
    yield from (("signing-pq", key.line) for key in known.signing_pq)


def _witness(public: str) -> Subject:
    return "witness-pq" if isinstance(note.parse_vkey(public), note.MlDsaVerifier) else "witness"


def _cards(entries: Sequence[Entry]) -> list[Entry]:
    """Where another card was confirmed; the same one once more changes nothing."""
    found: list[Entry] = []
    for entry in entries:
        if entry.event == "partner.added" and (not found or _digest(found[-1]) != _digest(entry)):
            found.append(entry)
    return found


def _digest(card: Entry) -> Json:
    return card.detail.get("card_sha256")


def _came(counted: Sequence[_Mention], cards: Sequence[Entry], *, is_named: bool) -> Entry | None:
    """The acceptance with which it began to count; None where a card, or whoever names it first, may have been before:
    one that holds a partner's keys must not make them look newer by announcing them again."""
    if not counted or counted[0].said is None or counted[0].said.action not in COMES:
        return None
    entry, said = counted[0].entry, counted[0].said
    before = [card for card in cards if card.seq < entry.seq]
    # a card that was made after the announcement may have named the key
    if any(str(card.detail.get("issued", "~")) >= said.issued for card in before):
        return None
    return None if is_named and before == list(cards) else entry


def _end(counted: Sequence[_Mention], cards: Sequence[Entry], *, is_named: bool) -> tuple[Entry | None, str]:
    revoked = [one.entry for one in counted if one.action == "revoke"]
    if revoked:
        return revoked[0], "revoked"
    forgotten = max((card.seq for card in cards if card.detail.get("older") is True), default=-1)
    retired = [one.entry for one in counted if one.action == "retire" and one.entry.seq > forgotten]
    if retired:
        return retired[-1], "retired"
    last = cards[-1] if cards else None
    came = any(one.said is not None and (last is None or one.entry.seq > last.seq) for one in counted)
    return (None, "current") if is_named or came or last is None else (last, "retired")
