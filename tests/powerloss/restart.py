"""Both organisations start again on what a power cut left, and go on until nothing is left to do; then: what is wrong?

The pipelines are the daemon's own, in this process: files travel from folder to folder, and the clock can be moved on
to when a file is sent once more.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from config.errors import HandoverError
from config.home import Home
from exchange import retention
from tests.faults import invariant
from tests.faults.invariant import ORGANISATIONS, Finding
from tests.organisations import ManualClock, Organisation, start
from tests.powerloss.scenario import STUCK

PASSES = 12
"""After which both must have come to rest: three are enough if nothing was lost on the way."""

WAITS = 3
"""How often a file may have to be sent once more."""

LATER = 31
"""Days after which nothing unfinished is waited for."""


class Rest:
    """Two homes for `tests.faults.invariant`: the landing zones lie inside."""

    def __init__(self, homes: Path, tidy: frozenset[str], kept: bool) -> None:
        self.homes = homes
        self.tidy = tidy
        self.kept = kept

    def zones(self) -> list[Path]:
        """None outside the homes."""
        return []

    def home(self, organisation: str) -> Home:
        """The home of one."""
        return Home.open(self.homes / organisation)

    def paths(self) -> frozenset[str]:
        """Every path but those of SQLite beside the ledger and of locks."""
        return frozenset(
            str(path.relative_to(self.homes))
            for path in self.homes.rglob("*")
            if not path.name.endswith(("-wal", "-shm", "-journal", ".pid", ".log"))
        )


def settle(homes: Path) -> list[Finding]:
    """Let both go on until nothing moves; returns what kept them from it."""
    clock = ManualClock()
    problems: list[Finding] = []
    with _running(homes, clock) as both:
        for _ in range(WAITS):
            problems = _until_quiet(both)
            if all(handover.is_final or handover.state == "held" for one in both for handover in one.handovers()):
                break
            clock.advance(seconds=max(one.home.settings.retry.resend for one in both).total_seconds() + 60)
        clock.advance(days=LATER)
        return problems or _until_quiet(both)


def tidy(homes: Path) -> frozenset[str]:
    """What is there when all has gone well: the way on from a state that nothing has happened to."""
    problems = settle(homes)
    assert not problems, problems
    return Rest(homes, frozenset(), True).paths()


def findings(rest: Rest) -> list[Finding]:
    """Start, settle, and look: everything that is wrong."""
    try:
        problems = settle(rest.homes)
    except HandoverError as problem:
        return [Finding(STUCK, f"{problem} / {problem.hint}")]
    return problems + invariant.findings(rest)


@contextmanager
def _running(homes: Path, clock: ManualClock) -> Iterator[list[Organisation]]:
    opened = {name: Home.open(homes / name) for name in ORGANISATIONS}
    lgsco = start(opened["lgsco"], opened["ofsted"], clock)
    try:
        ofsted = start(opened["ofsted"], opened["lgsco"], clock)
        try:
            yield [lgsco, ofsted]
        finally:
            ofsted.parts.ledger.close()
    finally:
        lgsco.parts.ledger.close()


def _until_quiet(both: list[Organisation]) -> list[Finding]:
    problems: list[Finding] = []
    for _ in range(PASSES):
        moved, problems = 0, []
        for one in both:
            for act in (one.take, one.receive, one.send, partial(retention.retain, one.parts)):
                moved += _try(act, problems)
        if not moved:
            return problems
    return [*problems, Finding(STUCK, "they never come to rest")]


def _try(act: Callable[[], int], problems: list[Finding]) -> int:
    try:
        return act()
    except (HandoverError, OSError) as problem:
        problems.append(Finding(STUCK, f"{type(problem).__name__}: {problem}"))
        return 0
