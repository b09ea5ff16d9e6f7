"""What an administrator does with keys: order, accept, retire; and what the service does on its own account meanwhile.

tend     finish what was ordered, destroy what has ended, retire what was replaced and is needed no more (key_needs)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from config.errors import Misuse, NotNow, Refused
from config.times import from_text, to_text
from exchange import key_needs, key_words
from exchange.incident import protected
from exchange.key_book import check_carried
from exchange.parts import Parts
from keys import approvals, ending, rotation, succession
from keys.announcement import Announcement, Signed
from keys.key_info import Purpose
from keys.own_keys import OwnKey, OwnKeys
from ledger.canonical import Json
from ledger.entry import Draft, Entry
from ledger.key_events import key_entries
from ledger.store import Transaction
from ledger.view import View

Cell = str | int | bool | None

SUCCESSION = timedelta(days=7)
"""How long a key that is to be revoked stays beside its successor if the machine stops between the two: it must not be
retired before the order is given again, for then it could not be revoked any more."""


def rotate_as_asked(
    parts: Parts, purpose: Purpose, overlap: str, at: str | None, by: str, in_token: bool | None = None
) -> OwnKey:
    """The same as `rotate`, with the words of a person; raises Misuse for those that make no sense."""
    return rotate(parts, purpose, *key_words.to_rotate(overlap, at, parts.effects.clock()), by, in_token)


def rotate(
    parts: Parts,
    purpose: Purpose,
    overlap: timedelta,
    begins: datetime | None,
    by: str,
    in_token: bool | None = None,
    approval: int | None = None,
    *,
    lost: bool = False,
) -> OwnKey:
    """Order a new key and make it at once; where the service runs, it may be quicker.

    From the first composite key on, partners ask more of every announcement: what was announced before must have been
    accepted by then. Raises Misuse, or NotNow.
    """
    first = purpose == "signing-pq" and not parts.own.usable(purpose)
    if first and any(not sent.taken >= set(parts.agreements) for sent in key_needs.last_words(parts.own)):
        raise NotNow(
            "a partner has not accepted an earlier announcement yet",
            hint="'handover status' says which; accept it there, then make the first key",
        )
    entry = rotation.order(
        parts.office, purpose, overlap=overlap, begins=begins, by=by, in_token=in_token, approval=approval, lost=lost
    )
    rotation.finish(parts.office)
    made = [key for key in parts.own.keys if key.purpose == purpose and key.serial == entry.detail["serial"]]
    if not made:
        raise NotNow(f"the new {purpose} key was ordered but is not made yet", hint="'handover keys list' shows it")
    return made[0]


def tend(parts: Parts) -> None:
    """Everything that is due for our own keys; can be repeated at any time."""
    parts.keyring.reload()
    rotation.finish(parts.office)
    ending.sweep(parts.office, lambda own, key: _is_kept(parts, own, key))
    for key in _over(parts):
        if key_needs.needed(parts, parts.own, key) is None:
            ending.retire(parts.office, key, "daemon", lambda own, old: key_needs.needed(parts, own, old))


def _over(parts: Parts) -> list[OwnKey]:
    """Replaced keys whose overlap is over."""
    own, now = parts.own, parts.effects.clock()
    return [
        old
        for key in own.keys
        if key.ended is None
        and key.replaces is not None
        and (old := own.find(key.replaces)) is not None
        and old.ended is None
        and now >= key.overlap_ends
    ]


def retire(parts: Parts, purpose: Purpose, by: str, without: Sequence[str] = ()) -> OwnKey:
    """End the replaced key of a purpose before its overlap is over; raises Misuse, or NotNow with what needs it.

    Partners named in `without` are not waited for, although they have not accepted the successor: nothing may be under
    way between them and us.
    """
    own = parts.own
    for key in own.usable(purpose):
        if key.fingerprint in own.replaced(purpose):
            _check_left(parts, own, key, without)
            ending.retire(parts.office, key, by, lambda now, old: key_needs.needed(parts, now, old, without), without)
            return key
    raise Misuse(
        f"no {purpose} key is being replaced", hint=f"'handover keys rotate {purpose}' makes the successor first"
    )


def _check_left(parts: Parts, own: OwnKeys, key: OwnKey, without: Sequence[str]) -> None:
    for partner in without:
        if partner not in parts.agreements:
            raise Misuse(f"{partner} is not a partner", hint=f"partners: {', '.join(sorted(parts.agreements))}")
        if any(one.replaces == key.fingerprint and partner in one.partners for one in own.usable(key.purpose)):
            raise Misuse(f"{partner} has accepted the new {key.purpose} key", hint="leave out --without")


def revoke(
    parts: Parts, fingerprint: str, since: str | None, by: str, approval: int | None = None, *, lost: bool = False
) -> dict[str, Cell]:
    """End a key of ours that somebody else may have, at once; a successor is made first where there is none.

    Nothing more is signed with it, and partners are told in its own name where they know no other; what it has signed
    counts only if it was recorded before `since` (now). Returns what was done, and how many handovers it protected, as
    many as its incident pack lists; of a signing key, how many of ours are under way and are `sealed_anew`; of an
    encryption key, how many envelopes that lie here are still `to_open`, for which its private half stays.

    A key whose private half is `lost` says nothing, and its successor is made in a file, vouched for by itself:
    partners believe it when a person there has confirmed our new card.
    """
    key, start = key_words.to_revoke(parts, fingerprint, since, lost=lost)
    if key.ended is None and key.purpose != "host":
        if any(making.purpose == key.purpose for making in parts.own.making):
            # an earlier try of the same ordered it, or it is for later
            parts.keyring.reload()
            rotation.finish(parts.office)
        _end_unused(parts, key, by, approval, lost=lost)
        if len(parts.own.usable(key.purpose)) < 2:
            place = False if lost else None
            rotate(parts, key.purpose, SUCCESSION, None, by, in_token=place, approval=approval, lost=lost)
    under_way = key_needs.unanswered(parts, key)
    to_open = key_needs.to_open(parts, key) if key.purpose == "encryption" and key.ended is None and not lost else None
    ending.revoke(parts.office, key, start, by, approval=approval, lost=lost)
    tend(parts)
    successor = parts.own.usable(key.purpose)[-1]
    return {
        "revoked": key.fingerprint,
        "purpose": key.purpose,
        "since": to_text(start),
        "successor": successor.fingerprint,
        "handovers": protected(parts.home, parts.ledger, parts.trust, key.fingerprint, parts.effects.clock())[0],
        "sealed_anew": under_way if key.purpose in ("signing", "signing-pq") else None,
        "to_open": to_open,
    }


def _end_unused(parts: Parts, key: OwnKey, by: str, approval: int | None, *, lost: bool) -> None:
    """End what was to take over from a key at a later time, if nothing else counts when that is revoked: until then no
    key would."""
    now = parts.effects.clock()
    others = [one for one in parts.own.usable(key.purpose) if one.fingerprint != key.fingerprint]
    if all(from_text(one.begins) > now for one in others):
        for one in others:
            try:
                ending.revoke(parts.office, one, now, by, approval=approval, without=key.fingerprint if lost else None)
            except Misuse:
                # another process of ours was quicker
                known = parts.own.find(one.fingerprint)
                if known is None or known.ended is None:
                    raise


def _is_kept(parts: Parts, own: OwnKeys, key: OwnKey) -> bool:
    """Whether the private half of an ended key must stay: to tell partners of it, or to open what is on its way."""
    if key.ended != "revoked" or key.lost or key.purpose in ("ledger", "witness", "witness-pq"):
        return False
    told = [
        sent.taken
        for sent in own.announcements
        if sent.fingerprint == key.fingerprint and sent.signed.announcement.action == "revoke"
    ]
    if not all(taken >= set(parts.agreements) for taken in told):
        return True
    return key.purpose == "encryption" and bool(key_needs.to_open(parts, key))


def announce(parts: Parts, by: str) -> int:
    """Announce host keys that came or went in handover.toml, and once more whatever was not accepted; returns how many
    announcements are on their way."""
    lines = parts.home.settings.landing.host_keys
    rotation.announce_hosts(parts.office, lines, by)
    for key in parts.own.usable("host"):
        if key.public not in lines:
            ending.retire(parts.office, key, by, lambda own, old: key_needs.needed(parts, own, old))
    return len({sent.number for partner in parts.agreements for sent in parts.own.untold(partner)})


# --- partners' announcements ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """A partner's announcement that waits for a person."""

    partner: str
    seq: int
    signed: Signed

    @property
    def announcement(self) -> Announcement:
        """What it says."""
        return self.signed.announcement


def waiting(view: View) -> list[Waiting]:
    """Announcements that somebody still may confirm, oldest first: not those of a key that has ended since."""
    found: dict[tuple[str, Json], Waiting] = {}
    newest: dict[tuple[str, Json], int] = {}
    cards: dict[str, Json] = {}
    for entry in key_entries(view):
        # the same card once more changes nothing
        if entry.event == "partner.added" and cards.get(str(entry.partner)) != entry.detail.get("card_sha256"):
            newest = {which: number for which, number in newest.items() if which[0] != entry.partner}
            cards[str(entry.partner)] = entry.detail.get("card_sha256")
        if _is_coming(entry):
            newest[str(entry.partner), entry.detail["purpose"]] = int(str(entry.detail["number"]))
        which = (str(entry.partner), entry.detail.get("sha256"))
        if entry.event == "partner.key-waiting":
            found[which] = Waiting(which[0], entry.seq, Signed.from_json(entry.detail["announcement"]))
        elif entry.event == "partner.key-accepted":
            found.pop(which, None)
            if entry.detail.get("action") not in succession.COMES:
                found = {
                    key: one
                    for key, one in found.items()
                    if (key[0], one.announcement.fingerprint) != (entry.partner, entry.key)
                }
        elif entry.event == "partner.added":
            # the card says what was announced before it was made
            card = str(entry.detail.get("issued", "~"))
            found = {
                key: one for key, one in found.items() if key[0] != entry.partner or one.announcement.issued > card
            }
    # an older one never undoes a newer one
    return [
        one
        for one in found.values()
        if one.announcement.number > newest.get((one.partner, one.announcement.purpose), 0)
    ]


def _is_coming(entry: Entry) -> bool:
    """Whether a key was accepted that a card did not name already."""
    accepted = entry.event == "partner.key-accepted" and "announcement" in entry.detail
    return accepted and entry.detail.get("action") in succession.COMES


def chosen(parts: Parts, partner: str, fingerprint: str) -> Waiting:
    """The announcement of a key of that fingerprint that waits, and may be accepted; raises Misuse or Refused."""
    ours = [one for one in waiting(parts.ledger) if one.partner == partner]
    if not ours:
        raise Misuse(f"no key of {partner} waits to be accepted", hint="'handover status' says what waits")
    found = next((one for one in ours if one.announcement.fingerprint == fingerprint.strip()), None)
    if found is None:
        raise Refused(
            f"no key of {partner} that waits has this fingerprint",
            hint="have the partner read it out again; nothing was accepted",
            reason="wrong-fingerprint",
        )
    standing, now = parts.trust.standing(partner), parts.effects.clock()
    one = succession.check(standing, found.signed, now, confirmed=True)
    parts.trust.following(partner, one)
    return found


def accept(parts: Parts, partner: str, fingerprint: str, by: str, approval: int | None = None) -> Announcement:
    """Accept the announced key of that fingerprint, which a person has had read out; raises Misuse or Refused."""
    found = chosen(parts, partner, fingerprint)
    one = found.announcement
    detail: dict[str, Json] = {
        "number": one.number,
        "sha256": found.signed.digest,
        "action": one.action,
        "purpose": one.purpose,
        "announcement": found.signed.to_json(),
        **approvals.named(approval),
    }
    draft = Draft(event="partner.key-accepted", actor="operator", partner=partner, key=one.fingerprint, detail=detail)

    def record(tx: Transaction) -> Entry | None:
        left = any((known.partner, known.seq) == (partner, found.seq) for known in waiting(tx))
        approvals.permit(tx, draft, parts.effects.clock())
        if not left:
            return None
        entry = tx.append(draft.replace(private={"by": by}))
        check_carried(parts.cards, partner, tx)
        return entry

    if parts.ledger.write(record) is None and not _was_accepted(parts.ledger, partner, found):
        ended = one.key in parts.trust.standing(partner).ended
        what, reason = ("has ended", "key-ended") if ended else ("was replaced by a newer one", "superseded")
        raise Refused(
            f"the {one.purpose} key of {partner} {what} meanwhile", hint="nothing was accepted", reason=reason
        )
    return one


def _was_accepted(view: View, partner: str, found: Waiting) -> bool:
    """By somebody else, a moment ago."""
    entries = key_entries(view, ("partner.key-accepted",), found.seq)
    return any((entry.partner, entry.detail.get("sha256")) == (partner, found.signed.digest) for entry in entries)
