"""A thread that repeats one round, whether it worked, failed for now, broke, or found evidence of tampering."""

import threading
from collections.abc import Callable
from typing import Protocol

from config.errors import HandoverError, Tampered
from exchange.landing import HostKeyChanged, LandingError
from exchange.retry import Backoff
from exchange.service import log as logs
from exchange.service.log import Log


class Supervisor(Protocol):
    """Who stops the workers, and hears of what they cannot handle."""

    stopping: threading.Event
    log: Log

    def fail(self, problem: HandoverError) -> None:
        """Stop everything because of evidence of tampering."""


class Worker(threading.Thread):
    """Repeats one round until told to stop. `round_` returns the seconds until it wants to run again."""

    def __init__(self, name: str, round_: Callable[[], float], supervisor: Supervisor, backoff: Backoff) -> None:
        super().__init__(name=name, daemon=True)
        self._round = round_
        self._supervisor = supervisor
        self._backoff = backoff
        self._wake = threading.Event()
        self._urgent = threading.Event()
        self._alone = False

    def wake(self) -> None:
        """Run the next round now; a partner that could not be used is still left alone until its pause is over."""
        self._wake.set()

    def hurry(self) -> None:
        """Run the next round now in any case: a person did something, or the service ends."""
        self._urgent.set()
        self._wake.set()

    @property
    def waker(self) -> threading.Event:
        """What ends the pause after the last round: any news, or, where a partner is left alone, only urgent ones."""
        return self._urgent if self._alone else self._wake

    def run(self) -> None:
        """The thread's body."""
        while not self._supervisor.stopping.is_set():
            pause = self.turn()
            if not self._supervisor.stopping.is_set():
                self.waker.wait(pause)

    def turn(self) -> float:
        """One round; returns the seconds until the next, unless the waker is set before. Raises nothing."""
        self._wake.clear()
        self._urgent.clear()
        self._alone = False
        try:
            pause = self._round()
        except Tampered as problem:
            self._supervisor.fail(problem)
            return 0.0
        except (HandoverError, OSError) as problem:
            self._tell("round.failed", problem)
            self._alone = isinstance(problem, LandingError)
            if isinstance(problem, HostKeyChanged):
                # only a person can mend this, and who poses as the partner is not to be called again and again
                return self._backoff.next_longest()
            return self._backoff.next()
        except Exception as problem:
            # the thread must live on: the ledger and the spool are consistent after every round that failed
            self._tell("round.broken", problem)
            return self._backoff.next()
        self._backoff.reset()
        return pause

    def _tell(self, event: str, problem: Exception) -> None:
        self._supervisor.log(event, worker=self.name, error=type(problem).__name__, at_line=logs.where(problem))
