"""What became of our own copy of each file, as the entries say: where it was kept, and how it was destroyed.

    original.kept         an acknowledged original lies in sent/: `detail` says until when and by which rule
    delivered             a received file lies in inbound/
    destruction.begun     the intention: nothing has been touched yet; `at_once`, where it never was in sent/
    destruction.stopped   a hold came before the file was gone; it lies in its folder again
    destruction.failed    the file was not there, or was not the one: a person has to look
    destroyed             the certificate

Where a file lies (below sent/ or inbound/) is the opening `place`, each part of the path percent-encoded. Every outcome
names its intention: `detail.begun`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from ledger.canonical import Json
from ledger.handover import Handover
from ledger.view import View

KEPT, BEGUN, STOPPED, FAILED, DESTROYED = (
    "original.kept",
    "destruction.begun",
    "destruction.stopped",
    "destruction.failed",
    "destroyed",
)

Key = tuple[str, str, str]
"""(partner, direction, id)"""

_COLUMNS = "SELECT seq, at, event, partner, direction, handover, json_extract(CAST(entry AS TEXT), '$.detail')"
_EVENTS = f"('{KEPT}', '{BEGUN}', '{STOPPED}', '{FAILED}', '{DESTROYED}')"
_ALL = f"{_COLUMNS} FROM entries WHERE event IN {_EVENTS} ORDER BY seq"
# a unary plus keeps SQLite from choosing the index over events, which holds those of all handovers
_ONE = (
    f"{_COLUMNS} FROM entries WHERE handover = ? AND +partner = ? AND direction = ? AND +event IN {_EVENTS} "
    "ORDER BY seq"
)
_OPEN = (
    "SELECT a.partner, a.direction, a.handover FROM entries a WHERE a.event = 'destruction.begun' AND NOT EXISTS "
    "(SELECT 1 FROM entries b WHERE b.handover = a.handover AND b.seq > a.seq "
    "AND json_extract(CAST(b.entry AS TEXT), '$.detail.begun') = a.seq) ORDER BY a.seq"
)
_DELIVERED = (
    "SELECT seq FROM entries WHERE handover = ? AND +partner = ? AND direction = 'in' AND +event = 'delivered' "
    "ORDER BY seq DESC LIMIT 1"
)
_DIGEST = (
    "SELECT o.value FROM entries e JOIN openings o ON o.seq = e.seq AND o.field = 'payload_sha256' "
    "WHERE e.handover = ? AND +e.partner = ? AND e.direction = ? AND +e.event = ? ORDER BY e.seq DESC LIMIT 1"
)
# by the index over states: what is left of many; of those of one size, the ones whose digest is this or not known
_SAME_CONTENT = (
    "SELECT h.partner, h.id FROM handovers h WHERE h.state IN ('acknowledged', 'delivered') AND h.direction = ?1 "
    "AND (h.bytes IS NULL OR ?2 IS NULL OR h.bytes = ?2) AND ("
    "SELECT coalesce(max(o.value = ?3), 1) FROM openings o WHERE o.field = 'payload_sha256' AND o.seq IN ("
    "SELECT e.seq FROM entries e WHERE e.handover = h.id AND +e.partner = h.partner AND e.direction = h.direction))"
)


@dataclass(frozen=True, slots=True)
class Event:
    """One of the entries above."""

    seq: int
    at: str
    event: str
    detail: Mapping[str, Json]


@dataclass(slots=True)
class Copy:
    """What the entries say about one handover's file."""

    kept: Event | None = None
    """When it was put into sent/, and by which rule."""
    placed: int | None = None
    """The entry whose opening says where it lies."""
    meant: bool = False
    """It only was to lie there: it was to be destroyed at once, and never came to sent/."""
    begun: Event | None = None
    """An intention that has no outcome yet."""
    failure: Event | None = None
    """The newest attempt, if that failed."""
    certificate: Event | None = None
    events: list[Event] = field(default_factory=list)

    def follow(self, event: Event) -> None:
        """Take in the next entry."""
        self.events.append(event)
        if event.event == KEPT:
            self.kept, self.placed, self.meant = event, event.seq, False
        elif event.event == BEGUN:
            self.begun = event
            if event.detail.get("at_once"):
                self.placed, self.meant = event.seq, True
        elif event.event == DESTROYED:
            self.begun, self.failure, self.certificate = None, None, event
        else:
            self.begun = None
            self.failure = event if event.event == FAILED else None
            if event.detail.get("moved"):
                self.placed, self.meant = event.seq, False


def copies(view: View) -> dict[Key, Copy]:
    """Every handover of whose file something was recorded."""
    return _followed(view.rows(_ALL))


def copy_of(view: View, handover: Handover) -> Copy:
    """The same for one handover."""
    key = (handover.partner, handover.direction, handover.id)
    copy = _followed(view.rows(_ONE, handover.id, handover.partner, handover.direction)).get(key, Copy())
    if handover.direction == "in" and copy.placed is None:
        for (seq,) in view.rows(_DELIVERED, handover.id, handover.partner):
            copy.placed = seq
    return copy


def under_way(view: View) -> Iterator[Handover]:
    """Handovers of which a destruction was begun and has no outcome yet, oldest intention first."""
    for partner, direction, identifier in view.rows(_OPEN):
        handover = view.handover(partner, direction, identifier)
        if handover is not None:
            yield handover


def place_of(view: View, copy: Copy) -> tuple[str, ...] | None:
    """The parts of the path at which a copy lies; None if that was never recorded, or has been redacted."""
    place = None if copy.placed is None else view.openings(copy.placed).get("place")
    return None if place is None else tuple(map(_decoded, str(place).split("/")))


def place_text(parts: tuple[str, ...]) -> str:
    """The same as it is committed to: `place_of` gives the parts back, whatever bytes a name is made of."""
    return "/".join(quote_from_bytes(part.encode("utf-8", "surrogateescape"), safe=" ") for part in parts)


def _decoded(part: str) -> str:
    return unquote_to_bytes(part).decode("utf-8", "surrogateescape")


def digest_of(view: View, handover: Handover) -> str | None:
    """SHA-256 of the file that was handed over; None where that was not recorded, or has been redacted."""
    event = "sealed" if handover.direction == "out" else "received"
    for (value,) in view.rows(_DIGEST, handover.id, handover.partner, handover.direction, event):
        return str(json.loads(value))
    return None


def twins(view: View, handover: Handover, place: tuple[str, ...]) -> Iterator[tuple[Handover, int]]:
    """Other handovers with a copy of the same content that was put into this very `place`, each with the entry that
    says so; not those whose copy is destroyed.

    What cannot be read any more (a redacted place or digest) is taken for the same.
    """
    digest = digest_of(view, handover)
    value = None if digest is None else json.dumps(digest)
    for partner, identifier in view.rows(_SAME_CONTENT, handover.direction, handover.bytes, value):
        other = view.handover(partner, handover.direction, identifier)
        if other is None or (partner, identifier) == (handover.partner, handover.id):
            continue
        if digest is not None and digest_of(view, other) not in (None, digest):
            continue
        copy = copy_of(view, other)
        if copy.placed is not None and not copy.meant and place_of(view, copy) in (None, place):
            yield other, copy.placed


def _followed(rows: list[tuple[Any, ...]]) -> dict[Key, Copy]:
    found: dict[Key, Copy] = {}
    for seq, at, event, partner, direction, identifier, detail in rows:
        key = (partner, direction, identifier)
        found.setdefault(key, Copy()).follow(Event(seq, at, event, json.loads(detail or "{}")))
    return found
