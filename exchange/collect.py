"""Collecting: what a partner has for us is fetched from a pick-up folder on its server, for we have no server.

    listed   only names `<id>.age`; small files first, so that no receipt waits for a large file
    fetched  into a private file in the spool, at most as many bytes as are taken, behind what an earlier try brought
    ours     synced, renamed into spool/in/<partner>: from here on it is what had landed
    removed  from the partner's server, only now

After a crash before it is removed it is only removed, if it still waits in the spool; else it is fetched once more and
recognised as every repetition is: the same answer, no second delivery. A server that lets us remove nothing is asked
again after growing pauses; what was fetched is not fetched again meanwhile. Sizes, kinds and names that a server states
decide nothing but the order.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from exchange import files, quarantine
from exchange.failures import Failures
from exchange.landing import ConnectionLost, Landing, LandingError, NotRemovable, NotThere, TooLong
from exchange.parts import Parts
from exchange.quarantine import ENDING, Room
from exchange.rounds import Connection
from exchange.topology import Topology
from exchange.uploads import GIVE_UP
from ledger.identifier import is_id


@dataclass(slots=True)
class PickUp(Connection):
    """The one connection to a partner's pick-up folder, and what was fetched from there and is still there."""

    fetched: set[str] = field(default_factory=set)

    def _connect(self, parts: Parts) -> Landing:
        return parts.effects.collect(parts.trust.card(self.partner))


def collect(parts: Parts, pickup: PickUp, arrived: Callable[[], None] = lambda: None) -> int:
    """Fetch everything that a partner has for us; returns how many. Tells of each that has `arrived` in the spool.

    A file that cannot be fetched or removed keeps no other; the gravest failure is raised at the end: LandingError, or
    one of this machine. Raises QuarantineFull where nothing more is taken from the partner.
    """
    if not Topology.of(parts.home, parts.trust.card(pickup.partner)).collects:
        return 0
    parts.spool.require()
    landing = pickup.open(parts)
    waiting = {name: size for name, size in landing.list() if _is_envelope(name)}
    pickup.fetched &= waiting.keys()
    pickup.pauses.keep_only(waiting.keys())
    parts.spool.forget_fetched_but(pickup.partner, waiting.keys())
    failures = Failures()
    room = Room(parts, pickup.partner)
    count, refused, stop = 0, 0, False
    for name in sorted(waiting, key=lambda name: (waiting[name], name)):
        if stop or refused == GIVE_UP:
            break
        if not pickup.pauses.over(name):
            continue
        room.check()
        with failures.kept():
            stop = True
            try:
                count += _collect_one(parts, landing, pickup, name, waiting[name], arrived)
            except LandingError as problem:
                refused += 1
                stop = not problem.of_one_file
                if problem.of_one_file:
                    pickup.pauses.failed(name)
                raise
            refused, stop = 0, False
            pickup.pauses.worked(name)
    failures.raise_first()
    return count


def _collect_one(
    parts: Parts, landing: Landing, pickup: PickUp, name: str, size: int, arrived: Callable[[], None]
) -> int:
    """Fetch one file, if it was not fetched before, and remove it there; returns how many were fetched."""
    count = 0
    if parts.spool.size_taken_in(pickup.partner, name) == size:
        # a crash came between the rename and the removal
        pickup.fetched.add(name)
    if name not in pickup.fetched and _fetch(parts, landing, pickup.partner, name, size):
        count = 1
        pickup.fetched.add(name)
        arrived()
    if name in pickup.fetched:
        _remove(landing, pickup.partner, name)
        pickup.fetched.discard(name)
    return count


def _is_envelope(name: str) -> bool:
    return name.endswith(ENDING) and is_id(name.removesuffix(ENDING))


def _fetch(parts: Parts, landing: Landing, partner: str, name: str, size: int) -> bool:
    """Bring one file into the spool; False if it is gone, or its namesake in the spool is not finished yet."""
    if parts.spool.size_taken_in(partner, name) is not None:
        return False
    largest = quarantine.limit(parts)
    part = parts.spool.fetching(partner, name)
    files.require_room(part.parent, min(size, largest))
    try:
        with part.open("ab+") as file:
            # no size is believed: what came before, and what the disk has room for, is what may come
            most = min(largest, file.tell() + files.room_in(part.parent))
            landing.get(name, file, most=most)
            files.sync_file(file)
    except ConnectionLost:
        parts.spool.keep_longest_fetched(partner)
        raise
    except NotThere:
        part.unlink()
        return False
    except TooLong:
        if most < largest:
            part.unlink()
            raise files.no_room() from None
        quarantine.quarantine(parts, partner, part, name.removesuffix(ENDING), "too-large")
        return True
    except BaseException:
        # half a file must not keep the disk full, or the ledger could write nothing either
        part.unlink(missing_ok=True)
        raise
    return parts.spool.take_in(part, partner, name, largest) is not None


def _remove(landing: Landing, partner: str, name: str) -> None:
    try:
        landing.remove(name)
    except LandingError as problem:
        if problem.of_one_file:
            raise NotRemovable(partner) from None
        raise
