"""Whose file it is that lies where a copy was put: the same document can have been handed over twice.

A copy is known by its place and its digest. If people take a file away, and the same content is handed over once more,
the second file gets the place of the first, and nothing about it says that it is not the first:

    another is on its way there, or was recorded there later     the place was free then: ours had gone
    (sent/) the receipt beside it names another handover         it is the other's
    (sent/) the receipt beside it names ours                     it is ours
    an earlier one was put there, and is on hold                 people may have put it back: nobody can tell
    else                                                         it is ours

A file is placed under a name that is free, and the note of where it goes is there before it is (`files.place`). So what
is asked here, while a file lies in its place, is true of that file.
"""

from collections.abc import Iterator
from pathlib import Path

from exchange import archive, files, locate
from exchange.archive import MAX_RECEIPT, RECEIPT
from exchange.locate import NotTheOne, NotThere
from exchange.parts import Parts
from ledger.copies import copy_of, place_of, twins
from ledger.handover import Handover
from ledger.holds import Holds, open_holds
from ledger.view import View

Place = tuple[str, ...]


class Ambiguous(NotTheOne):
    """It may be the file of another handover, which is on hold."""

    reason = "ambiguous"


def require_ours(parts: Parts, handover: Handover, root: Path, place: Place) -> None:
    """Raise NotThere where the file of this content that lies at `place` is not that of `handover`, and Ambiguous where
    nobody can tell.

    To be called with the file open: if it still lies there afterwards, this was true of it.
    """
    # the notes before the ledger: a note goes when what it says has been recorded
    on_its_way = any(_leads_to(note, place) for note in _notes_of_others(parts, handover))
    receipt = receipt_beside(root, place) if handover.direction == "out" else b""
    if on_its_way or archive.names_another(receipt, handover.id) or _was_taken_over(parts.ledger, handover, place):
        raise NotThere("another handover's file lies where it was put")
    holds = open_holds(parts.ledger, parts.register.with_predecessors)
    if not archive.names(receipt, handover.id) and may_be_held_for_another(parts.ledger, handover, holds):
        raise Ambiguous("a file may be that of another handover, which is on hold")


def may_be_held_for_another(view: View, handover: Handover, holds: Holds) -> bool:
    """Whether what lies, or lay, in its place may be the file of an earlier handover that is on hold."""
    copy = copy_of(view, handover)
    place = place_of(view, copy)
    if not holds.all or place is None or copy.placed is None or copy.meant:
        return False
    return any(seq < copy.placed and holds.over(other) for other, seq in twins(view, handover, place))


def receipt_beside(root: Path, place: Place) -> bytes:
    """The receipt for people beside a file in sent/; empty where there is none."""
    try:
        with locate.found(root, receipt_place(place)) as one:
            text = one.file.read(MAX_RECEIPT + 1)
    except NotThere:
        return b""
    return text if len(text) <= MAX_RECEIPT else b""


def receipt_place(place: Place) -> Place:
    """Where that receipt was put."""
    return (*place[:-1], archive.fitting(place[-1], RECEIPT))


def _was_taken_over(view: View, handover: Handover, place: Place) -> bool:
    """Whether it never came to that place, or another was put there after it had gone."""
    copy = copy_of(view, handover)
    if copy.placed is None or copy.meant:
        return True
    return any(seq > copy.placed for _, seq in twins(view, handover, place))


def _notes_of_others(parts: Parts, handover: Handover) -> Iterator[Path]:
    """Where it is noted into which place a file of another handover is about to move, or has just moved."""
    if handover.direction == "out":
        for identifier in parts.spool.outgoing():
            note = parts.spool.note(identifier)
            if identifier != handover.id and note.exists() and _goes_to_sent(parts.ledger, identifier):
                yield note
    else:
        for partner, envelope in parts.spool.incoming():
            if (partner, envelope.stem) != (handover.partner, handover.id):
                yield envelope.with_suffix(".delivery")
    for folder in parts.spool.destructions():
        for begun in parts.ledger.entries(int(folder.name), int(folder.name) + 1):
            whose = (begun.partner, begun.direction, begun.handover)
            if begun.direction == handover.direction and whose != (handover.partner, handover.direction, handover.id):
                yield folder / "place"


def _goes_to_sent(view: View, identifier: str) -> bool:
    """Only what was acknowledged does; other notes lead to held/, or back to where a file was dropped."""
    handover = view.find_one_or_none("out", identifier)
    return handover is not None and handover.state == "acknowledged"


def _leads_to(note: Path, place: Place) -> bool:
    """By the end of the path: the home can have been moved since."""
    try:
        return Path(files.read_note(note)["target"]).parts[-len(place) :] == place
    except FileNotFoundError:
        return False
