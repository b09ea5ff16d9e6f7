"""What an organisation's keys are after its announcements: its card, confirmed by a person, carried forward.

    standing(card, accepted)     the card and every announcement that was accepted since: a pure fold
    check(standing, signed, at)  whether one more announcement is vouched for by keys that count now
    needs_person(standing, one)  what even the chain of signatures must not decide alone

A new card is the whole truth from the moment it is confirmed: announcements issued before it are contained in it. But
no card undoes a revocation, nor the retirement of a ledger or witness key, which it names still for what that signed.
Signing keys that no card names any more are `keys.former`: an end that is announced shortens their time, too, and
nothing else here asks for them.

    rotate   the key comes beside the old one; who encrypts uses the new one from `at` on
    add      the first key of a purpose that nobody needs to have: never beside one, nor after one that has ended
    retire   signing: its signatures count until `at`        transport, host: it opens nothing any more
             encryption: nobody encrypts to it               ledger, witness: it vouches for nothing new; what it
                                                             signed once can be verified for ever
    revoke   the same; for a ledger or witness key nothing at all counts any more
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from config import times
from config.errors import Refused
from keys import age
from keys.announcement import Announcement, Signed, Subject, can_sign, raw
from keys.card import Card, CardError, SigningKey
from keys.card_rules import MAX_KEYS, MAX_PQ_KEYS
from keys.former import Former

COMES = ("rotate", "add")
"""Actions with which a key comes."""

MOST_AHEAD = timedelta(days=3 * 366)
"""How far ahead a partner's key may be announced: further than we announce our own, whatever the two clocks say."""

ALWAYS = "2000-01-01T00:00:00.000Z"
"""Before any card."""


class AnnouncementRefused(Refused):
    """An announcement that changes nothing; `reason` says why."""

    reason = "announcement-refused"


_NO_FORMER = Former()


@dataclass(frozen=True, slots=True)
class Standing:
    """An organisation's keys at one point of its story."""

    card: Card
    """The confirmed card with the keys that came since; the recipients of encryption are in `recipients`."""
    recipients: tuple[tuple[str, str], ...]
    """(age recipient, from when on it is the one to encrypt to), in order."""
    ended: frozenset[str] = frozenset()
    """Public halves that vouch for nothing any more."""
    revoked: frozenset[str] = frozenset()
    numbers: Mapping[Subject, int] = field(default_factory=dict)
    """The number of the newest rotation of each purpose."""
    former: Former = _NO_FORMER
    """Signing keys of earlier cards: only for what was recorded in their time."""

    def recipient_texts(self, at: datetime) -> tuple[str, ...]:
        """Whom to encrypt to at that time, the preferred one first; all of one kind."""
        left = [(text, start) for text, start in self.recipients if text not in self.ended]
        if not left:
            # all were revoked: whoever encrypted now would encrypt to a thief
            return ()
        # where only one for later is left, it is better than one that has ended
        due = [text for text, start in left if times.from_text(start) <= at] or [left[0][0]]
        kind = age.parse_recipient(due[-1]).kind
        return tuple(text for text in reversed(due) if age.parse_recipient(text).kind == kind)

    def keys(self, purpose: Subject, at: datetime) -> tuple[str, ...]:
        """The public halves of that purpose that count for something new at that time."""
        found: Iterable[str] = ()
        match purpose:
            case "signing":
                found = (key.line for key in self.card.signing_keys if key.covers(at))
            case "encryption":
                found = (text for text, _ in self.recipients)
            case "transport":
                found = self.card.transport_keys
            case "ledger":
                found = self.card.ledger_keys
            case "witness":
                found = self.card.witness_keys
            case "signing-pq":
                found = (key.line for key in self.card.signing_pq if key.covers(at))
            case "witness-pq":
                found = self.card.witness_pq
            case "host":
                found = self.card.landing.host_keys if self.card.landing is not None else ()
        return tuple(key for key in found if key not in self.ended)


def standing(card: Card, accepted: Iterable[Announcement] = (), former: Former = _NO_FORMER) -> Standing:
    """The card carried forward through announcements in the order in which they were accepted; they also end what is
    `former`."""
    now = Standing(card, tuple((text, ALWAYS) for text in reversed(card.recipients)), former=former)
    for one in accepted:
        now = after(now, one)
    return replace(now, former=now.former.beside(now.card))


def after(now: Standing, one: Announcement) -> Standing:
    """What one accepted announcement changes; raises AnnouncementRefused where the result could not be a card."""
    if (one.issued <= now.card.issued and not outlasts(one, now.card.issued)) or _is_superseded(now, one):
        return now
    try:
        changed = _with_new(now, one) if one.action in COMES else _without(now, one)
    except CardError as problem:
        raise AnnouncementRefused(f"an announced key is not usable: {problem.message}", reason=problem.reason) from None
    if one.action not in COMES:
        return changed
    return replace(changed, numbers={**now.numbers, one.purpose: one.number})


def outlasts(one: Announcement, card: str) -> bool:
    """Whether a card that was issued at that time, and is confirmed after the announcement, leaves it in force."""
    # a card older than a retirement was confirmed on purpose: it forgets everything but revocations
    stays = one.action == "retire" and one.purpose in ("ledger", "witness", "witness-pq") and one.issued <= card
    return stays or one.action == "revoke"


def counted(one: Announcement, recorded: str) -> Announcement:
    """What an announcement says that was recorded at that time, whatever later time a revocation names.

    Somebody else may have the key already: it must not go on counting because its owner's clock is ahead, or because
    whoever has the key wrote the announcement.
    """
    return replace(one, at=min(one.at, recorded)) if one.action == "revoke" else one


def _is_superseded(now: Standing, one: Announcement) -> bool:
    """An end is never too old: it can only come once, and nothing brings a key back."""
    return one.action in COMES and one.number <= now.numbers.get(one.purpose, 0)


def check(now: Standing, signed: Signed, at: datetime, *, confirmed: bool = False) -> Announcement:
    """The announcement, if it may follow; raises AnnouncementRefused or SignatureError.

    Where a person has `confirmed` the new key, the one that it replaces may have been revoked meanwhile.
    """
    one = signed.announcement
    # (1) whose it is
    if one.organisation != now.card.organisation:
        raise AnnouncementRefused("an announcement is that of another organisation", reason="wrong-organisation")
    # (2) an older one never undoes a newer one
    if _is_superseded(now, one):
        raise AnnouncementRefused("an announcement is older than one that was accepted", reason="superseded")
    # a key that is never used would for ever be the newest one
    if one.action in COMES and times.from_text(one.at) > times.later(at, MOST_AHEAD):
        raise AnnouncementRefused("an announcement is of a key for a time that is too far away", reason="too-far-ahead")
    # (3) every signature holds, and the keys that must have signed have
    signers = signed.signers()
    if not (confirmed and one.action == "rotate" and one.replaces in now.revoked):
        _check_vouched(now, one, signers, at)
    elif can_sign(one.purpose) and raw(one.purpose, one.key) not in signers:
        raise AnnouncementRefused("an announcement is not signed by the new key", reason="not-signed-by-new")
    # (4) the result is a card: no key twice, none weak, not too many
    after(now, one)
    return one


def needs_person(now: Standing, one: Announcement, at: datetime) -> bool:
    """Whether it would make encryption to that organisation weaker, or nothing as strong as before vouches for it: no
    chain of signatures may do that alone."""
    # where every composite key was revoked, nothing post-quantum vouches for what comes
    if one.action in COMES and now.card.signing_pq and not vouching(now, at):
        return True
    # SPEC: FORMATS 1 a partner is pinned to pq or x25519 in its card
    if one.action != "rotate" or one.purpose != "encryption":
        return False
    strong = any(age.parse_recipient(text).kind == "pq" for text, _ in now.recipients)
    return strong and age.parse_recipient(one.key).kind != "pq"


def vouching(now: Standing, at: datetime) -> frozenset[bytes]:
    """The composite keys, one of which has to vouch for every change; none where the organisation has none."""
    return _raw(now, "signing-pq", at)


def _check_vouched(now: Standing, one: Announcement, signers: frozenset[bytes], at: datetime) -> None:
    trusted = {purpose: _raw(now, purpose, at) for purpose in ("signing", "ledger")}
    # whoever can forge what the classical keys sign must not be able to change any key
    composite = vouching(now, at)
    if composite and not composite & signers:
        raise AnnouncementRefused("an announcement is signed by no composite key", reason="not-signed-by-composite")
    if one.action == "add":
        _check_first(now, one, signers, trusted)
        return
    if not can_sign(one.purpose):
        old = one.key if one.replaces is None else one.replaces
        if one.action == "rotate" and old not in now.keys(one.purpose, at):
            raise AnnouncementRefused("an announcement replaces a key that does not count", reason="unknown-key")
        if not all(keys & signers for keys in trusted.values()):
            raise AnnouncementRefused(
                "an announcement is not signed by a signing key and a ledger key", reason="not-signed-by-old"
            )
        return
    standing_keys = _raw(now, one.purpose, at)
    if one.replaces is None:
        # whoever holds a key may say that it counts no more; else a key that stays says so
        own = {raw(one.purpose, one.key)} if one.action == "revoke" else set[bytes]()
        if not ((standing_keys - {raw(one.purpose, one.key)}) | (own & standing_keys)) & signers:
            raise AnnouncementRefused("an announcement is signed by no key that counts", reason="not-signed-by-old")
        return
    if one.replaces not in now.keys(one.purpose, at):
        raise AnnouncementRefused("an announcement replaces a key that does not count", reason="unknown-key")
    if raw(one.purpose, one.replaces) not in signers:
        raise AnnouncementRefused("an announcement is not signed by the old key", reason="not-signed-by-old")
    if raw(one.purpose, one.key) not in signers:
        raise AnnouncementRefused("an announcement is not signed by the new key", reason="not-signed-by-new")


def _check_first(
    now: Standing, one: Announcement, signers: frozenset[bytes], trusted: Mapping[str, frozenset[bytes]]
) -> None:
    known = {key.line for key in now.card.signing_pq} if one.purpose == "signing-pq" else set(now.card.witness_pq)
    if known - {one.key}:
        raise AnnouncementRefused("an announcement adds a first key beside another", reason="not-the-first")
    if not all(keys & signers for keys in trusted.values()):
        raise AnnouncementRefused(
            "an announcement is not signed by a signing key and a ledger key", reason="not-signed-by-old"
        )
    if can_sign(one.purpose) and raw(one.purpose, one.key) not in signers:
        raise AnnouncementRefused("an announcement is not signed by the new key", reason="not-signed-by-new")


def _raw(now: Standing, purpose: Subject, at: datetime) -> frozenset[bytes]:
    return frozenset(raw(purpose, public) for public in now.keys(purpose, at))


def _with_new(now: Standing, one: Announcement) -> Standing:
    card, key = now.card, one.key
    if key in now.ended:
        raise AnnouncementRefused("an announcement brings back a key that has ended", reason="key-ended")
    match one.purpose:
        case "signing":
            card = replace(card, signing_keys=_timed(now, card.signing_keys, one, MAX_KEYS))
        case "signing-pq":
            card = replace(card, signing_pq=_timed(now, card.signing_pq, one, MAX_PQ_KEYS))
        case "witness-pq":
            card = replace(card, witness_pq=_joined(now, card.witness_pq, key, MAX_PQ_KEYS))
        case "encryption":
            known_texts = {text for text, _ in now.recipients}
            return now if key in known_texts else replace(now, recipients=(*now.recipients, (key, one.at)))
        case "transport":
            card = replace(card, transport_keys=_joined(now, card.transport_keys, key))
        case "ledger":
            card = replace(card, ledger_keys=_joined(now, card.ledger_keys, key))
        case "witness":
            card = replace(card, witness_keys=_joined(now, card.witness_keys, key))
        case "host":
            if card.landing is not None:
                landing = replace(card.landing, host_keys=_joined(now, card.landing.host_keys, key))
                card = replace(card, landing=landing)
    # what made room signs nothing new, and what it has signed verifies for ever
    return replace(now, card=card, former=now.former.joined(Former.left_out(now.card, card)))


def _without(now: Standing, one: Announcement) -> Standing:
    card, key = now.card, one.key
    match one.purpose:
        case "signing":
            card = replace(card, signing_keys=_ended(card.signing_keys, one))
        case "signing-pq":
            if one.action == "retire" and all(known.line in (*now.ended, key) for known in card.signing_pq):
                raise AnnouncementRefused("an announcement leaves no composite key", reason="last-key")
            card = replace(card, signing_pq=_ended(card.signing_pq, one))
        case "transport":
            if one.action == "retire" or card.transport_keys != (key,):
                card = replace(card, transport_keys=_less(card.transport_keys, key))
        case "host":
            if card.landing is not None:
                landing = replace(card.landing, host_keys=_less(card.landing.host_keys, key))
                card = replace(card, landing=landing)
        case "encryption":
            if one.action == "retire" and all(text in (*now.ended, key) for text, _ in now.recipients):
                raise AnnouncementRefused("an announcement leaves nobody to encrypt to", reason="last-key")
    revoked = now.revoked | {key} if one.action == "revoke" else now.revoked
    return replace(now, card=card, ended=now.ended | {key}, revoked=revoked, former=now.former.ending(one))


def _timed(now: Standing, keys: tuple[SigningKey, ...], one: Announcement, most: int) -> tuple[SigningKey, ...]:
    """One more key that counts from the announced time on."""
    if any(known.line == one.key for known in keys):
        return keys
    # an end has to fit behind it, whatever an earlier version of this program has accepted
    start = min(times.from_text(one.at).replace(microsecond=0), times.END - timedelta(seconds=1))
    lines = _joined(now, tuple(known.line for known in keys), one.key, most)
    return (*(known for known in keys if known.line in lines), SigningKey(one.key, times.to_text(start)))


def _ended(keys: tuple[SigningKey, ...], one: Announcement) -> tuple[SigningKey, ...]:
    end = times.from_text(one.at)
    return tuple(known.ending(end) if known.line == one.key else known for known in keys)


def _joined(now: Standing, keys: tuple[str, ...], key: str, most: int = MAX_KEYS) -> tuple[str, ...]:
    """One more key; where a card would hold too many, the oldest that has ended makes room."""
    if key in keys:
        return keys
    over = next((old for old in keys if old in now.ended), None) if len(keys) == most else None
    return (*(known for known in keys if known != over), key)


def _less(keys: tuple[str, ...], key: str) -> tuple[str, ...]:
    left = tuple(known for known in keys if known != key)
    if not left:
        raise AnnouncementRefused("an announcement leaves no key of its purpose", reason="last-key")
    return left
