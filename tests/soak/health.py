"""What must hold of the daemons themselves: bounded ledgers, bounded memory, and logs that name nothing."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from config.times import from_text
from ledger.entry import Entry
from tests.soak.service import Sample

OUTAGE = ("partner.unreachable", "partner.reachable")
HOUR = timedelta(hours=1)

ENTRIES = 8
"""Of a handover on either side, without the two of each time that it was sent or answered again."""

MEMORY = 400 * 1024 * 1024
FILES = 100
THREADS = 40
GROWTH = 0.25
"""How much more memory a daemon may hold in the last quarter of its life than in the second.

One that soon ended may have had more and more to do until then, so it may also hold what the longest life did early on.
"""
LONG = 120.0
"""Seconds that a daemon must have lived for growth to be judged."""

NAMES = re.compile(rb"\d\d \d{3} \d{3}|\.pdf|\.json|\.docx|\.exe|Birmingham|127\.0\.0\.1|Traceback|/homes/")
"""Must not be in any log."""


def bounded(of: str, entries: list[Entry]) -> Iterator[str]:
    """Where something is recorded again and again."""
    outages = [entry.event for entry in entries if entry.event in OUTAGE]
    if outages != (list(OUTAGE) * len(outages))[: len(outages)]:
        yield f"{of}: an outage begins or ends twice"
    if len(outages) % 2:
        yield f"{of}: an outage does not end"
    yield from _changing(of, entries)
    again = Counter(entry.handover for entry in entries if _again(entry))
    for handover, count in Counter(entry.handover for entry in entries if entry.handover).items():
        if count - again[handover] > ENTRIES:
            yield f"{of}: {count} entries about {handover}"


def _changing(of: str, entries: list[Entry]) -> Iterator[str]:
    """Where more is said of an outage than each other cause once an hour."""
    lasts: dict[str | None, bool] = {}
    told: dict[tuple[str | None, object], datetime] = {}
    for entry in entries:
        if entry.event in OUTAGE:
            lasts[entry.partner] = entry.event == OUTAGE[0]
        elif entry.event == "partner.still-unreachable":
            which, at = (entry.partner, entry.detail["cause"]), from_text(entry.at)
            if not lasts.get(entry.partner):
                yield f"{of}: an outage that there is not goes on"
            # either way: a clock that went fast has been put right since
            if which[1] != "HostKeyChanged" and abs(at - told.get(which, at - HOUR)) < HOUR:
                yield f"{of}: {which[1]} is recorded again within an hour"
            told[which] = at


def _again(entry: Entry) -> bool:
    return entry.event in ("sent", "repeated", "receipted") or "order" in entry.detail or entry.event.endswith(".asked")


def unfit_logs(logs: dict[str, Path]) -> Iterator[str]:
    """Lines that no log may hold."""
    for of, log in logs.items():
        for line in log.read_bytes().splitlines():
            if NAMES.search(line) or b"round.broken" in line or b"thread.broken" in line:
                yield f"{of}: its log says {line!r}"


def growth(of: str, samples: list[Sample]) -> Iterator[str]:
    """Where a daemon holds more than it may, or more and more."""
    for what, most in (("memory", MEMORY), ("files", FILES), ("threads", THREADS)):
        if (reached := max((getattr(one, what) for one in samples), default=0)) > most:
            yield f"{of}: {what} reached {reached}"
    lives = defaultdict(list)
    for sample in samples:
        lives[sample.life].append(sample)
    judged = [life for life in lives.values() if _length(life) >= LONG]
    usual = _middle(_quarter(max(judged, key=_length), 1)) if judged else 0
    for life in judged:
        early, late = max(_middle(_quarter(life, 1)), usual), _middle(_quarter(life, 3))
        if late > early * (1 + GROWTH):
            yield f"{of}: memory grew from {early} to {late} within {_length(life):.0f} seconds"
        early, late = (max(one.files for one in part) for part in (life[: len(life) // 2], _quarter(life, 3)))
        if late > early + 10:
            yield f"{of}: open files grew from {early} to {late}"


def _length(life: list[Sample]) -> float:
    return life[-1].at - life[0].at


def _quarter(life: list[Sample], number: int) -> list[Sample]:
    """One of four: 0 is the first."""
    quarter = len(life) // 4
    return life[-quarter:] if number == 3 else life[number * quarter : (number + 1) * quarter]


def _middle(samples: list[Sample]) -> int:
    return sorted(sample.memory for sample in samples)[len(samples) // 2]
