"""What could not be believed: kept under an id, never under a name that somebody else chose, until a person decides.

    quarantine/<partner>/<id>.age    what a file could have been, in the ledger as `quarantined`, with the reason

It is kept under the id that it came with, if that is free, else under a new one, and `about` in its entry says which it
came with. The same bytes again are kept once. What has no content to keep (a link, a pipe) or is larger than any
envelope goes, and is recorded; of many such files, one an hour for each reason, and the others lie where they are.

Each partner has its part of the quarantine (`limits.quarantine` and `limits.quarantine_files`). When that is used up,
nothing more is taken from the partner, so that nobody can fill the disk with what nobody can open:

    quarantine.full        recorded once; people are told
    quarantine.has-room    a person has released or withdrawn some of it, and it goes on
"""

import hashlib
import stat
from functools import partial
from pathlib import Path

from config.errors import NotNow
from exchange import files, orders, seldom
from exchange.parts import Parts
from ledger.canonical import Json
from ledger.entry import Draft
from ledger.handover import Handover
from ledger.identifier import is_id, new_id
from ledger.query import is_quarantine_full
from ledger.store import Transaction

OVERHEAD = 1024 * 1024
"""What header, manifest, signature and padding add to a payload at most, besides 16 bytes per 64 KiB."""

OVERTAKEN = "overtaken"
"""Why something has an id of its own that was kept under another one: the true message of that id has come since."""

ENDING = ".age"
"""Of every envelope's name; the rest of the name is the id of the message."""

_CAME_AS = (
    "SELECT handover FROM entries WHERE event = 'quarantined' AND +partner = ? "
    "AND json_extract(CAST(entry AS TEXT), '$.detail.about') = ?"
)


class QuarantineFull(NotNow):
    """A partner's part of the quarantine is used up: nothing is taken from it until a person has looked."""


def limit(parts: Parts) -> int:
    """How large an envelope may be: the largest payload, and what sealing adds to it."""
    largest = parts.home.settings.limits.max_bytes
    return largest + largest // 4096 + OVERHEAD


class Room:
    """Whether a partner's part of the quarantine has room; asked before each file that is taken."""

    def __init__(self, parts: Parts, partner: str) -> None:
        self._parts = parts
        self._partner = partner
        self._seen = -1

    def check(self) -> None:
        """Raise QuarantineFull, after recording it, if it has none."""
        folder = self._parts.home.quarantine / self._partner
        files = list(folder.iterdir()) if folder.is_dir() else []
        if len(files) == self._seen:
            return
        limits = self._parts.home.settings.limits
        size = sum(path.lstat().st_size for path in files)
        full = len(files) >= limits.quarantine_files or size >= limits.quarantine
        if full != is_quarantine_full(self._parts.ledger, self._partner):
            event = "quarantine.full" if full else "quarantine.has-room"
            draft = Draft(event=event, actor="daemon", partner=self._partner, bytes=size, detail={"files": len(files)})
            self._parts.ledger.write(lambda tx: tx.append(draft))
        if full:
            raise QuarantineFull(
                f"the quarantine of {self._partner} is full: {len(files)} files, {size} bytes",
                hint="nothing more is taken from it; see 'handover list --state quarantined', and release or withdraw",
            )
        self._seen = len(files)


def kept(parts: Parts, handover: Handover) -> Path:
    """Where a quarantined envelope lies."""
    return parts.home.quarantine / handover.partner / f"{handover.id}{ENDING}"


def is_gone(parts: Parts, handover: Handover) -> bool:
    """Whether nothing of a quarantined envelope is here: thrown away, or of a kind that is not kept."""
    path = kept(parts, handover)
    here = (path, path.with_suffix(""))
    # while it is opened once more it is in the spool, from where it can come back
    opened = parts.spool.taken_in(handover.partner, path.name)
    return not any(files.is_there(one) for one in (*here, opened, *here))


def heard(parts: Parts, partner: str, name: str) -> None:
    """After a message was acted upon that somebody has let out: as no handover goes on under its id, that ends.

    Does nothing where something else is kept under that id still, or nobody has let it out: then a person has to look.
    """

    def record(tx: Transaction) -> None:
        known = tx.handover(partner, "in", name)
        if known is None or known.state != "quarantined" or files.is_there(kept(parts, known)):
            return
        if not any(entry.event == "release.asked" for entry in tx.entries_of(known)):
            return
        asked = [order for order in orders.open_orders(tx) if (order.what, order.handover) == ("release", known)]
        draft = Draft(event="withdrawn", actor="daemon", handover=name, partner=partner, direction="in")
        said: dict[str, Json] = {"reason": "released", **({"order": asked[0].seq} if asked else {})}
        tx.append(draft.replace(detail=said))

    known = parts.ledger.handover(partner, "in", name)
    if known is not None and known.state == "quarantined":
        parts.ledger.write(record)


def quarantine(parts: Parts, partner: str, path: Path, name: str | None, reason: str) -> None:
    """Keep what could not be believed, and record that it came.

    It is moved first and recorded then, so that what cannot be moved is not recorded again in every round. An id that
    is one of our own handovers, or of one that was decided, is not believed either: it stands in `about` only.
    """
    known = parts.ledger.handover(partner, "in", name) if name is not None else None
    if name is not None and _is_kept(parts, partner, name, path):
        _finish(path)
        return
    kept_as = name if name is not None and _is_free(parts, partner, name, known) else None
    about = {"about": name} if name is not None and kept_as is None else {}
    handover = kept_as or new_id(parts.effects.clock(), parts.effects.random)
    draft = kept_draft(handover, partner, path.lstat().st_size, reason=reason, **about)
    if kept_as is not None and known is not None and known.state == "quarantined":
        # it was let out, and is back
        draft = draft.replace(event="envelope.quarantined")
    waits = not _is_worth_keeping(parts, path) and path.is_relative_to(parts.home.landing)
    if waits and seldom.lately(parts, draft.replace(handover=None), "reason"):
        return
    _put_aside(parts, partner, path, draft.handover or "")
    parts.spool.came_over.pop(path, None)
    parts.ledger.write(lambda tx: tx.append(draft))
    if name is not None:
        _finish(path)


def kept_draft(handover: str, partner: str, size: int, **detail: str) -> Draft:
    """What is recorded of something that is kept, or was, under the id `handover`."""
    return Draft(
        event="quarantined",
        actor="daemon",
        handover=handover,
        partner=partner,
        direction="in",
        bytes=size,
        detail=dict(detail),
    )


def _is_kept(parts: Parts, partner: str, name: str, path: Path) -> bool:
    """Whether the very same bytes, which came under that id, are in quarantine: who gets no answer sends them again and
    again."""
    if not path.is_file() or not _is_worth_keeping(parts, path):
        return False
    size = path.lstat().st_size
    folder = parts.home.quarantine / partner
    ids = [name, *(own for (own,) in parts.ledger.rows(_CAME_AS, partner, name))]
    others = [other for other in (folder / f"{one}{ENDING}" for one in dict.fromkeys(ids)) if other.is_file()]
    others = [other for other in others if other.lstat().st_size == size]
    if not others:
        return False
    mine = _digest(path)
    return any(_digest(other) == mine for other in others)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _is_free(parts: Parts, partner: str, name: str, known: Handover | None) -> bool:
    if parts.ledger.find_one_or_none("out", name) is not None:
        return False
    if known is not None and known.state == "quarantined":
        return not files.is_there(parts.home.quarantine / partner / f"{name}{ENDING}")
    return known is None or known.state in ("received", "withdrawn")


def _is_worth_keeping(parts: Parts, path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_size <= limit(parts))


def _put_aside(parts: Parts, partner: str, path: Path, kept_as: str) -> None:
    if not _is_worth_keeping(parts, path):
        files.remove(path)
    elif path.is_dir():
        files.make_directory(parts.home.quarantine / partner, 0o700)
        files.move(path, parts.home.quarantine / partner / kept_as)
    else:
        files.bring_aside(path, parts.home.quarantine / partner, f"{kept_as}{ENDING}", limit(parts))


def _finish(path: Path) -> None:
    """What the spool held of it goes; so does a second copy of what is kept."""
    for ending in (".payload", ".delivery"):
        path.with_suffix(ending).unlink(missing_ok=True)
    files.remove(path)


def note_unrecorded(parts: Parts) -> None:
    """After a crash between the two: record what lies in quarantine and is in no entry."""
    for folder in sorted(parts.home.quarantine.iterdir()):
        for path in sorted(folder.glob(f"*{ENDING}")) if folder.is_dir() else ():
            name = path.name.removesuffix(ENDING)
            if not is_id(name) or parts.ledger.rows("SELECT 1 FROM entries WHERE handover = ?", name):
                continue
            draft = kept_draft(name, folder.name, path.lstat().st_size, reason="interrupted")
            parts.ledger.write(partial(Transaction.append, draft=draft))
