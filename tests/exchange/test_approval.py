"""What two administrators have to sign is done when both have, once, and in no other way."""

from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest

from config.errors import Misuse, Refused
from exchange import approval_acts, approval_desk, key_desk, rounds
from exchange.approval_list import checked, policy, rows
from exchange.audit import verify_home
from exchange.partner_trust import confirmed_cards_of
from exchange.partners import make_card
from keys import approvals, ending, sshsig
from keys.approvals import NotApproved
from tests.exchange.administrators import (
    ALL,
    Administrator,
    Board,
    ask_to_rotate,
    events,
    number,
    refused,
    state_of,
    waiting_problems,
)
from tests.exchange.test_key_rotation import chained, exchange_files
from tests.organisations import Organisation, Pair, restart


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board.new(tmp_path / "administrators")


@pytest.fixture
def lgsco(pair: Pair, board: Board) -> Organisation:
    """LGSCO with the policy in force."""
    board.rule(pair.lgsco)
    return pair.lgsco


# --- the way of an order ----------------------------------------------------------------------------------------------


def test_without_a_policy_everything_is_done_at_once(pair: Pair) -> None:
    assert "fingerprint" in approval_desk.rotate(pair.lgsco.parts, "signing", "30d", None, "root")
    assert waiting_problems(pair.lgsco) == []
    assert checked(pair.lgsco.home) is None


def test_a_key_is_rotated_when_two_administrators_have_signed_and_once(lgsco: Organisation, board: Board) -> None:
    order = ask_to_rotate(lgsco)
    assert ask_to_rotate(lgsco) == order
    assert (state_of(lgsco, order), events(lgsco, "key.rotating")) == ("waits", [])
    assert board.second.approves(lgsco, order)["state"] == "waits"
    assert events(lgsco, "key.rotating") == []
    done = board.third.approves(lgsco, order)
    assert (done["state"], done["signatures"]) == ("done", 2)
    [rotating] = events(lgsco, "key.rotating")
    assert rotating.detail["approval"] == order
    assert len(events(lgsco, "key.created")) == 6
    for _ in range(2):
        assert approval_acts.carry_out(lgsco.parts) == 0
    assert len(events(lgsco, "key.rotating")) == 1
    assert waiting_problems(lgsco) == []
    [row] = [
        row
        for row in rows(lgsco.home.settings, lgsco.parts.ledger, lgsco.parts.effects.clock())
        if row["order"] == order
    ]
    assert (row["state"], row["signed_by"], row["entry"]) == ("done", ["records", "security"], rotating.seq)
    assert verify_home(lgsco.home).ok


def test_a_partners_new_key_and_a_new_card_are_accepted_by_two(pair: Pair, lgsco: Organisation, board: Board) -> None:
    new = key_desk.rotate(pair.ofsted.parts, "signing", timedelta(days=30), None, "root")
    pair.settle()
    order = number(approval_desk.accept(lgsco.parts, "ofsted", new.fingerprint, "root"))
    board.first.approves(lgsco, order)
    assert len(key_desk.waiting(lgsco.parts.ledger)) == 1
    assert board.second.approves(lgsco, order)["state"] == "done"
    assert key_desk.waiting(lgsco.parts.ledger) == []
    pair.settle()
    assert pair.ofsted.parts.own.fingerprints("signing", "lgsco") >= {new.fingerprint}
    card = pair.base / "ofsted-new.toml"
    made = make_card(pair.ofsted.home, pair.ofsted.parts.keyring, card)
    order = number(approval_desk.add_partner(lgsco.parts, card, made.fingerprint, "root"))
    card.unlink()
    board.first.approves(lgsco, order)
    assert board.third.approves(lgsco, order)["state"] == "done"
    added = events(lgsco, "partner.added")[-1]
    assert (added.detail["card_sha256"], added.detail["approval"]) == (made.fingerprint.replace(" ", ""), order)
    assert (lgsco.home.cards / "ofsted.toml").read_text() == made.text
    cards = confirmed_cards_of(lgsco.home, lgsco.parts.ledger)
    pair.lgsco.parts = replace(lgsco.parts, cards=cards)
    exchange_files(pair, "after")


def test_the_daemon_s_start_carries_out_what_a_crash_left(pair: Pair, lgsco: Organisation, board: Board) -> None:
    order = ask_to_rotate(lgsco)
    board.first.approves(lgsco, order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(approval_desk, "carry_out", lambda parts: 0)  # as if the power went here
        assert board.second.approves(lgsco, order)["state"] == "approved"
    assert any("is approved and not carried out yet" in said for said in waiting_problems(lgsco))
    fresh = restart(lgsco, pair.ofsted, pair.clock)
    try:
        for _ in range(2):
            rounds.recover(fresh.parts)
            assert state_of(fresh, order) == "done"
        assert len(events(fresh, "key.rotating")) == 1
    finally:
        fresh.parts.ledger.close()


def test_two_processes_that_carry_out_the_same_order_do_it_once(lgsco: Organisation, board: Board) -> None:
    order = ask_to_rotate(lgsco)
    board.first.approves(lgsco, order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(approval_desk, "carry_out", lambda parts: 0)
        board.second.approves(lgsco, order)
    known = approvals.read(lgsco.parts.ledger).find(order)
    assert known is not None
    approval_acts._ACTS["keys rotate"](lgsco.parts, known)
    with pytest.raises((NotApproved, Misuse)):
        # it has read the book before the other one wrote
        approval_acts._ACTS["keys rotate"](lgsco.parts, known)
    approval_acts._fail(lgsco.parts, known.seq, Misuse("too late"))
    assert state_of(lgsco, order) == "done"
    assert len(events(lgsco, "key.rotating")) == 1


def test_an_order_that_makes_no_sense_when_it_is_approved_is_closed(lgsco: Organisation, board: Board) -> None:
    first, second = ask_to_rotate(lgsco), approval_desk.rotate(lgsco.parts, "signing", "1d", None, "root")["order"]
    for order in (first, second):
        board.first.approves(lgsco, order)
        board.second.approves(lgsco, order)
    assert (state_of(lgsco, first), state_of(lgsco, second)) == ("done", "failed")
    [failed] = events(lgsco, "approval.failed")
    assert failed.detail == {"order": second, "reason": "makes-no-sense"}
    assert approval_acts.carry_out(lgsco.parts) == 0


# --- signatures that do not count -------------------------------------------------------------------------------------


def test_one_person_is_never_two(lgsco: Organisation, board: Board) -> None:
    order = ask_to_rotate(lgsco)
    board.first.approves(lgsco, order)
    data = approval_desk.to_sign(lgsco.parts.ledger, order)
    assert "has signed already" in refused(lgsco, order, board.first.signs(data))
    # under another name it is the same key
    board.say(lgsco, administrators=(f"somebody {board.first.line}", board.second.said, board.third.said))
    assert "has signed already" in refused(lgsco, order, board.first.signs(data))
    assert state_of(lgsco, order) == "waits"


def test_a_stranger_another_namespace_another_order_and_altered_bytes_are_refused(
    lgsco: Organisation, board: Board, tmp_path: Path
) -> None:
    order, other = ask_to_rotate(lgsco), ask_to_rotate(lgsco, "transport")
    data = approval_desk.to_sign(lgsco.parts.ledger, order)
    stranger = Administrator.new("stranger", tmp_path / "elsewhere")
    assert "by no administrator" in refused(lgsco, order, stranger.signs(data))
    for namespace in ("manifest@handover", "file", "approve@handover2"):
        assert "made for another purpose" in refused(lgsco, order, board.first.signs(data, namespace))
    assert "does not fit" in refused(lgsco, other, board.first.signs(data))
    altered = data.replace(b'"overlap":2592000', b'"overlap":0')
    assert altered != data
    assert "does not fit" in refused(lgsco, order, board.first.signs(altered))
    (tmp_path / "no").write_text("no signature")
    assert "is not an SSH signature" in refused(lgsco, order, tmp_path / "no")
    with pytest.raises(Misuse, match="cannot be read"):
        approval_desk.sign(lgsco.parts, order, tmp_path / "missing", "root")
    with pytest.raises(Misuse, match="is no order"):
        approval_desk.sign(lgsco.parts, 0, board.first.signs(data), "root")
    assert (state_of(lgsco, order), state_of(lgsco, other)) == ("waits", "waits")


def test_a_service_key_cannot_approve(lgsco: Organisation) -> None:
    order = ask_to_rotate(lgsco)
    data = approval_desk.to_sign(lgsco.parts.ledger, order)
    own = lgsco.parts.own.usable("signing")[0].fingerprint
    file = lgsco.home.root / "sig"
    file.write_text(sshsig.sign(lgsco.parts.keyring.signer_of(own), BytesIO(data), "approve@handover"))
    assert "by no administrator" in refused(lgsco, order, file)


def test_an_order_expires_and_one_that_was_approved_in_time_too(pair: Pair, lgsco: Organisation, board: Board) -> None:
    late, approved = ask_to_rotate(lgsco), ask_to_rotate(lgsco, "transport")
    board.first.approves(lgsco, late)
    board.first.approves(lgsco, approved)
    data = approval_desk.to_sign(lgsco.parts.ledger, late)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(approval_desk, "carry_out", lambda parts: 0)
        board.second.approves(lgsco, approved)
    pair.clock.advance(days=7)
    assert "the order is expired" in refused(lgsco, late, board.second.signs(data))
    assert approval_acts.carry_out(lgsco.parts) == 0
    assert (state_of(lgsco, late), state_of(lgsco, approved)) == ("expired", "expired")
    assert ask_to_rotate(lgsco) != late


def test_a_rejected_order_is_never_carried_out(lgsco: Organisation, board: Board) -> None:
    order = ask_to_rotate(lgsco)
    data = approval_desk.to_sign(lgsco.parts.ledger, order)
    board.first.approves(lgsco, order)
    assert approval_desk.reject(lgsco.parts, order, "root")["state"] == "rejected"
    assert "the order is rejected" in refused(lgsco, order, board.second.signs(data))
    with pytest.raises(Misuse, match="is rejected already"):
        approval_desk.reject(lgsco.parts, order, "root")
    done = ask_to_rotate(lgsco)
    for each in (board.first, board.second):
        each.approves(lgsco, done)
    with pytest.raises(Misuse, match="is done already"):
        approval_desk.reject(lgsco.parts, done, "root")
    assert "the order is done" in refused(
        lgsco, done, board.third.signs(approval_desk.to_sign(lgsco.parts.ledger, done))
    )


# --- the policy -------------------------------------------------------------------------------------------------------


def test_the_policy_comes_into_force_when_two_of_those_whom_it_names_have_signed(
    pair: Pair, board: Board, tmp_path: Path
) -> None:
    board.say(pair.lgsco)
    with pytest.raises(Refused, match="do not say the same about who has to sign"):
        ask_to_rotate(pair.lgsco)
    with pytest.raises(Misuse, match="do not say the same about who has to sign"):
        checked(pair.lgsco.home)
    assert any("do not say the same" in said for said in waiting_problems(pair.lgsco))
    order = number(approval_desk.propose_policy(pair.lgsco.parts, "root"))
    data = approval_desk.to_sign(pair.lgsco.parts.ledger, order)
    assert "by no administrator" in refused(pair.lgsco, order, Administrator.new("x", tmp_path / "x").signs(data))
    board.third.approves(pair.lgsco, order)
    assert events(pair.lgsco, "approval.policy") == []
    assert board.first.approves(pair.lgsco, order)["state"] == "done"
    assert waiting_problems(pair.lgsco) == []
    assert checked(pair.lgsco.home) == ", ".join(sorted(ALL))
    said = policy(pair.lgsco.home.settings, pair.lgsco.parts.ledger)
    assert (said["administrators"], said["as_configured"]) == ("casework, records, security", True)
    assert "order" in approval_desk.rotate(pair.lgsco.parts, "signing", "30d", None, "root")


def test_editing_handover_toml_switches_nothing_off(lgsco: Organisation, board: Board) -> None:
    approved = ask_to_rotate(lgsco)
    board.first.approves(lgsco, approved)
    for changes in (
        {"required": (), "administrators": ()},
        {"required": ("partner add",)},
        {"administrators": (board.first.said, board.second.said)},
    ):
        board.say(lgsco, **changes)
        for purpose in ("signing", "transport"):
            with pytest.raises(Refused, match="do not say the same"):
                ask_to_rotate(lgsco, purpose)
        assert any("do not say the same" in said for said in waiting_problems(lgsco))
        with pytest.raises(Misuse, match="do not say the same"):
            checked(lgsco.home)
        with pytest.raises(NotApproved):
            key_desk.rotate(lgsco.parts, "signing", timedelta(0), None, "root")
    # what is signed meanwhile waits until both agree again
    assert board.second.approves(lgsco, approved)["state"] == "approved"
    assert approval_acts.carry_out(lgsco.parts) == 0
    board.say(lgsco)
    assert approval_acts.carry_out(lgsco.parts) == 1
    assert state_of(lgsco, approved) == "done"


def test_changing_or_ending_the_policy_takes_two_of_those_in_force(
    lgsco: Organisation, board: Board, tmp_path: Path
) -> None:
    new = [Administrator.new(name, tmp_path / "new") for name in ("one", "two")]
    board.say(lgsco, administrators=tuple(each.said for each in new))
    order = number(approval_desk.propose_policy(lgsco.parts, "root"))
    data = approval_desk.to_sign(lgsco.parts.ledger, order)
    for each in new:
        assert "by no administrator" in refused(lgsco, order, each.signs(data))
    board.first.approves(lgsco, order)
    assert board.third.approves(lgsco, order)["state"] == "done"
    rotate = ask_to_rotate(lgsco)
    data = approval_desk.to_sign(lgsco.parts.ledger, rotate)
    assert "by no administrator" in refused(lgsco, rotate, board.first.signs(data))
    board.say(lgsco, required=(), administrators=())
    order = number(approval_desk.propose_policy(lgsco.parts, "root"))
    for each in new:
        each.approves(lgsco, order)
    assert "fingerprint" in approval_desk.rotate(lgsco.parts, "signing", "30d", None, "root")
    with pytest.raises(Misuse, match=r"says nothing under \[approval\]"):
        approval_desk.propose_policy(lgsco.parts, "root")


def test_whoever_changes_the_policy_voids_every_order_that_waits(lgsco: Organisation, board: Board) -> None:
    order = ask_to_rotate(lgsco)
    data = approval_desk.to_sign(lgsco.parts.ledger, order)
    board.first.approves(lgsco, order)
    # the first one is no administrator any more, and must not count for what waits
    board.say(lgsco, administrators=(board.second.said, board.third.said))
    changed = number(approval_desk.propose_policy(lgsco.parts, "root"))
    board.second.approves(lgsco, changed)
    board.third.approves(lgsco, changed)
    assert state_of(lgsco, order) == "void"
    assert "the order is void" in refused(lgsco, order, board.second.signs(data))
    assert approval_acts.carry_out(lgsco.parts) == 0


def test_a_chain_of_signatures_does_not_stand_for_two_people(pair: Pair, board: Board) -> None:
    chained(pair)
    board.rule(pair.lgsco)
    key_desk.rotate(pair.ofsted.parts, "signing", timedelta(days=30), None, "root")
    pair.settle()
    assert len(key_desk.waiting(pair.lgsco.parts.ledger)) == 1
    assert waiting_problems(pair.lgsco) == []


# --- the emergency ----------------------------------------------------------------------------------------------------


def test_a_revocation_does_not_wait_and_is_told_until_two_have_signed_it(
    pair: Pair, lgsco: Organisation, board: Board
) -> None:
    stolen = lgsco.parts.own.usable("signing")[0].fingerprint
    told = approval_desk.revoke(lgsco.parts, stolen, None, "root")
    assert told["revoked"] == stolen
    order = number(told)
    assert state_of(lgsco, order) == "unapproved"
    [said] = waiting_problems(lgsco)
    assert said.startswith(f"order {order} (keys revoke) was carried out unapproved")
    assert [entry.event for entry in events(lgsco, "approval.bypassed", "key.rotating", "key.revoked")] == [
        "approval.bypassed",
        "key.rotating",
        "key.revoked",
    ]
    with pytest.raises(Misuse, match="is unapproved already"):
        approval_desk.reject(lgsco.parts, order, "root")
    pair.clock.advance(days=30)
    board.first.approves(lgsco, order)
    assert board.second.approves(lgsco, order)["state"] == "done"
    assert waiting_problems(lgsco) == []
    assert len(events(lgsco, "key.revoked")) == 1


def test_where_the_policy_says_so_a_revocation_waits_too(pair: Pair, board: Board) -> None:
    board.rule(pair.lgsco, revoke="wait")
    key = pair.lgsco.parts.own.usable("transport")[0].fingerprint
    order = number(approval_desk.revoke(pair.lgsco.parts, key, None, "root"))
    assert events(pair.lgsco, "key.revoked") == []
    board.first.approves(pair.lgsco, order)
    assert board.second.approves(pair.lgsco, order)["state"] == "done"
    [revoked] = events(pair.lgsco, "key.revoked")
    assert (revoked.key, revoked.detail["approval"]) == (key, order)
    assert waiting_problems(pair.lgsco) == []


def test_where_only_rotations_need_signatures_a_revocation_still_goes_at_once(pair: Pair, board: Board) -> None:
    board.rule(pair.lgsco, required=("keys rotate",))
    key = pair.lgsco.parts.own.usable("encryption")[0].fingerprint
    order = number(approval_desk.revoke(pair.lgsco.parts, key, None, "root"))
    assert state_of(pair.lgsco, order) == "unapproved"


def test_a_revocation_that_a_crash_cut_off_is_finished_once(lgsco: Organisation) -> None:
    stolen = lgsco.parts.own.usable("signing")[0].fingerprint
    with pytest.MonkeyPatch.context() as patch:

        def power_cut(*_args: object, **_named: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(ending, "revoke", power_cut)
        with pytest.raises(KeyboardInterrupt):
            approval_desk.revoke(lgsco.parts, stolen, None, "root")
    assert events(lgsco, "key.revoked") == []
    for expected in (1, 0):
        assert approval_acts.carry_out(lgsco.parts) == expected
    assert [entry.key for entry in events(lgsco, "key.revoked")] == [stolen]
    assert len(events(lgsco, "key.rotating")) == 1


def test_a_revocation_goes_at_once_even_if_handover_toml_was_changed(lgsco: Organisation, board: Board) -> None:
    board.say(lgsco, required=(), administrators=())
    stolen = lgsco.parts.own.usable("signing")[0].fingerprint
    assert approval_desk.revoke(lgsco.parts, stolen, None, "root")["revoked"] == stolen
