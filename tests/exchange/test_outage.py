"""A partner that refuses for an hour, on a clock that the test moves: the daemon's own workers take their turns."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from config.errors import NotNow
from exchange import key_desk
from exchange.landing import ConnectionLost, HostKeyChanged, Landing, LandingError, Small, Unreachable
from exchange.parts import Parts
from exchange.service.alerts import EVENTS
from exchange.service.daemon import Daemon
from exchange.service.outage import Outage
from exchange.service.worker import Worker
from keys.card import Card
from ledger.query import outage as cause_of
from ledger.query import reachability
from tests.exchange.supervised import without_threads
from tests.exchange.test_ledger_trouble import locked
from tests.organisations import CASE, FolderLanding, Pair

HOUR = timedelta(hours=1)


class _LostAfterTheFirst(FolderLanding):
    """A connection that ends behind the first file which it has delivered; later ones hold."""

    def __init__(self, folder: Path, lost: list[str]) -> None:
        super().__init__(folder)
        self._lost = lost

    def put_many(
        self, files: Iterable[Small], done: Callable[[Small], None] | None = None, *, sync: bool = True
    ) -> None:
        for file in files:
            super().put_many([file], done, sync=sync)
            if not self._lost:
                self._lost.append(file.final)
                raise ConnectionLost("sftp.ofsted.example:22")


class Turns:
    """Takes each worker's turn when it is due, as its thread would."""

    def __init__(self, pair: Pair, daemon: Daemon) -> None:
        self._clock = pair.clock
        self._daemon = daemon
        self._due = dict.fromkeys(daemon.workers, pair.clock.now)

    def until(self, end: datetime, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Everything that is due before `end`, with something else after each turn."""
        while min(self._due.values()) < end:
            name = min(self._due, key=lambda one: self._due[one])
            self._clock.now = max(self._clock.now, self._due[name])
            worker: Worker = self._daemon.workers[name]
            self._due[name] = self._clock.now + timedelta(seconds=worker.turn())
            meanwhile()
            self._daemon.look()
            for other, one in self._daemon.workers.items():
                if one.waker.is_set():
                    self._due[other] = min(self._due[other], self._clock.now)
        self._clock.now = end


def calling(parts: Parts, connect: Callable[[Card], Landing], **others: Any) -> Parts:
    """The same organisation with another way to its partner's server."""
    return replace(parts, effects=replace(parts.effects, connect=connect, **others))


def begun(parts: Parts) -> Daemon:
    """A daemon that has begun; `Turns` takes its workers' turns."""
    daemon = without_threads(parts)
    daemon.begin()
    return daemon


@pytest.mark.parametrize("jitter", [1.0, 0.5])
def test_a_partner_that_refuses_for_an_hour_is_called_a_few_times_and_told_of_twice(pair: Pair, jitter: float) -> None:
    calls: list[datetime] = []
    refuses = True
    connected = pair.lgsco.parts.effects.connect

    def connect(card: Card) -> Landing:
        calls.append(pair.clock.now)
        if refuses:
            raise Unreachable("sftp.ofsted.example:22")
        return connected(card)

    parts = calling(pair.lgsco.parts, connect, jitter=lambda: jitter)
    turns = Turns(pair, begun(parts))
    names = [f"{CASE} {number}.pdf" for number in range(7)]
    start = pair.clock.now
    for number, name in enumerate(names[:6]):
        # news come all the time, and change nothing about when the partner is called
        pair.lgsco.drop(name.encode(), name)
        turns.until(start + HOUR * (number + 1) / 6)
    waits = [(later - earlier).total_seconds() / jitter for earlier, later in pairwise(calls)]
    expected = [5, 10, 20, 40, 80, 160, 320, 640] + [900] * 10
    assert waits == pytest.approx(expected[: len(waits)])
    assert len(calls) == {1.0: 11, 0.5: 15}[jitter]
    assert pair.lgsco.states() == ["sealed"] * 6
    events = pair.lgsco.events()
    assert events.count("partner.unreachable") == 1
    assert "partner.reachable" not in events

    refuses = False
    pair.lgsco.drop(names[6].encode(), names[6])
    turns.until(start + HOUR + timedelta(minutes=20), lambda: (pair.ofsted.receive(), pair.ofsted.send()))
    assert pair.lgsco.states() == ["acknowledged"] * 7
    assert sorted(path.read_bytes() for path in pair.ofsted.inbound()) == [name.encode() for name in names]
    said = pair.lgsco.events()
    assert (said.count("partner.unreachable"), said.count("partner.reachable")) == (1, 1)


@pytest.mark.topologies("lgsco-hosts", only=True)
def test_a_look_for_what_waits_at_a_partner_is_contact_even_if_there_is_nothing(pair: Pair) -> None:
    parts = pair.ofsted.parts
    daemon = begun(parts)
    assert reachability(parts.ledger, "lgsco") == "unknown"
    for _ in range(3):
        daemon.workers["co:lgsco"].turn()
    assert reachability(parts.ledger, "lgsco") == "reachable"
    assert pair.ofsted.events().count("partner.reached") == 1
    assert "partner.reachable" not in pair.ofsted.events()


def test_an_outage_ends_even_if_its_last_file_arrived_in_the_round_that_failed(pair: Pair) -> None:
    lost: list[str] = []
    parts = pair.lgsco.parts

    def connect(_: Card) -> Landing:
        return _LostAfterTheFirst(pair.ofsted.home.landing / "lgsco", lost)

    parts = calling(parts, connect)
    turns = Turns(pair, begun(parts))
    pair.lgsco.drop(b"a file")
    turns.until(pair.clock.now + timedelta(minutes=1))
    assert pair.lgsco.states() == ["sent"]
    assert pair.lgsco.events().count("partner.unreachable") == 1
    assert len(lost) == 1

    turns.until(pair.clock.now + timedelta(minutes=30))
    assert reachability(parts.ledger, "ofsted") == "reachable"
    said = pair.lgsco.events()
    assert (said.count("partner.unreachable"), said.count("partner.reachable")) == (1, 1)


def test_an_outage_that_a_restart_finds_ends_when_the_partner_answers_though_nothing_is_to_be_sent(pair: Pair) -> None:
    parts = pair.lgsco.parts
    Outage("ofsted").failed(parts, "re:ofsted", Unreachable.__name__)
    daemon = begun(parts)
    assert reachability(parts.ledger, "ofsted") == "unreachable"
    Turns(pair, daemon).until(pair.clock.now + timedelta(minutes=2))
    assert reachability(parts.ledger, "ofsted") == "reachable"


def test_an_outage_that_a_restart_finds_goes_on_while_the_partner_does_not_answer(pair: Pair) -> None:
    calls = 0

    def connect(card: Card) -> Landing:
        nonlocal calls
        calls += 1
        raise Unreachable("sftp.ofsted.example:22")

    parts = calling(pair.lgsco.parts, connect)
    Outage("ofsted").failed(parts, "re:ofsted", Unreachable.__name__)
    Turns(pair, begun(parts)).until(pair.clock.now + HOUR)
    assert reachability(parts.ledger, "ofsted") == "unreachable"
    assert pair.lgsco.events().count("partner.unreachable") == 1
    # both kinds of round look, each with its own pauses
    assert 2 <= calls <= 30


def test_a_connection_that_waited_since_before_another_one_worked_is_tried_once_more_before_it_is_an_outage(
    pair: Pair,
) -> None:
    parts, outage = pair.lgsco.parts, Outage("ofsted")
    outage.failed(parts, "out:ofsted", "Unreachable", outage.contacts)
    began = outage.contacts
    outage.worked(parts, "out:ofsted")
    outage.failed(parts, "co:ofsted", "Unreachable", began)
    said = pair.lgsco.events()
    assert (said.count("partner.unreachable"), said.count("partner.reachable")) == (1, 1)
    # however often another one works meanwhile: where it goes on, it is an outage
    outage.worked(parts, "out:ofsted")
    outage.failed(parts, "co:ofsted", "ConnectionLost", began)
    assert pair.lgsco.events().count("partner.unreachable") == 2
    outage.worked(parts, "co:ofsted")
    assert pair.lgsco.events().count("partner.reachable") == 2


@pytest.mark.parametrize("cause", ["HostKeyChanged", "AuthenticationRefused", "NotThere", "LandingFull"])
def test_what_a_server_has_answered_counts_at_once_whatever_else_worked_meanwhile(pair: Pair, cause: str) -> None:
    parts, outage = pair.lgsco.parts, Outage("ofsted")
    began = outage.contacts
    outage.worked(parts, "out:ofsted")
    outage.failed(parts, "co:ofsted", cause, began)
    assert pair.lgsco.events()[-1] == "partner.unreachable"


def test_a_connection_that_waited_long_prolongs_the_outage_of_another_one(pair: Pair) -> None:
    parts, outage = pair.lgsco.parts, Outage("ofsted")
    began = outage.contacts
    outage.worked(parts, "re:ofsted")
    outage.failed(parts, "out:ofsted", "Unreachable", outage.contacts)
    outage.failed(parts, "co:ofsted", "Unreachable", began)
    outage.worked(parts, "out:ofsted")
    assert pair.lgsco.events()[-1] == "partner.unreachable"
    outage.worked(parts, "co:ofsted")
    assert pair.lgsco.events()[-1] == "partner.reachable"


def test_an_outage_ends_when_the_partner_answers_though_what_is_for_it_waits_for_people(pair: Pair) -> None:
    refuses = True
    connected = pair.lgsco.parts.effects.connect

    def connect(card: Card) -> Landing:
        if refuses:
            raise Unreachable("sftp.ofsted.example:22")
        return connected(card)

    parts = pair.lgsco.parts = calling(pair.lgsco.parts, connect)
    turns = Turns(pair, begun(parts))
    pair.lgsco.drop(b"before")
    turns.until(pair.clock.now + timedelta(minutes=2))
    assert reachability(parts.ledger, "ofsted") == "unreachable"

    # from now on nothing can be sealed until somebody there has accepted the new key
    key_desk.revoke(parts, parts.own.usable("signing")[0].fingerprint, None, "root")
    pair.lgsco.drop(b"after", f"{CASE} after.pdf")
    turns.until(pair.clock.now + timedelta(minutes=20))
    assert reachability(parts.ledger, "ofsted") == "unreachable"
    refuses = False
    turns.until(pair.clock.now + timedelta(minutes=20))
    assert "accepted" in pair.lgsco.states()
    assert reachability(parts.ledger, "ofsted") == "reachable"
    said = pair.lgsco.events()
    assert (said.count("partner.unreachable"), said.count("partner.reachable")) == (1, 1)


def test_another_host_key_is_told_of_although_all_that_is_for_the_partner_waits_for_people(pair: Pair) -> None:
    answer: type[LandingError] = Unreachable

    def connect(card: Card) -> Landing:
        raise answer("sftp.ofsted.example:22")

    parts = pair.lgsco.parts = calling(pair.lgsco.parts, connect)
    turns = Turns(pair, begun(parts))
    pair.lgsco.drop(b"before")
    turns.until(pair.clock.now + timedelta(minutes=2))
    key_desk.revoke(parts, parts.own.usable("signing")[0].fingerprint, None, "root")
    pair.lgsco.drop(b"after", f"{CASE} after.pdf")
    turns.until(pair.clock.now + timedelta(minutes=20))
    answer = HostKeyChanged
    turns.until(pair.clock.now + timedelta(minutes=40))
    assert cause_of(parts.ledger, "ofsted") == "HostKeyChanged"
    assert _told(pair) == [("unreachable", "Unreachable"), ("still-unreachable", "HostKeyChanged")]


def _told(pair: Pair) -> list[tuple[str, object]]:
    ledger = pair.lgsco.parts.ledger
    entries = ledger.entries(0, ledger.size)
    return [(one.event[8:], one.detail.get("cause")) for one in entries if one.event.endswith("reachable")]


def test_an_outage_that_people_mend_step_by_step_says_what_is_wrong_now(pair: Pair) -> None:
    parts, outage = pair.lgsco.parts, Outage("ofsted")
    for cause in ("Unreachable", "HostKeyChanged", "HostKeyChanged", "AuthenticationRefused", "NotThere", "NotThere"):
        outage.failed(parts, "out:ofsted", cause)
        assert cause_of(parts.ledger, "ofsted") == cause
    outage.worked(parts, "out:ofsted")
    assert _told(pair) == [
        ("unreachable", "Unreachable"),
        ("still-unreachable", "HostKeyChanged"),
        ("still-unreachable", "AuthenticationRefused"),
        ("still-unreachable", "NotThere"),
        ("reachable", None),
    ]


def test_what_one_connection_has_heard_is_not_hidden_by_the_silence_of_another(pair: Pair) -> None:
    parts, outage = pair.lgsco.parts, Outage("ofsted")
    for worker, cause in (("out", "LandingFull"), ("re", "ConnectionLost"), ("co", "Unreachable")) * 3:
        outage.failed(parts, f"{worker}:ofsted", cause)
    assert _told(pair) == [("unreachable", "LandingFull")]
    outage.worked(parts, "out:ofsted")
    outage.failed(parts, "re:ofsted", "ConnectionLost")
    assert _told(pair)[1:] == [("still-unreachable", "Unreachable")]


def test_a_server_that_fails_in_ever_other_ways_does_not_fill_the_ledger(pair: Pair) -> None:
    parts, outage = pair.lgsco.parts, Outage("ofsted")
    start = pair.clock.now
    for minute in range(180):
        pair.clock.now = start + timedelta(minutes=minute)
        outage.failed(parts, "out:ofsted", ("LandingFull", "NotThere", "ConnectionLost", "Unreachable")[minute % 4])
    told = [cause for event, cause in _told(pair) if event == "still-unreachable"]
    assert {cause: told.count(cause) for cause in told} == dict.fromkeys(set(told), 3)
    assert len(set(told)) == 4


def test_another_host_key_is_said_again_and_again_if_something_else_was_said_between(pair: Pair) -> None:
    parts, outage = pair.lgsco.parts, Outage("ofsted")
    for cause in ("Unreachable", "HostKeyChanged", "NotThere", "HostKeyChanged", "NotThere", "HostKeyChanged"):
        outage.failed(parts, "out:ofsted", cause)
    assert cause_of(parts.ledger, "ofsted") == "HostKeyChanged"
    assert [cause for _, cause in _told(pair)].count("HostKeyChanged") == 2


def test_a_server_that_is_silent_after_it_showed_another_key_is_not_taken_for_the_right_one(pair: Pair) -> None:
    parts, outage = pair.lgsco.parts, Outage("ofsted")
    outage.failed(parts, "out:ofsted", "Unreachable")
    outage.failed(parts, "out:ofsted", "HostKeyChanged")
    outage.failed(parts, "out:ofsted", "Unreachable")
    Outage("ofsted").failed(parts, "re:ofsted", "ConnectionLost")
    assert cause_of(parts.ledger, "ofsted") == "HostKeyChanged"


def test_another_host_key_of_one_connection_is_not_hidden_by_what_another_one_has_heard(pair: Pair) -> None:
    parts, outage = pair.lgsco.parts, Outage("ofsted")
    outage.failed(parts, "re:ofsted", "HostKeyChanged")
    outage.failed(parts, "out:ofsted", "LandingFull")
    assert cause_of(parts.ledger, "ofsted") == "HostKeyChanged"
    outage.failed(parts, "re:ofsted", "NotThere")
    assert cause_of(parts.ledger, "ofsted") == "NotThere"


def test_what_is_mended_is_not_said_any_more_while_another_connection_fails(pair: Pair) -> None:
    parts, outage = pair.lgsco.parts, Outage("ofsted")
    outage.failed(parts, "re:ofsted", "NotThere")
    outage.failed(parts, "out:ofsted", "HostKeyChanged")
    outage.worked(parts, "out:ofsted")
    assert cause_of(parts.ledger, "ofsted") == "NotThere"
    outage.worked(parts, "re:ofsted")
    assert [event for event, _ in _told(pair)] == ["unreachable", *["still-unreachable"] * 2, "reachable"]


def test_after_a_restart_what_is_wrong_now_is_said(pair: Pair) -> None:
    parts = pair.lgsco.parts
    Outage("ofsted").failed(parts, "out:ofsted", "HostKeyChanged")
    Outage("ofsted").failed(parts, "out:ofsted", "HostKeyChanged")
    Outage("ofsted").failed(parts, "out:ofsted", "AuthenticationRefused")
    assert _told(pair) == [("unreachable", "HostKeyChanged"), ("still-unreachable", "AuthenticationRefused")]


def test_what_could_not_be_recorded_while_somebody_held_the_ledger_is_recorded_by_the_next_failure(pair: Pair) -> None:
    parts, outage = pair.lgsco.parts, Outage("ofsted")
    outage.failed(parts, "out:ofsted", "Unreachable")
    with locked(parts.home.ledger), pytest.raises(NotNow):
        outage.failed(parts, "out:ofsted", "HostKeyChanged")
    assert cause_of(parts.ledger, "ofsted") == "Unreachable"
    outage.failed(parts, "out:ofsted", "HostKeyChanged")
    assert cause_of(parts.ledger, "ofsted") == "HostKeyChanged"
    with locked(parts.home.ledger), pytest.raises(NotNow):
        outage.worked(parts, "out:ofsted")
    outage.worked(parts, "out:ofsted")
    assert [event for event, _ in _told(pair)] == ["unreachable", "still-unreachable", "reachable"]


def test_people_are_told_when_something_else_keeps_us_from_a_partner() -> None:
    assert {"partner.unreachable", "partner.still-unreachable", "partner.reachable"} <= EVENTS
