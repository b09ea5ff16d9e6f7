"""A whole daemon with its threads, in the process of the test."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from config.home import Home
from config.times import system_clock
from exchange.parts import Parts
from exchange.service.daemon import Daemon
from tests.organisations import Pair

Logged = list[tuple[str, dict[str, object]]]
"""Event and ids of each line."""


def without_threads(parts: Parts) -> Daemon:
    """A daemon whose workers take a turn only when the test asks them."""
    return Daemon(parts, lambda _event, **_ids: None, {}, launch=lambda worker: None)


@contextmanager
def own_signals() -> Iterator[None]:
    """A daemon takes the signals of the process that it runs in; they are given back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGIO)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def running(pair: Pair, logged: Logged, act: Callable[[Daemon], None], parts: Parts | None = None) -> Iterator[Daemon]:
    """LGSCO's daemon in this thread, until `act`, in another one, has ended."""
    daemon = Daemon(parts or pair.lgsco.parts, lambda event, **ids: logged.append((event, ids)), {})
    problems: list[BaseException] = []

    def run() -> None:
        try:
            wait_for(lambda: any(event == "daemon.ready" for event, _ in logged))
            act(daemon)
        except BaseException as problem:
            problems.append(problem)
        finally:
            daemon.stop()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        with own_signals():
            daemon.run()
    finally:
        thread.join()
    for problem in problems:
        raise problem
    yield daemon


def quick(parts: Parts, *, rescan: float = 0.2, quiet: float = 0.2, polling: bool = False) -> Parts:
    """The same organisation on the real clock, and with little patience (in seconds)."""
    settings = parts.home.settings
    watch = settings.watch.model_copy(
        update={
            "rescan": timedelta(seconds=rescan), "quiet": timedelta(seconds=quiet), "polling": polling,
        }
    )  # fmt: skip
    retry = settings.retry.model_copy(update={"first": timedelta(milliseconds=50), "max": timedelta(seconds=1)})
    home = Home(parts.home.root, settings.model_copy(update={"watch": watch, "retry": retry}))
    return replace(parts, home=home, effects=replace(parts.effects, clock=system_clock, monotonic=time.monotonic))


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds; fails after far more time than it takes."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "what should have happened did not"
        time.sleep(0.02)
