"""A ledger that is locked, read-only, gone, replaced or damaged: nothing is taken, it says why and mends nothing."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from config.errors import NotNow, Tampered
from exchange.service import selfcheck
from exchange.service.daemon import Daemon
from exchange.service.once import run_once
from exchange.service.selfcheck import LedgerAltered, SelfCheck
from ledger.database import LedgerDamaged, LedgerLocked, LedgerMissing, LedgerReadOnly, LedgerReplaced, connect
from ledger.note import Verifier
from ledger.verify import Report, verify
from tests.exchange.supervised import Logged, quick, running, wait_for
from tests.ledger.ledgers import sqlite3
from tests.organisations import CASE, Pair, restart

IMPATIENT = 0.05
"""Seconds in place of the ten that another program is waited for."""


@pytest.fixture
def logged() -> Logged:
    return []


@pytest.fixture
def used(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """Some files have gone, and all of it is in the ledger's file itself, not in the log beside it."""

    def impatient(path: Path, *, writable: bool) -> object:
        return connect(path, writable=writable, timeout=IMPATIENT)

    monkeypatch.setattr("ledger.store.connect", impatient)
    for number in range(3):
        pair.lgsco.drop(b"content", f"{CASE} {number}.pdf")
    pair.settle()
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    return pair


def errors(logged: Logged, worker: str = "drop") -> set[object]:
    return {ids["error"] for event, ids in logged if event == "round.failed" and ids.get("worker") == worker}


# --- for a while ----------------------------------------------------------------------------------------------------


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Somebody looks at the ledger with the sqlite3 program, and forgets a transaction."""
    shell = subprocess.Popen(["sqlite3", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert shell.stdin is not None
    assert shell.stdout is not None
    # a daemon may be writing just now
    shell.stdin.write(".timeout 20000\nBEGIN EXCLUSIVE; SELECT 'held';\n")
    shell.stdin.flush()
    assert shell.stdout.readline() == "held\n"
    try:
        yield
    finally:
        shell.communicate(".quit\n")


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    subprocess.run(["mount", "--bind", path, path], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def test_while_the_ledger_is_locked_no_file_is_touched_and_then_it_goes_on_by_itself(
    used: Pair, logged: Logged
) -> None:
    def act(daemon: Daemon) -> None:
        with locked(used.lgsco.home.ledger):
            path = used.lgsco.drop(b"content")
            wait_for(lambda: "LedgerLocked" in errors(logged))
            assert path.exists()
            assert used.lgsco.spooled() == []
            assert used.lgsco.states() == ["acknowledged"] * 3
            assert not daemon.stopping.is_set()
        wait_for(lambda: len(used.lgsco.states()) == 4)

    with running(used, logged, act, quick(used.lgsco.parts)) as daemon:
        assert daemon.error is None


def test_a_read_only_ledger_takes_no_file_and_is_named_as_the_reason(used: Pair) -> None:
    with read_only(used.lgsco.home.ledger):
        used.lgsco = restart(used.lgsco, used.ofsted, used.clock)
        path = used.lgsco.drop(b"content")
        with pytest.raises(LedgerReadOnly, match="cannot be written to"):
            used.lgsco.take()
        assert path.exists()
    used.lgsco = restart(used.lgsco, used.ofsted, used.clock)
    used.settle()
    assert used.lgsco.states() == ["acknowledged"] * 4


# --- for good -------------------------------------------------------------------------------------------------------


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def flip_near(text: bytes, distance: int = 0) -> Callable[[Path], None]:
    """Change a bit of what lies `distance` bytes behind the last such text in the file."""

    def damage(path: Path) -> None:
        flip(path, path.read_bytes().rindex(text) + len(text) + distance)

    return damage


def flip_node(path: Path) -> None:
    found = bytes.fromhex(sqlite3(path, "SELECT hex(hash) FROM nodes WHERE level = 1 AND idx = 1"))
    flip(path, path.read_bytes().rindex(found))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 8192 * 4096)


def fill_with_nonsense(path: Path) -> None:
    path.write_bytes(os.urandom(40_000))


def flip_in_checkpoint(path: Path) -> None:
    note = sqlite3(path, "SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1 OFFSET 2").encode()
    data = path.read_bytes()
    # wherever a page of it may have been left
    path.write_bytes(data.replace(note, note[:-10] + bytes([note[-10] ^ 1]) + note[-9:]))


def drop_trigger(path: Path) -> None:
    sqlite3(path, "DROP TRIGGER entries_no_delete")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "the first page": lambda path: flip(path, 20),
    "an entry": flip_near(b'"event":"sealed"'),
    "a value beside it": flip_near(f"{CASE} 1".encode()),
    "a hash of the tree": flip_node,
    "a checkpoint": flip_in_checkpoint,
    "cut in half": cut,
    "emptied": lambda path: os.truncate(path, 0),
    "nonsense": fill_with_nonsense,
    "a trigger": drop_trigger,
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_ledger_is_found_at_the_start_and_nothing_is_taken_or_mended(used: Pair, what: str) -> None:
    home = used.lgsco.home
    used.lgsco.parts.ledger.close()
    DAMAGES[what](home.ledger)
    damaged = home.ledger.read_bytes()
    path = used.lgsco.drop(b"content")
    with pytest.raises(Tampered) as caught:
        start_daemon(used)
    assert caught.value.hint
    assert path.exists()
    assert used.lgsco.spooled() == []
    assert home.ledger.read_bytes() == damaged


def start_daemon(pair: Pair) -> None:
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    try:
        run_once(quick(pair.lgsco.parts), lambda *_, **__: None)
    finally:
        pair.lgsco.parts.ledger.close()


def remove(path: Path) -> None:
    path.unlink()


def put_older(path: Path) -> None:
    sqlite3(path, f"VACUUM INTO '{path}.old'")
    path.with_name(f"{path.name}.old").replace(path)


def remove_log(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()


WHILE_RUNNING: dict[str, Callable[[Path], None]] = {
    "removed": remove,
    "replaced": put_older,
    "its log removed": remove_log,
    "an entry": DAMAGES["an entry"],
    "a hash of the tree": DAMAGES["a hash of the tree"],
    "cut in half": cut,
    "a trigger": drop_trigger,
}


@pytest.mark.parametrize("what", WHILE_RUNNING)
def test_a_ledger_that_is_damaged_under_a_running_daemon_stops_it(used: Pair, logged: Logged, what: str) -> None:
    home = used.lgsco.home

    def act(daemon: Daemon) -> None:
        wait_for(lambda: daemon._self_check._seen != ())
        WHILE_RUNNING[what](home.ledger)
        wait_for(daemon.stopping.is_set)

    with pytest.raises(Tampered) as caught, running(used, logged, act, quick(used.lgsco.parts)):
        pass
    kinds = (LedgerReplaced, LedgerMissing, LedgerAltered, LedgerDamaged, Tampered)
    assert type(caught.value) in kinds
    assert ("daemon.tampered", {"error": type(caught.value).__name__}) in logged
    # a file that comes now waits where it was dropped
    path = used.lgsco.drop(b"content")
    with pytest.raises(LedgerReplaced) if isinstance(caught.value, LedgerReplaced) else pytest.raises(Tampered):
        used.lgsco.take() if isinstance(caught.value, LedgerReplaced) else start_daemon(used)
    assert path.exists()
    assert what != "removed" or not home.ledger.exists()


def test_a_missing_ledger_is_never_replaced_by_a_new_one(used: Pair) -> None:
    home = used.lgsco.home
    used.lgsco.parts.ledger.close()
    home.ledger.unlink()
    with pytest.raises(LedgerMissing, match="the ledger of this home is missing"):
        restart(used.lgsco, used.ofsted, used.clock)
    assert not home.ledger.exists()


def test_a_ledger_that_takes_long_to_verify_is_verified_seldom(used: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[float] = []

    def slow(_: object) -> None:
        verified.append(used.clock.now.timestamp())
        used.clock.advance(seconds=2)

    monkeypatch.setattr("exchange.service.selfcheck.check_ledger", slow)
    check, parts = SelfCheck(), used.lgsco.parts
    for _ in range(60):
        assert check.round(parts, 30.0) == 30.0
        os.utime(used.lgsco.home.ledger)  # as if it had been written to
        time.sleep(0.001)
        used.clock.advance(seconds=1)
    assert len(verified) == 2
    assert verified[1] - verified[0] >= 40


def test_the_words_for_a_locked_ledger_say_what_to_do(used: Pair) -> None:
    with locked(used.lgsco.home.ledger):
        used.lgsco.drop(b"content")
        with pytest.raises(NotNow) as caught:
            used.lgsco.take()
    assert type(caught.value) is LedgerLocked
    assert caught.value.hint == "try again when it has finished"


def test_a_start_verifies_the_ledger_once(used: Pair, logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large one takes long, and a round that did the same again would keep others from the processor."""
    times: list[Path] = []

    def counted(path: Path, verifiers: Sequence[Verifier]) -> Report:
        times.append(path)
        # a long one: nobody waits for the next
        used.clock.advance(hours=1)
        return verify(path, verifiers)

    monkeypatch.setattr(selfcheck, "verify", counted)

    def act(daemon: Daemon) -> None:
        used.lgsco.drop(b"content", f"{CASE} one more.pdf")
        for _ in range(5):
            daemon.workers["drop"].hurry()
            daemon.workers["ledger"].hurry()
            time.sleep(0.1)

    with running(used, logged, act):
        assert len(times) == 1
