"""Keys that end, or are due to be replaced: people are told 60, 30 and 7 days before, each time once.

key.expiring             one of ours; detail.days says which warning it is, detail.ends when
partner.key-expiring     the last signing key of a partner that still counts ends
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from config.times import from_text, later, to_text
from exchange.parts import Parts
from keys.card_rules import SigningKey
from keys.keyring import Keyring
from keys.own_keys import OwnKeys
from keys.trust import Trust
from ledger.canonical import Json
from ledger.entry import Draft
from ledger.store import Transaction
from ledger.view import View

WARNINGS = (7, 30, 60)
"""Days before its end; the most urgent first."""

_TOLD = (
    "SELECT key, json_extract(CAST(entry AS TEXT), '$.detail.days'), "
    "json_extract(CAST(entry AS TEXT), '$.detail.ends') FROM entries WHERE event = ?"
)


@dataclass(frozen=True, slots=True)
class Ending:
    """A key in use that ends, or is to be replaced."""

    partner: str | None
    """None: one of ours."""
    purpose: str
    key: str
    """The fingerprint of one of ours; the public line of a partner's."""
    ends: datetime
    by_rule: bool
    """It does not end by itself: our settings want another in its place by then."""

    @property
    def said(self) -> str:
        """For a person."""
        day = to_text(self.ends)[:10]
        if self.by_rule:
            return f"the {self.purpose} key is to be replaced by {day}: 'handover keys rotate {self.purpose}'"
        whose = "" if self.partner is None else f" of {self.partner}"
        return f"the {self.purpose} key{whose} ends on {day}"

    def warning(self, now: datetime) -> int | None:
        """The one of WARNINGS that is due."""
        return next((days for days in WARNINGS if self.ends - now <= timedelta(days=days)), None)


def all_endings(keyring: Keyring, own: OwnKeys, trust: Trust, renew: timedelta) -> list[Ending]:
    """Of every key in use; ours first. `renew` is how long one of ours may be used."""
    found: list[Ending] = []
    for info in keyring.infos():
        known = own.find(info.fingerprint)
        if known is None or known.ended is not None or known.fingerprint in own.replaced(known.purpose):
            continue
        due = later(from_text(known.begins), renew)
        end = None if info.valid_until is None else from_text(info.valid_until)
        by_rule = end is None or due < end
        found.append(Ending(None, info.purpose, info.fingerprint, due if end is None else min(due, end), by_rule))
    for partner in trust.partners:
        standing = trust.standing(partner)
        for purpose, keys in (("signing", standing.card.signing_keys), ("signing-pq", standing.card.signing_pq)):
            last = _last([key for key in keys if key.line not in standing.ended])
            if last is not None and last.valid_until is not None:
                found.append(Ending(partner, purpose, last.line, from_text(last.valid_until), by_rule=False))
    return found


def _last(keys: Sequence[SigningKey]) -> SigningKey | None:
    """The one that counts longest: while there is such a one, nobody needs to know of the others."""
    return max(keys, key=lambda key: (key.valid_until is None, key.valid_until or ""), default=None)


def endings(keyring: Keyring, own: OwnKeys, trust: Trust, renew: timedelta, now: datetime) -> list[Ending]:
    """Those of them of which people are to know."""
    return [one for one in all_endings(keyring, own, trust, renew) if one.warning(now) is not None]


def tell(parts: Parts) -> int:
    """Record each warning that became due, once; returns how many."""
    renew = parts.home.settings.keys.renew
    now = parts.effects.clock()
    due = [
        (one, days)
        for one in all_endings(parts.keyring, parts.own, parts.trust, renew)
        if (days := one.warning(now)) is not None
    ]

    def fresh(view: View) -> list[tuple[Ending, int]]:
        told = {event: _told(view, event) for event in {_event(one) for one, _ in due}}
        return [(one, days) for one, days in due if (_key(one), days, to_text(one.ends)) not in told[_event(one)]]

    def record(tx: Transaction) -> int:
        new = fresh(tx)
        for one, days in new:
            detail: dict[str, Json] = {"purpose": one.purpose, "days": days, "ends": to_text(one.ends)}
            tx.append(Draft(event=_event(one), actor="daemon", partner=one.partner, key=_key(one), detail=detail))
        return len(new)

    return parts.ledger.write(record) if fresh(parts.ledger) else 0


def _told(view: View, event: str) -> set[tuple[str, int, str]]:
    """Key, days and end: where the end was moved, people are told anew."""
    return {(str(key), int(days), str(ends)) for key, days, ends in view.rows(_TOLD, event)}


def _event(one: Ending) -> str:
    return "key.expiring" if one.partner is None else "partner.key-expiring"


def _key(one: Ending) -> str:
    return one.key if one.partner is None else one.key.split(" ")[-1]
