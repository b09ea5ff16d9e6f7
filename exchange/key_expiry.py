"""Keys that end, or are due to be replaced: people are told 60, 30 and 7 days before, each time once.

key.expiring             one of ours; detail.days says which warning it is, detail.ends when
partner.key-expiring     the only signing key of a partner ends
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from config.times import from_text, to_text
from exchange.parts import Parts
from keys.keyring import Keyring
from keys.own_keys import OwnKeys
from keys.trust import Trust
from ledger.canonical import Json
from ledger.entry import Draft
from ledger.store import Transaction
from ledger.view import View

WARNINGS = (7, 30, 60)
"""Days before its end; the most urgent first."""

_TOLD = "SELECT key, json_extract(CAST(entry AS TEXT), '$.detail.days') FROM entries WHERE event = ?"


@dataclass(frozen=True, slots=True)
class Ending:
    """A key that ends soon, or has ended."""

    partner: str | None
    purpose: str
    fingerprint: str
    ends: datetime
    days: int
    """The warning that is due: one of WARNINGS."""

    @property
    def said(self) -> str:
        """For a person."""
        whose = "" if self.partner is None else f" of {self.partner}"
        return f"the {self.purpose} key{whose} ends on {to_text(self.ends)[:10]}"


def ends(keyring: Keyring, own: OwnKeys, trust: Trust, renew: timedelta) -> list[tuple[str | None, str, str, datetime]]:
    """Every key in use that ends, or is to be replaced: (partner, purpose, key, when); partner None: one of ours."""
    found: list[tuple[str | None, str, str, datetime]] = []
    for info in keyring.infos():
        known = own.find(info.fingerprint)
        if known is None or known.ended is not None or known.fingerprint in own.replaced(known.purpose):
            continue
        due = from_text(known.begins) + renew
        end = due if info.valid_until is None else min(due, from_text(info.valid_until))
        found.append((None, info.purpose, info.fingerprint, end))
    for partner in trust.partners:
        card = trust.card(partner)
        for purpose, keys in (("signing", card.signing_keys), ("signing-pq", card.signing_pq)):
            if keys and keys[-1].valid_until is not None:
                found.append((partner, purpose, keys[-1].line, from_text(keys[-1].valid_until)))
    return found


def endings(keyring: Keyring, own: OwnKeys, trust: Trust, renew: timedelta, now: datetime) -> list[Ending]:
    """Those of them that end within the longest warning."""
    return [
        Ending(partner, purpose, fingerprint, end, days)
        for partner, purpose, fingerprint, end in ends(keyring, own, trust, renew)
        if (days := _warning(end - now)) is not None
    ]


def _warning(left: timedelta) -> int | None:
    return next((days for days in WARNINGS if left <= timedelta(days=days)), None)


def tell(parts: Parts) -> int:
    """Record each warning that became due, once; returns how many."""
    renew = parts.home.settings.keys.renew
    due = endings(parts.keyring, parts.own, parts.trust, renew, parts.effects.clock())

    def record(tx: Transaction) -> int:
        fresh = [one for one in due if (_key(one), one.days) not in _told(tx, _event(one))]
        for one in fresh:
            detail: dict[str, Json] = {"purpose": one.purpose, "days": one.days, "ends": to_text(one.ends)}
            tx.append(Draft(event=_event(one), actor="daemon", partner=one.partner, key=_key(one), detail=detail))
        return len(fresh)

    fresh = [one for one in due if (_key(one), one.days) not in _told(parts.ledger, _event(one))]
    return parts.ledger.write(record) if fresh else 0


def _told(view: View, event: str) -> set[tuple[str, int]]:
    return {(str(key), int(days)) for key, days in view.rows(_TOLD, event)}


def _event(one: Ending) -> str:
    return "key.expiring" if one.partner is None else "partner.key-expiring"


def _key(one: Ending) -> str:
    return one.fingerprint if one.partner is None else one.fingerprint.split(" ")[-1]
