"""Unlocking a key takes as long as somebody made it take; meanwhile everybody else may write the ledger."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from exchange import key_desk
from exchange.service.once import run_once
from keys import at_rest
from keys.keyring import Secret
from ledger.database import connect
from tests.exchange.test_key_rotation import chained, exchange_files, rotate
from tests.keys.cards import public
from tests.organisations import CASE, Pair, restart, start

AT_ONCE = 0.0


@pytest.fixture
def unlocked(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Labels of the keys that were unlocked; each time somebody else could have written either ledger."""
    unlock, labels = at_rest.unlock, list[str]()

    def watched(data: bytes, passphrase: Secret, label: str) -> bytes:
        for one in (pair.lgsco, pair.ofsted):
            can_be_written(one.home.ledger)
        labels.append(label)
        return unlock(data, passphrase, label)

    monkeypatch.setattr(at_rest, "unlock", watched)
    return labels


def can_be_written(ledger: Path) -> None:
    other = connect(ledger, writable=True, timeout=AT_ONCE)
    other.execute("BEGIN IMMEDIATE")
    other.execute("ROLLBACK")
    other.close()


def announces(pair: Pair) -> None:
    parts = pair.lgsco.parts
    landing = parts.home.settings.landing
    both = landing.model_copy(update={"host_keys": (*landing.host_keys, public("another host").line)})
    settings = parts.home.settings.model_copy(update={"landing": both})
    key_desk.announce(replace(parts, home=replace(parts.home, settings=settings)), "root")


ORDERS: dict[str, Callable[[Pair], object]] = {
    "a rotation": lambda pair: rotate(pair.lgsco, "encryption"),
    "host keys": announces,
    "a retirement": lambda pair: key_desk.retire(pair.lgsco.parts, "signing", "root"),
    "a revocation": lambda pair: key_desk.revoke(
        pair.lgsco.parts, pair.lgsco.parts.own.usable("signing")[0].fingerprint, None, "root"
    ),
}


@pytest.mark.parametrize("order", ORDERS)
def test_no_order_unlocks_a_key_while_it_keeps_the_ledger(pair: Pair, unlocked: list[str], order: str) -> None:
    chained(pair)
    rotate(pair.lgsco, "signing")
    exchange_files(pair, "with the new key")
    # a command has unlocked nothing yet but what signs the ledger
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    unlocked.clear()
    ORDERS[order](pair)
    assert "signing key 2" in unlocked


def test_the_start_unlocks_every_key_once_and_before_it_writes_the_ledger(pair: Pair, unlocked: list[str]) -> None:
    chained(pair)
    rotate(pair.lgsco, "signing")
    exchange_files(pair, "with the new key")
    pair.lgsco.drop(b"waits", f"{CASE} waits.pdf")
    pair.lgsco.take()
    unlocked.clear()
    logged: list[str] = []

    def log(event: str, **_: object) -> None:
        logged.append(event)

    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    run_once(pair.lgsco.parts, log)
    assert "sent" in logged
    purposes = ("signing", "encryption", "transport", "ledger", "witness")
    assert sorted(unlocked) == sorted([*(f"{purpose} key 1" for purpose in purposes), "signing key 2"])
    pair.settle()
    assert pair.lgsco.states()[-1] == "acknowledged"
    assert len(unlocked) == 6, "what was unlocked stays so"


def test_a_ledger_key_that_a_command_made_is_unlocked_before_the_service_writes(
    pair: Pair, unlocked: list[str]
) -> None:
    chained(pair)
    command = start(pair.lgsco.home, pair.ofsted.home, pair.clock)
    rotate(command, "ledger")
    command.parts.ledger.close()
    unlocked.clear()
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    assert unlocked == ["ledger key 2"]


def test_no_service_that_has_just_started_unlocks_a_key_while_it_keeps_the_ledger(
    pair: Pair, unlocked: list[str]
) -> None:
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    unlocked.clear()
    exchange_files(pair, "after a start")
    assert {"signing key 1", "witness key 1", "encryption key 1"} <= set(unlocked)
