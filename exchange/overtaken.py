"""What lies in quarantine under the id of a handover that has come, whole, after all.

    the same bytes    whatever kept them from being believed has passed: they go
    others            they get an id of their own: a new `quarantined` (`overtaken`), with the old id in `about`

Otherwise nobody could list it, let it out or throw it away, and it would use up the partner's part of the quarantine
for ever. People were told of it when it came. What is on hold stays as it is until the hold has been lifted, and the
service is started again. What the disk keeps from its new place gets there before anything that is ordered for it.
"""

from pathlib import Path

from exchange import files, quarantine, repetition
from exchange.failures import Failures
from exchange.parts import Parts
from exchange.quarantine import ENDING, OVERTAKEN
from ledger.handover import Handover
from ledger.holds import open_holds
from ledger.identifier import is_id, new_id
from ledger.store import Transaction

_OF_OTHER_IDS = (
    "SELECT handover FROM entries WHERE event = 'quarantined' AND +partner = ? "
    "AND json_extract(CAST(entry AS TEXT), '$.detail.about') = ? "
    "AND json_extract(CAST(entry AS TEXT), '$.detail.reason') = ?"
)


def expect(parts: Parts, partner: str, name: str) -> None:
    """Before a decision on the handover of that id: if it is made, but then fails to end, `try_again` comes back."""
    parts.spool.overtaken.add((partner, name))


def set_right(parts: Parts, partner: str, name: str) -> None:
    """After a decision on the handover of that id; does nothing where nothing is kept under it.

    What fails is noted, for the next rounds to try again.
    """
    expect(parts, partner, name)
    _set_right(parts, partner, name)
    parts.spool.overtaken.discard((partner, name))


def _set_right(parts: Parts, partner: str, name: str) -> None:
    path = _kept_as(parts, partner, name)
    if not path.is_file():
        return
    known = parts.ledger.handover(partner, "in", name)
    if known is None or not known.is_answered:
        return
    with path.open("rb") as source:
        same = repetition.is_same(source, known)

    def act(tx: Transaction) -> bool:
        # comparing takes a while: nobody can place a hold between this look and the end
        if open_holds(tx, parts.register.with_predecessors).over(known):
            return True
        if same:
            files.remove(path)
        elif (own := _waiting_id(parts, tx, known)) is not None:
            files.move(path, path.with_name(f"{own}{ENDING}"))
        else:
            # recorded first, so that nobody loses sight of it
            _record(parts, tx, known, path.lstat().st_size)
            return False
        return True

    if not parts.ledger.write(act):
        parts.ledger.write(act)


def set_all_right(parts: Parts) -> None:
    """The same for whatever is kept: after a crash in between, or the end of a hold."""
    failures = Failures()
    for folder in sorted(parts.home.quarantine.iterdir()):
        for path in sorted(folder.glob(f"*{ENDING}")) if folder.is_dir() else ():
            if is_id(path.stem):
                with failures.kept():
                    set_right(parts, folder.name, path.stem)
    failures.raise_first()


def try_again(parts: Parts, partner: str) -> None:
    """What failed in an earlier round; one that fails again keeps no other from its turn."""
    failures = Failures()
    for whose, name in sorted(parts.spool.overtaken):
        if whose == partner:
            with failures.kept():
                set_right(parts, partner, name)
    failures.raise_first()


def has_its_place(parts: Parts, handover: Handover) -> bool:
    """Before an order: False where something was given an id of its own, and a hold keeps it where it was."""
    first = parts.ledger.entry(handover.first_seq).detail
    if first.get("reason") != OVERTAKEN:
        return True
    name = str(first["about"])
    set_right(parts, handover.partner, name)
    return not (quarantine.is_gone(parts, handover) and _kept_as(parts, handover.partner, name).is_file())


def has_own_id(parts: Parts, handover: Handover) -> bool:
    """Whether something that was kept under the id of a handover has an id of its own now."""
    return bool(parts.ledger.rows(_OF_OTHER_IDS, handover.partner, handover.id, OVERTAKEN))


def _kept_as(parts: Parts, partner: str, name: str) -> Path:
    return parts.home.quarantine / partner / f"{name}{ENDING}"


def _waiting_id(parts: Parts, tx: Transaction, known: Handover) -> str | None:
    """The id of its own that it has got already, if nothing came of that."""
    for (other,) in tx.rows(_OF_OTHER_IDS, known.partner, known.id, OVERTAKEN):
        handover = tx.handover(known.partner, "in", other)
        if handover is not None and handover.state == "quarantined" and quarantine.is_gone(parts, handover):
            return handover.id
    return None


def _record(parts: Parts, tx: Transaction, known: Handover, size: int) -> None:
    """A new id for what was kept under that of a handover."""
    fresh = new_id(parts.effects.clock(), parts.effects.random)
    tx.append(quarantine.kept_draft(fresh, known.partner, size, reason=OVERTAKEN, about=known.id))
