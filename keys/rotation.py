"""A key's life: ordered -> made, tried out and announced -> accepted by each partner -> retired; or revoked.

    order    key.rotating    the intention; whoever finds it later can finish what it says. The first key of an optional
                             purpose is ordered like a successor
    finish   key.created     the new key lies on the disk, was tried out, and is announced by this very entry
    retire   key.retired     used no more; see `keys.ending`
    revoke   key.revoked     the same at once

Every step can be repeated after a crash, by any process of ours: a key that was ordered is finished or discarded with
an entry that says so, a private half of a key that has ended is destroyed. What is not recorded is never used.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from config import times
from config.errors import Misuse
from keys import announcement as announcements
from keys import approvals, own_keys, vouching
from keys.announcement import Action, Announcement, Signed, Subject
from keys.key_errors import DamagedKey, ExposedKey, SwappedKey
from keys.key_info import OPTIONAL, KeyInfo, Purpose
from keys.keyring import Keyring
from keys.own_keys import Making, OwnKey, OwnKeys
from keys.private_keys import Encryption
from ledger.canonical import Json
from ledger.entry import Draft, Entry
from ledger.key_events import OF_OURS, key_entries
from ledger.store import Ledger, Transaction
from ledger.view import View

LONGEST_OVERLAP = timedelta(days=366)
"""A key that is kept beside its successor for longer is not being replaced."""

LONGEST_NOTICE = timedelta(days=731)
"""How far ahead a new key may be made: whoever wants one for later than that makes it later."""


@dataclass(frozen=True, slots=True)
class Office:
    """What is needed to change our keys."""

    me: str
    ledger: Ledger
    keyring: Keyring
    clock: times.Clock
    own: Callable[[], OwnKeys]
    """Our keys as the ledger has them now, from whoever reads them only when there is something new of them."""
    encryption: Encryption = "pq"


def of_ledger(view: View) -> OwnKeys:
    """Our keys as a ledger has them now."""
    return own_keys.from_entries(key_entries(view, OF_OURS))


def order(
    office: Office,
    purpose: Purpose,
    *,
    overlap: timedelta,
    begins: datetime | None,
    by: str,
    in_token: bool | None = None,
    approval: int | None = None,
    lost: bool = False,
) -> Entry:
    """Record that a new key is wanted; raises Misuse while another one of that purpose is on its way.

    It is made where the present one is, unless `in_token` says otherwise; raises what is wrong with that token.
    Where the private half of the present one is `lost`, that vouches for nothing.
    `approval` is the order that administrators have signed; NotApproved where one is needed and does not allow it.
    """
    check_overlap(overlap)
    now = office.clock()
    start = key_start(now if begins is None else begins)
    check_start(start, now)
    if in_token is None:
        in_token = any(office.keyring.is_in_token(key.fingerprint) for key in office.own().usable(purpose)[-1:])
    if in_token:
        office.keyring.check_token(purpose)

    def ask(tx: Transaction) -> Entry:
        own = of_ledger(tx)
        check_free(own, purpose)
        usable = own.usable(purpose)
        detail: dict[str, Json] = {
            "purpose": purpose,
            "serial": office.keyring.next_serial(purpose),
            "begins": times.to_text(start),
            "overlap": int(overlap.total_seconds()),
            **({"token": True} if in_token else {}),
            **approvals.named(approval),
            **({"lost": True} if lost else {}),
        }
        old = usable[-1].fingerprint if usable else None
        draft = Draft(event="key.rotating", actor="operator", key=old, detail=detail)
        approvals.permit(tx, draft, now)
        return tx.append(draft.replace(private={"by": by}))

    return office.ledger.write(ask)


def check_overlap(overlap: timedelta) -> None:
    """Raise Misuse for one that no key can have."""
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise Misuse("an overlap is between 0s and 366d", hint="30d is as long as an envelope is valid")


def check_free(own: OwnKeys, purpose: Purpose) -> None:
    """Raise Misuse while another key of that purpose is on its way, or there is none to replace."""
    if any(making.purpose == purpose for making in own.making):
        raise Misuse(f"a new {purpose} key is being made already", hint="'handover keys list' shows it")
    if not own.usable(purpose) and purpose not in OPTIONAL:
        raise Misuse(f"the ledger knows no {purpose} key in use", hint="restore the ledger from its backup")
    if own.replaced(purpose):
        raise Misuse(
            f"a new {purpose} key is taking over already",
            hint=f"'handover keys list' shows how far it is; 'handover keys retire {purpose}' ends the old one",
        )


def check_start(begins: datetime, now: datetime) -> None:
    """Raise Misuse for a time from which on no key is used; an order may wait for signatures until its time is over."""
    if abs(begins - now) > LONGEST_NOTICE:
        raise Misuse(
            f"a new key is used within {LONGEST_NOTICE.days} days of now, not from {times.to_text(begins)} on",
            hint="give an earlier --at, or leave it out: the new key is then used from now on",
        )


def key_start(moment: datetime) -> datetime:
    """Validity is told to the second."""
    return moment.replace(microsecond=0)


def finish(office: Office) -> list[Entry]:
    """Make every key that was ordered, try it out, announce it; returns the entries. Can be repeated, by anybody.

    One that cannot be used is discarded, with an entry that says why, and raised.
    """
    made = [_finish_one(office, making) for making in office.own().making]
    return [entry for entry in made if entry is not None]


def _finish_one(office: Office, making: Making) -> Entry | None:
    info = office.keyring.add(
        making.purpose,
        office.me,
        office.clock(),
        valid_from=times.from_text(making.begins),
        encryption=office.encryption,
        serial=making.serial,
        in_token=making.in_token,
    )
    try:
        office.keyring.test_anew(info.fingerprint)
    except (SwappedKey, DamagedKey, ExposedKey):
        detail: dict[str, Json] = {"rotation": making.seq, "purpose": making.purpose, "serial": making.serial}
        draft = Draft(event="key.discarded", actor="daemon", key=info.fingerprint, detail=detail)
        office.ledger.write(lambda tx: tx.append(draft))
        office.keyring.discard(making.purpose, making.serial)
        raise
    vouching.prepare(office.keyring, office.own())

    def record(tx: Transaction) -> Entry | None:
        own = of_ledger(tx)
        if making not in own.making:
            return None
        old, action = own.find(making.replaces), _coming(making)
        if old is None and action == "rotate":
            raise Misuse(f"the {making.purpose} key that is to be replaced is not recorded")
        replaces = None if old is None else old.public
        signed = announced(
            office,
            own,
            action,
            making.purpose,
            old,
            info.public,
            replaces=replaces,
            at=making.begins,
            lost=making.replaces if making.lost else None,
        )
        return tx.append(_created(info, making, signed))

    return office.ledger.write(record)


def _coming(making: Making) -> Action:
    return "rotate" if making.replaces else "add"


def _created(info: KeyInfo, making: Making, signed: Signed) -> Draft:
    detail: dict[str, Json] = {
        "purpose": info.purpose,
        "algorithm": info.algorithm,
        "serial": info.serial,
        "public": info.public,
        "begins": making.begins,
        "overlap": making.overlap,
        "replaces": making.replaces,
        "rotation": making.seq,
        "number": signed.announcement.number,
        "announcement": signed.to_json(),
        **({"token": True} if making.in_token else {}),
    }
    return Draft(event="key.created", actor="operator", key=info.fingerprint, detail=detail)


def announced(
    office: Office,
    own: OwnKeys,
    action: Action,
    purpose: Subject,
    about: OwnKey | None,
    public: str,
    *,
    replaces: str | None,
    at: str,
    lost: str | None = None,
) -> Signed:
    """The announcement of one change, signed by everybody who has to but the one key that is `lost`; `about` is the key
    that is there already."""
    one = Announcement(
        organisation=office.me,
        number=own.next_number,
        issued=_after(own.newest, office.clock()),
        action=action,
        purpose=purpose,
        key=public,
        replaces=replaces,
        at=at,
    )
    return vouching.vouched(office.keyring, own, one, about, lost)


def _after(newest: str, now: datetime) -> str:
    """Now, but later than every change before, although our clock may have been ahead then: a partner takes what is no
    newer than our card for something that the card says."""
    if not newest:
        return times.to_text(now)
    return times.to_text(max(now, times.later(times.from_text(newest), timedelta(milliseconds=1))))


def announce_hosts(office: Office, lines: Sequence[str], by: str) -> list[Entry]:
    """Announce the host keys of our SFTP server that are new among `lines`, beside one that partners know.

    The first line ever recorded counts as known: it was in the card. Raises Misuse where none that is known is left.
    """
    vouching.prepare(office.keyring, office.own())

    def record(tx: Transaction) -> list[Entry]:
        made = [] if of_ledger(tx).usable("host") or not lines else [tx.append(_host(of_ledger(tx), lines[0], {}))]
        for line in lines:
            own = of_ledger(tx)
            known = [key for key in own.usable("host") if key.public in lines]
            if any(key.public == line for key in own.keys):
                continue
            if not known:
                raise Misuse(
                    "none of the host keys in handover.toml is known to partners",
                    hint="keep the old one in landing.host_keys, and in sshd, until partners have accepted the new one",
                )
            now = times.to_text(office.clock())
            last = known[-1]
            signed = announced(office, own, "rotate", "host", last, line, replaces=last.public, at=now)
            detail: dict[str, Json] = {
                "replaces": known[-1].fingerprint,
                "number": signed.announcement.number,
                "announcement": signed.to_json(),
            }
            made.append(tx.append(_host(own, line, detail)))
        made.append(tx.append(Draft(event="key.announcing", actor="operator", private={"by": by})))
        return made

    return office.ledger.write(record)


def _host(own: OwnKeys, line: str, more: Mapping[str, Json]) -> Draft:
    serial = 1 + sum(key.purpose == "host" for key in own.keys)
    detail: dict[str, Json] = {"purpose": "host", "serial": serial, "public": line, **more}
    return Draft(event="key.created", actor="operator", key=announcements.fingerprint("host", line), detail=detail)
