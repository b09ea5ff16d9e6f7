"""An approved order that cannot be carried out yet keeps no other order, and nothing of the service, waiting."""

from pathlib import Path

import pytest

from config.errors import Misuse, NotNow
from exchange import approval_desk, key_desk
from exchange.assembly import assemble
from tests.exchange.administrators import Board, ask_to_rotate, number, state_of
from tests.exchange.supervised import without_threads
from tests.exchange.test_key_rotation import rotate
from tests.organisations import PASSPHRASE, Organisation, Pair


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board.new(tmp_path / "administrators")


def blocked(one: Organisation, board: Board) -> int:
    """The first composite key has to wait until the partner has accepted a new transport key."""
    rotate(one, "transport")
    board.rule(one)
    order = number(approval_desk.rotate(one.parts, "signing-pq", "30d", None, "root"))
    board.first.approves(one, order)
    with pytest.raises(NotNow, match="has not accepted"):
        board.second.approves(one, order)
    assert state_of(one, order) == "approved"
    return order


def test_other_orders_are_signed_and_carried_out(pair: Pair, board: Board) -> None:
    lgsco = pair.lgsco
    waits = blocked(lgsco, board)
    other = ask_to_rotate(lgsco, "ledger")
    assert board.first.approves(lgsco, other)["state"] == "waits"
    assert board.second.approves(lgsco, other)["state"] == "done"
    assert state_of(lgsco, waits) == "approved"


def test_the_service_learns_what_another_process_wrote_and_tries_the_order_again(
    pair: Pair, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    lgsco, learned = pair.lgsco, list[int]()
    waits = blocked(lgsco, board)
    daemon = without_threads(lgsco.parts)
    learn = daemon._learn_partners

    def note() -> None:
        learned.append(lgsco.parts.ledger.size)
        learn()

    monkeypatch.setattr(daemon, "_learn_partners", note)
    other = assemble(lgsco.home, lambda: PASSPHRASE, lgsco.parts.effects)
    with other.ledger:
        key_desk.announce(other, "root")
    for _ in range(3):
        daemon.look()
    assert len(learned) == 1
    assert state_of(lgsco, waits) == "approved"
    pair.settle()
    [asked] = key_desk.waiting(pair.ofsted.parts.ledger)
    key_desk.accept(pair.ofsted.parts, "lgsco", asked.announcement.fingerprint, "root")
    pair.settle()
    daemon.look()
    assert state_of(lgsco, waits) == "done"


def test_what_makes_no_sense_is_put_before_nobody(pair: Pair, board: Board) -> None:
    lgsco = pair.lgsco
    rotate(lgsco, "transport")
    stolen = lgsco.parts.own.usable("signing")[0].fingerprint
    key_desk.revoke(lgsco.parts, stolen, None, "root")
    board.rule(lgsco, revoke="at-once")
    size = lgsco.parts.ledger.size
    with pytest.raises(Misuse, match="an overlap is between"):
        approval_desk.rotate(lgsco.parts, "ledger", "400d", None, "root")
    with pytest.raises(Misuse, match="a new transport key is taking over already"):
        approval_desk.rotate(lgsco.parts, "transport", "30d", None, "root")
    with pytest.raises(Misuse, match="signing key 1 has ended already"):
        approval_desk.revoke(lgsco.parts, stolen, None, "root")
    assert lgsco.parts.ledger.size == size
