"""Files that should have got further long ago: only the service's log says what keeps them; or no service runs.

Nothing here reads more than names, times and the ledger's rows.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from config.home import Home
from config.times import from_text
from exchange.drop import scan
from exchange.service import pid_file
from ledger.identifier import is_id
from ledger.query import Row

STUCK: Final = timedelta(minutes=10)
"""How long a file may take from one place to the next before a person is told that it does not get there."""

UNSEALED: Final = timedelta(hours=1)
"""The same of the first step, which ten thousand files that are dropped at once may have to wait for."""


def problems(home: Home, rows: Sequence[Row], now: datetime) -> Iterator[str]:
    """A sentence for each step at which some are. Raises OSError where the spool cannot be read."""
    yield from _in_spool(home, rows, now)
    if pid_file.is_held(home.pid_file):
        yield from _unsealed(rows, now)
    yield from _unopened(home, rows, now)


def without_service(home: Home, rows: Sequence[Row], now: datetime) -> Iterator[str]:
    """What waits while no service runs; not at once, for `handover run --once` every few minutes is one, too.

    Raises OSError where outbound/ cannot be read.
    """
    if pid_file.is_held(home.pid_file):
        return
    dropped = sum(_is_old(candidate.path, now) for candidate in scan(home.outbound))
    if number := dropped + _since(rows, ("accepted", "sealed"), now - STUCK):
        wait = "1 file waits" if number == 1 else f"{number} files wait"
        yield f"the service does not run, and {wait} for it: 'handover run'"


def _in_spool(home: Home, rows: Sequence[Row], now: datetime) -> Iterator[str]:
    sent = {row.id: row for row in rows if row.direction == "out"}
    number = 0
    for folder in (home.spool / "out").glob("*"):
        row = sent.get(folder.name)
        on_its_way = row is not None and not row.is_final and row.state != "held"
        number += is_id(folder.name) and not on_its_way and _is_old(folder, now)
    if number:
        are = "1 file lies" if number == 1 else f"{number} files lie"
        yield f"{are} in the spool and cannot be brought further: the service's log says why"


def _unsealed(rows: Sequence[Row], now: datetime) -> Iterator[str]:
    if number := _since(rows, ("accepted",), now - UNSEALED):
        are = "1 file was" if number == 1 else f"{number} files were"
        yield f"{are} taken over an hour ago, and cannot be sealed: the service's log says why"


def _unopened(home: Home, rows: Sequence[Row], now: datetime) -> Iterator[str]:
    came = {row.id: row.received_at for row in rows if row.direction == "in" and row.state == "received"}
    unopened = (path for path in (home.spool / "in").glob("*/*.age") if path.stem not in came)
    if number := sum(_is_old(path, now) for path in unopened):
        are = "1 envelope has" if number == 1 else f"{number} envelopes have"
        yield f"{are} come, and cannot be opened or put aside: the service's log says why"
    if number := sum(at is not None and now - from_text(at) > STUCK for at in came.values()):
        are = "1 file has" if number == 1 else f"{number} files have"
        yield f"{are} come, and cannot be brought to inbound/: the service's log says why"


def _since(rows: Sequence[Row], states: Sequence[str], moment: datetime) -> int:
    """How many of our files are in one of these states, and were dropped before a moment."""
    dropped = [row.dropped_at for row in rows if row.direction == "out" and row.state in states]
    return sum(at is not None and from_text(at) < moment for at in dropped)


def _is_old(path: Path, now: datetime) -> bool:
    """By a time that nobody can set; not what is being finished at this moment."""
    try:
        return now.timestamp() - path.lstat().st_ctime > STUCK.total_seconds()
    except FileNotFoundError:
        return False
