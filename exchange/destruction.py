"""Destroys our copy of one file, and certifies it: exactly the bytes that were handed over, or nothing.

    destruction.begun     the intention is recorded, unless a hold forbids it; nothing has been touched
    spool/destroy/<entry>/payload    the file, out of everybody's reach, once it was seen to be the one (locate.py)
    spool/destroy/<entry>/receipt    the readable receipt that lay beside it: its name is the file's
    spool/destroy/<entry>/verified   what is about to go: from here on, a payload that is missing was destroyed by us
    unlink, and destroyed            in one transaction of the ledger that looks for holds first

Whoever places a hold writes to the same ledger, one at a time: either the hold is there before the unlink, and the file
goes back to its folder, or the person is told that the file is destroyed. A crash anywhere is finished by `go_on`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exchange import archive, files, locate, whose
from exchange.archive import MAX_RECEIPT, RECEIPT
from exchange.parts import Parts
from ledger.canonical import Json
from ledger.copies import BEGUN, DESTROYED, FAILED, STOPPED, copy_of, digest_of, place_of, place_text, under_way
from ledger.entry import Draft
from ledger.handover import Handover
from ledger.holds import open_holds
from ledger.store import Transaction
from ledger.view import View

HELD_BACK = {"out": "acknowledged", "in": "delivered"}
"""The one state out of which a copy can be destroyed."""


@dataclass(frozen=True, slots=True)
class Grounds:
    """Why a copy is destroyed: `detail` names the rule or the order, `private` who ordered it and why."""

    detail: Mapping[str, Json]
    private: Mapping[str, Json] = field(default_factory=dict)


def destroy(parts: Parts, handover: Handover, grounds: Grounds, place: tuple[str, ...] | None = None) -> bool:
    """Destroy one copy; whether that came to an end of any kind. A hold, or another state, forbids it: False.

    `place` is where it would be put back, if it is still in the spool.
    """
    with parts.spool.destroying:
        if not _begin(parts, handover, grounds, place):
            return False
        _finish(parts, handover)
        return True


def go_on(parts: Parts, handover: Handover) -> None:
    """Finish a destruction that was begun, if there is one."""
    with parts.spool.destroying:
        _finish(parts, handover)


def state_elsewhere(parts: Parts, handover: Handover, grounds: Grounds) -> bool:
    """Record that a person destroyed a copy that is not in its place; False where a hold or its state forbids it."""

    def record(tx: Transaction) -> bool:
        if not _may(tx, parts, handover):
            return False
        detail = {**grounds.detail, "method": "stated", "removed": []}
        tx.append(_draft(DESTROYED, handover, detail, grounds.private).replace(actor="operator"))
        return True

    with parts.spool.destroying:
        return parts.ledger.write(record)


def is_unlinked(parts: Parts, view: View, handover: Handover) -> bool:
    """Whether the file is destroyed although no entry says so yet: the commit after the unlink failed, or a crash came.

    Nothing can bring it back; the certificate follows.
    """
    begun = copy_of(view, handover).begun
    if begun is None:
        return False
    folder = parts.spool.destruction(begun.seq)
    verified = folder / "verified"
    # a file is moved in before that is written, and put back only after that was removed
    return verified.exists() and not files.is_there(folder / "payload") and verified.exists()


def _may(tx: Transaction, parts: Parts, handover: Handover) -> bool:
    """Whether nothing forbids it at this moment: inside a transaction nobody can place a hold."""
    now = tx.handover(handover.partner, handover.direction, handover.id)
    if now is None or now.state != HELD_BACK[handover.direction] or copy_of(tx, now).begun is not None:
        return False
    return not open_holds(tx, parts.register.with_predecessors).over(now)


def _begin(parts: Parts, handover: Handover, grounds: Grounds, place: tuple[str, ...] | None) -> bool:
    def record(tx: Transaction) -> bool:
        if not _may(tx, parts, handover):
            return False
        private = dict(grounds.private)
        if place is not None:
            private["place"] = place_text(place)
        tx.append(_draft(BEGUN, handover, grounds.detail, private))
        return True

    return parts.ledger.write(record)


def _finish(parts: Parts, handover: Handover) -> None:
    begun = copy_of(parts.ledger, handover).begun
    if begun is not None:
        _Work(parts, handover, begun.seq, begun.detail).finish()


def clear_finished(parts: Parts) -> None:
    """Remove what a crash, or a failure of the disk, left of destructions that have their outcome."""
    with parts.spool.destroying:
        open_ones = {begun.seq for one in under_way(parts.ledger) if (begun := copy_of(parts.ledger, one).begun)}
        for folder in parts.spool.destructions():
            if int(folder.name) not in open_ones:
                files.remove_tree(folder)


class _Work:
    """One destruction under way; every step can be repeated after a crash."""

    def __init__(self, parts: Parts, handover: Handover, begun: int, grounds: Mapping[str, Json]) -> None:
        self._parts = parts
        self._handover = handover
        self._begun = begun
        self._grounds = grounds
        self._folder = parts.spool.destruction(begun)
        self._payload = self._folder / "payload"
        self._receipt = self._folder / "receipt"
        self._verified = self._folder / "verified"
        self._note = self._folder / "place"
        self._root = parts.home.sent if handover.direction == "out" else parts.home.inbound
        self._at_once = grounds.get("at_once") is True
        self._claimed = parts.spool.payload(handover.id)
        self._openings = parts.ledger.openings(begun)

    def finish(self) -> None:
        """From wherever it was left."""
        if self._note.exists():
            self._put_back(str(files.read_note(self._note).get("reason")))
            return
        if not self._verified.exists():
            problem = self._take()
            if problem is not None:
                self._give_up(problem)
                return
        if self._at_once:
            # the envelope and the claim; after the receipt nobody needs them
            self._parts.spool.clear(self._handover.id)
        if self._parts.ledger.write(self._unlink_and_certify):
            files.remove_tree(self._folder)
        else:
            self._put_back("hold")

    def _take(self) -> str | None:
        """Get the file out of everybody's reach, if it is the one; else why not."""
        digest = digest_of(self._parts.ledger, self._handover)
        place = self._place()
        if digest is None:
            return "not-verifiable"
        files.make_directory(self._folder, 0o700)
        removed = ["payload"]
        try:
            if not files.is_there(self._payload):
                if self._at_once and files.is_there(self._claimed):
                    files.move(self._claimed, self._payload)
                elif place is None:
                    return "not-found"
                else:
                    self._take_from(place, digest)
            locate.require_at(self._payload, digest)
        except (locate.NotThere, locate.NotTheOne) as problem:
            return problem.reason
        if place is not None and self._handover.direction == "out":
            self._take_receipt(place)
        if self._receipt.exists():
            removed.append("receipt")
        if self._at_once:
            removed += ["envelope", "claim"]
        links = self._payload.lstat().st_nlink - 1
        files.write_new(self._verified, json.dumps({"removed": removed, "links": links}).encode())
        return None

    def _take_from(self, place: tuple[str, ...], digest: str) -> None:
        with locate.found(self._root, place) as one:
            seen = locate.require(one.file, digest)
            whose.require_ours(self._parts, self._handover, self._root, place)
            locate.take(one, self._payload, seen)

    def _take_receipt(self, place: tuple[str, ...]) -> None:
        """The note beside it goes too, if it is ours: it names this handover."""
        try:
            with locate.found(self._root, whose.receipt_place(place)) as one:
                seen = one.status
                if seen.st_size <= MAX_RECEIPT and archive.names(one.file.read(MAX_RECEIPT), self._handover.id):
                    locate.take(one, self._receipt, seen)
        except (locate.NotThere, locate.NotTheOne):
            pass

    def _place(self) -> tuple[str, ...] | None:
        return place_of(self._parts.ledger, copy_of(self._parts.ledger, self._handover))

    def _unlink_and_certify(self, tx: Transaction) -> bool:
        """Inside one transaction: nobody can place a hold between the look and the unlink."""
        if files.is_there(self._payload) and self._is_held(tx):
            return False
        for path in (self._payload, self._receipt):
            files.remove(path)
        gone = json.loads(self._verified.read_bytes())
        detail: dict[str, Json] = {**self._grounds, "begun": self._begun, "method": "unlinked", **gone}
        if "asked" in detail:
            detail["order"] = detail.pop("asked")
        private = {name: value for name, value in self._openings.items() if name in ("by", "reason")}
        digest = digest_of(tx, self._handover)
        if digest is not None:
            private["payload_sha256"] = digest
        tx.append(_draft(DESTROYED, self._handover, detail, private))
        return True

    def _is_held(self, tx: Transaction) -> bool:
        """A hold on an earlier handover counts too, if what was taken may be its file: no receipt says otherwise."""
        holds = open_holds(tx, self._parts.register.with_predecessors)
        if holds.over(self._handover):
            return True
        return not self._receipt.exists() and whose.may_be_held_for_another(tx, self._handover, holds)

    def _give_up(self, reason: str) -> None:
        if files.is_there(self._payload):
            self._put_back(reason)
            return
        self._record(reason, None)
        files.remove_tree(self._folder)

    def _put_back(self, reason: str) -> None:
        """Back to where it lay, or was to lie, with its receipt; the same after a crash as without one."""
        # first this: a payload that is missing then is one that was put back
        files.remove(self._verified)
        wanted = self._root.joinpath(*(self._place() or (self._handover.partner, self._handover.id)))
        target = files.place(self._payload, wanted.parent, wanted.name, self._note, reason=reason)
        if self._handover.direction == "out":
            self._put_receipt(target)
        self._record(reason, target.relative_to(self._root).parts)
        files.remove_tree(self._folder)

    def _put_receipt(self, target: Path) -> None:
        note = self._folder / "receipt.place"
        if not self._receipt.exists() and not note.exists():
            text = archive.receipt_text(self._parts, self._handover).encode()
            files.write_new(self._receipt, text, 0o640)
        files.place(self._receipt, target.parent, archive.fitting(target.name, RECEIPT), note)

    def _record(self, reason: str, place: tuple[str, ...] | None) -> None:
        stopped = reason == "hold"
        detail: dict[str, Json] = {"begun": self._begun, "reason": reason}
        if "asked" in self._grounds:
            detail["order"] = self._grounds["asked"]
        private: dict[str, Json] = {}
        if place is not None:
            detail["moved"] = True
            private["place"] = place_text(place)
        draft = _draft(STOPPED if stopped else FAILED, self._handover, detail, private)

        def record(tx: Transaction) -> None:
            if copy_of(tx, self._handover).begun is not None:
                tx.append(draft)

        self._parts.ledger.write(record)


def _draft(event: str, handover: Handover, detail: Mapping[str, Json], private: Mapping[str, Json]) -> Draft:
    return Draft(
        event=event,
        actor="daemon",
        handover=handover.id,
        partner=handover.partner,
        direction=handover.direction,
        private=private,
        detail=detail,
    )
