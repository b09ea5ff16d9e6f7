"""A person's words about our own keys, read before anything is done: for how long, from when on, since when."""

from datetime import datetime, timedelta

from config.errors import Misuse
from config.times import BadTime, from_text
from config.units import BadUnit, parse_duration
from exchange.parts import Parts
from keys import rotation
from keys.own_keys import OwnKey

_IN_UTC = "write it in UTC, like 2026-12-01T09:00:00Z"


def to_rotate(overlap: str, at: str | None, now: datetime) -> tuple[timedelta, datetime | None]:
    """How long the old key stays, and from when on the new one is used; raises Misuse."""
    try:
        length, begins = parse_duration(overlap), None if at is None else from_text(at)
    except BadUnit as problem:
        raise Misuse(f"--overlap {problem.message}") from None
    except BadTime:
        raise Misuse("--at is not a time", hint=_IN_UTC) from None
    if begins is not None and begins < rotation.key_start(now):
        raise Misuse("--at lies in the past", hint="leave it out: the new key is then used from now on")
    if begins is not None:
        rotation.check_start(begins, now)
    return length, begins


def to_revoke(parts: Parts, fingerprint: str, since: str | None, *, lost: bool = False) -> tuple[OwnKey, datetime]:
    """The key of ours that is meant, and from when on it counts no more; raises Misuse."""
    key = parts.own.find(fingerprint.strip())
    if key is None or key.purpose == "host":
        raise Misuse("none of our keys has this fingerprint", hint="'handover keys list' shows them")
    if lost and key.purpose == "ledger":
        raise Misuse(
            "a ledger whose key is lost cannot say so: every entry needs that key's signature",
            hint="make a new home, as docs/token.md says; the old ledger still proves what it says",
        )
    now = parts.effects.clock()
    try:
        start = now if since is None else from_text(since)
    except BadTime:
        raise Misuse("--since is not a time", hint=_IN_UTC) from None
    if start > now:
        # until then a partner would go on believing whoever has the key
        raise Misuse(
            "--since lies in the future, and a key ends at once when it is revoked",
            hint="leave it out: the key counts no more from now on; it may only say that somebody had it earlier",
        )
    return key, start
