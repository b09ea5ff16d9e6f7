"""A held file that somebody has taken back, as its explanation says: its handover ends, and the explanation goes.

    held  ->  the file moved away by a person  ->  withdrawn (file-gone)  ->  the explanation removed

What is put into an outbound folder again is another handover; nothing would ever be said about the old one. An
explanation that comes along with its file is no document, and is for nobody else: it goes back to held/, alone.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exchange import archive, files, folders, held
from exchange.drop import WHY, Candidate
from exchange.failures import Failures
from exchange.parts import Parts
from ledger.entry import Draft
from ledger.handover import Handover
from ledger.store import Transaction

PATIENCE = timedelta(minutes=1)
"""How long a folder has to be at rest: whoever saves a file may take the old one away before the new one is there."""

_GONE = ("released", "file-gone")
"""Why a handover was withdrawn whose file is in held/ no more."""


def notice(parts: Parts) -> int:
    """End every handover whose held file was taken away; returns how many. What fails is tried again next time."""
    failures = Failures()
    done = 0
    for folder, alone in held.left_alone(parts.home.held):
        at_rest = False
        with failures.kept():
            at_rest = _is_at_rest(parts, folder)
        for why, identifier in alone.items():
            with failures.kept():
                done += _notice(parts, why, identifier, at_rest)
    failures.raise_first()
    return done


def _notice(parts: Parts, why: Path, identifier: str, at_rest: bool) -> bool:
    handover = parts.ledger.find_one_or_none("out", identifier)
    if handover is None or parts.spool.holds(identifier):
        return False
    # what was recorded as gone from here has gone for good; a crash came before its explanation went
    if not at_rest and handover.reason not in _GONE:
        return False
    _, path = held.find(parts.home.held, identifier)
    if path is not None:
        return False
    ended = parts.ledger.write(lambda tx: _end(tx, handover))
    files.remove(why)
    return ended


def only_files(parts: Parts, candidates: Sequence[Candidate], failures: Failures) -> list[Candidate]:
    """Those of these files in outbound folders that are no explanations of ours; what fails with one keeps it there."""
    left = []
    for candidate in candidates:
        with failures.kept():
            if not _put_back(parts, candidate):
                left.append(candidate)
    return left


def _put_back(parts: Parts, candidate: Candidate) -> bool:
    name = candidate.path.name
    identifier = held.named(candidate.path) if name.endswith(WHY) else None
    handover = parts.ledger.find_one_or_none("out", identifier) if identifier is not None else None
    if handover is None:
        return False
    folder = parts.home.held / _folder(parts, handover)
    files.make_directory(folder)
    for stem in files.names_like(name.removesuffix(WHY), files.NAME_MAX - len(WHY)):
        target = folder / (stem + WHY)
        if files.is_there(target) and held.named(target) == identifier:
            # a copy: the one that counts lies where it was
            files.remove(candidate.path)
            return True
        # under a new name it must not seem to explain another file
        is_new = target.name != name and files.is_there(folder / stem)
        if not is_new and files.move_new(candidate.path, target):
            return True
    return False  # names_like never ends


def _folder(parts: Parts, handover: Handover) -> str:
    """Where it lay: only what was held as it was dropped could have lain in a folder of no partner."""
    return next(iter(folders.of_held(parts, handover)), archive.UNSORTED)


def _is_at_rest(parts: Parts, folder: Path) -> bool:
    changed = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    return parts.effects.clock() - changed >= PATIENCE


def _end(tx: Transaction, handover: Handover) -> bool:
    """What was withdrawn or rejected has ended already; also after a crash between this and the explanation's end."""
    now = tx.handover(handover.partner, "out", handover.id)
    if now is None or now.state != "held":
        return False
    draft = Draft(event="withdrawn", actor="daemon", handover=now.id, partner=now.partner, direction="out")
    tx.append(draft.replace(detail={"reason": "file-gone"}))
    return True
