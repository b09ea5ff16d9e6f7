"""A worker's pauses: news end one after a failure of our own, but a partner is left alone until it is over."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from config.errors import HandoverError, NotNow
from exchange.landing import HostKeyChanged, Unreachable
from exchange.retry import Backoff
from exchange.service.log import Log
from exchange.service.worker import Worker


class Service:
    """Who watches the worker."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.log: Log = lambda _event, **_ids: None

    def fail(self, problem: HandoverError) -> None:
        raise AssertionError(problem)


@contextmanager
def working(problem: Exception, first: float = 60.0, longest: float = 60.0) -> Iterator[tuple[Worker, list[float]]]:
    """A worker whose every round fails, and when each began."""
    service, rounds = Service(), list[float]()

    def round_() -> float:
        rounds.append(time.monotonic())
        raise problem

    worker = Worker("out:ofsted", round_, service, Backoff(first, longest, lambda: 1.0))
    worker.start()
    until(lambda: len(rounds) == 1)
    yield worker, rounds
    service.stopping.set()
    worker.hurry()
    worker.join()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_news_end_the_pause_after_a_failure_of_our_own() -> None:
    with working(NotNow("the disk is full")) as (worker, rounds):
        worker.wake()
        until(lambda: len(rounds) == 2)


@pytest.mark.parametrize("error", [Unreachable, HostKeyChanged])
def test_news_do_not_end_the_pause_in_which_a_partner_is_left_alone_but_a_person_does(
    error: type[Unreachable | HostKeyChanged],
) -> None:
    with working(error("ofsted.example:22")) as (worker, rounds):
        worker.wake()
        time.sleep(0.3)
        assert len(rounds) == 1
        worker.hurry()
        until(lambda: len(rounds) == 2)


def test_a_changed_host_key_is_followed_by_the_longest_pause_at_once() -> None:
    with working(HostKeyChanged("ofsted.example:22"), first=0.01) as (_, rounds):
        time.sleep(0.5)
        assert len(rounds) == 1
    with working(Unreachable("ofsted.example:22"), first=0.01) as (_, rounds):
        until(lambda: len(rounds) >= 4)
