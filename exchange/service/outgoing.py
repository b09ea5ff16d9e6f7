"""The daemon's rounds towards one partner.

Receipts, files, and what is collected have a connection each, so that a receipt never waits for a large file; together
they share one outage. A connection that lay idle may have been closed on the way: a new one is made before that counts
as a failure.
"""

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from config.errors import HandoverError, Tampered
from exchange.landing import ConnectionLost, LandingError
from exchange.parts import Parts
from exchange.retry import Backoff, Pauses
from exchange.rounds import Connection
from exchange.service import log as logs
from exchange.service.log import Log
from exchange.service.outage import Outage

C = TypeVar("C", bound=Connection)

IDLE_CONNECTION = 60.0
"""Seconds after which an unused connection is closed."""


class Service(Protocol):
    """The daemon, as its rounds see it."""

    parts: Parts
    log: Log
    stopping: threading.Event


class Outgoing(Generic[C]):
    """The round of one kind of message to or from one partner, over a connection of its own.

    `send` returns how often it used the connection. `every`: seconds until the next round, where nothing tells of it.
    """

    def __init__(
        self,
        service: Service,
        name: str,
        shared: Outage,
        send: Callable[[Parts, C], int],
        kind: type[C],
        every: Callable[[], float] | None = None,
    ) -> None:
        effects, retry = service.parts.effects, service.parts.home.settings.retry
        self.name = name
        self._service = service
        self._outage = shared
        self._pauses = Pauses(
            lambda: Backoff(retry.first.total_seconds(), retry.max.total_seconds(), effects.jitter), effects.monotonic
        )
        self._connection = kind(shared.partner, pauses=self._pauses)
        self._every = every
        self._send = send
        self._used = effects.monotonic()

    def __call__(self) -> float:
        """One round; returns the seconds until the next is due. Raises LandingError when the partner is to be left
        alone for a while."""
        parts, began = self._service.parts, self._outage.contacts
        try:
            used = self._attempt(parts) > 0 or self._answers_again(parts)
        except LandingError as problem:
            self._connection.close()
            if not self._service.stopping.is_set():
                self._outage.failed(parts, self.name, type(problem).__name__, began)
            if not problem.of_one_file or self._pauses.left() is None:
                raise
            # the partner takes other files: only the refused ones wait
            self._service.log(
                "round.failed", worker=self.name, error=type(problem).__name__, at_line=logs.where(problem)
            )
        except BaseException:
            if self._connection.landing is not None:
                self._worked(parts)
            self._connection.close()
            raise
        else:
            now = parts.effects.monotonic()
            if used:
                self._used = now
                self._worked(parts)
            elif now - self._used >= IDLE_CONNECTION:
                self._connection.close()
        pause = self._pause(parts)
        if pause > IDLE_CONNECTION:
            self._connection.close()
        left = self._pauses.left()
        return pause if left is None else min(pause, max(left, 0.05))

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _pause(self, parts: Parts) -> float:
        if self._every is not None:
            return self._every()
        return min(IDLE_CONNECTION, parts.home.settings.watch.rescan.total_seconds())

    def _attempt(self, parts: Parts) -> int:
        lay_idle = self._connection.landing is not None
        try:
            return self._send_or_look(parts)
        except ConnectionLost:
            self._connection.close()
            if not lay_idle or self._service.stopping.is_set():
                raise
        return self._send_or_look(parts)

    def _send_or_look(self, parts: Parts) -> int:
        """Send; where something here keeps it from that for long (people, a full disk), an outage may be over all the
        same."""
        try:
            return self._send(parts, self._connection)
        except (LandingError, Tampered):
            raise
        except (HandoverError, OSError):
            if self._connection.landing is None:
                self._answers_again(parts)
            raise

    def _answers_again(self, parts: Parts) -> bool:
        """Whether the partner is there, looked at only if it was not; raises LandingError.

        What failed may have been done all the same, or by another connection: with nothing left to send, or nothing
        that may be sent now, nothing else would ever end the outage.
        """
        if self._pauses.left() is not None or not self._outage.lasts_for(parts, self.name):
            return False
        self._connection.open(parts)
        return True

    def _worked(self, parts: Parts) -> None:
        # as long as a file is refused, it is the same outage
        if self._pauses.left() is None:
            self._outage.worked(parts, self.name)
