"""What lies in quarantine under the id of a file that has come after all: it goes, or gets an id of its own."""

import dataclasses
import errno
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NoReturn

import pytest

from config.times import to_text
from exchange import files, legal_holds, orders, overtaken, receiver, repetition
from exchange.collect import collect
from exchange.envelope.manifest import Manifest
from exchange.landed import Arrival
from exchange.parts import Parts
from exchange.service.alerts import EVENTS, Alerts
from exchange.service.daemon import Daemon
from keys.trust import Trust
from ledger.handover import Handover
from tests.exchange.hostile import envelope, land, manifest
from tests.exchange.supervised import without_threads
from tests.exchange.test_quarantine import hold_on, kept, order, quarantined, scopes
from tests.organisations import Organisation, Pair, restart


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


def fails_to_move(pair: Pair, number: int = 1) -> Manifest:
    """Each has its own id, and the disk failed when it was to go there."""
    for said in (several := [manifest(pair, sequence=1 + one) for one in range(number)]):
        land(pair, b"forged", f"{said.id}.age")
    pair.ofsted.receive()
    for said in several:
        land(pair, envelope(pair, said), f"{said.id}.age")
    move: Callable[[Path, Path], None] = files.move

    def fails(source: Path, target: Path) -> None:
        if target.is_relative_to(pair.ofsted.home.quarantine):
            raise OSError(errno.ENOSPC, "the disk is full")
        move(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "move", fails)
        with pytest.raises(OSError, match="the disk is full"):
            pair.ofsted.receive()
    return said


def test_what_the_disk_kept_from_its_place_goes_there_in_a_later_round(pair: Pair) -> None:
    fails_to_move(pair)
    pair.ofsted.receive()
    (forged,) = quarantined(pair)
    assert [path.stem for path in kept(pair)] == [forged.id]


@pytest.mark.parametrize("held", [False, True])
def test_an_order_about_what_has_not_got_its_place_yet_is_about_that(pair: Pair, held: bool) -> None:
    fails_to_move(pair)
    pair.ofsted = restart_without_looking(pair)
    (forged,) = quarantined(pair)
    if held:
        hold_on(pair, scopes(forged)["this one"])
    order(pair, "withdraw", forged)
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    assert [path.read_bytes() for path in kept(pair)] == ([b"forged"] if held else [])
    assert [handover.id for handover in quarantined(pair)] == ([forged.id] if held else [])


def cannot_read(patch: pytest.MonkeyPatch, bad: Path) -> None:
    """What is kept as `bad`."""
    is_same = repetition.is_same

    def unreadable(source: BinaryIO, known: Handover) -> bool:
        if known.id == bad.stem:
            raise PermissionError(errno.EACCES, "not to be read")
        return is_same(source, known)

    patch.setattr(repetition, "is_same", unreadable)


def test_one_that_cannot_get_its_place_keeps_no_other_from_its_own(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    fails_to_move(pair, 2)
    bad, _ = kept(pair)
    woken: list[str] = []
    monkeypatch.setattr(Daemon, "_wake", lambda _, kind: woken.append(kind))
    daemon = without_threads(pair.ofsted.parts)
    daemon.begin()
    with monkeypatch.context() as patch:
        cannot_read(patch, bad)
        daemon.workers["in:lgsco"].turn()
        assert len(kept(pair)) == 2
        assert {path.stem for path in kept(pair)} - {handover.id for handover in quarantined(pair)} == {bad.stem}
        said = manifest(pair, sequence=3)
        land(pair, envelope(pair, said), f"{said.id}.age")
        collect(pair.ofsted.parts, pair.ofsted.pickup)
        woken.clear()
        daemon.workers["in:lgsco"].turn()
    # what came has its answer, although the round has failed
    assert "re:" in woken


def test_one_that_cannot_be_read_at_the_start_keeps_no_other_from_its_own(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_to_move(pair, 2)
    bad, _ = kept(pair)
    with monkeypatch.context() as patch:
        cannot_read(patch, bad)
        with pytest.raises(PermissionError):
            overtaken.set_all_right(pair.ofsted.parts)
        assert {path.stem for path in kept(pair)} - {handover.id for handover in quarantined(pair)} == {bad.stem}
    overtaken.set_all_right(pair.ofsted.parts)
    assert {path.stem for path in kept(pair)} == {handover.id for handover in quarantined(pair)}


def restart_without_looking(pair: Pair) -> Organisation:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overtaken, "set_all_right", lambda _: None)
        return restart(pair.ofsted, pair.lgsco, pair.clock)


@pytest.mark.parametrize("which", ["this one", "the partner"])
def test_it_is_not_thrown_away_while_a_hold_keeps_it_from_its_place(pair: Pair, which: str) -> None:
    said = fails_to_move(pair)
    (forged,) = quarantined(pair)
    placed = hold_on(pair, scopes(pair.ofsted.parts.ledger.find_one("in", said.id))[which])
    order(pair, "withdraw", forged)
    assert [path.read_bytes() for path in kept(pair)] == [b"forged"]
    assert [handover.id for handover in quarantined(pair)] == [forged.id]
    legal_holds.lift(pair.ofsted.parts, int(str(placed["hold"])), "Kim Example", "it has ended")
    order(pair, "withdraw", forged)
    assert (quarantined(pair), kept(pair)) == ([], [])


@pytest.mark.parametrize("same", [True, False])
def test_a_hold_that_is_placed_while_it_is_compared_counts(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    if same:
        said, whole = mended_since(pair)
        land(pair, whole, f"{said.id}.age")
    else:
        overtake(pair)
    (one,) = quarantined(pair)
    is_same, placed = repetition.is_same, list[object]()

    def holding(source: BinaryIO, known: Handover) -> bool:
        placed.append(hold_on(pair, scopes(one)["this one"]))
        return is_same(source, known)

    with monkeypatch.context() as patch:
        patch.setattr(repetition, "is_same", holding)
        pair.ofsted.receive()
    assert len(placed) == 1
    assert [path.stem for path in kept(pair)] == [one.id]


def test_people_are_told_of_it_when_it_comes_and_not_once_more(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr(Alerts, "tell", lambda _, alert: told.append(alert.event))
    daemon = without_threads(pair.ofsted.parts)
    overtake(pair)
    pair.ofsted.receive()
    assert pair.ofsted.events().count("quarantined") == 2
    daemon.look()
    assert [event for event in told if event in EVENTS] == ["quarantined"]


@pytest.mark.parametrize("reason", ["forbidden", "overtaken"])
def test_people_are_told_of_a_rejection_whatever_reason_the_partner_writes(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    told = []
    monkeypatch.setattr(Alerts, "tell", lambda _, alert: told.append(alert.event))
    daemon = without_threads(pair.lgsco.parts)

    def refuses(*_: object) -> NoReturn:
        raise receiver.NotAccepted("no", reason=reason)

    pair.lgsco.drop(b"x")
    pair.lgsco.take()
    pair.lgsco.send()
    with monkeypatch.context() as patch:
        patch.setattr(receiver, "_check_times", refuses)
        pair.ofsted.receive()
    pair.ofsted.send()
    pair.lgsco.receive()
    daemon.look()
    assert [event for event in told if event in EVENTS] == ["rejected"]
