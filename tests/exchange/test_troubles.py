"""A clock that is wrong and a disk that is full: noticed, recorded once, told, shown, and fatal to nobody."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from config.errors import NotNow
from exchange import sender
from exchange.parts import Parts
from exchange.service.alerts import EVENTS
from exchange.status import status
from exchange.troubles import UNUSABLE, Troubles
from ledger.store import Ledger
from tests.exchange.test_ledger_trouble import locked
from tests.exchange.test_rounds_full import fill, small_disk
from tests.organisations import CASE, ManualClock, Organisation, Pair, Template, restart


@pytest.fixture(autouse=True)
def _keys_are_older_than_any_error_of_the_clock(pair: Pair) -> None:
    pair.clock.advance(days=10)


def problems(organisation: Organisation) -> str:
    parts = organisation.parts
    return "; ".join(status(parts.home, parts.ledger, parts.keyring, parts.trust).problems)


def events(organisation: Organisation, beginning: str) -> list[str]:
    return [event for event in organisation.events() if event.startswith(beginning)]


def on_its_own_clock(pair: Pair, **ahead: float) -> ManualClock:
    """Ofsted's clock is that much ahead of LGSCO's."""
    clock = ManualClock(pair.clock.now + timedelta(**ahead))
    pair.ofsted = restart(pair.ofsted, pair.lgsco, clock)
    return clock


def test_a_clock_that_is_put_back_a_day_is_recorded_once_and_everything_goes_on(pair: Pair) -> None:
    troubles = Troubles()
    pair.clock.advance(days=1)
    pair.lgsco.drop(b"one", f"{CASE} one.pdf")
    pair.settle()
    troubles.note(pair.lgsco.parts, True)
    pair.clock.advance(days=-1)
    # the time since the start goes on, whatever the clock does; here, both come from one clock
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    for _ in range(3):
        assert troubles.note(pair.lgsco.parts, True) == ()
    assert events(pair.lgsco, "clock.wrong") == ["clock.wrong"]
    assert "of a time that has not come" in problems_at(pair.lgsco.parts, pair.clock)
    for number in range(5):
        pair.lgsco.drop(b"two", f"{CASE} two {number}.pdf")
    pair.settle()
    handovers = pair.lgsco.handovers()
    assert {handover.state for handover in handovers} == {"acknowledged"}
    # by their number, not by the clock; and no id is used twice
    assert [handover.sequence for handover in handovers] == list(range(1, 7))
    assert len({handover.id for handover in handovers}) == 6
    assert all(handover.id < handovers[0].id for handover in handovers[1:])
    pair.clock.advance(days=1, minutes=10)
    troubles.note(pair.lgsco.parts, True)
    assert events(pair.lgsco, "clock.r") == ["clock.right"]
    assert problems_at(pair.lgsco.parts, pair.clock) == ""


@pytest.mark.parametrize("by", [1, -1])
def test_a_clock_that_jumps_under_a_running_service_is_recorded_once(pair: Pair, by: int) -> None:
    seconds = [0.0]
    parts = replace(pair.lgsco.parts, effects=replace(pair.lgsco.parts.effects, monotonic=lambda: seconds[0]))
    troubles = Troubles()

    def later(**amount: float) -> None:
        seconds[0] += 30
        pair.clock.advance(seconds=30)
        pair.clock.advance(**amount)
        troubles.note(parts, True)

    later()
    later(days=by)
    later()
    assert events(pair.lgsco, "clock.jumped") == ["clock.jumped"]
    assert "the clock of this machine jumped by 24 h 0 min" in problems_at(pair.lgsco.parts, pair.clock)
    assert {"clock.jumped", "clock.wrong", "clock.disagrees", "disk.full", "folders.apart", UNUSABLE} <= EVENTS


@pytest.mark.parametrize("at", ["check_writable", "write"])
def test_a_jump_that_cannot_be_recorded_is_recorded_when_it_can(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    parts = replace(pair.lgsco.parts, effects=replace(pair.lgsco.parts.effects, monotonic=lambda: 0.0))
    troubles = Troubles()
    troubles.note(parts, True)
    pair.clock.advance(days=90)

    def fail(*_: object) -> None:
        raise NotNow("the disk that holds the ledger is full")

    with monkeypatch.context() as full:
        full.setattr(Ledger, at, fail)
        assert troubles.note(parts, True) == (UNUSABLE,)
    assert events(pair.lgsco, "clock.jumped") == []
    troubles.note(parts, True)
    assert events(pair.lgsco, "clock.jumped") == ["clock.jumped"]


def problems_at(parts: Parts, clock: ManualClock) -> str:
    from exchange import troubles

    return "; ".join(troubles.problems(parts.ledger, clock.now))


@pytest.mark.parametrize("hours", [23, -23])
def test_a_partner_whose_clock_is_a_day_off_is_served_and_named_on_both_sides(pair: Pair, hours: int) -> None:
    theirs = on_its_own_clock(pair, hours=hours)
    for number in range(3):
        pair.lgsco.drop(b"x", f"{CASE} {number}.pdf")
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"] * 3
    assert len(pair.ofsted.inbound()) == 3
    assert events(pair.lgsco, "clock") == ["clock.disagrees"]
    # only what comes from the future is sure to be wrong: what is old may have lain somewhere
    assert events(pair.ofsted, "clock") == (["clock.disagrees"] if hours < 0 else [])
    assert "the clocks of ofsted and of this machine disagree by 23 h" in problems_at(pair.lgsco.parts, pair.clock)
    theirs.now = pair.clock.now
    pair.clock.advance(days=2)
    theirs.advance(days=2)
    assert problems_at(pair.lgsco.parts, pair.clock) == ""


def test_what_was_sent_on_a_day_that_has_not_come_is_sent_again_once(pair: Pair) -> None:
    pair.clock.advance(days=1)
    pair.lgsco.drop(b"x")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.clock.advance(days=-1)
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    (handover,) = pair.lgsco.handovers()
    assert sender.needs_resending(pair.lgsco.parts, handover)
    pair.lgsco.send()
    (handover,) = pair.lgsco.handovers()
    assert not sender.needs_resending(pair.lgsco.parts, handover)
    assert pair.lgsco.events().count("sent") == 2
    pair.settle()
    assert len(pair.ofsted.inbound()) == 1
    assert pair.lgsco.states() == ["acknowledged"]


def test_a_full_disk_is_recorded_once_and_shown_and_so_is_that_there_is_room_again(
    template: Template, tmp_path: Path
) -> None:
    with small_disk(template, tmp_path, "lgsco") as pair:
        troubles = Troubles()
        filler = fill(pair.lgsco.home, 500_000)
        for _ in range(3):
            assert troubles.note(pair.lgsco.parts, True) == ()
        assert events(pair.lgsco, "disk") == ["disk.full"]
        assert "the disk is full that holds: outbound, inbound, held, sent, spool, quarantine, landing, ledger" in (
            problems(pair.lgsco)
        )
        filler.unlink()
        for _ in range(2):
            troubles.note(pair.lgsco.parts, True)
        assert events(pair.lgsco, "disk") == ["disk.full", "disk.room"]
        assert "disk" not in problems(pair.lgsco)


def test_a_disk_on_which_not_even_that_can_be_recorded_is_told_once(template: Template, tmp_path: Path) -> None:
    with small_disk(template, tmp_path, "lgsco") as pair:
        troubles = Troubles()
        filler = fill(pair.lgsco.home, 0)
        told = [troubles.note(pair.lgsco.parts, True) for _ in range(3)]
        assert told == [(UNUSABLE,), (), ()]
        filler.unlink()
        assert troubles.note(pair.lgsco.parts, True) == ()
        assert "disk.full" not in pair.lgsco.events()


def test_a_ledger_that_somebody_holds_is_told_once_each_time(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    from ledger.database import connect

    monkeypatch.setattr(
        "ledger.store.connect", lambda path, *, writable: connect(path, writable=writable, timeout=0.05)
    )
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    troubles = Troubles()
    for _ in range(2):
        with locked(pair.lgsco.home.ledger):
            assert [troubles.note(pair.lgsco.parts, True) for _ in range(2)] == [(UNUSABLE,), ()]
        assert troubles.note(pair.lgsco.parts, True) == ()


def test_folders_that_nobody_watches_are_shown_until_they_are_watched(pair: Pair) -> None:
    troubles = Troubles()
    for watched in (True, False, False):
        troubles.note(pair.lgsco.parts, watched)
    assert "fs.inotify.max_user_watches" in problems(pair.lgsco)
    for _ in range(2):
        troubles.note(pair.lgsco.parts, True)
    assert events(pair.lgsco, "watch") == ["watch.incomplete", "watch.complete"]
    assert "inotify" not in problems(pair.lgsco)
