"""One point of the sweep: a moment, a fault, then both organisations without faults until nothing is left to do."""

import re
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Self

from tests.faults import invariant
from tests.faults.likeness import likeness
from tests.faults.program import Ended
from tests.faults.scene import AGAIN, MOMENTS, Scene
from tests.faults.trace import CALLS, KILL, Fault

RUNS = 8
"""Runs after the fault in which everything must have come to rest: three are enough where nothing was sent twice."""

NOT_FOR_PEOPLE = re.compile(r"Traceback|fault in handover itself|Exception in thread")


@dataclass(frozen=True, slots=True)
class Point:
    """A fault at a moment."""

    moment: str
    fault: Fault

    def __str__(self) -> str:
        return f"{self.moment} {self.fault.call} {self.fault.number} {self.fault.kind}"

    @property
    def order(self) -> tuple[bool, str]:
        """Deaths before errors; otherwise spread evenly, and always the same."""
        return self.fault.kind != KILL, sha256(str(self).encode()).hexdigest()

    @classmethod
    def parse(cls, text: str) -> Self:
        """The opposite of `str`.

        >>> str(Point.parse("drop fsync 3 EIO"))
        'drop fsync 3 EIO'
        """
        moment, call, number, kind = text.split()
        return cls(moment, Fault(call, int(number), kind))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one point."""

    point: str
    hit: str
    code: int
    said: str
    problems: list[tuple[str, str]]
    """(kind, what): of invariant.KINDS, or `unclear` words, or `stuck`."""
    played: bool = True
    """Whether it was played out, or left a state like one that had been: then how that ended is known."""

    def to_json(self) -> dict[str, object]:
        """For a line of results."""
        return asdict(self)


def turns(moment: str) -> list[str]:
    """Who has to act from a moment on until everything is done, if nothing breaks.

    >>> turns("deliver-again")
    ['ofsted', 'lgsco']
    """
    return list(MOMENTS.values())[list(MOMENTS).index(moment.removesuffix(AGAIN)) :]


def points(scene: Scene, moment: str) -> dict[Point, str]:
    """Every fault at every call that the run after `moment` makes about our files or the network, and what the call is
    about; well mixed."""
    scene.restore(moment)
    seen = scene.traced(turns(moment)[0])
    found = {
        Point(moment, Fault(call.name, call.number, kind)): call.about for call in seen for kind in CALLS[call.name]
    }
    return {point: found[point] for point in sorted(found, key=lambda point: point.order)}


def attempt(scene: Scene, point: Point, known: set[str] | None = None) -> Outcome:
    """Carry out one point. `known` are likenesses of states from which everything came to rest well; it grows."""
    scene.restore(point.moment)
    names = turns(point.moment)
    ended, hit = scene.faulty(names[0], point.fault)
    problems = [] if _cannot_be_read(point, hit, ended) else _unclear(ended)
    state = ""
    if known is not None:
        scene.settle_servers()
        state = f"{len(names)} {likeness(scene)}"
        if state in known:
            return Outcome(str(point), hit, ended.code, ended.err.strip(), problems, played=False)
    after: list[invariant.Finding] = []
    for number in range(RUNS):
        # first whose turn it was, then in turns
        name = names[number] if number < len(names) else ("ofsted", "lgsco")[(number - len(names)) % 2]
        again = scene.run(name)
        if again.code != 0:
            problems.append(("stuck", f"run {number} of {name} ended with {again.code}: {again.err.strip()}"))
        problems += _unclear(again)
        if number + 1 >= len(names):
            before, after = after, invariant.findings(scene)
            if not after or (number >= len(names) + 2 and after == before):
                break
    problems += [(finding.kind, finding.what) for finding in after]
    if known is not None and not problems:
        known.add(state)
    return Outcome(str(point), hit, ended.code, ended.err.strip(), problems)


def _cannot_be_read(point: Point, hit: str, ended: Ended) -> bool:
    """Whether the ledger's file could not be read: SQLite tells us so in the words for a damaged one."""
    ledger = ".db" in hit and point.fault.kind == "EIO" and point.fault.call in ("read", "pread64")
    return ledger and ended.code == 4 and bool(re.match(r"error: the ledger.* file is damaged.*\nhint: ", ended.err))


def _unclear(ended: Ended) -> list[tuple[str, str]]:
    """Why a person would not know what to make of how a run ended; being killed needs no words."""
    found = []
    if ended.hung:
        found.append(("stuck", "a run does not end"))
    elif ended.code not in (0, 2, 3, -9):
        found.append(("unclear", f"ends with {ended.code}: {ended.err.strip()}"))
    elif ended.code > 0 and not ended.err.startswith("error: "):
        found.append(("unclear", f"ends with {ended.code} and says: {ended.err.strip()}"))
    if NOT_FOR_PEOPLE.search(ended.err):
        found.append(("unclear", ended.err.strip()))
    return found
