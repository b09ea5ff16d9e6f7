"""What a test's own timeout does not end: its process is ended, and the last words of the run say where it stood.

pytest-timeout raises once, in the main thread: a test that hangs again in its `finally`, or in C, is not ended by it.
Among several processes such a test is tried once more, in a new one: the others' results are not lost, and where it
hung is said all the same.

A plugin of pytest's (conftest.py names it); `faulthandler` needs nothing of a process that hangs.
"""

import faulthandler
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from xdist.scheduler import LoadScopeScheduling

PATIENCE = 1.25, 60.0
"""How many times its timeout, and how many seconds more, a test has until its process is ended."""

KEPT = Path("build", "hanging")
"""In it a file for each process: the test that runs, and after a hang the stack of every thread."""

FOREIGN = ("/site-packages/", "/lib/python", "<frozen ")
"""Frames that tell nothing of where a test stands, but for the innermost of each thread."""


def pytest_configure(config: pytest.Config) -> None:
    folder = config.rootpath / KEPT
    if not hasattr(config, "workerinput"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        config.pluginmanager.register(_Again(folder), "again")
    config.pluginmanager.register(_Patience(config, folder / _name(config)), "patience")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for path in _hung(config.rootpath / KEPT):
        terminalreporter.section(f"{path.name} hung")
        for line in shortened(path.read_text()):
            terminalreporter.write_line(line)


def shortened(said: str) -> list[str]:
    """The test, and of every thread its innermost frame and those that are the project's own."""
    lines = []
    innermost = False
    for line in said.splitlines():
        if innermost or not any(foreign in line for foreign in FOREIGN):
            lines.append(line)
        innermost = "Thread 0x" in line
    return lines


def _name(config: pytest.Config) -> str:
    worker = getattr(config, "workerinput", {})
    return str(worker.get("workerid", "main"))


def _hung(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if "Thread 0x" in path.read_text()]


class _Again:
    """Where the run is led: which tests have hung so far."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._once: set[str] = set()

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport, sched: LoadScopeScheduling) -> None:
        hung = {path.read_text().partition("\n")[0] for path in _hung(self._folder)}
        if crashitem in hung - self._once:
            self._once.add(crashitem)
            # the scheduling has it among what is to be done
            vars(report)["outcome"] = "rerun"


class _Patience:
    """Of one process."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self._usual = float(config.getini("timeout") or 0)
        self._file: TextIO = path.open("w")
        self._limit = 0.0

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        marker = item.get_closest_marker("timeout")
        times, more = PATIENCE
        self._limit = float(marker.args[0] if marker else self._usual) * times + more
        self._file.seek(0)
        self._file.truncate()
        self._file.write(f"{item.nodeid}\n")
        self._file.flush()
        self._begin()
        try:
            return (yield)
        finally:
            faulthandler.cancel_dump_traceback_later()

    @pytest.hookimpl(trylast=True)
    def pytest_exception_interact(self) -> None:
        # pytest has just stopped the clock, for whoever debugs; what follows may hang too
        if self._limit:
            self._begin()

    def pytest_unconfigure(self) -> None:
        self._file.close()

    def _begin(self) -> None:
        faulthandler.dump_traceback_later(self._limit, file=self._file, exit=True)
