"""Which of our own keys is used for whom: a pure function of what the ledger says about them.

    made      recorded, but announced to nobody yet, or not accepted: only what must open or vouch for both uses it
    in use    for each partner from the moment at which that partner has accepted it
    ended     retired or revoked; its private half is destroyed

A key that lies in the folder and is in no entry is in no answer here, whoever put it there.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, cast

from config.times import from_text, later
from keys.announcement import AnnouncementError, Signed, Subject
from keys.key_info import OPTIONAL, Purpose
from keys.succession import COMES
from ledger.entry import Entry

EndedBy = Literal["retired", "revoked"]


@dataclass(frozen=True, slots=True)
class OwnKey:
    """One recorded key of ours. Times are texts as in the entries."""

    purpose: Subject
    serial: int
    fingerprint: str
    public: str
    made_at: str
    seq: int
    """The entry that recorded it."""
    begins: str
    """Not used before this, even by a partner that has accepted it."""
    overlap: int = 0
    """Seconds for which the key that it replaces is kept beside it."""
    replaces: str | None = None
    """Fingerprint of the key before it; None: the first of its purpose. Nobody has to accept that one, unless its
    purpose is an optional one."""
    accepted: frozenset[tuple[str, str]] = frozenset()
    """(partner, when we heard) of those that have accepted it."""
    ended: EndedBy | None = None
    ended_at: str | None = None
    ended_seq: int | None = None
    """The entry that ended it; of one that was retired and then revoked, the first: it has signed nothing since."""
    destroyed: bool = False
    lost: bool = False
    """Its private half is out of reach for ever: it was revoked without its own word."""

    @property
    def overlap_ends(self) -> datetime:
        """From when on the key that it replaces is kept only as long as something needs it."""
        return later(from_text(self.begins), timedelta(seconds=self.overlap))

    @property
    def partners(self) -> frozenset[str]:
        """Who has accepted it."""
        return frozenset(partner for partner, _ in self.accepted)

    def is_for(self, partner: str | None) -> bool:
        """Whether `partner` knows it; for nobody in particular (None) every key is known."""
        first = self.replaces is None and self.purpose not in OPTIONAL
        return first or partner is None or partner in self.partners


@dataclass(frozen=True, slots=True)
class Sent:
    """One announcement of ours, and how far it got with each partner."""

    number: int
    seq: int
    signed: Signed
    fingerprint: str
    sent: tuple[tuple[str, str], ...] = ()
    """(partner, when it went last)."""
    taken: frozenset[str] = frozenset()
    """Partners that have accepted it."""
    signers: tuple[tuple[str, frozenset[str]], ...] = ()
    """(partner, the keys that signed the message in which it went last)."""

    @property
    def is_end(self) -> bool:
        """Whether it says that a key counts no more."""
        return self.signed.announcement.action not in COMES

    def sent_at(self, partner: str) -> str | None:
        """When it went to that partner last."""
        return dict(self.sent).get(partner)

    def signed_with(self, partner: str) -> frozenset[str]:
        """What signed the message in which it went to that partner last; empty if it never did."""
        return dict(self.signers).get(partner, frozenset())


@dataclass(frozen=True, slots=True)
class Making:
    """A key that was ordered and is not recorded yet."""

    seq: int
    purpose: Purpose
    serial: int
    begins: str
    overlap: int
    replaces: str
    """Fingerprint of the key before it; empty for the first key of an optional purpose."""
    in_token: bool = False
    lost: bool = False
    """Whether the key before it can vouch for nothing, because its private half is gone."""


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """All recorded keys, oldest first; announcements by number; what is being made."""

    keys: tuple[OwnKey, ...] = ()
    announcements: tuple[Sent, ...] = ()
    making: tuple[Making, ...] = ()
    prove_from: int = 0
    """Proofs lead to a checkpoint of at least so many entries: those before were signed by a revoked ledger key."""

    def usable(self, purpose: Subject) -> tuple[OwnKey, ...]:
        """Keys of that purpose that have not ended, oldest first."""
        return tuple(key for key in self.keys if key.purpose == purpose and key.ended is None)

    def fingerprints(self, purpose: Subject, partner: str | None = None) -> frozenset[str]:
        """Of the keys that may be used towards `partner`; None: all that have not ended."""
        return frozenset(key.fingerprint for key in self.usable(purpose) if key.is_for(partner))

    def leaving(self, purpose: Subject) -> frozenset[str]:
        """Revoked keys whose private half is still here: only to tell partners so, and to open what is on its way."""
        keys = (key for key in self.keys if key.purpose == purpose and key.ended == "revoked" and not key.destroyed)
        return frozenset(key.fingerprint for key in keys if not key.lost)

    def taking_turns(self, purpose: Subject, partner: str, before: frozenset[str]) -> frozenset[str]:
        """Keys that may sign to a partner that has accepted none in use: the revoked ones that it knew.

        Or those in use, which it may have on a card by now: if it has accepted the end of a revoked one, which says
        nothing more then, or if such a one signed `before` and was not answered.
        """
        leaving = self.leaving(purpose)
        over = {one.fingerprint for one in self.announcements if one.is_end and partner in one.taken}
        known = frozenset(k.fingerprint for k in self.keys if k.fingerprint in leaving - over and k.is_for(partner))
        if known and not known & before:
            return known
        told = any(one.is_end and one.fingerprint in leaving and partner in one.taken for one in self.announcements)
        return self.fingerprints(purpose) if not leaving or told or leaving & before else leaving

    @property
    def opening(self) -> frozenset[str]:
        """Encryption keys with which whatever may still come, or lies here, is opened."""
        return self.fingerprints("encryption") | self.leaving("encryption")

    def untold(self, partner: str) -> tuple[Sent, ...]:
        """Announcements that `partner` has not accepted, and still may: one that has accepted a key's end never accepts
        its coming any more."""
        over = {sent.fingerprint for sent in self.announcements if sent.is_end and partner in sent.taken}
        left = (sent for sent in self.announcements if partner not in sent.taken)
        return tuple(sent for sent in left if sent.is_end or sent.fingerprint not in over)

    @property
    def kept(self) -> tuple[OwnKey, ...]:
        """Keys whose private half has to be here: all that are in use, and the revoked ones that are `leaving`."""
        keys = (key for key in self.keys if key.purpose != "host")
        return tuple(key for key in keys if key.ended is None or key.fingerprint in self.leaving(key.purpose))

    def find(self, fingerprint: str) -> OwnKey | None:
        """The recorded key of that fingerprint."""
        return next((key for key in self.keys if key.fingerprint == fingerprint), None)

    def replaced(self, purpose: Subject) -> frozenset[str]:
        """Of the usable keys, those that another one is replacing."""
        usable = self.usable(purpose)
        return frozenset(key.replaces for key in usable if key.replaces in {other.fingerprint for other in usable})

    def verifiable_until(self, partner: str, at: int) -> int | None:
        """The entry up to which `partner` can verify our ledger if it knows no ledger key in use; None: all of it.

        `at`: a size of the ledger at which it knew a key that signed then, from a card if from nothing else.
        """
        keys = [key for key in self.keys if key.purpose == "ledger"]
        until = max((k.ended_seq for k in keys if k.is_for(partner) and k.ended_seq is not None), default=None)
        if until is None or at <= until:
            return until
        # nobody can tell which of those that signed then it knows: what all of them have signed
        ends = [k.ended_seq for k in keys if k.seq < at and (k.ended_seq is None or k.ended_seq >= at)]
        return min((end for end in ends if end is not None), default=None)

    @property
    def newest(self) -> str:
        """When the last change was made that a card says, or that was announced; of some clock, which may have been
        ahead. Empty where there is no key."""
        changed = [at for key in self.keys for at in (key.made_at, key.ended_at) if at is not None]
        return max([*changed, *(sent.signed.announcement.issued for sent in self.announcements)], default="")

    @property
    def next_number(self) -> int:
        """The number of the next announcement."""
        return 1 + max((sent.number for sent in self.announcements), default=0)


_NONE = OwnKeys()


def from_entries(entries: Iterable[Entry], known: OwnKeys = _NONE) -> OwnKeys:
    """What entries about keys (`ledger.key_events`), in their order, make of our own: of those `known` by all the
    entries before."""
    keys = {key.fingerprint: key for key in known.keys}
    announcements = {sent.number: sent for sent in known.announcements}
    making = {one.seq: one for one in known.making}
    prove_from = known.prove_from
    for entry in entries:
        _announced(announcements, entry)
        match entry.event:
            case "key.rotating":
                making[entry.seq] = _making(entry)
            case "key.discarded":
                making.pop(_number(entry, "rotation"), None)
            case "key.created" if entry.key is not None:
                making.pop(_number(entry, "rotation"), None)
                keys.setdefault(entry.key, _created(entry, entry.key))
            case "key.announcing":
                announcements = {number: replace(sent, sent=()) for number, sent in announcements.items()}
            case "key.taken-up":
                _taken(keys, announcements, entry)
            case "key.announced" if (sent := announcements.get(_number(entry, "number"))) is not None:
                went = {**dict(sent.sent), str(entry.partner): entry.at}
                by_whom = frozenset(
                    str(entry.detail[name]) for name in ("signed_by", "signed_pq") if name in entry.detail
                )
                signers = {**dict(sent.signers), str(entry.partner): by_whom}
                announcements[sent.number] = replace(sent, sent=tuple(went.items()), signers=tuple(signers.items()))
            case "key.retired" | "key.revoked" if entry.key in keys:
                by: EndedBy = "retired" if entry.event == "key.retired" else "revoked"
                lost = entry.detail.get("lost") is True
                first = keys[entry.key].ended_seq
                seq = entry.seq if first is None else first
                keys[entry.key] = replace(keys[entry.key], ended=by, ended_at=entry.at, ended_seq=seq, lost=lost)
                if (by, keys[entry.key].purpose) == ("revoked", "ledger"):
                    prove_from = entry.seq + 1
            case "key.destroyed" if entry.key in keys:
                keys[entry.key] = replace(keys[entry.key], destroyed=True)
    return OwnKeys(tuple(keys.values()), tuple(announcements.values()), tuple(making.values()), prove_from)


def _announced(announcements: dict[int, Sent], entry: Entry) -> None:
    said = entry.detail.get("announcement")
    if said is None or not entry.event.startswith("key."):
        return
    try:
        signed = Signed.from_json(said)
    except AnnouncementError:
        return
    number = signed.announcement.number
    announcements[number] = Sent(number, entry.seq, signed, signed.announcement.fingerprint)


def _taken(keys: dict[str, OwnKey], announcements: dict[int, Sent], entry: Entry) -> None:
    sent = announcements.get(_number(entry, "number"))
    if sent is None or entry.partner is None:
        return
    announcements[sent.number] = replace(sent, taken=sent.taken | {entry.partner})
    key = keys.get(sent.fingerprint)
    if key is not None and sent.signed.announcement.action in COMES and entry.partner not in key.partners:
        keys[key.fingerprint] = replace(key, accepted=key.accepted | {(entry.partner, entry.at)})


def _created(entry: Entry, fingerprint: str) -> OwnKey:
    return OwnKey(
        purpose=cast("Subject", _text(entry, "purpose")),
        serial=_number(entry, "serial"),
        fingerprint=fingerprint,
        public=_text(entry, "public"),
        made_at=entry.at,
        seq=entry.seq,
        begins=_text(entry, "begins") or entry.at,
        overlap=_number(entry, "overlap"),
        replaces=_text(entry, "replaces") or None,
    )


def _making(entry: Entry) -> Making:
    return Making(
        seq=entry.seq,
        purpose=cast("Purpose", _text(entry, "purpose")),
        serial=_number(entry, "serial"),
        begins=_text(entry, "begins"),
        overlap=_number(entry, "overlap"),
        replaces=entry.key or "",
        in_token=entry.detail.get("token") is True,
        lost=entry.detail.get("lost") is True,
    )


def _text(entry: Entry, name: str) -> str:
    value = entry.detail.get(name)
    return value if isinstance(value, str) else ""


def _number(entry: Entry, name: str) -> int:
    value = entry.detail.get(name)
    return value if type(value) is int else 0
