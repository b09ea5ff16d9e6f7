"""What is known of keys, for people and scripts: ours one by one, how far each is, and all that happened to keys."""

import datetime
from collections.abc import Iterable, Iterator

from config.home import Home
from config.settings import Settings
from config.times import Clock, from_text, system_clock, to_text
from exchange import key_desk, key_expiry
from exchange.incident import protected
from exchange.key_story import algorithm
from keys.announcement import SUBJECTS, Announcement, AnnouncementError, Signed, fingerprint
from keys.key_errors import KeyProblem
from keys.key_info import POST_QUANTUM, KeyInfo
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
                "leaves_from": _leaves_from(known, own),
                "in_use_by": [p for p in partners if _chosen(own, info, p, now)],
                "handovers": _handovers(info, ledger),
                "kept_in": _kept_in(keyring, own, info),
                "token": keyring.place(info.fingerprint) if keyring.is_in_token(info.fingerprint) else None,
            }
        )
    return rows


def _kept_in(keyring: Keyring, own: OwnKeys, info: KeyInfo) -> str | None:
    """`file` or `token`; of one that has neither, `missing` if it should, and None if it was destroyed."""
    place = keyring.place(info.fingerprint)
    if place is None:
        return "missing" if info.fingerprint in {key.fingerprint for key in own.kept} else None
    return "file" if place == "file" else "token"


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


def _leaves_from(known: OwnKey | None, own: OwnKeys) -> str | None:
    """When the overlap of a key that is being replaced is over: it is retired then, or once nothing needs it."""
    if known is None or known.ended is not None:
        return None
    ends = [key.overlap_ends for key in own.usable(known.purpose) if key.replaces == known.fingerprint]
    return to_text(max(ends)) if ends else None


def _chosen(own: OwnKeys, info: KeyInfo, partner: str, now: datetime.datetime) -> bool:
    """Whether it is the newest key that may be used towards that partner."""
    usable = [key for key in own.usable(info.purpose) if key.is_for(partner) and from_text(key.begins) <= now]
    if info.purpose in ("ledger", "witness", "witness-pq"):
        return info.fingerprint in {key.fingerprint for key in own.usable(info.purpose)}
    return bool(usable) and usable[-1].fingerprint == info.fingerprint


def _handovers(info: KeyInfo, ledger: Ledger) -> int | None:
    if info.purpose == "encryption":
        return handovers_under_key(ledger, info.fingerprint)
    return handovers_signed_with(ledger, info.fingerprint) if info.purpose == "signing" else None


def history(ledger: View) -> list[dict[str, Cell]]:
    """Everything that happened to keys, ours and partners', oldest first."""
    rows: list[dict[str, Cell]] = []
    ours: dict[object, str] = {}
    for entry in key_entries(ledger):
        detail = entry.detail
        purpose, number, reason = detail.get("purpose"), detail.get("number"), detail.get("reason")
        said = _said(detail.get("announcement"))
        if said is not None and entry.partner is None:
            ours[said.number] = said.action
        rows.append(
            {
                "seq": entry.seq,
                "at": entry.at,
                "event": entry.event,
                "partner": entry.partner,
                "announced": said.action if said is not None else ours.get(number),
                "purpose": purpose if isinstance(purpose, str) else None if said is None else said.purpose,
                "fingerprint": entry.key,
                "number": number if type(number) is int else None,
                "reason": reason if isinstance(reason, str) else None,
            }
        )
    return rows


def _said(announced: object) -> Announcement | None:
    try:
        return Signed.from_json(announced).announcement
    except AnnouncementError:
        return None


def problems(
    keyring: Keyring,
    ledger: Ledger,
    trust: Trust,
    partners: tuple[str, ...],
    settings: Settings,
    clock: Clock = system_clock,
) -> list[str]:
    """What a person should know or do about keys."""
    now, own = clock(), of_ledger(ledger)
    found = [
        f"the {one.announcement.purpose} key of {one.partner} waits: 'handover keys accept {one.partner}'"
        f" once {one.announcement.fingerprint} was read out"
        for one in key_desk.waiting(ledger)
    ]
    found += [f"a new {making.purpose} key was ordered and is not made yet" for making in own.making]
    making = {f"{one.purpose} key {one.serial}" for one in own.making}
    found += [
        f"{label} has a private half and no public one: restore it from the backup of the keys, or find out what it is"
        for label in keyring.halves()
        if label not in making
    ]
    found += _unfit(keyring, own)
    for info in keyring.infos():
        known = own.find(info.fingerprint)
        if known is None:
            found.append(f"{info.label} is in no entry of the ledger: it is never used; find out who put it there")
        elif known.ended is not None and keyring.is_in_token(info.fingerprint):
            found.append(f"{info.label} has ended and is still in the token: it is destroyed when the token is there")
    found += [ending.said for ending in key_expiry.endings(keyring, own, trust, settings.keys.renew, now)]
    told = {key.public for key in own.keys if key.purpose == "host"}
    if told and set(settings.landing.host_keys) - told:
        found.append("a host key in handover.toml was not announced: 'handover keys announce'")
    found += [said for key in own.keys if (said := _not_accepted(own, key, partners, now)) is not None]
    return found


def _not_accepted(own: OwnKeys, key: OwnKey, partners: Iterable[str], now: datetime.datetime) -> str | None:
    """What is to be known of partners that do not use a key of ours although they should."""
    missing = ", ".join(partner for partner in partners if key.ended is None and not key.is_for(partner))
    over = now >= key.overlap_ends
    old = own.find(key.replaces or "")
    ended = old is not None and old.ended is not None
    if not missing or not (over or ended):
        return None
    if old is None:
        what = "it is not used towards them"
    elif not ended:
        what = "the old one goes on"
    elif old.ended == "revoked" and not old.lost and not over:
        what = (
            "the old one has ended, and what needs it waits for 'handover keys accept' there;"
            " if nothing waits there, give it a new card ('handover partner card')"
        )
    else:
        what = "the old one has ended: give it a new card ('handover partner card')"
    return f"{missing} has not accepted our {key.purpose} key {key.serial}: {what}"


def _unfit(keyring: Keyring, own: OwnKeys) -> Iterator[str]:
    """What is wrong with keys that have to be here, as far as it is seen without unlocking any."""
    there = {info.fingerprint for info in keyring.infos()}
    for key in own.kept:
        label = f"{key.purpose} key {key.serial}"
        if key.fingerprint in there:
            try:
                keyring.check(key.fingerprint)
            except KeyProblem as problem:
                yield f"{problem.message}: {problem.hint}, or see docs/key-management.md"
        elif label not in keyring.halves():
            yield f"{label} is not there: restore it from the backup of the keys, or see docs/key-management.md"


def inventory(home: Home, keyring: Keyring, ledger: Ledger, trust: Trust, clock: Clock = system_clock) -> list[Row]:
    """Every key that counts now, ours and partners', with what it protects against, and how much it has protected."""
    own, now = of_ledger(ledger), clock()
    rows: list[Row] = []
    for info in keyring.infos():
        if info.fingerprint in own.fingerprints(info.purpose):
            kept = _kept_in(keyring, own, info)
            row = _listed("we", info.purpose, info.algorithm, info.fingerprint, post_quantum=info.post_quantum)
            rows.append({**row, "kept_in": kept})
    for partner in trust.partners:
        standing = trust.standing(partner)
        for purpose in SUBJECTS:
            for public in standing.keys(purpose, now):
                kind = algorithm(purpose, public)
                pq = kind in POST_QUANTUM
                rows.append(_listed(partner, purpose, kind, fingerprint(purpose, public), post_quantum=pq))
    for row in rows:
        number, first, last = protected(home, ledger, trust, str(row["fingerprint"]), now)
        row.update(handovers=number, first_at=first or None, last_at=last or None)
    return rows


def _listed(owner: str, purpose: str, algorithm: str, fingerprint: str, *, post_quantum: bool) -> Row:
    return {
        "owner": owner,
        "purpose": purpose,
        "algorithm": algorithm,
        "post_quantum": post_quantum,
        "fingerprint": fingerprint,
        "kept_in": None,
    }
