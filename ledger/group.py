"""Group commit: of the threads that want to write, one carries out what all of them want, in one commit.

    thread A  queue job -> gets the lock -> takes A, B, C -> one commit -> result of A
    thread B  queue job -> waits for the lock ............................ finds B done -> result of B
    thread D  queue job -> waits; gets the lock after A and takes D, E, F, ...

The longer a commit takes, the more jobs the next one holds, so many writers cost one fsync, not many.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from config.errors import HandoverError, NotNow
from ledger.transaction import Transaction

T = TypeVar("T")

_ENDED = "a commit of the ledger was ended by the database"


class Job(Generic[T]):
    """One caller's work and what became of it."""

    def __init__(self, work: Callable[[Transaction], T]) -> None:
        self._work = work
        self._result: list[T] = []
        self._error: BaseException | None = None
        self.done = False

    def run(self, tx: Transaction) -> None:
        """Do the work; an exception of its own undoes this job and no other, one that ended the commit all of it."""
        size = tx.begin_job()
        try:
            result = self._work(tx)
        except Exception as problem:
            self._error = problem
            if not tx.is_alive:
                raise problem if isinstance(problem, HandoverError) else NotNow(_ENDED) from None
            tx.undo_job(size)
        else:
            tx.end_job()
            self._result = [result]

    def finish(self, failure: BaseException | None) -> None:
        """The commit is on the disk, or `failure` says why it is not."""
        self._error = self._error or failure
        self.done = True

    def outcome(self) -> T:
        """What the work returned; raises what it raised, or what stopped the commit."""
        if self._error is not None:
            raise self._error
        return self._result[0]


class Group:
    """The queue before one connection, and the lock around it."""

    def __init__(self, commit: Callable[[Sequence[Job[Any]]], None]) -> None:
        self.lock = threading.Lock()
        self._commit = commit
        self._jobs: deque[Job[Any]] = deque()
        self._leader: int | None = None

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in the next commit; returns its result when that is on the disk."""
        if self._leader == threading.get_ident():
            raise RuntimeError("a job inside a commit cannot wait for another commit")
        job = Job(work)
        self._jobs.append(job)
        with self.lock:
            if not job.done:
                self._leader = threading.get_ident()
                try:
                    self._lead()
                finally:
                    self._leader = None
        return job.outcome()

    def _lead(self) -> None:
        jobs = [self._jobs.popleft() for _ in range(len(self._jobs))]
        failure: BaseException | None = NotNow("a commit of the ledger was interrupted")
        try:
            self._commit(jobs)
            failure = None
        except HandoverError as problem:
            failure = problem
        finally:
            # whatever happened (Ctrl-C included), nobody may wait for ever or believe that it was kept
            for job in jobs:
                job.finish(failure)
