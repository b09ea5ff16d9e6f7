"""Every entry read strictly, and every handover's life replayed.

The entries are read handover by handover, so only one life is in memory at a time, and compared with the cache of
handovers, which is read in the same order.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from config.errors import Refused
from ledger import entry as entries
from ledger.checks import fast
from ledger.checks.findings import Findings, each
from ledger.database import Connection
from ledger.handover import advance, is_life
from ledger.schema import CACHED

_LIVES = "SELECT seq, entry, handover FROM entries WHERE handover IS NOT NULL ORDER BY handover, seq"
_OTHERS = "SELECT seq, entry, NULL FROM entries WHERE handover IS NULL ORDER BY seq"
_CACHE = " ".join(("SELECT", ", ".join(CACHED), "FROM handovers ORDER BY id, partner, direction"))

_Row = tuple[object, ...]


def check_lives(connection: Connection, findings: Findings) -> None:
    """Read every entry; compare the cache of handovers with what the entries say."""
    cache: Iterator[_Row] = each(connection, _CACHE)
    cached = next(cache, None)
    for identifier, rows in groupby(each(connection, _LIVES), key=lambda row: row[2]):
        lives: dict[tuple[str, str], dict[str, Any]] = {}
        for seq, data, _ in rows:
            record = _read(seq, data, findings)
            if record is not None and is_life(record):
                facts = lives.setdefault((record["partner"], record["direction"]), {})
                try:
                    advance(facts, record)
                except Refused as problem:
                    findings.add(seq, problem.message)
        while cached is not None and str(cached[0]) < identifier:
            _no_entries(cached, findings)
            cached = next(cache, None)
        for _, facts in sorted(lives.items()):
            if not facts:
                continue
            row = tuple(map(facts.get, CACHED))
            if cached is not None and cached[:3] == row[:3]:
                _compare(row, cached, findings)
                cached = next(cache, None)
            else:
                findings.add(facts["first_seq"], "the table of handovers lacks its handover")
    while cached is not None:
        _no_entries(cached, findings)
        cached = next(cache, None)
    for seq, data, _ in each(connection, _OTHERS):
        _read(seq, data, findings)


def _read(seq: int, data: bytes, findings: Findings) -> dict[str, Any] | None:
    record: dict[str, Any] | None = fast.read(data)
    if record is None:
        try:
            record = dict(entries.parse(data).to_json())
        except Refused as problem:
            findings.add(seq, problem.message)
            return None
    if record["seq"] != seq:
        findings.add(seq, f"its bytes say that it is entry {record['seq']}")
        return None
    return record


def _compare(row: _Row, cached: _Row, findings: Findings) -> None:
    wrong = [name for name, is_, should in zip(CACHED, cached, row, strict=True) if is_ != should]
    if wrong:
        # where one side knows a later entry than the other, that entry is the one in question
        last = CACHED.index("last_seq")
        seqs = [row_[last] for row_ in (row, cached)]
        what = f"the table of handovers says something else than the entries ({', '.join(wrong)})"
        findings.add(max(seq for seq in seqs if isinstance(seq, int)), what)


def _no_entries(cached: _Row, findings: Findings) -> None:
    first = cached[CACHED.index("first_seq")]
    findings.add(first if isinstance(first, int) else None, "the table of handovers holds one without any entries")
