"""What lies in quarantine under the id of a handover that has come, whole, after all.

    the same bytes    whatever kept them from being believed has passed: they go
    others            they get an id of their own: a new `quarantined`, with the old id in `about`

Otherwise nobody could list it, let it out or throw it away, and it would use up the partner's part of the quarantine
for ever. What is on hold stays as it is until the hold has been lifted, and the service is started again.
"""

from pathlib import Path

from exchange import files, quarantine, repetition
from exchange.parts import Parts
from ledger.entry import Draft
from ledger.handover import Handover
from ledger.holds import open_holds
from ledger.identifier import is_id, new_id


def set_right(parts: Parts, partner: str, name: str) -> None:
    """After a decision on the handover of that id; does nothing where nothing is kept under it."""
    path = parts.home.quarantine / partner / f"{name}{quarantine.ENDING}"
    if not path.is_file():
        return
    known = parts.ledger.handover(partner, "in", name)
    if known is None or not known.is_answered:
        return
    if open_holds(parts.ledger, parts.register.with_predecessors).over(known):
        return
    with path.open("rb") as source:
        same = repetition.is_same(source, known)
    if same:
        files.remove(path)
    else:
        _rename(parts, path, known)


def set_all_right(parts: Parts) -> None:
    """The same for whatever is kept: after a crash in between, or the end of a hold."""
    for folder in sorted(parts.home.quarantine.iterdir()):
        for path in sorted(folder.glob(f"*{quarantine.ENDING}")) if folder.is_dir() else ():
            if is_id(path.stem):
                set_right(parts, folder.name, path.stem)


def _rename(parts: Parts, path: Path, known: Handover) -> None:
    """Moved first and recorded then, like all that is kept: `quarantine.note_unrecorded` finds it after a crash."""
    entries = parts.ledger.entries_of(known)
    reasons = [entry.detail["reason"] for entry in entries if entry.event in ("quarantined", "envelope.quarantined")]
    fresh = new_id(parts.effects.clock(), parts.effects.random)
    draft = Draft(
        event="quarantined",
        actor="daemon",
        handover=fresh,
        partner=known.partner,
        direction="in",
        bytes=path.lstat().st_size,
        detail={"reason": reasons[-1] if reasons else "interrupted", "about": known.id},
    )
    files.move(path, path.with_name(f"{fresh}{quarantine.ENDING}"))
    parts.ledger.write(lambda tx: tx.append(draft))
