"""Of two files of the same content and the same place, neither is destroyed for the other."""

from pathlib import Path
from typing import Any

import pytest

from exchange import archive, delivery, destruction, files, legal_holds, retention, whose
from exchange.destruction import Grounds, _Work
from exchange.legal_holds import Scope
from ledger.database import connect
from ledger.handover import Handover
from tests.exchange.test_retention import CONTENT, NAME, acknowledged, copies_of, files_below, reasons, told
from tests.organisations import CASE, DECISION, Organisation, Pair, restart_with


def twice(pair: Pair, organisation: Organisation) -> tuple[Handover, Handover, Path]:
    """One document is handed over, taken into a folder of its own, and handed over once more: the second has the name
    of the first."""
    root = pair.lgsco.home.sent if organisation is pair.lgsco else pair.ofsted.home.inbound
    acknowledged(pair)
    for path in [path for path in root.rglob("*") if path.is_file()]:
        path.rename(pair.base / path.name)
    pair.clock.advance(days=60)
    acknowledged(pair)
    first, second = organisation.handovers()
    (lies,) = copies_of(CONTENT, organisation) if organisation is pair.ofsted else [root.joinpath(*DECISION, NAME)]
    return first, second, lies


def full(*_: object) -> None:
    raise OSError("the disk is full")


def order_for(organisation: Organisation, handover: Handover, *, elsewhere: bool = False) -> None:
    retention.order(organisation.parts, handover.id, "Kim Example", "sent in error", elsewhere=elsewhere)


def hold_on(organisation: Organisation, handover: Handover) -> int:
    scope = Scope(identifier=handover.id)
    return int(str(legal_holds.place(organisation.parts, scope, "Kim Example", "court order")["hold"]))


def forget(organisation: Organisation, handover: Handover, field: str) -> None:
    """As a redaction does."""
    connection = connect(organisation.home.ledger, writable=True)
    for entry in organisation.parts.ledger.entries_of(handover):
        connection.execute("DELETE FROM openings WHERE seq = ? AND field = ?", (entry.seq, field))
    connection.close()


@pytest.mark.parametrize("forgotten", ["nothing", "place", "payload_sha256"])
@pytest.mark.parametrize("receipt", [True, False])
def test_a_later_file_of_the_same_content_in_the_place_of_one_that_is_gone_is_not_taken_for_it(
    pair: Pair, receipt: bool, forgotten: str
) -> None:
    first, second, lies = twice(pair, pair.lgsco)
    if not receipt:
        lies.with_name(f"{NAME}.receipt.txt").unlink()
    number = hold_on(pair.lgsco, second)
    forget(pair.lgsco, second, forgotten)
    pair.clock.advance(days=31)
    pair.lgsco.retain()
    assert lies.read_bytes() == CONTENT
    assert lies.with_name(f"{NAME}.receipt.txt").exists() == receipt
    assert pair.lgsco.states() == ["acknowledged", "acknowledged"]
    assert reasons(pair.lgsco, "destruction.failed") == ["not-found"]
    order_for(pair.lgsco, first, elsewhere=True)
    pair.lgsco.retain()
    assert [entry.detail["method"] for entry in told(pair.lgsco, "destroyed")] == ["stated"]
    assert lies.read_bytes() == CONTENT
    if forgotten == "nothing":
        legal_holds.lift(pair.lgsco.parts, number, "Kim Example", "it has ended")
        pair.clock.advance(days=60)
        pair.lgsco.retain()
        assert pair.lgsco.states() == ["destroyed", "destroyed"]
        assert files_below(pair.lgsco.home.sent) == set()


def test_an_order_for_a_received_file_that_is_gone_leaves_the_later_one_in_its_place(pair: Pair) -> None:
    first, second, lies = twice(pair, pair.ofsted)
    hold_on(pair.ofsted, second)
    order_for(pair.ofsted, first)
    pair.ofsted.retain()
    assert lies.read_bytes() == CONTENT
    assert reasons(pair.ofsted, "destruction.failed") == ["not-found"]
    assert pair.ofsted.states("in") == ["delivered", "delivered"]
    order_for(pair.ofsted, first, elsewhere=True)
    pair.ofsted.retain()
    assert pair.ofsted.states("in") == ["destroyed", "delivered"]
    assert lies.read_bytes() == CONTENT


def test_a_file_whose_receipt_names_another_handover_is_not_taken_for_ours(pair: Pair) -> None:
    first = acknowledged(pair)
    pair.clock.advance(days=60)
    acknowledged(pair)
    second = first.with_name(f"{CASE} decision (2).pdf")
    hold_on(pair.lgsco, pair.lgsco.handovers()[1])
    for beside in ("", ".receipt.txt"):
        second.with_name(second.name + beside).replace(first.with_name(first.name + beside))
    pair.clock.advance(days=31)
    pair.lgsco.retain()
    assert first.read_bytes() == CONTENT
    assert reasons(pair.lgsco, "destruction.failed") == ["not-found"]


@pytest.mark.parametrize("side", ["lgsco", "ofsted"])
def test_a_later_file_that_has_come_and_is_not_recorded_yet_is_not_taken_for_the_one_that_is_gone(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    organisation: Organisation = getattr(pair, side)
    with monkeypatch.context() as patch:
        acknowledged(pair)
        root = pair.lgsco.home.sent if side == "lgsco" else pair.ofsted.home.inbound
        for path in [path for path in root.rglob("*") if path.is_file()]:
            path.unlink()
        if side == "lgsco":
            patch.setattr(archive, "copy_of", full)
        else:
            patch.setattr(delivery, "_record_delivered", full)
        with pytest.raises(OSError, match="the disk is full"):
            acknowledged(pair)
    # without its receipt, which is put beside it before anything is recorded
    for path in root.rglob("*.receipt.txt"):
        path.unlink()
    order_for(organisation, organisation.handovers()[0])
    organisation.retain()
    assert reasons(organisation, "destruction.failed") == ["not-found"]
    assert [path.read_bytes() for path in root.rglob("*.pdf")] == [CONTENT]
    pair.settle()
    assert len(organisation.handovers()) == 2
    order_for(organisation, organisation.handovers()[1])
    organisation.retain()
    assert [handover.state == "destroyed" for handover in organisation.handovers()] == [False, True]


@pytest.mark.parametrize("held", ["before", "meanwhile", "never"])
def test_what_may_be_the_earlier_file_that_is_on_hold_is_not_destroyed_for_the_later_one(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    """Somebody may have put the first back and thrown the second away: nobody can tell them apart."""
    first, second, lies = twice(pair, pair.ofsted)
    if held == "before":
        hold_on(pair.ofsted, first)
    write_new = files.write_new

    def verified(path: Path, *more: Any) -> None:
        write_new(path, *more)
        if path.name == "verified" and held == "meanwhile" and not told(pair.ofsted, "hold.placed"):
            hold_on(pair.ofsted, first)

    monkeypatch.setattr(files, "write_new", verified)
    order_for(pair.ofsted, second)
    pair.ofsted.retain()
    if held == "never":
        assert pair.ofsted.states("in") == ["delivered", "destroyed"]
        # nobody else is left who could have put it there
        lies.write_bytes(CONTENT)
        order_for(pair.ofsted, first)
        pair.ofsted.retain()
        assert pair.ofsted.states("in") == ["destroyed", "destroyed"]
        assert not lies.exists()
        return
    assert lies.read_bytes() == CONTENT
    event, reason = ("destruction.failed", "ambiguous") if held == "before" else ("destruction.stopped", "hold")
    assert reasons(pair.ofsted, event) == [reason]
    assert pair.ofsted.states("in") == ["delivered", "delivered"]
    order_for(pair.ofsted, second, elsewhere=True)
    pair.ofsted.retain()
    assert reasons(pair.ofsted, "order.refused") == ["file-present"]


def test_a_hold_on_an_earlier_file_does_not_keep_one_that_its_receipt_names(pair: Pair) -> None:
    first, second, lies = twice(pair, pair.lgsco)
    hold_on(pair.lgsco, first)
    order_for(pair.lgsco, second)
    pair.lgsco.retain()
    assert pair.lgsco.states() == ["acknowledged", "destroyed"]
    assert not lies.exists()


@pytest.mark.parametrize("receipt", [True, False])
def test_what_was_to_be_destroyed_at_once_and_is_gone_leaves_the_earlier_file_of_its_name(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, receipt: bool
) -> None:
    original = acknowledged(pair)
    if not receipt:
        original.with_name(f"{NAME}.receipt.txt").unlink()
    restart_with(pair, '[partners.ofsted]\nkeep_sent = "none"')
    pair.clock.advance(days=1)
    move = files.move

    def lost(source: Path, target: Path) -> None:
        if target.name == "payload" and target.parent.parent.name == "destroy":
            source.unlink()
            raise OSError("the disk is full")
        move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(files, "move", lost)
        with pytest.raises(OSError, match="the disk is full"):
            acknowledged(pair)
    pair.lgsco.retain()
    order_for(pair.lgsco, pair.lgsco.handovers()[1])
    pair.lgsco.retain()
    assert reasons(pair.lgsco, "destruction.failed") == ["not-found", "not-found"]
    assert original.read_bytes() == CONTENT
    assert pair.lgsco.states() == ["acknowledged", "acknowledged"]


def test_a_file_that_is_just_being_put_back_is_not_taken_for_the_one_that_is_gone(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, lies = twice(pair, pair.ofsted)
    with monkeypatch.context() as patch:
        patch.setattr(whose, "twins", lambda *_: [])
        patch.setattr(_Work, "_unlink_and_certify", lambda *_: False)
        patch.setattr(_Work, "_record", full)
        with pytest.raises(OSError, match="the disk is full"):
            destruction.destroy(pair.ofsted.parts, second, Grounds({"rule": "order"}))
        assert lies.read_bytes() == CONTENT
        patch.undo()
        patch.setattr(whose, "twins", lambda *_: [])
        assert destruction.destroy(pair.ofsted.parts, first, Grounds({"rule": "order"}))
    assert reasons(pair.ofsted, "destruction.failed") == ["not-found"]
    assert lies.read_bytes() == CONTENT
    pair.ofsted.retain()
    assert reasons(pair.ofsted, "destruction.stopped") == ["hold"]
    assert lies.read_bytes() == CONTENT
    assert list((pair.ofsted.home.spool / "destroy").iterdir()) == []
