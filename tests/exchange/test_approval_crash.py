"""What two administrators have signed is done once, wherever the machine stops, and never without both."""

from collections.abc import Callable
from pathlib import Path

import pytest

from exchange import approval_acts, approval_desk, key_desk, rounds
from exchange.audit import verify_home
from tests.exchange.administrators import Board, events, number, state_of
from tests.exchange.crashes import Crash, Machine
from tests.exchange.test_key_revocation import persist
from tests.exchange.test_key_rotation import chained, exchange_files
from tests.organisations import Pair, restart

Ask = Callable[[Pair], int]


def to_rotate(pair: Pair) -> int:
    return number(approval_desk.rotate(pair.lgsco.parts, "signing", "0s", None, "root"))


def to_revoke(pair: Pair) -> int:
    [key] = pair.lgsco.parts.own.usable("signing")
    return number(approval_desk.revoke(pair.lgsco.parts, key.fingerprint, None, "root"))


@pytest.mark.parametrize(("ask", "event"), [(to_rotate, "key.rotating"), (to_revoke, "key.revoked")])
def test_an_order_that_is_cut_off_anywhere_is_carried_out_once(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Ask, event: str
) -> None:
    chained(pair)
    board, machine = Board.new(tmp_path / "administrators"), Machine(monkeypatch)
    board.rule(pair.lgsco, revoke="wait")
    cuts, cut = 0, True
    while cut:
        order = ask(pair)
        board.second.approves(pair.lgsco, order)
        machine.steps, machine.stop_at, machine.done = [], cuts // 2, bool(cuts % 2)
        try:
            with machine.on():
                board.third.approves(pair.lgsco, order)
            cut = False
        except Crash:
            cuts += 1
        pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
        rounds.recover(pair.lgsco.parts)
        chained(pair)
        if state_of(pair.lgsco, order) == "waits":
            # the second signature was not recorded: nothing may have been done
            assert [one for one in events(pair.lgsco, event) if one.detail.get("approval") == order] == []
            board.third.approves(pair.lgsco, order)
        approval_acts.carry_out(pair.lgsco.parts)
        assert state_of(pair.lgsco, order) == "done"
        assert len([one for one in events(pair.lgsco, event) if one.detail.get("approval") == order]) == 1
        persist(pair)
        exchange_files(pair, f"cut {cuts}")
        pair.clock.advance(days=1)
        key_desk.tend(pair.lgsco.parts)
        pair.settle()
        assert len(pair.lgsco.parts.own.usable("signing")) == 1
        assert pair.lgsco.parts.own.making == ()
    assert cuts > 6
    for one in (pair.lgsco, pair.ofsted):
        assert verify_home(one.home).ok
