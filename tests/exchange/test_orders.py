"""Orders are entries; the pipelines carry them out once, or answer why not."""

import errno
import os
import shutil
from functools import partial
from pathlib import Path

import pytest

from config.errors import Misuse
from exchange import legal_holds, orders, rounds
from exchange.legal_holds import Scope
from exchange.service import alerts
from ledger.entry import Draft
from ledger.store import Transaction
from tests.exchange.crashes import Crash, Machine
from tests.organisations import CASE, DECISION, Organisation, Pair, Template, restart, restart_with


def order(organisation: Organisation, what: orders.What, position: int = 0) -> None:
    orders.place(organisation.parts.ledger, organisation.handovers()[position], what, "Kim Example")


def unanswered(organisation: Organisation) -> int:
    return len(list(orders.open_orders(organisation.parts.ledger)))


def test_a_released_held_file_is_judged_again_with_the_details_that_were_added(pair: Pair) -> None:
    pair.lgsco.drop(b"content", "decision.pdf")
    pair.settle()
    assert pair.lgsco.states() == ["held"]
    held = pair.lgsco.home.held / "ofsted" / "decision.pdf"
    held.with_name("decision.pdf.concern.toml").write_text(f'reference = "{CASE}"\n')
    order(pair.lgsco, "release")
    pair.settle()
    assert pair.lgsco.states() == ["withdrawn", "acknowledged"]
    assert list(held.parent.iterdir()) == []
    assert [path.read_bytes() for path in pair.ofsted.inbound()] == [b"content"]
    assert unanswered(pair.lgsco) == 0


def test_a_release_of_what_was_moved_back_by_hand_leaves_nothing_to_explain(pair: Pair) -> None:
    pair.lgsco.drop(b"content", "decision.pdf")
    pair.settle()
    held = pair.lgsco.home.held / "ofsted" / "decision.pdf"
    held.rename(pair.lgsco.home.outbound.joinpath(*DECISION) / f"{CASE} decision.pdf")
    order(pair.lgsco, "release")
    pair.settle()
    assert pair.lgsco.states() == ["withdrawn", "acknowledged"]
    assert list(held.parent.iterdir()) == []


@pytest.mark.parametrize("what", ["release", "withdraw"])
def test_a_held_file_that_a_legal_hold_names_stays_where_it_is(pair: Pair, what: orders.What) -> None:
    """What is sent after all is another handover, which the hold does not name."""
    pair.lgsco.drop(b"content", "decision.pdf")
    pair.settle()
    number = legal_holds.place(
        pair.lgsco.parts, Scope(identifier=pair.lgsco.handovers()[0].id), "Kim Example", "court order"
    )["hold"]
    order(pair.lgsco, what)
    pair.settle()
    assert pair.lgsco.states() == ["held" if what == "release" else "withdrawn"]
    assert (pair.lgsco.home.held / "ofsted" / "decision.pdf").read_bytes() == b"content"
    assert pair.lgsco.events().count("order.refused") == (what == "release")
    assert unanswered(pair.lgsco) == 0
    if what == "release":
        legal_holds.lift(pair.lgsco.parts, int(str(number)), "Kim Example", "it has ended")
        order(pair.lgsco, what)
        pair.settle()
        assert pair.lgsco.states() == ["withdrawn", "held"]


def test_a_held_file_that_cannot_be_looked_at_now_is_not_taken_for_gone(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.lgsco.drop(b"content", "decision.pdf")
    pair.settle()
    order(pair.lgsco, "release")
    opened = os.open

    def fails(path: Path, *more: int) -> int:
        if str(path).endswith(".why.txt"):
            raise OSError(errno.EIO, "Input/output error")
        return opened(path, *more)

    with monkeypatch.context() as broken:
        broken.setattr(os, "open", fails)
        with pytest.raises(OSError, match="Input/output"):
            pair.lgsco.take()
    assert (pair.lgsco.states(), unanswered(pair.lgsco)) == (["held"], 1)
    pair.settle()
    assert (pair.lgsco.states(), unanswered(pair.lgsco)) == (["withdrawn", "held"], 0)


def test_a_file_that_is_withdrawn_before_it_went_is_put_aside_and_never_sent(pair: Pair) -> None:
    pair.lgsco.drop(b"content")
    pair.lgsco.take()
    order(pair.lgsco, "withdraw")
    pair.settle()
    assert pair.lgsco.states() == ["withdrawn"]
    assert pair.ofsted.inbound() == []
    held = pair.lgsco.home.held / "ofsted" / f"{CASE} decision.pdf"
    assert held.read_bytes() == b"content"
    assert "WITHDRAWN" in held.with_name(held.name + ".why.txt").read_text()
    assert pair.lgsco.spooled() == []


def test_what_has_been_sent_cannot_be_withdrawn(pair: Pair) -> None:
    pair.lgsco.drop(b"content")
    pair.settle()
    with pytest.raises(Misuse, match="acknowledged and cannot be withdrawn"):
        order(pair.lgsco, "withdraw")


def test_an_order_that_came_too_late_is_refused_with_its_reason(pair: Pair) -> None:
    pair.lgsco.drop(b"content")
    pair.lgsco.take()
    order(pair.lgsco, "withdraw")
    handover = pair.lgsco.handovers()[0]
    for event in ("sealed", "sent"):
        draft = Draft(event=event, actor="daemon", handover=handover.id, partner="ofsted", direction="out")
        pair.lgsco.parts.ledger.write(partial(Transaction.append, draft=draft))
    pair.lgsco.take()
    assert pair.lgsco.states() == ["sent"]
    assert "order.refused" in pair.lgsco.events()
    assert unanswered(pair.lgsco) == 0


def test_a_retried_handover_goes_once_more_and_is_delivered_once(pair: Pair) -> None:
    pair.lgsco.drop(b"content")
    pair.lgsco.take()
    pair.lgsco.send()
    (lost,) = pair.ofsted.landing().iterdir()
    lost.unlink()
    order(pair.lgsco, "retry")
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]
    assert pair.lgsco.events().count("sent") == 2
    assert len(pair.ofsted.inbound()) == 1
    assert unanswered(pair.lgsco) == 0


def test_a_retry_on_the_receiving_side_sends_the_same_receipt_again(pair: Pair) -> None:
    pair.lgsco.drop(b"content")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.ofsted.receive()
    pair.ofsted.send()
    (lost,) = pair.lgsco.landing().iterdir()
    lost.unlink()
    order(pair.ofsted, "retry")
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]
    assert pair.ofsted.events().count("receipted") == 2


def test_a_quarantined_envelope_is_opened_again_after_its_cause_was_mended(pair: Pair) -> None:
    pair.lgsco.drop(b"content")
    pair.lgsco.take()
    pair.lgsco.send()
    (landed,) = pair.ofsted.landing().iterdir()
    whole = landed.read_bytes()
    landed.write_bytes(whole[:-1])
    pair.ofsted.receive()
    assert pair.ofsted.states("in") == ["quarantined"]
    kept = pair.ofsted.home.quarantine / "lgsco" / landed.name
    order(pair.ofsted, "release")
    pair.settle()
    assert pair.ofsted.states("in") == ["quarantined"]
    assert kept.read_bytes() == whole[:-1]
    kept.write_bytes(whole)
    order(pair.ofsted, "release")
    pair.settle()
    assert pair.ofsted.states("in") == ["delivered"]
    assert pair.lgsco.states() == ["acknowledged"]
    assert [path.read_bytes() for path in pair.ofsted.inbound()] == [b"content"]
    assert not kept.exists()


@pytest.mark.parametrize("what", ["retry", "release", "withdraw"])
def test_who_ordered_is_committed_to_and_not_spelled_out(pair: Pair, what: orders.What) -> None:
    pair.lgsco.drop(b"content", "decision.pdf" if what == "release" else f"{CASE} decision.pdf", DECISION)
    pair.lgsco.take()
    if what == "retry":
        rounds.seal_accepted(pair.lgsco.parts, "ofsted")
    order(pair.lgsco, what)
    ledger = pair.lgsco.parts.ledger
    entry = ledger.entry(ledger.size - 1)
    assert entry.event == f"{what}.asked"
    assert b"Kim" not in entry.encode()
    assert ledger.openings(entry.seq) == {"by": "Kim Example"}


def cross(pair: Pair, details: str | None = None) -> None:
    """The upload was done, its reply lost: our side still says sealed when the withdrawal is ordered."""
    path = pair.lgsco.drop(b"content")
    if details is not None:
        path.with_name(path.name + ".concern.toml").write_text(details)
    pair.lgsco.take()
    rounds.seal_accepted(pair.lgsco.parts, "ofsted")
    (handover,) = pair.lgsco.handovers()
    pair.ofsted.landing().mkdir(parents=True, exist_ok=True)
    shutil.copy(pair.lgsco.parts.spool.envelope(handover.id), pair.ofsted.landing() / f"{handover.id}.age")
    order(pair.lgsco, "withdraw")
    pair.lgsco.send()
    assert pair.lgsco.states() == ["withdrawn"]


def below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_withdrawal_that_crossed_with_a_delivery_ends_as_acknowledged_and_people_are_told(pair: Pair) -> None:
    cross(pair)
    name = f"{CASE} decision.pdf"
    assert below(pair.lgsco.home.held) == [f"ofsted/{name}", f"ofsted/{name}.why.txt"]
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]
    assert "receipt.refused" not in pair.lgsco.events()
    assert pair.lgsco.events().count("withdrawal.crossed") == 1
    assert "withdrawal.crossed" in alerts.EVENTS
    pair.lgsco.take()
    assert below(pair.lgsco.home.held) == []
    assert below(pair.lgsco.home.sent) == [f"{'/'.join(DECISION)}/{name}", f"{'/'.join(DECISION)}/{name}.receipt.txt"]
    assert pair.lgsco.spooled() == []
    assert "original.kept" in pair.lgsco.events()
    assert pair.lgsco.take() == 0


def test_a_file_that_somebody_changed_after_its_withdrawal_stays_theirs(pair: Pair) -> None:
    cross(pair)
    held = pair.lgsco.home.held / "ofsted" / f"{CASE} decision.pdf"
    held.write_bytes(b"another content")
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]
    pair.lgsco.take()
    assert held.read_bytes() == b"another content"
    assert below(pair.lgsco.home.sent) == []
    assert pair.lgsco.spooled() == []


def test_a_withdrawn_file_that_is_dropped_again_is_sent_although_the_first_had_arrived(pair: Pair) -> None:
    cross(pair)
    (pair.lgsco.home.held / "ofsted" / f"{CASE} decision.pdf").rename(
        pair.lgsco.home.outbound.joinpath(*DECISION, f"{CASE} decision.pdf")
    )
    pair.settle()
    pair.lgsco.take()
    assert pair.lgsco.states() == ["acknowledged", "acknowledged"]
    assert below(pair.lgsco.home.held) == []
    assert len(pair.ofsted.inbound()) == 2


@pytest.mark.parametrize("keep", ["90d", "none"])
def test_a_crash_on_the_way_from_held_leaves_one_file_and_no_false_word(
    template: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: str
) -> None:
    step, stopped = -1, True
    while stopped:
        step, stopped = step + 1, False
        with template.pair(tmp_path / str(step)) as pair:
            restart_with(pair, f'[partners.ofsted]\nkeep_sent = "{keep}"')
            cross(pair, f'reference = "{CASE}"\n')
            pair.ofsted.receive()
            pair.ofsted.send()
            pair.lgsco.receive()
            with monkeypatch.context() as patch:
                machine = Machine(patch)
                machine.stop_at = step
                try:
                    with machine.on():
                        pair.lgsco.take()
                except Crash:
                    stopped = True
            pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
            pair.lgsco.take()
            assert below(pair.lgsco.home.held) == [], machine.steps[-1]
            assert len(below(pair.lgsco.home.sent)) == (0 if keep == "none" else 2), machine.steps[-1]
            # a destruction that was cut off is finished there
            pair.lgsco.retain()
            assert pair.lgsco.spooled() == []
    assert step > 10


def test_details_of_a_withdrawn_file_that_somebody_has_taken_stay_theirs(pair: Pair) -> None:
    cross(pair, f'reference = "{CASE}"\n')
    (pair.lgsco.home.held / "ofsted" / f"{CASE} decision.pdf").rename(pair.base / "taken.pdf")
    pair.settle()
    pair.lgsco.take()
    assert below(pair.lgsco.home.held) == [f"ofsted/{CASE} decision.pdf.concern.toml"]


def test_a_refusal_after_a_damaged_first_copy_is_answered(pair: Pair) -> None:
    pair.lgsco.drop(b"content")
    pair.lgsco.take()
    pair.lgsco.send()
    (landed,) = pair.ofsted.landing().iterdir()
    whole = landed.read_bytes()
    landed.write_bytes(whole[:-1])
    pair.ofsted.receive()
    assert pair.ofsted.states("in") == ["quarantined"]
    pair.clock.advance(days=31)
    landed.write_bytes(whole)
    pair.settle()
    assert pair.ofsted.states("in") == ["rejected", "quarantined"]
    assert [(h.state, h.reason) for h in pair.lgsco.handovers()] == [("rejected", "expired")]
