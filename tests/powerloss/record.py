"""A recording: the real programs run, and everything that happens to the disks of some machines is kept, in one order;
then every state in which a power cut may leave them.
"""

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.powerloss.calls import Reader, load
from tests.powerloss.disk import MOST, Disk, State
from tests.powerloss.operations import Operation, Sync, Write

Links = dict[Path, Path]
"""Links on a machine's disk, and the folders they lead to, which are on the same disk."""

VOLATILE = ("-shm", ".pid", ".log")
"""Endings of what is not compared with the disk: shared memory, a lock, and the tests' own."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation, during which moment."""

    moment: str
    machine: str
    operation: Operation


@dataclass(frozen=True, slots=True)
class Crash:
    """The power of one machine goes after a step."""

    number: int
    """Of the step, from 1 on."""
    step: Step
    victim: str
    states: Mapping[str, State]
    """What both disks hold, by machine; the other's holds all that was written."""

    def __str__(self) -> str:
        return f"{self.step.moment}: {self.victim}'s power after step {self.number}, {repr(self.step.operation)[:150]}"


@dataclass(frozen=True, slots=True)
class Recording:
    """What happened, and from where it began."""

    homes: Path
    known: Mapping[str, Mapping[int, os.stat_result]]
    """What the file system said of each file when the recording began, by machine and number."""
    start: Callable[[], dict[str, Disk]]
    """Both disks as they were then, anew for each call."""
    steps: tuple[Step, ...]

    def ended(self, number: int) -> int:
        """How many moments had come to their end after a step."""
        last = {step.moment: number for number, step in enumerate(self.steps, start=1)}
        return sum(end <= number for end in last.values())

    def first(self) -> dict[str, State]:
        """What both disks held before the first step."""
        return {name: disk.live() for name, disk in self.start().items()}


def record(homes: Path, machines: Mapping[str, Links], runs: Mapping[str, Callable[[], str]]) -> Recording:
    """Run what is done in each moment, which gives its log, and write down what happens to the disks of `machines`,
    each a folder of that name in `homes`."""
    first = {name: load(homes / name, links) for name, links in machines.items()}
    disks = {name: loaded.replayed() for name, loaded in first.items()}
    reader = Reader(disks, _roots(homes, machines), _umask())
    steps: list[Step] = []
    for moment, run in runs.items():
        for done in reader.read(run()):
            steps.append(Step(moment, done.machine, done.operation))
        for name, links in machines.items():
            _compare(disks[name], load(homes / name, links).replayed())
    return Recording(
        homes,
        {name: loaded.known for name, loaded in first.items()},
        lambda: {name: loaded.replayed() for name, loaded in first.items()},
        tuple(steps),
    )


def crashes(recording: Recording, most: int = MOST, at: Callable[[Step], bool] = lambda _: True) -> Iterator[Crash]:
    """A power cut after each step, or each `at` which it is wanted, on either machine. States that hold the same come
    once, and once more when another moment has come to its end: by then more must be there. What a machine loses while
    the other one works is looked at when the other has put something into its ledger, and in fewer states."""
    disks = recording.start()
    seen: set[int] = set()
    for number, step in enumerate(recording.steps, start=1):
        disks[step.machine].apply(step.operation)
        if not at(step) or _goes_on(disks, recording.steps[number - 1 : number + 1]):
            continue
        ended = recording.ended(number)
        for victim in disks:
            idle = victim != step.machine
            if idle and not _is_commit(disks, step):
                continue
            others = {name: other.live() for name, other in disks.items() if name != victim}
            for state in disks[victim].states(1 if idle else most):
                crash = Crash(number, step, victim, {name: others.get(name, state) for name in disks})
                summary = hash((ended, _summary(crash.states)))
                if summary not in seen:
                    seen.add(summary)
                    yield crash


def _summary(states: Mapping[str, State]) -> int:
    """Of all paths, permissions and contents; SQLite's shared memory does not outlive the machine."""
    return hash(
        tuple(
            (name, path, found.mode, found.data)
            for name, state in states.items()
            for path, found in state.items()
            if not path.endswith("-shm")
        )
    )


def _goes_on(disks: Mapping[str, Disk], steps: Sequence[Step]) -> bool:
    """Whether SQLite writes in both of two steps: what its files hold in between is its own affair."""
    return len(steps) == 2 and steps[0].machine == steps[1].machine and all(_is_sqlites(disks, step) for step in steps)


def _is_sqlites(disks: Mapping[str, Disk], step: Step) -> bool:
    return isinstance(step.operation, Write) and disks[step.machine].is_theirs(step.operation.number)


def _is_commit(disks: Mapping[str, Disk], step: Step) -> bool:
    return isinstance(step.operation, Sync) and disks[step.machine].is_theirs(step.operation.number)


def _compare(model: Disk, real: Disk) -> None:
    """The model must have seen everything: its disk holds what the real one does."""
    mine, theirs = _comparable(model.live()), _comparable(real.live())
    assert not (other := {path for path in mine.keys() | theirs.keys() if mine.get(path) != theirs.get(path)}), other


def _roots(homes: Path, machines: Mapping[str, Links]) -> dict[Path, tuple[str, str]]:
    """Which folder is which machine's, and where it lies on its disk."""
    linked = {
        real: (name, str(link.relative_to(homes / name)))
        for name, links in machines.items()
        for link, real in links.items()
    }
    return {**{homes / name: (name, "") for name in machines}, **linked}


def _comparable(state: State) -> dict[str, tuple[int, bytes | None]]:
    return {path: (found.mode, found.data) for path, found in state.items() if not path.endswith(VOLATILE)}


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return stat.S_IMODE(mask)
