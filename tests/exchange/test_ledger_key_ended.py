"""Who ends a ledger key is not accused of a false ledger, whatever comes late; who goes on with one is noticed."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from config.errors import Tampered
from config.home import Home
from exchange import key_desk, rounds
from ledger import witness
from ledger.statement import Statement
from ledger.store import Ledger
from tests.exchange.test_key_expired import give_card
from tests.exchange.test_key_revocation import first, persist, revoke
from tests.exchange.test_key_rotation import chained, exchange_files, rotate
from tests.organisations import CASE, Organisation, Pair, restart, start


def conflicts(one: Organisation) -> int:
    return one.events().count("witness.conflict")


def send_files(one: Organisation, *names: str) -> None:
    """Only files: announcements are late."""
    for name in names:
        one.drop(name.encode(), f"{CASE} {name}.pdf")
    one.take()
    rounds.send_files(one.parts, one.connection)


def goes_on(pair: Pair) -> None:
    """Witnessing, too."""
    before = pair.ofsted.parts.ledger.witnessed("lgsco")
    pair.clock.advance(hours=7)
    for name in ("later", "and later"):
        exchange_files(pair, name)
    now = pair.ofsted.parts.ledger.witnessed("lgsco")
    assert now is not None
    assert before is None or now.size > before.size
    for one in (pair.lgsco, pair.ofsted):
        assert not {"witness.conflict", "rejected", "quarantined", "receipt.refused"} & set(one.events())


@pytest.mark.topologies("push", only=True)
@pytest.mark.parametrize("accepts", [True, False], ids=["chain", "confirm"])
@pytest.mark.parametrize("first_come", ["files", "announcements"])
def test_files_that_were_on_their_way(pair: Pair, accepts: bool, first_come: str) -> None:
    if accepts:
        chained(pair)
    exchange_files(pair, "at first")
    pair.clock.advance(hours=1)
    send_files(pair.lgsco, "sealed before 1", "sealed before 2")
    revoke(pair.lgsco, "ledger")
    send_files(pair.lgsco, "sealed after 1", "sealed after 2")
    came = {path: path.read_bytes() for path in pair.ofsted.landing().iterdir()}
    assert len(came) == 4
    if first_come == "announcements":
        for path in came:
            path.unlink()
        pair.lgsco.send()
        pair.ofsted.receive()
        for path, content in came.items():
            path.write_bytes(content)
    pair.ofsted.receive()
    persist(pair)
    assert conflicts(pair.ofsted) == 0
    if not accepts:
        key_desk.accept(pair.ofsted.parts, "lgsco", first(pair.lgsco, "ledger"), "root")
        persist(pair)
    goes_on(pair)
    assert set(pair.lgsco.states()) == {"acknowledged"}


def revoked(pair: Pair) -> None:
    revoke(pair.lgsco, "ledger")


def left_behind(pair: Pair) -> None:
    rotate(pair.lgsco, "ledger", timedelta(0))
    pair.clock.advance(days=1)
    key_desk.retire(pair.lgsco.parts, "ledger", "root", ("ofsted",))


@pytest.mark.parametrize("end", [revoked, left_behind])
def test_a_key_that_ends_before_the_first_message(pair: Pair, end: Callable[[Pair], None]) -> None:
    pair.clock.advance(hours=1)
    end(pair)
    pair.lgsco.drop(b"x", f"{CASE} x.pdf")
    persist(pair)
    assert conflicts(pair.ofsted) == 0
    key_desk.accept(pair.ofsted.parts, "lgsco", first(pair.lgsco, "ledger"), "root")
    persist(pair)
    goes_on(pair)


def test_a_key_that_ends_while_the_first_receipt_is_on_its_way(pair: Pair) -> None:
    send_files(pair.lgsco, "x")
    pair.ofsted.receive()
    assert pair.ofsted.parts.ledger.witnessed("lgsco") is not None
    pair.clock.advance(hours=1)
    revoke(pair.lgsco, "ledger")
    send_files(pair.lgsco, "y")
    pair.ofsted.receive()
    assert conflicts(pair.ofsted) == 0


@pytest.mark.topologies("push", only=True)
def test_a_key_that_the_partner_knows_only_from_a_card(pair: Pair, tmp_path: Path) -> None:
    left_behind(pair)
    give_card(pair.lgsco, pair.ofsted, tmp_path / "new.toml")
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)

    def deliver(name: str) -> None:
        send_files(pair.lgsco, name)
        pair.ofsted.receive()
        pair.ofsted.send()
        pair.lgsco.receive()

    deliver("one")
    assert pair.lgsco.parts.ledger.partner_seen("ofsted") > 0
    pair.clock.advance(hours=1)
    revoke(pair.lgsco, "ledger")
    deliver("two")
    assert conflicts(pair.ofsted) == 0


@pytest.mark.topologies("push", only=True)
@pytest.mark.parametrize("witnessed", [True, False])
def test_a_file_sealed_before_a_card_that_names_only_the_next_key(pair: Pair, tmp_path: Path, witnessed: bool) -> None:
    chained(pair)
    if witnessed:
        exchange_files(pair, "before")
    pair.clock.advance(hours=1)
    send_files(pair.lgsco, "late")
    (late,) = pair.ofsted.landing().iterdir()
    data = late.read_bytes()
    late.unlink()
    if witnessed:
        # it is no other ledger: its next key was announced
        rotate(pair.lgsco, "ledger")
        pair.lgsco.send()
        pair.ofsted.receive()
    key_desk.revoke(pair.lgsco.parts, first(pair.lgsco, "ledger"), None, "root")
    give_card(pair.lgsco, pair.ofsted, tmp_path / "new.toml")
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    chained(pair)
    late.write_bytes(data)
    pair.ofsted.receive()
    assert conflicts(pair.ofsted) == 0
    persist(pair)
    goes_on(pair)


def test_a_key_that_is_revoked_while_a_message_is_being_made(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange_files(pair, "before")
    pair.clock.advance(hours=1)
    pair.lgsco.drop(b"x", f"{CASE} x.pdf")
    pair.lgsco.take()
    compose, done = witness.compose, list[object]()

    def revoking(ledger: Ledger, partner: str, until: int | None = None) -> Statement:
        if not done:
            # by another process, at this very moment
            done.append(revoke(pair.lgsco, "ledger"))
        return compose(ledger, partner, until)

    with monkeypatch.context() as patch:
        patch.setattr(witness, "compose", revoking)
        rounds.send_files(pair.lgsco.parts, pair.lgsco.connection)
    assert done
    pair.ofsted.receive()
    persist(pair)
    assert conflicts(pair.ofsted) == 0


@pytest.mark.topologies("push", only=True)
@pytest.mark.parametrize("successor", [True, False])
def test_who_goes_on_with_a_key_that_somebody_else_has_ended_is_noticed(pair: Pair, successor: bool) -> None:
    """A thief of all keys says that the ledger key counts no more: its owner knows nothing of that."""
    chained(pair)
    exchange_files(pair, "at first")
    exchange_files(pair, "once more")
    pair.clock.advance(hours=1)
    shutil.copytree(pair.lgsco.home.root, pair.base / "thief")
    thief = start(Home.open(pair.base / "thief"), pair.ofsted.home, pair.clock)
    revoke(thief, "ledger")
    thief.send()
    thief.parts.ledger.close()
    came = sorted(pair.ofsted.landing().iterdir())
    assert len(came) == 2
    if not successor:
        came[0].unlink()
    pair.ofsted.receive()
    pair.lgsco.drop(b"x", f"{CASE} x.pdf")
    if successor:
        # the thief's ledger was cosigned
        with pytest.raises(Tampered, match="another tree"):
            persist(pair)
        return
    told = []
    for number in range(4):
        pair.clock.advance(hours=9)
        pair.lgsco.drop(b"x", f"{CASE} {number}.pdf")
        persist(pair)
        told.append(conflicts(pair.ofsted))
    # for a day it may be what comes late
    assert told == [0, 0, 1, 2]
    assert "message.refused" in pair.lgsco.events()
