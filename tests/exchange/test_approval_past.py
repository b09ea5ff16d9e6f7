"""What is written past the program, or by two processes at once, is refused or told, and done once at most."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from config.errors import Misuse
from config.times import to_text
from exchange import approval_acts, approval_desk, card_folder, key_desk, partners
from exchange.approval_list import rows
from exchange.assembly import assemble
from exchange.partners import make_card
from exchange.service.daemon import Daemon
from keys import approvals
from keys.approval import Order, What
from keys.approvals import NotApproved
from keys.sshsig import SignatureError
from ledger.canonical import Json
from ledger.entry import Draft
from ledger.identifier import new_id
from ledger.store import Transaction
from tests.exchange.administrators import (
    Board,
    ask_to_rotate,
    events,
    number,
    refused,
    state_of,
    waiting_problems,
)
from tests.exchange.supervised import Logged, running, wait_for
from tests.keys.test_sk import KEY, touched
from tests.organisations import PASSPHRASE, Organisation, Pair


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board.new(tmp_path / "administrators")


@pytest.fixture
def lgsco(pair: Pair, board: Board) -> Organisation:
    """LGSCO with the policy in force."""
    board.rule(pair.lgsco)
    return pair.lgsco


def test_who_calls_the_inner_functions_is_refused(pair: Pair, lgsco: Organisation) -> None:
    new = key_desk.rotate(pair.ofsted.parts, "signing", timedelta(days=30), None, "root")
    pair.settle()
    card = pair.base / "ofsted-new.toml"
    made = make_card(pair.ofsted.home, pair.ofsted.parts.keyring, card)
    own = lgsco.parts.own.usable("signing")[0].fingerprint
    before = lgsco.parts.ledger.size
    for attempt in (
        lambda: key_desk.rotate(lgsco.parts, "signing", timedelta(0), None, "root"),
        lambda: key_desk.revoke(lgsco.parts, own, None, "root"),
        lambda: key_desk.accept(lgsco.parts, "ofsted", new.fingerprint, "root"),
        lambda: partners.add_partner(lgsco.parts, card, made.fingerprint),
        lambda: approval_acts._do_policy(lgsco.parts, approvals.read(lgsco.parts.ledger).orders[0]),
    ):
        with pytest.raises(NotApproved):
            attempt()
    assert lgsco.parts.ledger.size == before
    assert not list(lgsco.home.cards.glob("*.new*"))


def test_entries_written_past_the_program_count_for_nothing_and_are_told(lgsco: Organisation, board: Board) -> None:
    order = ask_to_rotate(lgsco)
    ledger = lgsco.parts.ledger
    board.first.approves(lgsco, order)
    [signed] = [entry for entry in events(lgsco, "approval.signed") if entry.detail["order"] == order]
    forged = [
        Draft(event="approval.signed", actor="operator", detail=dict(signed.detail)),
        Draft(event="approval.signed", actor="operator", detail={"order": order, "signature": "none"}),
        Draft(event="approval.signed", actor="operator", detail={"order": 10**6, "signature": "none"}),
        Draft(event="approval.asked", actor="operator", detail={"order": {"what": "keys rotate"}}),
        Draft(event="approval.asked", actor="operator", detail=dict(ledger.entry(order).detail)),
        Draft(event="approval.bypassed", actor="operator", detail=dict(ledger.entry(order).detail)),
        Draft(event="approval.rejected", actor="operator", detail={"order": 10**6}),
        Draft(event="approval.policy", actor="operator", detail={"approval": order}),
        Draft(event="approval.policy", actor="operator"),
        Draft(
            event="key.rotating",
            actor="operator",
            key="SHA256:x",
            detail={"purpose": "signing", "serial": 9, "begins": signed.at, "overlap": 0},
        ),
        Draft(event="key.created", actor="operator", key="SHA256:x", detail={"purpose": "signing", "rotation": 3}),
        Draft(event="key.created", actor="operator", key="SHA256:x", detail={"purpose": [], "rotation": [{}]}),
        Draft(event="approval.signed", actor="operator", detail={"order": [order], "signature": {}}),
        Draft(event="partner.added", actor="operator", partner="dfe", detail={"card_sha256": "00", "approval": order}),
    ]
    first = ledger.size
    before = approvals.read(ledger)
    for draft in forged:
        ledger.write(partial(Transaction.append, draft=draft))
    after = approvals.read(ledger)
    assert (after.policy, after.policy_seq, after.orders) == (before.policy, before.policy_seq, before.orders)
    assert sorted((*after.false, *after.unapproved)) == list(range(first, ledger.size))
    said = [text for text in waiting_problems(lgsco) if text.startswith("entry ")]
    assert len(said) == len(forged)
    assert f"entry {ledger.size - 5} (key.rotating) needed two signatures and has none: find out who did it" in said
    # who signs the policy anew has looked
    again = number(approval_desk.propose_policy(lgsco.parts, "root"))
    board.first.approves(lgsco, again)
    board.second.approves(lgsco, again)
    assert [text for text in waiting_problems(lgsco) if text.startswith("entry ")] == []


def test_an_approved_order_allows_nothing_else(pair: Pair, lgsco: Organisation, board: Board) -> None:
    order = ask_to_rotate(lgsco)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(approval_desk, "carry_out", lambda parts: 0)
        board.first.approves(lgsco, order)
        board.second.approves(lgsco, order)
    signing = lgsco.parts.own.usable("signing")[0].fingerprint
    for attempt in (
        lambda: key_desk.rotate(lgsco.parts, "transport", timedelta(days=30), None, "root", approval=order),
        lambda: key_desk.rotate(lgsco.parts, "signing", timedelta(days=1), None, "root", approval=order),
        lambda: key_desk.revoke(lgsco.parts, signing, None, "root", approval=order),
    ):
        with pytest.raises(NotApproved, match="it is not what was ordered"):
            attempt()
    assert state_of(lgsco, order) == "approved"


def test_a_revocation_that_does_not_wait_makes_no_key_of_another_purpose(lgsco: Organisation) -> None:
    key = lgsco.parts.own.usable("signing")[0].fingerprint
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_desk, "revoke", lambda *_args, **_more: {})
        order = number(approval_desk.revoke(lgsco.parts, key, None, "root"))
    with pytest.raises(NotApproved, match="it is not what was ordered"):
        key_desk.rotate(lgsco.parts, "transport", timedelta(0), None, "root", approval=order)


def test_a_signature_file_that_is_none_is_refused_by_its_form(lgsco: Organisation, tmp_path: Path) -> None:
    order = ask_to_rotate(lgsco)
    (tmp_path / "long").write_text("-----BEGIN SSH SIGNATURE-----\n" + "A" * 9000)
    with pytest.raises(SignatureError):
        approval_desk.sign(lgsco.parts, order, tmp_path / "long", "root")
    (tmp_path / "bytes").write_bytes(bytes(range(256)))
    with pytest.raises(Misuse, match="it is no text"):
        approval_desk.sign(lgsco.parts, order, tmp_path / "bytes", "root")


def test_an_administrator_with_a_token_is_one_of_the_two(pair: Pair, board: Board, tmp_path: Path) -> None:
    board.say(pair.lgsco, administrators=(board.first.said, f"token {KEY.line}"))
    order = number(approval_desk.propose_policy(pair.lgsco.parts, "root"))
    data = approval_desk.to_sign(pair.lgsco.parts.ledger, order)
    (tmp_path / "untouched").write_text(touched(data, flags=0))
    assert "does not fit" in refused(pair.lgsco, order, tmp_path / "untouched")
    (tmp_path / "touched").write_text(touched(data))
    approval_desk.sign(pair.lgsco.parts, order, tmp_path / "touched", "root")
    assert board.first.approves(pair.lgsco, order)["state"] == "done"
    [row] = rows(pair.lgsco.home.settings, pair.lgsco.parts.ledger, pair.clock())
    assert row["signed_by"] == ["token", "casework"]


def test_a_running_service_carries_out_what_another_process_left_approved(
    pair: Pair, lgsco: Organisation, board: Board
) -> None:
    order = ask_to_rotate(lgsco)
    board.first.approves(lgsco, order)
    signature = board.second.signs(approval_desk.to_sign(lgsco.parts.ledger, order))
    logged: Logged = []

    def act(_daemon: Daemon) -> None:
        other = assemble(lgsco.home, lambda: PASSPHRASE, lgsco.parts.effects)
        with other.ledger, pytest.MonkeyPatch.context() as patch:
            patch.setattr(approval_desk, "carry_out", lambda parts: 0)  # killed just here
            approval_desk.sign(other, order, signature, "root")
        wait_for(lambda: any(event == "key.created" for event, _ in logged))

    with running(pair, logged, act):
        assert state_of(lgsco, order) == "done"
    assert [event for event, _ in logged].count("key.rotating") == 1


def test_a_revocation_past_the_desk_is_refused_even_where_a_successor_is_there(
    lgsco: Organisation, board: Board
) -> None:
    old = lgsco.parts.own.usable("signing")[0].fingerprint
    order = ask_to_rotate(lgsco)
    for each in (board.first, board.second):
        each.approves(lgsco, order)
    with pytest.raises(NotApproved, match="it needs the signatures of two administrators"):
        key_desk.revoke(lgsco.parts, old, None, "root")
    assert events(lgsco, "key.revoked") == []


@pytest.mark.parametrize(("revoke", "what"), [("wait", "keys revoke"), ("at-once", "keys rotate")])
def test_only_a_revocation_that_the_policy_lets_go_does_not_wait(
    pair: Pair, board: Board, revoke: str, what: What
) -> None:
    board.rule(pair.lgsco, revoke=revoke)
    parts, now = pair.lgsco.parts, pair.clock()
    key = parts.own.usable("transport")[0].fingerprint
    arguments: dict[str, Json] = {"purpose": "transport", "fingerprint": key, "since": to_text(now)}
    if what == "keys rotate":
        arguments = {"purpose": "transport", "overlap": 0, "begins": None, "replaces": key, "token": None}
    seq = approvals.read(parts.ledger).policy_seq
    identifier = new_id(now, parts.effects.random)
    order = Order("lgsco", identifier, to_text(now), to_text(now + timedelta(days=1)), seq, what, arguments)
    forged = Draft(event="approval.bypassed", actor="operator", detail={"order": order.to_json()})
    entry = parts.ledger.write(partial(Transaction.append, draft=forged))
    assert approvals.read(parts.ledger).false == (entry.seq,)
    assert approval_acts.carry_out(parts) == 0
    assert events(pair.lgsco, "key.rotating", "key.revoked") == []


def test_a_card_is_added_once_however_two_processes_meet(pair: Pair, lgsco: Organisation, board: Board) -> None:
    card = pair.base / "ofsted-new.toml"
    made = make_card(pair.ofsted.home, pair.ofsted.parts.keyring, card)
    order = number(approval_desk.add_partner(lgsco.parts, card, made.fingerprint, "root"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(approval_desk, "carry_out", lambda parts: 0)
        for each in (board.first, board.second):
            each.approves(lgsco, order)
    stage, met = card_folder.stage, list[int]()

    def meet(*arguments: Any) -> None:
        stage(*arguments)
        patch.setattr(card_folder, "stage", stage)
        met.append(approval_acts.carry_out(lgsco.parts))

    before = len(events(lgsco, "partner.added"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(card_folder, "stage", meet)
        assert approval_acts.carry_out(lgsco.parts) == 0
    assert met == [1]
    assert len(events(lgsco, "partner.added")) == before + 1
    assert state_of(lgsco, order) == "done"
