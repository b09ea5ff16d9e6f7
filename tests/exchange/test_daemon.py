"""The supervisor outlives what goes wrong beside it."""

import os
import signal
import threading
import time
from functools import partial

import pytest

from exchange import rounds
from exchange.assembly import assemble
from exchange.parts import Parts
from exchange.service.daemon import Daemon
from ledger.entry import Draft
from tests.exchange.supervised import Logged, own_signals, running, wait_for
from tests.organisations import CASE, PASSPHRASE, Pair, restart


@pytest.fixture
def logged() -> Logged:
    return []


def test_a_card_that_cannot_be_read_stops_nothing_and_is_learnt_when_it_can(pair: Pair, logged: Logged) -> None:
    card = pair.lgsco.home.cards / "ofsted.toml.sig"
    signature = card.read_text()

    def act(daemon: Daemon) -> None:
        before = daemon.parts
        with assemble(pair.lgsco.home, lambda: PASSPHRASE).ledger as ledger:
            card.write_text("")
            ledger.write(lambda tx: tx.append(Draft(event="key.created", actor="operator")))
        wait_for(lambda: any(event == "look.failed" for event, _ in logged))
        assert daemon.parts is before
        time.sleep(2.5)
        card.write_text(signature)
        wait_for(lambda: daemon.parts is not before)

    with running(pair, logged, act) as daemon:
        assert daemon.error is None
    assert [event for event, _ in logged].count("look.failed") == 1
    assert logged[-1][0] == "daemon.stopped"


def test_a_worker_that_is_about_to_start_is_not_taken_for_a_dead_one(pair: Pair, logged: Logged) -> None:
    for _ in range(20):
        daemon = Daemon(pair.lgsco.parts, lambda event, **ids: logged.append((event, ids)), {})
        dead: set[str] = set()
        ended = threading.Event()
        watching = threading.Thread(target=partial(_watch, daemon, dead, ended))
        watching.start()
        daemon.begin()
        workers = list(daemon.workers.values())
        ended.set()
        watching.join()
        daemon.stop()
        for worker in workers:
            worker.hurry()
            worker.join()
        assert dead == set()


def _watch(daemon: Daemon, dead: set[str], ended: threading.Event) -> None:
    while not ended.is_set():
        dead.update(worker.name for worker in list(daemon.workers.values()) if not worker.is_alive())


def test_a_stop_while_claims_are_taken_up_is_heeded_before_the_next_one(
    pair: Pair, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        pair.lgsco.drop(b"content", f"{CASE} {number}.pdf")
    pair.lgsco.take()
    taken_up, go_on = [], rounds._go_on

    def one(parts: Parts, identifier: str) -> None:
        go_on(parts, identifier)
        taken_up.append(identifier)
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch, own_signals():
        patch.setattr(rounds, "_go_on", one)
        Daemon(pair.lgsco.parts, lambda event, **ids: logged.append((event, ids)), {}).run()
    assert len(taken_up) == 1
    assert [event for event, _ in logged if event.startswith("daemon.")] == ["daemon.stopped"]
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"] * 3


def test_workers_that_end_because_they_were_told_to_are_not_taken_for_dead(
    pair: Pair, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(daemon: Daemon) -> None:
        def stopped_meanwhile() -> None:
            daemon.stop()
            for worker in list(daemon.workers.values()):
                worker.hurry()
                worker.join()

        monkeypatch.setattr(daemon, "look", stopped_meanwhile)
        wait_for(daemon.stopping.is_set)

    with running(pair, logged, act) as daemon:
        assert daemon.error is None
    assert "daemon.worker-died" not in [event for event, _ in logged]
