"""What monitoring reads: the state of a home as gauges in the text format of Prometheus.

    handover metrics -o FILE       for the textfile collector of node_exporter; the file is exchanged in one step
    [metrics] listen = …           the running service answers GET /metrics, on this machine only

Only counts, times, ids of organisations, purposes and fingerprints: never a file's name, a reference or the id of a
handover. With a ledger that cannot be used, what is known without it, and `handover_ledger_usable 0`.

Format: Prometheus text exposition format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/).
"""

import base64
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from config.errors import HandoverError
from config.home import Home
from config.times import from_text, system_clock
from exchange import __version__, key_expiry, machine, troubles
from exchange.drop import scan
from exchange.partner_trust import agreements_with
from exchange.questions import deadlines
from exchange.service import pid_file
from exchange.status import status
from keys.keyring import Keyring
from keys.openssh import PublicKey
from keys.rotation import of_ledger
from keys.trust import Trust
from ledger.gaps import sequence_gaps
from ledger.handover import FINAL, TRANSITIONS
from ledger.query import Filter, is_quarantine_full, outage, query
from ledger.store import Ledger

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SINCE = "SELECT partner, direction, state, min(coalesce(dropped_at, received_at)) FROM handovers GROUP BY 1, 2, 3"
_LAST = (
    (
        "acknowledged",
        "When a receipt came last.",
        "SELECT partner, max(acknowledged_at) FROM handovers WHERE direction = 'out' GROUP BY partner ORDER BY partner",
    ),
    (
        "delivered",
        "When a file was delivered here last.",
        "SELECT partner, max(delivered_at) FROM handovers WHERE direction = 'in' GROUP BY partner ORDER BY partner",
    ),
)

Sample = tuple[Sequence[str], float]


@dataclass(slots=True)
class _Page(Collector):
    """Families in the order in which they were added."""

    families: list[GaugeMetricFamily] = field(default_factory=list)

    def add(self, name: str, meaning: str, labels: Sequence[str], samples: Iterable[Sample]) -> None:
        family = GaugeMetricFamily(f"handover_{name}", meaning, labels=labels)
        for values, number in samples:
            family.add_metric(values, number)
        self.families.append(family)

    def one(self, name: str, meaning: str, number: float) -> None:
        self.add(name, meaning, (), [((), number)])

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """See Collector."""
        return iter(self.families)


def page(
    home: Home,
    keyring: Keyring,
    ledger: Callable[[], Ledger],
    trust: Callable[[], Trust],
    now: Callable[[], datetime] = system_clock,
) -> tuple[bytes, HandoverError | None]:
    """The text, and what was wrong with a ledger, or cards, that cannot be used."""
    made, more, failure = _Page(), _Page(), None
    _of_the_home(made, home)
    try:
        _of_the_ledger_and_partners(more, home, keyring, ledger(), trust(), now())
        made.families += more.families
    except HandoverError as problem:
        failure = problem
    made.one(
        "ledger_usable", "Whether the ledger and the cards can be read (0: most of this page is missing).", not failure
    )
    return generate_latest(made), failure


def _of_the_ledger_and_partners(
    made: _Page, home: Home, keyring: Keyring, ledger: Ledger, trust: Trust, now: datetime
) -> None:
    _of_partners(made, home, ledger, trust, now)
    _of_the_ledger(made, home, ledger, trust, now)
    _of_keys(made, home, keyring, ledger, trust, now)
    found = status(home, ledger, keyring, trust).problems
    made.one("problems", "How many sentences 'handover status' says that need a person.", len(found))


def _of_the_home(made: _Page, home: Home) -> None:
    """What can be told without the ledger."""
    labels = (home.settings.organisation.id, __version__)
    made.add("build_info", "Always 1: whose home this is, and the version.", ("organisation", "version"), [(labels, 1)])
    running = pid_file.is_held(home.pid_file)
    made.one("service_running", "Whether 'handover run' works on this home.", running)
    with suppress(OSError):
        waiting = sum(1 for _ in scan(home.outbound)) if home.outbound.is_dir() else 0
        made.one("outbound_files", "Files that lie in the outbound folders and were not taken yet.", waiting)
    places = {name: getattr(home, name) for name in machine.WORK} | {"ledger": home.ledger.parent}
    disks = {name: os.statvfs(place) for name, place in sorted(places.items()) if place.is_dir()}
    free = [((name,), disk.f_bavail * disk.f_frsize) for name, disk in disks.items()]
    size = [((name,), disk.f_blocks * disk.f_frsize) for name, disk in disks.items()]
    made.add("disk_free_bytes", "Room on the disk that holds a folder of the home.", ("folder",), free)
    made.add("disk_size_bytes", "Size of that disk.", ("folder",), size)


def _of_partners(made: _Page, home: Home, ledger: Ledger, trust: Trust, now: datetime) -> None:
    partners = sorted(agreements_with(home, trust))
    both = [(partner, direction) for partner in partners for direction in ("in", "out")]

    def each(name: str, meaning: str, number: Callable[[str], float]) -> None:
        made.add(name, meaning, ("partner",), [((partner,), number(partner)) for partner in partners])

    counted: dict[tuple[str, str, str], int] = {
        (partner, direction, state): 0
        for partner, direction in both
        for state in sorted({new for (known, _, _), new in TRANSITIONS.items() if known == direction})
    }
    rows = ledger.rows("SELECT partner, direction, state, count(*) FROM handovers GROUP BY partner, direction, state")
    oldest = _oldest(ledger)
    counted |= {(partner, direction, state): number for partner, direction, state, number in rows}
    made.add(
        "handovers",
        "Handovers, seen from here: out is what we sent.",
        ("partner", "direction", "state"),
        sorted(counted.items()),
    )
    made.add(
        "oldest_unfinished_age_seconds",
        "How long the oldest handover waits with which something is left to do (0: there is none).",
        ("partner", "direction"),
        [(which, _age(oldest.get(which), now)) for which in both],
    )
    late = query(ledger, Filter(state="overdue"), now=now, deadlines=deadlines(home, trust))
    owed = ledger.handovers(direction="in", receipt="due")
    # also of a partner whose card or agreement has gone
    of_all = {**dict.fromkeys(partners, 0), **Counter(h.partner for h in late)}
    counts_late = [((partner,), number) for partner, number in sorted(of_all.items())]
    made.add("overdue", "Handovers without a receipt after their deadline.", ("partner",), counts_late)
    each("receipts_owed", "Receipts that have not gone yet.", lambda p: sum(h.partner == p for h in owed))
    each("missing_numbers", "Numbers of handovers that never came.", lambda p: len(sequence_gaps(ledger, p)))
    each("partner_outage", "Whether the partner cannot be reached.", lambda p: outage(ledger, p) is not None)
    each("quarantine_full", "Whether nothing is taken any more.", lambda p: is_quarantine_full(ledger, p))
    kept = {partner: sizes for partner in partners if (sizes := _kept(home, partner)) is not None}
    counts, sizes_of = ([((p,), of(kept[p])) for p in kept] for of in (len, sum))
    made.add("quarantine_files", "Files from the partner in quarantine.", ("partner",), counts)
    made.add("quarantine_bytes", "Their size.", ("partner",), sizes_of)
    for name, meaning, sql in _LAST:
        last = [((str(p),), from_text(at).timestamp()) for p, at in ledger.rows(sql) if at is not None]
        made.add(f"last_{name}_timestamp_seconds", meaning, ("partner",), last)


def _oldest(ledger: Ledger) -> dict[tuple[str, str], str]:
    """(partner, direction) -> since when its oldest handover waits with which something is left to do."""
    found: dict[tuple[str, str], str] = {}
    for partner, direction, state, since in ledger.rows(_SINCE):
        if since is not None and state not in FINAL["out" if direction == "out" else "in"]:
            found[partner, direction] = min(since, found.get((partner, direction), since))
    return found


def _age(since: str | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - from_text(since)).total_seconds())


def _kept(home: Home, partner: str) -> list[int] | None:
    """Sizes; None where that cannot be told now, and is not said to be nothing."""
    folder = home.quarantine / partner
    try:
        return _sizes(folder.iterdir()) if folder.is_dir() else []
    except OSError:
        return None


def _sizes(paths: Iterable[Path]) -> list[int]:
    """Of those that are there: the service may take one away at any moment."""
    found = []
    for path in paths:
        with suppress(FileNotFoundError):
            found.append(path.lstat().st_size)
    return found


def _of_the_ledger(made: _Page, home: Home, ledger: Ledger, trust: Trust, now: datetime) -> None:
    size = ledger.size
    files = [home.ledger, home.ledger.with_name(f"{home.ledger.name}-wal")]
    made.one("ledger_entries", "Entries of the ledger.", size)
    made.one("ledger_bytes", "Size of its file.", sum(_sizes(files)))
    signed = [((), from_text(ledger.entry(size - 1).at).timestamp())] if size else []
    meaning = "When its newest checkpoint was signed: the time of the entry with which that ends."
    made.add("ledger_checkpoint_timestamp_seconds", meaning, (), signed)
    cosigned, witnessed = _cosigned(ledger), {p: ledger.witnessed(p) for p in trust.partners}
    seen = {p: (one.size, _latest(one.cosigned.splitlines())) for p, one in witnessed.items() if one is not None}
    for name, whose, known in (
        ("cosigned", "our newest checkpoint that the partner has cosigned", cosigned),
        ("witnessed", "the partner's newest checkpoint that we have cosigned", seen),
    ):
        sizes = [((partner,), float(number)) for partner, (number, _) in known.items()]
        times = [((partner,), float(at)) for partner, (_, at) in known.items()]
        made.add(f"{name}_entries", f"Size of {whose}.", ("partner",), sizes)
        made.add(f"{name}_timestamp_seconds", f"When that happened, for {whose}.", ("partner",), times)
    lasting: Mapping[str, bool] = {
        "clock": troubles.is_behind(ledger, now),
        "disk": bool(machine.full_disks(home)),
        "folders": bool(machine.on_other_disks(home)) or troubles.is_open(ledger, "folders"),
        "marker": not home.marker.is_file(),
        "watch": troubles.is_open(ledger, "watch"),
    }
    meaning = "Whether this machine keeps the service from its work."
    made.add("trouble", meaning, ("kind",), [((kind,), lasts) for kind, lasts in lasting.items()])


def _cosigned(ledger: Ledger) -> dict[str, tuple[int, int]]:
    """Partner -> size of our newest checkpoint that it cosigned, and when, as its signature says."""
    sql = (
        "SELECT partner, size, line FROM cosignatures c "
        "WHERE size = (SELECT max(size) FROM cosignatures WHERE partner = c.partner) ORDER BY partner"
    )
    lines: dict[str, tuple[int, list[str]]] = {}
    for partner, size, line in ledger.rows(sql):
        lines.setdefault(str(partner), (int(size), []))[1].append(line)
    return {partner: (size, _latest(found)) for partner, (size, found) in lines.items()}


def _latest(lines: Iterable[str]) -> int:
    """The latest time in signature lines that were checked when they were kept."""
    # SPEC: C2SP tlog-cosignature format: after the key id (4 bytes), the time as 8 bytes big-endian
    return max(int.from_bytes(base64.b64decode(line.rsplit(" ", 1)[1])[4:12]) for line in lines)


def _of_keys(made: _Page, home: Home, keyring: Keyring, ledger: Ledger, trust: Trust, now: datetime) -> None:
    ends = key_expiry.all_endings(keyring, of_ledger(ledger), trust, home.settings.keys.renew)
    made.add(
        "key_expiry_seconds",
        "Until a key in use ends or is to be replaced; below zero afterwards.",
        ("owner", "purpose", "fingerprint"),
        [
            (
                (
                    one.partner or home.settings.organisation.id,
                    one.purpose,
                    one.key if one.partner is None else _fingerprint(one.key),
                ),
                (one.ends - now).total_seconds(),
            )
            for one in ends
        ],
    )


def _fingerprint(line: str) -> str:
    return PublicKey.parse(line).fingerprint
