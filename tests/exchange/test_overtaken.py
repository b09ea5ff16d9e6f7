"""What lies in quarantine under the id of a file that has come after all: it goes, or gets an id of its own."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from config.times import to_text
from exchange import files, legal_holds, orders, overtaken, receiver
from exchange.envelope.manifest import Manifest
from exchange.landed import Arrival
from exchange.parts import Parts
from keys.trust import Trust
from tests.exchange.hostile import envelope, land, manifest
from tests.exchange.test_quarantine import hold_on, kept, order, quarantined, scopes
from tests.organisations import Pair, restart


def mended_since(pair: Pair) -> tuple[Manifest, bytes]:
    """In quarantine for a reason that has passed since: the partner's card was not up to date."""
    said = manifest(pair)
    whole = envelope(pair, said)
    parts = pair.ofsted.parts
    card = parts.trust.card("lgsco")
    pair.clock.advance(seconds=2)
    ended = dataclasses.replace(card.signing_keys[0], valid_until=to_text(pair.clock().replace(microsecond=0)))
    pair.ofsted.parts = dataclasses.replace(parts, cards=Trust([dataclasses.replace(card, signing_keys=(ended,))]))
    land(pair, whole, f"{said.id}.age")
    pair.ofsted.receive()
    pair.ofsted.parts = parts
    assert [h.id for h in quarantined(pair)] == [said.id]
    return said, whole


@pytest.mark.parametrize("stopped", [False, True])
def test_what_was_believed_the_second_time_is_kept_in_quarantine_no_longer(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    said, whole = mended_since(pair)
    land(pair, whole, f"{said.id}.age")
    with monkeypatch.context() as patch:
        if stopped:
            patch.setattr(overtaken, "set_right", lambda *_: None)
        pair.ofsted.receive()
    assert pair.ofsted.parts.ledger.find_one("in", said.id).state == "delivered"
    if stopped:
        assert [path.read_bytes() for path in kept(pair)] == [whole]
        pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    assert (quarantined(pair), kept(pair)) == ([], [])
    assert [e for e in pair.ofsted.events() if "quarantined" in e] == ["quarantined"]


@pytest.mark.parametrize("which", ["this one", "the partner"])
def test_what_is_on_hold_stays_in_quarantine_although_it_has_come_since(pair: Pair, which: str) -> None:
    said, whole = mended_since(pair)
    (one,) = quarantined(pair)
    placed = hold_on(pair, scopes(one)[which])
    land(pair, whole, f"{said.id}.age")
    pair.ofsted.receive()
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    assert [path.read_bytes() for path in kept(pair)] == [whole]
    legal_holds.lift(pair.ofsted.parts, int(str(placed["hold"])), "Kim Example", "it has ended")
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    assert kept(pair) == []


def overtake(pair: Pair) -> Manifest:
    """A forged one is in quarantine, and the true one of its id lies in the landing zone."""
    said = manifest(pair)
    land(pair, b"forged", f"{said.id}.age")
    pair.ofsted.receive()
    land(pair, envelope(pair, said), f"{said.id}.age")
    return said


def test_the_same_forged_bytes_again_and_again_are_kept_and_recorded_once(pair: Pair) -> None:
    said = overtake(pair)
    pair.ofsted.receive()
    for _ in range(3):
        land(pair, b"forged", f"{said.id}.age")
        pair.ofsted.receive()
    assert [path.read_bytes() for path in kept(pair)] == [b"forged"]
    assert pair.ofsted.events().count("quarantined") == 2
    land(pair, b"forgad", f"{said.id}.age")
    pair.ofsted.receive()
    assert len(kept(pair)) == len(quarantined(pair)) == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_while_it_gets_its_own_id_leaves_it_in_a_list_and_with_what_is_known_of_it(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    said = overtake(pair)
    move: Callable[[Path, Path], None] = files.move

    def dies(source: Path, target: Path) -> NoReturn:
        if when == "after":
            move(source, target)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "move", dies)
        with pytest.raises(KeyboardInterrupt):
            pair.ofsted.receive()
    assert len(quarantined(pair)) == 1
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    (forged,) = quarantined(pair)
    assert pair.ofsted.parts.ledger.entry(forged.first_seq).detail == {"about": said.id, "reason": "overtaken"}
    assert [path.stem for path in kept(pair)] == [forged.id]
    order(pair, "withdraw", forged)
    assert (quarantined(pair), kept(pair)) == ([], [])


def test_an_order_to_let_it_out_that_comes_too_late_is_not_called_done(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = overtake(pair)
    (one,) = quarantined(pair)
    receive = receiver.receive

    def ordering(parts: Parts, arrival: Arrival) -> None:
        # after the orders of this round were carried out
        orders.place(parts.ledger, one, "release", "Kim Example")
        receive(parts, arrival)

    with monkeypatch.context() as patch:
        patch.setattr(receiver, "receive", ordering)
        pair.ofsted.receive()
    pair.ofsted.take()
    pair.ofsted.receive()
    ledger = pair.ofsted.parts.ledger
    events = [entry.event for entry in ledger.entries_of(ledger.find_one("in", said.id))]
    assert "order.refused" in events
    assert "release.done" not in events
