"""Which of our keys count at a moment, and why none does."""

from collections.abc import Collection, Iterable
from datetime import datetime

from keys.key_errors import KeyExpired, KeyNotYetValid, MissingKey
from keys.key_info import KeyInfo, Purpose


def valid(
    infos: Iterable[KeyInfo], purpose: Purpose, moment: datetime, among: Collection[str] | None = None
) -> list[KeyInfo]:
    """The keys of that purpose that count then, of those whose fingerprint is `among` them, in their order; never none.

    Raises MissingKey, KeyNotYetValid or KeyExpired.
    """
    keys = [i for i in infos if i.purpose == purpose and (among is None or i.fingerprint in among)]
    counting = [info for info in keys if not info.begins_after(moment) and not info.ended_by(moment)]
    if counting:
        return counting
    if not keys:
        raise MissingKey(f"there is no {purpose} key", hint=f"make one with 'handover keys rotate {purpose}'")
    waiting = [info for info in keys if info.begins_after(moment)]
    if waiting:
        first = min(waiting, key=lambda info: info.valid_from)
        raise KeyNotYetValid(
            f"{first.label} is valid only from {first.valid_from}", hint="check the clock of this machine"
        )
    last = max(keys, key=lambda info: info.valid_until or "")
    raise KeyExpired(
        f"{last.label} was valid only until {last.valid_until}",
        hint=f"make a new one with 'handover keys rotate {purpose}', and give partners the new card",
    )


def newest(infos: Iterable[KeyInfo], purpose: Purpose, moment: datetime, among: Collection[str]) -> KeyInfo:
    """The one that became valid last; where all have expired, the last of them: what is sealed to it is still opened.

    Raises MissingKey or KeyNotYetValid.
    """
    infos = tuple(infos)
    try:
        return max(valid(infos, purpose, moment, among), key=age_of)
    except KeyExpired:
        return max((i for i in infos if i.purpose == purpose and i.fingerprint in among), key=age_of)


def age_of(info: KeyInfo) -> tuple[str, int]:
    """By which keys of one purpose are ordered, the oldest first."""
    return info.valid_from, info.serial
