"""How a key of ours ends: it was replaced, or somebody else may have it; and its private half is destroyed.

    retire   key.retired     used no more, by nobody who knows its successor
    revoke   key.revoked     at once, because somebody else may have it, also where it was retired since
    sweep    key.destroyed   the private half of what has ended is gone

Each says so to partners, in the entry itself; every step can be repeated after a crash, by any process of ours.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from config import times
from config.errors import Misuse, NotNow, Refused
from keys import approvals, vouching
from keys.announcement import Action
from keys.key_errors import NoTokens, TokenAway, UnfitToken, WrongPin
from keys.own_keys import OwnKey, OwnKeys
from keys.rotation import Office, announced, of_ledger
from ledger.canonical import Json
from ledger.entry import Draft, Entry
from ledger.store import Transaction


def retire(
    office: Office,
    key: OwnKey,
    by: str,
    needed: Callable[[OwnKeys, OwnKey], str | None],
    without: Sequence[str] = (),
) -> Entry:
    """End a key that was replaced; `needed` says what still needs it (None: nothing). Raises Refused or Misuse.

    Partners that are left behind, `without` the successor, are named in the entry.
    """
    vouching.prepare(office.keyring, office.own())

    def end(tx: Transaction) -> Entry:
        own = of_ledger(tx)
        now = own.find(key.fingerprint)
        if now is None or now.ended is not None:
            raise Misuse(f"{key.purpose} key {key.serial} has ended already")
        if key.fingerprint not in own.replaced(key.purpose):
            raise Refused(
                f"{key.purpose} key {key.serial} is the one in use",
                hint=f"make its successor with 'handover keys rotate {key.purpose}' first",
                reason="key-in-use",
            )
        why = needed(own, now)
        if why is not None:
            raise NotNow(f"{key.purpose} key {key.serial} is still needed: {why}", hint="nothing was changed")
        draft = _ending(office, own, "retire", now, office.clock(), by)
        left: dict[str, Json] = {"without": sorted(without)} if without else {}
        return tx.append(draft.replace(detail={**draft.detail, **left}))

    entry = office.ledger.write(end)
    sweep(office, lambda _, other: other.ended == "revoked")
    return entry


def revoke(
    office: Office,
    key: OwnKey,
    since: datetime,
    by: str,
    *,
    approval: int | None = None,
    lost: bool = False,
    without: str | None = None,
) -> Entry:
    """End a key at once that somebody else may have, or is lost; raises Misuse if it has ended or has no successor.

    A key that signs may have been retired: what it signed from `since` on does not count any more all the same.
    NotApproved where administrators have to sign the order, and `approval` is none that allows it. The key whose
    fingerprint is `without` says nothing to it, because it is lost.
    """
    vouching.prepare(office.keyring, office.own())

    def end(tx: Transaction) -> Entry:
        own = of_ledger(tx)
        now = own.find(key.fingerprint) or key
        late = check_open(now, since)
        if all(key.fingerprint == one.fingerprint for one in own.usable(key.purpose)):
            raise Misuse(f"no other {key.purpose} key could take the place of {key.purpose} key {key.serial}")
        draft = _ending(office, own, "revoke", key, since, by, lost=lost, silent=lost or late, without=without)
        draft = draft.replace(detail={**draft.detail, **approvals.named(approval)})
        approvals.permit(tx, draft, office.clock())
        return tx.append(draft)

    return office.ledger.write(end)


def check_open(key: OwnKey, since: datetime) -> bool:
    """Raise Misuse where revoking a key would change nothing; returns whether it was retired before."""
    late = key.ended == "retired" and key.purpose in ("signing", "signing-pq")
    if key.ended is not None and not late:
        raise Misuse(f"{key.purpose} key {key.serial} has ended already")
    if late and times.from_text(key.ended_at or key.begins) <= since:
        raise Misuse(
            f"{key.purpose} key {key.serial} was retired at {key.ended_at}, and has signed nothing since",
            hint="say with --since from when on somebody else may have had it",
        )
    return late


def _ending(
    office: Office,
    own: OwnKeys,
    action: Action,
    key: OwnKey,
    at: datetime,
    by: str,
    *,
    lost: bool = False,
    silent: bool = False,
    without: str | None = None,
) -> Draft:
    """The entry; a key that is `silent` does not sign the announcement itself."""
    mute, when = key.fingerprint if silent else without, times.to_text(at)
    signed = announced(office, own, action, key.purpose, key, key.public, replaces=None, at=when, lost=mute)
    detail: dict[str, Json] = {
        "purpose": key.purpose,
        "serial": key.serial,
        "number": signed.announcement.number,
        "announcement": signed.to_json(),
        **({"lost": True} if lost else {}),
    }
    event = "key.retired" if action == "retire" else "key.revoked"
    return Draft(event=event, actor="operator", key=key.fingerprint, detail=detail, private={"by": by})


def sweep(office: Office, kept: Callable[[OwnKeys, OwnKey], bool]) -> None:
    """Destroy the private half of every key that has ended, and record it; but for those that are still `kept`."""
    own = office.own()
    for key in own.keys:
        if key.ended is None or key.destroyed or key.purpose == "host" or kept(own, key):
            continue
        try:
            office.keyring.destroy(key.fingerprint)
        except (TokenAway, NoTokens, WrongPin, UnfitToken):
            # a token that is lost must not keep the others; status says what is left, and it is tried again
            continue
        detail: dict[str, Json] = {"purpose": key.purpose, "serial": key.serial}
        draft = Draft(event="key.destroyed", actor="daemon", key=key.fingerprint, detail=detail)
        office.ledger.write(partial(Transaction.append, draft=draft))
