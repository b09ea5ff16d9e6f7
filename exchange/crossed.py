"""A file that was withdrawn, and that the partner had received all the same: it goes from `held/` to its last place.

An upload can have arrived although it seemed to fail. Then the receipt comes after the withdrawal, and what lies in
held/ beside the file, that it was withdrawn, is not true any more:

    withdrawal.crossed (an alert)  ->  out of held/ into the spool  ->  the explanation removed  ->  sent/, with receipt

Whoever has moved or changed the file meanwhile keeps it where it is.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Final

from config.times import to_text
from exchange import files, folders, held, locate, retention
from exchange.drop import SIDECAR, WHY
from exchange.failures import Failures
from exchange.parts import Parts
from exchange.spool import Claim
from ledger.copies import copy_of, digest_of
from ledger.entry import Draft
from ledger.handover import Handover
from ledger.store import Transaction

CROSSED: Final = "withdrawal.crossed"

LOOKED_FOR: Final = timedelta(days=7)
"""How long the file is looked for in held/: whoever has it by then keeps it."""

_ARRIVED: Final = ("acknowledged", "destroyed")
"""States of a handover that was withdrawn too late; where nothing is kept, its file goes as soon as it was brought."""

_LATELY = "SELECT partner, handover FROM entries WHERE event = ? AND at >= ?"


def note(tx: Transaction, handover: Handover) -> None:
    """Record, before it is acknowledged, that this handover was withdrawn too late."""
    now = tx.handover(handover.partner, "out", handover.id)
    if now is not None and now.state == "withdrawn":
        tx.append(
            Draft(event=CROSSED, actor="daemon", handover=now.id, partner=now.partner, direction="out", detail={})
        )


def bring_home(parts: Parts) -> int:
    """Bring every such file to its last place; returns how many. What fails is tried again in the next round."""
    failures = Failures()
    done = 0
    for partner, identifier in parts.ledger.rows(_LATELY, CROSSED, to_text(parts.effects.clock() - LOOKED_FOR)):
        handover = parts.ledger.handover(partner, "out", identifier)
        if handover is None or handover.state not in _ARRIVED or parts.spool.holds(identifier):
            continue
        with failures.kept():
            done += _bring(parts, handover)
    failures.raise_first()
    return done


def _bring(parts: Parts, handover: Handover) -> bool:
    why, path = held.find(parts.home.held, handover.id)
    if why is None:
        return False
    had_it = copy_of(parts.ledger, handover).kept is not None or handover.state == "destroyed"
    digest = digest_of(parts.ledger, handover)
    if path is None:
        # somebody has it by now; or a crash came when we had taken it, before what lay beside it went
        if had_it:
            _remove_details(why, why.name.removesuffix(WHY))
        files.remove(why)
        return False
    if had_it or digest is None or not _take(parts, handover, path, digest):
        return False
    with parts.spool.gone_on_with_later(handover.id):
        # the explanation, which is not true any more, goes last: by it the rest is found after a crash
        _remove_details(why, path.name)
        files.remove(why)
        claim = parts.spool.read_claim(handover.id)
        if claim is None:
            return False
        retention.settle(parts, claim, handover)
    return True


def _remove_details(why: Path, name: str) -> None:
    """The sidecar of a file that was explained there; beside a name that has no room for one, none can lie."""
    if len(os.fsencode(name + SIDECAR)) <= files.NAME_MAX:
        files.remove(why.with_name(name + SIDECAR))


def _take(parts: Parts, handover: Handover, path: Path, digest: str) -> bool:
    """Into the spool, under a claim like that with which it came; whether it was the file that was sent."""
    parts.spool.begin(_claim(parts, handover, path))
    try:
        with locate.found(parts.home.held, path.relative_to(parts.home.held).parts) as one:
            locate.take(one, parts.spool.payload(handover.id), locate.require(one.file, digest))
    except (locate.NotThere, locate.NotTheOne):
        parts.spool.clear(handover.id)
        return False
    return True


def _claim(parts: Parts, handover: Handover, path: Path) -> Claim:
    dropped_at = handover.dropped_at or to_text(parts.effects.clock())
    name = parts.ledger.openings(handover.first_seq).get("name")
    return Claim(handover.id, folders.as_agreed(parts, handover), str(name or path.name), dropped_at)
