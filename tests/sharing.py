"""How tests share a machine: in which order they run, in which process, and where their files lie.

A plugin of pytest's (conftest.py names it).
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

LONG = (
    "simulation/test_simulation.py", "rotation/test_storm.py", "system/test_transcripts.py", "system/test_network.py",
    "faults/test_faults.py", "powerloss/test_powerloss.py", "system/test_collect.py", "system/test_token_exchange.py",
    "exchange/test_rounds_crash.py", "system/test_exchange.py", "faults/test_daemons.py",
    "system/test_key_rotation.py", "system/test_commands.py", "soak/test_soak.py",
    "rotation/test_killed_commands.py", "exchange/test_approval_crash.py",
)  # fmt: skip
"""Files of a minute and more, which begin first: no process is to be left alone with one at the end."""

IN_PARTS = ("tests/simulation/test_simulation.py",)
"""Files whose tests are shared among processes by what stands in their brackets; every other file stays whole."""

MEMORY = Path("/dev/shm")
"""Files of tests lie here, if it has room and programs may be started in it: all they sync would wait for a disk."""

ROOM = 4 * 2**30
"""Bytes that there have to be, ten times what was seen to be used."""

ROOT_OF_TESTS = "PYTEST_DEBUG_TEMPROOT"
"""The variable by which pytest is told so."""


def pytest_configure() -> None:
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
        found = os.statvfs(MEMORY)
        if found.f_bavail * found.f_frsize >= ROOM and not found.f_flag & os.ST_NOEXEC:
            os.environ.setdefault(ROOT_OF_TESTS, str(MEMORY))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    first = {Path(__file__).parent / name: number for number, name in enumerate(LONG)}
    assert all(path.is_file() for path in first), "LONG names a file that is not there"
    items.sort(key=lambda item: first.get(item.path, len(first)))


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    scheduling = LoadScopeScheduling(config, log)
    # what xdist tells classes of one's own to define
    scheduling._split_scope = whole
    # after the end of a process the library gives its tests to another one, and loses its way
    scheduling.remove_node = partial(_remove_node, scheduling, scheduling.remove_node)
    scheduling.schedule = partial(_schedule, scheduling, scheduling.schedule)
    return scheduling


def _remove_node(
    scheduling: LoadScopeScheduling, remove: Callable[[WorkerController], str | None], node: WorkerController
) -> str | None:
    work = scheduling.assigned_work[node]
    for scope in [scope for scope, tests in work.items() if all(tests.values())]:
        # it would be given away too, and who is given what is finished never asks for more
        del work[scope]
    return remove(node)


def _schedule(scheduling: LoadScopeScheduling, schedule: Callable[[], None]) -> None:
    schedule()
    for node in scheduling.nodes:
        # a process runs a test when it knows the next: one alone would never begin
        scheduling._reschedule(node)


def whole(nodeid: str) -> str:
    """The file, or part of one, that one process runs as a whole.

    >>> whole("tests/keys/test_card.py::test_a_card[a]"), whole("tests/simulation/test_simulation.py::test_a_bug[it]")
    ('tests/keys/test_card.py', 'tests/simulation/test_simulation.py[it]')
    """
    path, _, test = nodeid.partition("::")
    return f"{path}[{test.partition('[')[2]}" if path in IN_PARTS else path
