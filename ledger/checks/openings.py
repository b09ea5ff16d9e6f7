"""What lies beside the tree and may be deleted, held against what is in it: openings and kept messages."""

import re
from collections.abc import Iterator
from hashlib import sha256

from config.errors import Refused
from ledger import entry as entries
from ledger.checks.findings import Findings, each
from ledger.database import Connection, translated

REDACTED = "ledger.redacted"
"""The event that says why an opening is not there any more: `detail` names `entry` (its number) and `fields`."""

_ENTRIES = "SELECT seq, entry FROM entries WHERE instr(entry, CAST('\"committed\":{' AS BLOB)) ORDER BY seq"
_OPENINGS = "SELECT seq, field, salt, value FROM openings ORDER BY seq, field"

# a unary plus keeps SQLite from choosing the index over partners, under each of which lie thousands of entries
FITTING = "SELECT min(seq), max(instr(entry, ?) > 0) FROM entries WHERE handover = ? AND +partner = ?"
"""The entries of one handover: the first, and whether one of them holds a digest."""

# in canonical order only fields that can hold no quote come before `committed`, so the first match is the field
_COMMITTED = re.compile(rb'"committed":\{([^}]*)\}').search
_PAIRS = re.compile(rb'"([a-z0-9_]+)":"([0-9a-f]{64})"').findall

_Opening = tuple[int, str, bytes, str]


def check_openings(connection: Connection, findings: Findings) -> None:
    """Every value that is there is the committed one; every one that is not there was redacted."""
    redacted = _redacted(connection)
    openings: Iterator[_Opening] = each(connection, _OPENINGS)
    opening = next(openings, None)
    for seq, data in each(connection, _ENTRIES):
        found = _COMMITTED(data)
        committed = {name.decode(): digest.decode() for name, digest in _PAIRS(found[1])} if found else {}
        while opening is not None and opening[0] < seq:
            _stray(opening, findings)
            opening = next(openings, None)
        while opening is not None and opening[0] == seq:
            _, field, salt, value = opening
            digest = committed.pop(field, None)
            if digest is None:
                _stray(opening, findings)
            elif entries.committed_bytes(field, salt, value.encode()) != digest:
                findings.add(seq, f"the value of its {field} is not the one that it commits to")
            opening = next(openings, None)
        for field in committed:
            # SPEC: FORMATS 5: verify fails on missing evidence
            if (seq, field) not in redacted:
                findings.add(seq, f"the value of its {field} is missing, and no redaction says why")
    while opening is not None:
        _stray(opening, findings)
        opening = next(openings, None)


def _stray(opening: _Opening, findings: Findings) -> None:
    findings.add(opening[0], f"a value is stored for its {opening[1]}, which it does not commit to")


def _redacted(connection: Connection) -> frozenset[tuple[int, str]]:
    """(entry, field) of every opening that was deleted on purpose."""
    gone: set[tuple[int, str]] = set()
    for seq, data in each(connection, "SELECT seq, entry FROM entries WHERE event = ?", REDACTED):
        try:
            detail = entries.parse(data).detail
        except Refused:
            continue  # check_lives names it
        number, fields = detail.get("entry"), detail.get("fields")
        if isinstance(number, int) and number < seq and isinstance(fields, list):
            gone |= {(number, str(field)) for field in fields}
    return frozenset(gone)


def check_documents(connection: Connection, findings: Findings) -> None:
    """Every message that was kept is one whose digest an entry of its handover holds."""
    for kind, partner, identifier, body in each(connection, "SELECT kind, partner, handover, body FROM documents"):
        digest = sha256(body).hexdigest().encode()
        with translated():
            first, fits = connection.execute(
                FITTING,
                (b'_sha256":"' + digest + b'"', identifier, partner),
            ).fetchone()
        if not fits:
            findings.add(first, f"the {kind} that is kept for its handover is not the one that was recorded")
