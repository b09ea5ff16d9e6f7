"""A recording and what must hold after a restart on any state of it; trying them all, two at a time."""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from config.errors import HandoverError
from tests.faults.invariant import KINDS, Finding
from tests.powerloss.rebuild import rebuild
from tests.powerloss.record import Crash, Recording

STUCK = "stuck"
COLUMNS = (*KINDS, STUCK)
"""What can be wrong after a restart."""

WORKERS = 2

MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Scenario:
    """`begin` is called once, with what lay there before the first step, and must find nothing; `check` restarts and
    looks, and is told how many moments had come to their end. Both are given the folder in which the machines lie."""

    recording: Recording
    begin: Callable[[Path], list[Finding]]
    check: Callable[[Path, int], list[Finding]]


@dataclass(slots=True)
class Row:
    """One moment's line in the table."""

    steps: int = 0
    crashes: int = 0
    states: int = 0
    found: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Result:
    """What became of all states that were tried."""

    rows: dict[str, Row] = field(default_factory=dict)
    bad: list[tuple[Crash, list[Finding]]] = field(default_factory=list)

    @property
    def states(self) -> int:
        """How many were tried."""
        return sum(row.states for row in self.rows.values())


@contextmanager
def folder() -> Iterator[Path]:
    """A folder to rebuild homes in, in memory where there is such a place."""
    with tempfile.TemporaryDirectory(prefix="handover-", dir=MEMORY if MEMORY.is_dir() else None) as name:
        yield Path(name)


def run(
    scenario: Scenario,
    chosen: Sequence[Crash],
    *,
    until_bad: bool = False,
    tell: Callable[[int], None] = lambda _: None,
) -> Result:
    """Restart on what some power cuts leave, two at a time; ends early, if that is wanted, where anything is wrong.

    `tell` hears after each how many were tried.
    """
    result = Result(_rows(scenario.recording, chosen))
    with folder() as base:
        first = Crash(0, scenario.recording.steps[0], "", scenario.recording.first())
        rebuild(scenario.recording, first, base / "first")
        wrong = scenario.begin(base / "first")
        assert not wrong, wrong
        given = (scenario, chosen, base)
        with ProcessPoolExecutor(WORKERS, get_context("fork"), initializer=_remember, initargs=given) as pool:
            trying = [pool.submit(_try, number) for number in range(len(chosen))]
            for count, tried in enumerate(as_completed(trying), start=1):
                number, found = tried.result()
                tell(count)
                result.rows[chosen[number].step.moment].found.update({finding.kind for finding in found})
                if found:
                    result.bad.append((chosen[number], found))
                    if until_bad:
                        pool.shutdown(cancel_futures=True)
                        break
    return result


def _rows(recording: Recording, chosen: Sequence[Crash]) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for step in recording.steps:
        rows.setdefault(step.moment, Row()).steps += 1
    for crash in chosen:
        rows[crash.step.moment].states += 1
    for _, moment in {(crash.number, crash.step.moment) for crash in chosen}:
        rows[moment].crashes += 1
    return rows


_known: list[tuple[Scenario, Sequence[Crash], Path]] = []
"""What a worker process was given at its start."""


def _remember(scenario: Scenario, chosen: Sequence[Crash], base: Path) -> None:
    _known.append((scenario, chosen, base))


def _try(number: int) -> tuple[int, list[Finding]]:
    scenario, chosen, base = _known[-1]
    homes = base / str(os.getpid())
    shutil.rmtree(homes, ignore_errors=True)
    rebuild(scenario.recording, chosen[number], homes)
    try:
        return number, scenario.check(homes, scenario.recording.ended(chosen[number].number))
    except (HandoverError, OSError, AssertionError) as problem:
        return number, [Finding(STUCK, f"{type(problem).__name__}: {problem}")]
