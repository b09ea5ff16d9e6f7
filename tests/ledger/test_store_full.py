"""ledger/group.py and ledger/store.py on a disk that fills up: the commit fails as a whole, and says why."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from config.errors import HandoverError, NotNow
from ledger.database import LedgerDiskFull
from ledger.entry import Draft
from ledger.store import Ledger, Transaction
from ledger.verify import verify
from tests.ledger.ledgers import LGSCO, add, sqlite3
from tests.tmpfs import mount, tmpfs

NOTE = Draft(event="partner.added", actor="operator", partner="ofsted")
LARGE = NOTE.replace(detail={"padding": "x" * 60_000})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with tmpfs(tmp_path / "disk", "size=4m,mode=0700") as disk, LGSCO.create(disk / "ledger.db") as ledger:
        yield ledger


def _too_much(tx: Transaction) -> None:
    """More than the page cache holds, so that it is written, and the disk found full, before the commit."""
    for _ in range(100):
        tx.append(LARGE)


def _room(ledger: Ledger) -> None:
    mount(ledger.path.parent, "remount,size=64m")


def test_a_disk_that_is_full_in_the_middle_of_a_job_is_no_sign_of_tampering(ledger: Ledger) -> None:
    add(ledger, NOTE)
    for _ in range(2):
        with pytest.raises(NotNow, match="the disk that holds the ledger is full"):
            ledger.write(_too_much)
    assert ledger.size == 1
    _room(ledger)
    ledger.write(_too_much)
    assert ledger.size == 101
    assert verify(ledger.path, [LGSCO.verifier]).ok


def test_a_full_disk_fails_every_job_of_the_commit_and_none_is_half_done(ledger: Ledger) -> None:
    running, go_on = threading.Event(), threading.Event()
    outcomes: list[object] = []

    def slow(tx: Transaction) -> None:
        running.set()
        assert go_on.wait(10)

    def write(number: int) -> None:
        try:
            ledger.write(_too_much if number == 1 else lambda tx: tx.append(NOTE))
        except HandoverError as problem:
            outcomes.append((type(problem), problem.message))
        else:
            outcomes.append(None)

    first = threading.Thread(target=ledger.write, args=(slow,))
    first.start()
    assert running.wait(10)
    others = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    for queued, thread in enumerate(others):
        thread.start()
        while len(ledger._group._jobs) < queued + 1:
            pass
    go_on.set()
    for thread in (first, *others):
        thread.join()
    assert outcomes == [(LedgerDiskFull, "the disk that holds the ledger is full")] * 3
    assert ledger.size == 0
    _room(ledger)
    assert add(ledger, NOTE)[0].seq == 0


def test_a_job_that_hides_the_failure_cannot_write_outside_of_a_commit(ledger: Ledger) -> None:
    def hides(tx: Transaction) -> None:
        with suppress(NotNow):
            _too_much(tx)
        _room(ledger)
        with suppress(NotNow):
            tx.append(NOTE)

    with pytest.raises(NotNow, match="has been ended"):
        ledger.write(hides)
    assert sqlite3(ledger.path, "SELECT count(*) FROM entries") == "0"
    assert add(ledger, NOTE)[0].seq == 0
    assert verify(ledger.path, [LGSCO.verifier]).ok
