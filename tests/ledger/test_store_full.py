"""ledger/group.py and ledger/store.py on a disk that fills up: the commit fails as a whole, and says why."""

import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from config.errors import HandoverError, NotNow
from ledger import key_events
from ledger.database import LedgerDiskFull, LedgerUnreadable
from ledger.entry import Draft
from ledger.note import Ed25519Signer, Ed25519Verifier
from ledger.store import Ledger, Transaction
from ledger.verify import verify
from ledger.view import View
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
        assert go_on.wait(60)

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
    deadline = time.monotonic() + 30
    for queued, thread in enumerate(others):
        thread.start()
        while len(ledger._group._jobs) < queued + 1:
            assert time.monotonic() < deadline
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


# --- a commit that fails where it says that a key ended ---------------------------------------------------------------


def _nothing() -> None:
    """Does nothing."""


@dataclass
class Recorded:
    """Two keys of one ledger, of which those sign that its entries say are in use; `asked` runs once they are known."""

    signing: tuple[Ed25519Signer, ...] = field(default_factory=lambda: (LGSCO.signer, _second()))
    asked: Callable[[], None] = _nothing

    def verifiers(self) -> list[Ed25519Verifier]:
        """See LedgerKeys."""
        return [Ed25519Verifier(signer.name, signer.public) for signer in self.signing]

    def signers(self, view: View) -> list[Ed25519Signer]:
        """See LedgerKeys."""
        recorded = key_events.ledger_keys(view)
        found = [signer for signer in self.signing if _public(signer) in recorded] or [LGSCO.signer]
        self.asked()
        return found


def _second() -> Ed25519Signer:
    key = Ed25519PrivateKey.from_private_bytes(b"another ledger key".ljust(32, b"."))
    return Ed25519Signer(LGSCO.signer.name, key.public_key().public_bytes_raw(), key.sign)


def _public(signer: Ed25519Signer) -> str:
    return Ed25519Verifier(signer.name, signer.public).vkey


@pytest.fixture
def keys() -> Recorded:
    return Recorded()


@pytest.fixture
def rotated(tmp_path: Path, keys: Recorded) -> Iterator[Ledger]:
    """A ledger on a small disk that two keys sign."""
    with tmpfs(tmp_path / "disk", "size=4m,mode=0700") as disk:
        LGSCO.create(disk / "ledger.db").close()
        with Ledger.open_with(disk / "ledger.db", keys, clock=LGSCO.clock, random=os.urandom) as ledger:
            for name, signer in zip("ab", keys.signing, strict=True):
                detail = {"purpose": "ledger", "public": _public(signer)}
                add(ledger, Draft(event="key.created", actor="operator", key=name, detail=detail))
            yield ledger


def _retire(ledger: Ledger) -> None:
    add(ledger, Draft(event="key.retired", actor="daemon", key="a"))


def _fill(disk: Path) -> None:
    """Until not even a single page fits."""
    with (disk / "other").open("wb", buffering=0) as other, suppress(OSError):
        while True:
            other.write(bytes(4096))


def _check_both_sign(ledger: Ledger, keys: Recorded) -> None:
    """What was not committed counts for nothing: the next entry is signed by both keys, and one retires after all."""
    assert ledger.size == 2
    add(ledger, NOTE)
    assert verify(ledger.path, keys.verifiers()).problems == ()
    _retire(ledger)
    add(ledger, NOTE)
    assert verify(ledger.path, keys.verifiers()).problems == ()
    signatures = [(signed or b"").count("\u2014 ".encode()) for signed in map(ledger.checkpoint_of, range(2, 6))]
    assert signatures == [2, 2, 1, 1]


def test_a_disk_that_fills_up_while_a_key_is_retired_retires_none(rotated: Ledger, keys: Recorded) -> None:
    keys.asked = lambda: _fill(rotated.path.parent)
    with pytest.raises(LedgerDiskFull):
        _retire(rotated)
    keys.asked = _nothing
    _room(rotated)
    _check_both_sign(rotated, keys)


def test_a_commit_that_cannot_be_written_for_another_reason_retires_no_key(rotated: Ledger, keys: Recorded) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # no file may grow any more: to SQLite a disk that does not write
    keys.asked = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        with pytest.raises(LedgerUnreadable, match="SQLITE_IOERR"):
            _retire(rotated)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    keys.asked = _nothing
    _check_both_sign(rotated, keys)


def test_a_commit_that_ends_before_it_is_signed_retires_no_key(rotated: Ledger, keys: Recorded) -> None:
    def interrupted(_: bytes) -> bytes:
        raise KeyboardInterrupt

    whole, second = keys.signing, keys.signing[1]
    keys.signing = (whole[0], Ed25519Signer(second.name, second.public, interrupted))
    with pytest.raises(KeyboardInterrupt):
        _retire(rotated)
    keys.signing = whole
    _check_both_sign(rotated, keys)


def test_what_another_process_wrote_is_asked_about_keys_once(tmp_path: Path) -> None:
    asked: list[int] = []
    LGSCO.create(tmp_path / "ledger.db").close()
    keys = Recorded(asked=lambda: asked.append(1))
    with (
        Ledger.open_with(tmp_path / "ledger.db", keys, clock=LGSCO.clock, random=os.urandom) as ledger,
        LGSCO.open(tmp_path / "ledger.db") as other,
    ):
        ledger.check_writable()
        asked.clear()
        # an entry that changes no key, and this process writes none after it
        add(other, NOTE)
        for _ in range(3):
            ledger.check_writable()
        assert asked == []
