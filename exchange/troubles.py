"""Troubles of this machine that the ledger remembers, so that people are told once of each, and see it in the status.

    disk.full         disk.room       no room is left on the disk of the folders that detail.of names
    clock.wrong       clock.right     entries are of a time that has not come: the clock is behind, or was ahead
    folders.apart     folders.together  between the spool and the folders that detail.of names no file can be moved
    folders.closed    folders.opened    the service may not read or empty detail.number of the folders in outbound
    watch.incomplete  watch.complete  files in some folders are found by the rescan alone
    clock.jumped                      between two looks the clock went detail.seconds further than time did
    clock.disagrees                   the partner signed at a time that, by our clock, cannot be

Nothing is decided by the clock that cannot be undone: entries are ordered by their number, and ids are never the same.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from config.errors import NotNow
from config.times import from_text
from exchange import machine, seldom
from exchange.parts import Parts
from ledger.canonical import Json
from ledger.entry import Draft
from ledger.view import View

TOLERANCE: Final = timedelta(minutes=5)
"""How far two clocks may differ before anybody is told."""

SHOWN: Final = timedelta(days=1)
"""How long the status speaks of what happened once."""

UNUSABLE: Final = "ledger.unusable"
"""Told, but not recorded, because it cannot be: the ledger is locked, read-only or on a full disk."""

_PAIRS: Final = {"disk": ("disk.full", "disk.room"), "clock": ("clock.wrong", "clock.right"),
                 "folders": ("folders.apart", "folders.together"), "closed": ("folders.closed", "folders.opened"),
                 "watch": ("watch.incomplete", "watch.complete")}  # fmt: skip


@dataclass(slots=True)
class Troubles:
    """What the daemon knows of them beside the ledger."""

    _ahead: float | None = None
    """How far the clock was ahead of the time since the start, at the last look."""
    _unusable: bool = False
    _looking: threading.Lock = field(default_factory=threading.Lock)

    def note(self, parts: Parts, watched: bool) -> tuple[str, ...]:
        """Record what began and what is over; returns what is to be told although it cannot be recorded.

        Any thread may look; once this has returned, whatever anybody has seen is recorded.
        """
        with self._looking:
            try:
                parts.require_ledger()
                self._record(parts, watched)
            except NotNow:
                told, self._unusable = self._unusable, True
                return () if told else (UNUSABLE,)
            self._unusable = False
            return ()

    def _record(self, parts: Parts, watched: bool) -> None:
        named = {"disk": machine.full_disks(parts.home), "folders": machine.on_other_disks(parts.home)}
        details: dict[str, dict[str, Json]] = {name: {"of": ", ".join(of)} for name, of in named.items() if of}
        if number := _closed(parts):
            details["closed"] = {"number": number}
        behind = is_behind(parts.ledger, parts.effects.clock())
        now = {**{name: name in details for name in _PAIRS}, "clock": behind, "watch": not watched}
        drafts = []
        for name, (began, ended) in _PAIRS.items():
            if now[name] != is_open(parts.ledger, name):
                detail = details.get(name, {})
                drafts.append(Draft(event=began if now[name] else ended, actor="daemon", detail=detail))
        ahead = parts.effects.clock().timestamp() - parts.effects.monotonic()
        jumped = 0.0 if self._ahead is None else ahead - self._ahead
        if abs(jumped) > TOLERANCE.total_seconds():
            drafts.append(Draft(event="clock.jumped", actor="daemon", detail={"seconds": round(jumped)}))
        if drafts:
            parts.ledger.write(lambda tx: [tx.append(draft) for draft in drafts])
        # last: a jump that could not be recorded is seen again by the next look
        self._ahead = ahead


def _closed(parts: Parts) -> int:
    """A folder that cannot even be listed is one of them, and keeps no other trouble from being recorded."""
    try:
        return machine.closed_folders(parts.home)
    except OSError:
        return 1


def is_behind(ledger: View, now: datetime) -> bool:
    """Whether the ledger holds an entry of a time that has not come."""
    return any(from_text(at) > now + TOLERANCE for (at,) in ledger.rows("SELECT max(at) FROM entries") if at)


def clock_in_doubt(ledger: View, now: datetime) -> bool:
    """Whether something lately said that this machine's clock may be wrong: nothing that is for ever is done by it."""
    lately = any(_lately(ledger, event, now) for event in ("clock.disagrees", "clock.jumped"))
    return lately or is_behind(ledger, now)


def note_signed(parts: Parts, partner: str, signed: str, not_before: str | None = None) -> None:
    """A partner signed something at the time `signed`, after it had what we sent at the time `not_before`."""
    at = from_text(signed)
    ahead = at - parts.effects.clock()
    behind = timedelta() if not_before is None else from_text(not_before) - at
    if max(ahead, behind) > TOLERANCE:
        seconds = round((ahead if ahead > TOLERANCE else -behind).total_seconds())
        draft = Draft(event="clock.disagrees", actor="daemon", partner=partner, detail={"seconds": seconds})
        seldom.append(parts, draft)


def problems(ledger: View, now: datetime) -> Iterator[str]:
    """What the status says of them; of full disks it knows more itself, of mounts the service does."""
    if is_behind(ledger, now):
        yield "the ledger holds entries of a time that has not come: the clock of this machine is behind, or was ahead"
    for partner, seconds in _lately(ledger, "clock.disagrees", now):
        yield f"the clocks of {partner} and of this machine disagree by {_words(seconds)}"
    for _, seconds in _lately(ledger, "clock.jumped", now)[-1:]:
        yield f"the clock of this machine jumped by {_words(seconds)}"
    if is_open(ledger, "folders"):
        yield machine.folders_apart(_of(ledger, "folders.apart"))
    if is_open(ledger, "closed"):
        yield (
            "the service may not read, or not empty, some folders in outbound/, and files wait there: "
            "its user has to read, write and search each"
        )
    if is_open(ledger, "watch"):
        yield (
            "not all folders can be watched, so files wait for the rescan: raise fs.inotify.max_user_watches, "
            "and remove folders that lie hundreds of levels deep"
        )


def is_open(ledger: View, name: str) -> bool:
    """Whether the trouble `disk`, `clock`, `folders`, `closed` or `watch` was recorded and lasts."""
    began, _ = events = _PAIRS[name]
    found = ledger.rows("SELECT event FROM entries WHERE event IN (?, ?) ORDER BY seq DESC LIMIT 1", *events)
    return found == [(began,)]


def _of(ledger: View, event: str) -> str:
    """What the last one names."""
    sql = (
        "SELECT json_extract(CAST(entry AS TEXT), '$.detail.of') FROM entries WHERE event = ? ORDER BY seq DESC LIMIT 1"
    )
    return "".join(str(of) for (of,) in ledger.rows(sql, event))


def _lately(ledger: View, event: str, now: datetime) -> list[tuple[str, int]]:
    """The last of each partner, if it is no older than SHOWN."""
    sql = (
        "SELECT partner, json_extract(CAST(entry AS TEXT), '$.detail.seconds'), at, max(seq) FROM entries "
        "WHERE event = ? GROUP BY partner ORDER BY partner"
    )
    return [(p, seconds) for p, seconds, at, _ in ledger.rows(sql, event) if abs(now - from_text(at)) < SHOWN]


def _words(seconds: int) -> str:
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"{hours} h {minutes} min"
