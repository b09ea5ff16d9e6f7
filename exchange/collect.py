"""Collecting: what a partner has for us is fetched from a pick-up folder on its server, for we have no server.

    listed   only names `<id>.age`; small files first and side by side, so that no receipt waits for a large file
    fetched  into a private file in the spool, at most as many bytes as are taken, behind what an earlier try brought
    ours     synced, renamed into spool/in/<partner>: from here on it is what had landed
    removed  from the partner's server, only now

After a crash before it is removed it is only removed, if it still waits in the spool; else it is fetched once more and
recognised as every repetition is: the same answer, no second delivery. A server that lets us remove nothing is asked
again after growing pauses; what was fetched is not fetched again meanwhile. Sizes, kinds and names that a server states
decide nothing but the order.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from exchange import files, quarantine
from exchange.failures import Failures
from exchange.landing import (
    ConnectionLost,
    Landing,
    LandingError,
    NoPickup,
    NotRemovable,
    NotThere,
    PermissionDenied,
    TooLong,
    agreed,
)
from exchange.parts import Parts
from exchange.quarantine import ENDING, Room
from exchange.rounds import Connection
from exchange.topology import Topology
from exchange.uploads import GIVE_UP
from ledger.identifier import is_id

SMALL = 256 * 1024
"""Envelopes that are listed with up to this many bytes are fetched side by side, and held in memory."""

AT_ONCE = 64
"""Of them, how many are made durable together."""


@dataclass(slots=True)
class PickUp(Connection):
    """The one connection to a partner's pick-up folder, and what was fetched from there and is still there."""

    fetched: set[str] = field(default_factory=set)
    alone: bool = False
    """Whether one file after the other is fetched, because the connection broke: half a file is kept only then."""

    def _connect(self, parts: Parts) -> Landing:
        return parts.effects.collect(parts.trust.card(self.partner))


def collect(parts: Parts, pickup: PickUp, arrived: Callable[[], None] = lambda: None) -> int:
    """Fetch everything that a partner has for us; returns how many. Tells of what has `arrived` in the spool.

    A file that cannot be fetched or removed keeps no other; the gravest failure is raised at the end: LandingError, or
    one of this machine. Raises QuarantineFull where nothing more is taken from the partner.
    """
    if not Topology.of(parts.home, parts.trust.card(pickup.partner)).collects:
        parts.spool.fetched(pickup.partner).forget_but(())
        return 0
    parts.spool.require()
    landing = pickup.open(parts)
    waiting = {name: size for name, size in _listed(landing, pickup.partner) if _is_envelope(name)}
    pickup.fetched &= waiting.keys()
    pickup.pauses.keep_only(waiting.keys())
    parts.spool.fetched(pickup.partner).forget_but(waiting.keys())
    room = Room(parts, pickup.partner)
    try:
        count = _collect_small(parts, landing, pickup, waiting, room, arrived)
        count += _collect_each(parts, landing, pickup, waiting, room, arrived)
    except ConnectionLost:
        pickup.alone = True
        raise
    pickup.alone = False
    return count


def _listed(landing: Landing, partner: str) -> Iterable[tuple[str, int]]:
    try:
        return landing.list()
    except (NotThere, PermissionDenied):
        # said of a folder, these mean something else than of one file
        raise NoPickup(partner) from None


def _collect_small(
    parts: Parts, landing: Landing, pickup: PickUp, waiting: dict[str, int], room: Room, arrived: Callable[[], None]
) -> int:
    """Fetch small files side by side and remove them there; returns how many. Takes what is done from `waiting`.

    What is not as it was listed, or is refused, stays in it: fetched alone, it fails with its reason.
    """
    partner, spool = pickup.partner, parts.spool
    largest = min(SMALL, quarantine.limit(parts))
    small = [
        (name, size)
        for name, size in sorted(waiting.items(), key=lambda one: (one[1], one[0]))
        if size <= largest and name not in pickup.fetched and pickup.pauses.over(name)
        if spool.size_taken_in(partner, name) is None and not spool.fetched(partner).has(name)
    ]
    count = 0
    while small and not pickup.alone:
        batch, small = small[:AT_ONCE], small[AT_ONCE:]
        room.check()
        if files.room_in(parts.home.spool) < sum(size for _, size in batch):
            break
        contents: dict[str, bytes] = {}
        try:
            landing.get_many(batch, contents.__setitem__)
        finally:
            # also what came before the connection was lost
            _note_agreed(parts, landing, partner, contents)
            taken = spool.take_in_all(partner, contents)
            pickup.fetched |= taken
            count += len(taken)
            if taken:
                arrived()
        if not taken:
            break
        removed: list[str] = []
        try:
            landing.remove_many(taken, removed.append)
        finally:
            pickup.fetched.difference_update(removed)
        for name in removed:
            del waiting[name]
    return count


def _collect_each(
    parts: Parts, landing: Landing, pickup: PickUp, waiting: dict[str, int], room: Room, arrived: Callable[[], None]
) -> int:
    """Fetch one file after the other and remove it there, the smallest first; returns how many."""
    failures = Failures()
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
        # a crash came between the rename and the removal, perhaps before the name was durable
        files.sync_directory(parts.spool.fetched(pickup.partner).folder)
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
    fetched = parts.spool.fetched(partner)
    part = fetched.part(name)
    files.require_room(fetched.folder, min(size, largest) - part.size())
    try:
        with part.path.open("ab+") as file:
            # no size is believed: what came before, and what the disk has room for, is what may come
            most = min(largest, file.tell() + files.room_in(fetched.folder))
            try:
                landing.get(name, file, most=most, progress=partial(part.grows, file))
            except ConnectionLost:
                part.keep(file)
                raise
            files.sync_file(file)
    except ConnectionLost:
        fetched.keep_longest()
        raise
    except NotThere:
        part.remove()
        return False
    except TooLong:
        if most < largest:
            part.remove()
            raise files.no_room() from None
        quarantine.quarantine(parts, partner, part.path, name.removesuffix(ENDING), "too-large")
        part.remove()
        return True
    except BaseException:
        # half a file must not keep the disk full, or the ledger could write nothing either
        part.remove()
        raise
    _note_agreed(parts, landing, partner, (name,))
    taken = parts.spool.take_in(part.path, partner, name, largest) is not None
    part.remove()
    return taken


def _note_agreed(parts: Parts, landing: Landing, partner: str, names: Iterable[str]) -> None:
    """Before they are where the receiver takes them up, at once."""
    if over := agreed(landing):
        parts.spool.came_over.update((parts.spool.taken_in(partner, name), over) for name in names)


def _remove(landing: Landing, partner: str, name: str) -> None:
    try:
        landing.remove(name)
    except LandingError as problem:
        if problem.of_one_file:
            raise NotRemovable(partner) from None
        raise
