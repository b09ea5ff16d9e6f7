"""What is known of keys, for people and scripts: ours one by one, how far each is, and all that happened to keys."""

import datetime

from config.times import from_text, system_clock
from exchange import key_desk
from keys.announcement import AnnouncementError, Signed
from keys.key_info import KeyInfo
from keys.keyring import Keyring
from keys.own_keys import OwnKey, OwnKeys
from keys.rotation import of_ledger
from keys.trust import Trust
from ledger.key_events import key_entries
from ledger.query import handovers_signed_with, handovers_under_key
from ledger.store import Ledger
from ledger.view import View

Cell = str | int | bool | None
Row = dict[str, Cell | list[str]]

WARNINGS = (60, 30, 7)
"""Days before its end at which people are told of a key that ends, each more urgent than the one before."""


def key_rows(keyring: Keyring, ledger: Ledger, partners: tuple[str, ...]) -> list[Row]:
    """One row a key, with its state now, for whom it is used, and how many handovers it protects."""
    now, own = system_clock(), of_ledger(ledger)
    rows: list[Row] = []
    for info in keyring.infos():
        known = own.find(info.fingerprint)
        rows.append(
            {
                "purpose": info.purpose,
                "serial": info.serial,
                "algorithm": info.algorithm,
                "post_quantum": info.post_quantum,
                "fingerprint": info.fingerprint,
                "public": info.public,
                "state": _state(info, known, own, now),
                "valid_from": info.valid_from,
                "valid_until": known.ended_at if known is not None and known.ended else info.valid_until,
                "in_use_by": [p for p in partners if _chosen(own, info, p, now)],
                "handovers": _handovers(info, ledger),
            }
        )
    return rows


def _state(info: KeyInfo, known: OwnKey | None, own: OwnKeys, now: datetime.datetime) -> str:
    if known is None:
        return "not recorded"
    if known.ended is not None:
        return known.ended
    if info.ended_by(now):
        return "expired"
    if info.begins_after(now):
        return "not yet valid"
    if known.fingerprint in own.replaced(known.purpose):
        return "being replaced"
    return "current"


def _chosen(own: OwnKeys, info: KeyInfo, partner: str, now: datetime.datetime) -> bool:
    """Whether it is the newest key that may be used towards that partner."""
    usable = [key for key in own.usable(info.purpose) if key.is_for(partner) and from_text(key.begins) <= now]
    if info.purpose in ("ledger", "witness"):
        return info.fingerprint in {key.fingerprint for key in own.usable(info.purpose)}
    return bool(usable) and usable[-1].fingerprint == info.fingerprint


def _handovers(info: KeyInfo, ledger: Ledger) -> int | None:
    if info.purpose == "encryption":
        return handovers_under_key(ledger, info.fingerprint)
    return handovers_signed_with(ledger, info.fingerprint) if info.purpose == "signing" else None


def history(ledger: View) -> list[dict[str, Cell]]:
    """Everything that happened to keys, ours and partners', oldest first."""
    rows: list[dict[str, Cell]] = []
    for entry in key_entries(ledger):
        detail = entry.detail
        purpose, number, reason = detail.get("purpose"), detail.get("number"), detail.get("reason")
        rows.append(
            {
                "seq": entry.seq,
                "at": entry.at,
                "event": entry.event,
                "partner": entry.partner,
                "purpose": purpose if isinstance(purpose, str) else _purpose(detail.get("announcement")),
                "fingerprint": entry.key,
                "number": number if type(number) is int else None,
                "reason": reason if isinstance(reason, str) else None,
            }
        )
    return rows


def _purpose(said: object) -> str | None:
    try:
        return Signed.from_json(said).announcement.purpose
    except AnnouncementError:
        return None


def problems(
    keyring: Keyring, ledger: Ledger, trust: Trust, partners: tuple[str, ...], hosts: tuple[str, ...]
) -> list[str]:
    """What a person should know or do about keys."""
    now, own = system_clock(), of_ledger(ledger)
    found = [
        f"the {one.announcement.purpose} key of {one.partner} waits: 'handover keys accept {one.partner}'"
        f" once {one.announcement.fingerprint} was read out"
        for one in key_desk.waiting(ledger)
    ]
    found += [f"a new {making.purpose} key was ordered and is not made yet" for making in own.making]
    for info in keyring.infos():
        known = own.find(info.fingerprint)
        if known is None:
            found.append(f"{info.label} is in no entry of the ledger: it is never used; find out who put it there")
        elif known.ended is None and info.valid_until is not None:
            left = from_text(info.valid_until) - now
            if left < datetime.timedelta(days=WARNINGS[0]):
                found.append(f"the {info.purpose} key ends on {info.valid_until[:10]}")
    told = {key.public for key in own.keys if key.purpose == "host"}
    if told and set(hosts) - told:
        found.append("a host key in handover.toml was not announced: 'handover keys announce'")
    for key in own.keys:
        missing = [p for p in partners if key.ended is None and not key.is_for(p)]
        over = now >= from_text(key.begins) + datetime.timedelta(seconds=key.overlap)
        if missing and over:
            found.append(
                f"{', '.join(missing)} has not accepted our {key.purpose} key {key.serial}: the old one goes on"
            )
    for partner in partners:
        for signing in trust.card(partner).signing_keys:
            if signing.valid_until is not None and _is_last(trust, partner, signing.line):
                left = from_text(signing.valid_until) - now
                if left < datetime.timedelta(days=WARNINGS[0]):
                    found.append(f"the signing key of {partner} ends on {signing.valid_until[:10]}")
    return found


def _is_last(trust: Trust, partner: str, line: str) -> bool:
    return trust.card(partner).signing_keys[-1].line == line
