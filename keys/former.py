"""Signing keys that an organisation's newer card does not name any more, each with the time in which it counted.

What was recorded in that time is verified with them for ever. They are no part of a card and vouch for nothing: no
message that comes now, no announcement and no other card is believed because one of them signed it.

As the ledger keeps them (`former_signers` of `partner.added`):

    {"signing": [{"key", "valid_from", "valid_until"?}, …], "signing-pq": [the same of composite keys]}

>>> from config.times import from_text
>>> key = SigningKey("ssh-ed25519 AAAA", "2026-11-24T00:00:00.000Z")
>>> Former((key,)).until(from_text("2026-12-01T09:30:00.500Z")).signing[0].valid_until
'2026-12-01T09:30:00.000Z'
>>> Former((key,)).until(from_text("2026-11-24T00:00:00.500Z"))
Former(signing=(), signing_pq=())
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from config import times
from keys.announcement import Announcement
from keys.card import Card, CardError, SigningKey
from keys.card_rules import check_composite, check_signing
from ledger.canonical import Json


@dataclass(frozen=True, slots=True)
class Former:
    """Former keys of one organisation, oldest first; one may be there twice, with two times."""

    signing: tuple[SigningKey, ...] = ()
    signing_pq: tuple[SigningKey, ...] = ()

    @property
    def keys(self) -> tuple[SigningKey, ...]:
        """Of both kinds."""
        return (*self.signing, *self.signing_pq)

    @classmethod
    def left_out(cls, before: Card, card: Card) -> "Former":
        """What a card does not name of the keys of the one before."""
        return cls(_unnamed(before.signing_keys, card.signing_keys), _unnamed(before.signing_pq, card.signing_pq))

    @classmethod
    def announced(cls, accepted: Iterable[Announcement]) -> "Former":
        """The keys that came with announcements, up to the end that others of them say."""
        made = cls()
        for one in accepted:
            key = SigningKey(one.key, times.to_text(times.from_text(one.at).replace(microsecond=0)))
            if one.action in ("retire", "revoke"):
                made = made.ending(one)
            elif one.purpose == "signing":
                made = made.joined(cls((key,)))
            elif one.purpose == "signing-pq":
                made = made.joined(cls((), (key,)))
        return made

    def joined(self, other: "Former") -> "Former":
        """These and the others, none twice with the same time."""
        both = (*self.signing, *other.signing), (*self.signing_pq, *other.signing_pq)
        return Former(*(tuple(dict.fromkeys(keys)) for keys in both))

    def until(self, at: datetime) -> "Former":
        """The same as long as they counted before `at`; an end that is earlier stays."""
        return Former(_until(self.signing, at), _until(self.signing_pq, at))

    def ending(self, one: Announcement) -> "Former":
        """The same after the announced end of a key."""
        at = times.from_text(one.at)
        if one.purpose == "signing":
            return Former(_until(self.signing, at, one.key), self.signing_pq)
        if one.purpose == "signing-pq":
            return Former(self.signing, _until(self.signing_pq, at, one.key))
        return self

    def beside(self, card: Card) -> "Former":
        """Without what the card says itself: the same key, with no shorter time."""
        return Former(_more(self.signing, card.signing_keys), _more(self.signing_pq, card.signing_pq))

    def to_json(self) -> dict[str, Json]:
        """For an entry."""
        return {"signing": [_json(key) for key in self.signing], "signing-pq": [_json(key) for key in self.signing_pq]}

    @classmethod
    def from_json(cls, value: object) -> "Former":
        """Read it strictly: `from_json(f.to_json()) == f`; raises CardError."""
        if not isinstance(value, Mapping) or set(value) != {"signing", "signing-pq"}:
            raise CardError("former signing keys are not those of both kinds")
        made = cls(_parsed(value["signing"]), _parsed(value["signing-pq"]))
        for key in made.signing:
            check_signing((key,))
        for key in made.signing_pq:
            check_composite((key,))
        return made


def _unnamed(before: tuple[SigningKey, ...], named: tuple[SigningKey, ...]) -> tuple[SigningKey, ...]:
    lines = {key.line for key in named}
    return tuple(key for key in before if key.line not in lines)


def _until(keys: tuple[SigningKey, ...], at: datetime, line: str | None = None) -> tuple[SigningKey, ...]:
    """Each key, or only that `line`, as long as it counted before `at`; one that did not is gone."""
    found = []
    for key in keys:
        if line not in (None, key.line):
            found.append(key)
        elif times.from_text(key.valid_from) < at.replace(microsecond=0):
            found.append(key.ending(at))
    return tuple(found)


def _more(former: tuple[SigningKey, ...], named: tuple[SigningKey, ...]) -> tuple[SigningKey, ...]:
    return tuple(old for old in former if not any(_contains(key, old) for key in named))


def _contains(key: SigningKey, other: SigningKey) -> bool:
    # times are texts of one spelling: their order is that of the moments
    ends = key.valid_until is None or (other.valid_until is not None and other.valid_until <= key.valid_until)
    return key.line == other.line and key.valid_from <= other.valid_from and ends


def _json(key: SigningKey) -> dict[str, Json]:
    end: dict[str, Json] = {} if key.valid_until is None else {"valid_until": key.valid_until}
    return {"key": key.line, "valid_from": key.valid_from, **end}


def _parsed(value: object) -> tuple[SigningKey, ...]:
    if not isinstance(value, list):
        raise CardError("former signing keys are not a list")
    return tuple(_key(one) for one in value)


def _key(value: object) -> SigningKey:
    fields = value if isinstance(value, Mapping) else {}
    line, start, end = (fields.get(name) for name in ("key", "valid_from", "valid_until"))
    if not isinstance(line, str) or not isinstance(start, str) or not isinstance(end, str | None):
        raise CardError("a former signing key is not a key with its time")
    made = SigningKey(line, start, end)
    if _json(made) != fields:
        raise CardError("a former signing key has a field that is not known here")
    return made
