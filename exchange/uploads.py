"""Everything that is sealed for one partner goes up, and a file that the partner's server refuses keeps no other.

    small ones   side by side; if one is refused, those that are left go up one after another
    the others   one after another, the smallest first

A refused file waits for its own, growing time before it is tried again, while others go at once. What concerns the
whole landing zone (the connection is lost, the disk is read-only) ends it: the others would fail the same way.
"""

from collections.abc import Sequence

from exchange import sender
from exchange.failures import Failures
from exchange.landing import Landing, LandingError, LandingFull
from exchange.parts import Parts
from exchange.retry import Pauses
from ledger.handover import Handover

GIVE_UP = 8
"""Files refused one after another, after which it is the landing zone's fault; others come first the next time."""


def upload_all(parts: Parts, landing: Landing, due: Sequence[Handover], pauses: Pauses) -> None:
    """Upload all of `due`; raises the gravest failure at the end. `pauses` learns which were refused."""
    ready = {handover.id: handover for handover in due}
    small = [handover for handover in ready.values() if sender.is_small(parts, handover)]

    def done(handover: str) -> None:
        pauses.worked(handover)
        del ready[handover]

    failures = Failures()
    with failures.kept():
        sender.upload_small(parts, landing, small, done)
    stop, refused = False, 0
    for handover in sorted(ready.values(), key=lambda one: one.bytes or 0):
        if stop or failures.end_all or refused == GIVE_UP:
            break
        with failures.kept():
            try:
                sender.upload(parts, landing, handover)
            except LandingError as problem:
                # where one does not fit, a larger one does not either
                stop = isinstance(problem, LandingFull)
                refused += 1
                if problem.of_one_file:
                    pauses.failed(handover.id)
                raise
            refused = 0
            done(handover.id)
    failures.raise_first()
