"""Many runs, each with its own seed: on all cores, and the same in every process."""

import multiprocessing
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.exchange.crashes import memory_folder
from tests.simulation.homes import Homes, remembered
from tests.simulation.world import World

Patch = Callable[[], AbstractContextManager[None]]
"""Something that is changed in the program for the length of a run."""


@dataclass(frozen=True)
class Run:
    """What came of one seed."""

    seed: int
    days: float
    seconds: float
    files: int
    handovers: int
    entries: int
    faults: Counter[str]
    violations: tuple[str, ...]
    trace: tuple[str, ...]


def run_all(seeds: Iterable[int], patch: Patch = nullcontext) -> Iterator[Run]:
    """One run after the other, in this process."""
    with memory_folder() as memory, remembered(), patch():
        homes = Homes(memory / "homes")
        for seed in seeds:
            yield _run(seed, memory / "run", homes)


def _run(seed: int, folder: Path, homes: Homes) -> Run:
    folder.mkdir()
    began = time.monotonic()
    world = World(seed, folder, homes)
    try:
        world.run()
    finally:
        shutil.rmtree(folder)
    return Run(
        seed,
        world.now / 86400,
        time.monotonic() - began,
        world.files,
        world.handovers,
        world.entries,
        world.faults,
        tuple(world.violations),
        tuple(world.trace),
    )


def run_on_all_cores(seeds: Iterable[int], processes: int = 2) -> Iterator[Run]:
    """The same, shared among processes; in the order of the seeds."""
    with memory_folder() as memory, remembered():
        homes = Homes(memory / "homes")
        homes.make_all()
        with multiprocessing.get_context("fork").Pool(processes) as pool:
            yield from pool.imap(partial(_run_here, memory, homes), seeds)


def _run_here(memory: Path, homes: Homes, seed: int) -> Run:
    return _run(seed, memory / f"run-{os.getpid()}", homes)


def parse_seeds(text: str) -> range:
    """`1000` is the seeds 0 to 999, `17-40` those from 17 to 40.

    >>> parse_seeds("1000"), parse_seeds("17-40")
    (range(0, 1000), range(17, 41))
    """
    if not re.fullmatch(r"\d+(-\d+)?", text, re.ASCII):
        raise ValueError(f"{text!r} is neither a number of seeds nor a range like 17-40")
    first, _, last = text.partition("-")
    return range(int(first), int(last) + 1) if last else range(int(first))
