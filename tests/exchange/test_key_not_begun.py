"""A key ends before its successor counts, or before the partner has heard of that one; and clocks that differ."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from config.times import from_text
from exchange import approval_desk, key_desk
from exchange.assembly import assemble
from exchange.audit import verify_home
from exchange.key_list import problems
from keys import ending, rotation
from keys.approvals import NotApproved
from keys.composite import CompositeKey
from keys.key_info import PURPOSES, Purpose
from keys.openssh import PublicKey
from keys.own_keys import OwnKey
from keys.rotation import Office
from ledger.entry import Entry
from tests.exchange.administrators import Board, events, number, state_of
from tests.exchange.test_key_revocation import first, persist, revoke
from tests.exchange.test_key_rotation import begin, chained, exchange_files, quiet, rotate
from tests.organisations import CASE, PASSPHRASE, ManualClock, Organisation, Pair, restart


def later(pair: Pair, one: Organisation, purpose: Purpose) -> str:
    """A successor that counts in a month; returns its fingerprint."""
    made = key_desk.rotate(one.parts, purpose, timedelta(days=30), pair.clock() + timedelta(days=30), "root")
    pair.settle()
    return made.fingerprint


@pytest.mark.parametrize("purpose", PURPOSES)
def test_files_go_on_when_the_key_in_use_is_revoked_before_its_successor_counts(pair: Pair, purpose: Purpose) -> None:
    chained(pair)
    begin(pair, purpose)
    exchange_files(pair, "before")
    pair.clock.advance(hours=1)
    unused = later(pair, pair.ofsted, purpose)
    stolen = first(pair.ofsted, purpose)
    done = revoke(pair.ofsted, purpose)
    assert done["revoked"] == stolen
    [key] = pair.ofsted.parts.own.usable(purpose)
    assert done["successor"] == key.fingerprint not in (stolen, unused)
    persist(pair)
    exchange_files(pair, "after")
    pair.clock.advance(days=40)
    for one in (pair.ofsted, pair.lgsco):
        key_desk.tend(one.parts)
    persist(pair)
    exchange_files(pair, "much later")
    for one in (pair.lgsco, pair.ofsted):
        report = verify_home(one.home)
        assert report.ok, report.problems


@pytest.mark.parametrize("at_once", [True, False])
def test_two_people_who_revoke_a_key_also_end_the_successor_that_does_not_count_yet(
    pair: Pair, tmp_path_factory: pytest.TempPathFactory, at_once: bool
) -> None:
    chained(pair)
    board, lgsco = Board.new(tmp_path_factory.mktemp("administrators")), pair.lgsco
    unused, stolen = later(pair, lgsco, "signing"), first(lgsco, "signing")
    board.rule(lgsco, revoke="at-once" if at_once else "wait")
    order = number(approval_desk.revoke(lgsco.parts, stolen, None, "root"))
    assert [entry.key for entry in events(lgsco, "key.revoked")] == ([unused, stolen] if at_once else [])
    board.first.approves(lgsco, order)
    assert board.second.approves(lgsco, order)["state"] == "done"
    assert state_of(lgsco, order) == "done"
    assert [entry.key for entry in events(lgsco, "key.revoked")] == [unused, stolen]
    persist(pair)
    exchange_files(pair, "after")
    report = verify_home(lgsco.home)
    assert report.ok, report.problems


@pytest.mark.parametrize("purpose", ["signing", "signing-pq", "witness", "transport", "encryption"])
def test_a_lost_key_whose_successor_does_not_count_yet_is_revoked_without_its_word(
    pair: Pair, purpose: Purpose
) -> None:
    chained(pair)
    begin(pair, purpose)
    unused, lost = later(pair, pair.ofsted, purpose), first(pair.ofsted, purpose)
    [serial] = [key.serial for key in pair.ofsted.parts.own.keys if key.fingerprint == lost]
    (pair.ofsted.home.root / "keys" / f"{purpose}-{serial}.age").unlink()
    key_desk.revoke(pair.ofsted.parts, lost, None, "root", lost=True)
    [key] = pair.ofsted.parts.own.usable(purpose)
    assert key.fingerprint not in (lost, unused)
    assert verify_home(pair.ofsted.home).ok


def test_a_successor_for_later_that_is_only_ordered_is_not_taken_for_one_that_counts(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    chained(pair)

    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rotation, "finish", power_cut)
        with pytest.raises(KeyboardInterrupt):
            later(pair, pair.ofsted, "signing")
    revoke(pair.ofsted, "signing")
    persist(pair)
    exchange_files(pair, "after")


@pytest.mark.parametrize("purpose", ["signing", "encryption", "ledger", "witness", "transport"])
def test_a_death_between_the_end_of_the_successor_and_the_next_one_costs_nothing_but_the_order_once_more(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, purpose: Purpose
) -> None:
    chained(pair)
    unused, stolen = later(pair, pair.ofsted, purpose), first(pair.ofsted, purpose)

    def power_cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(key_desk, "rotate", power_cut)
        with pytest.raises(KeyboardInterrupt):
            revoke(pair.ofsted, purpose)
    assert [entry.key for entry in events(pair.ofsted, "key.revoked")] == [unused]
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    chained(pair)
    key_desk.tend(pair.ofsted.parts)
    assert revoke(pair.ofsted, purpose)["revoked"] == stolen
    persist(pair)
    exchange_files(pair, "after")
    assert verify_home(pair.ofsted.home).ok


def test_what_the_service_has_ended_meanwhile_is_no_failure_of_the_command(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    chained(pair)
    unused, stolen = later(pair, pair.ofsted, "signing"), first(pair.ofsted, "signing")
    end = ending.revoke
    raced: list[str] = []

    def race(office: Office, key: OwnKey, *args: Any, **more: Any) -> Entry:
        if not raced:
            raced.append(key.fingerprint)
            end(office, key, *args, **more)
        return end(office, key, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(ending, "revoke", race)
        assert revoke(pair.ofsted, "signing")["revoked"] == stolen
    assert raced == [unused]


def test_an_order_to_revoke_one_key_allows_no_other_that_counts(
    pair: Pair, tmp_path_factory: pytest.TempPathFactory
) -> None:
    board, lgsco = Board.new(tmp_path_factory.mktemp("administrators")), pair.lgsco
    rotate(lgsco, "signing")
    old, new = (key.fingerprint for key in lgsco.parts.own.usable("signing"))
    board.rule(lgsco, revoke="wait")
    order = number(approval_desk.revoke(lgsco.parts, old, None, "root"))
    board.first.approves(lgsco, order)
    with pytest.raises(NotApproved, match="it is not what was ordered"):
        key_desk.revoke(lgsco.parts, new, None, "root", order)
    assert events(lgsco, "key.revoked") == []


@pytest.mark.parametrize("purpose", ["signing", "signing-pq"])
@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("chain", [True, False])
@pytest.mark.parametrize("rotated", [True, False])
def test_a_key_that_is_revoked_again_before_the_partner_hears_of_it_keeps_no_file(
    pair: Pair, purpose: Purpose, times: int, chain: bool, rotated: bool
) -> None:
    if chain:
        chained(pair)
    begin(pair, purpose)
    for one in (pair.lgsco, pair.ofsted):
        accept(one)
    pair.settle()
    exchange_files(pair, "before")
    pair.clock.advance(hours=1)
    if rotated:
        rotate(pair.ofsted, purpose)
    for _ in range(times):
        revoke(pair.ofsted, purpose)
        pair.clock.advance(hours=1)
    for _ in range(20):
        persist(pair)
        accept(pair.lgsco)
        pair.clock.advance(hours=7)
    assert problems_of(pair.ofsted) == []
    exchange_files(pair, "after")
    for one in (pair.lgsco, pair.ofsted):
        assert verify_home(one.home).ok


def accept(one: Organisation) -> None:
    for waiting in key_desk.waiting(one.parts.ledger):
        key_desk.accept(one.parts, waiting.partner, waiting.announcement.fingerprint, "root")


def problems_of(one: Organisation) -> list[str]:
    parts = one.parts
    return problems(parts.keyring, parts.ledger, parts.trust, (one.partner,), one.home.settings, parts.effects.clock)


@dataclass(frozen=True)
class Behind:
    """A clock that is some minutes behind another one."""

    clock: ManualClock
    minutes: float

    def __call__(self) -> datetime:
        return self.clock() - timedelta(minutes=self.minutes)


@pytest.mark.parametrize("purpose", ["signing", "signing-pq"])
@pytest.mark.parametrize("announced", [False, True])
@pytest.mark.parametrize("minutes", [0, 1.5, 4.9])
def test_what_a_new_key_signs_waits_at_a_partner_whose_clock_is_behind_until_the_key_counts_there(
    pair: Pair, purpose: Purpose, announced: bool, minutes: float
) -> None:
    chained(pair)
    begin(pair, purpose)
    exchange_files(pair, "before")
    pair.clock.advance(days=1)
    parts, behind = pair.ofsted.parts, Behind(pair.clock, minutes)
    parts.ledger.close()
    pair.ofsted.parts = assemble(parts.home, lambda: PASSPHRASE, replace(parts.effects, clock=behind))
    chained(pair)
    at = pair.clock() + timedelta(days=1) if announced else None
    key_desk.rotate(pair.lgsco.parts, purpose, timedelta(0), at, "root")
    persist(pair)
    if announced:
        pair.clock.advance(days=1, seconds=1)
        persist(pair)
    pair.lgsco.drop(b"after", f"{CASE} after.pdf")
    persist(pair)
    assert pair.lgsco.states()[-1] == ("sent" if minutes else "acknowledged")
    pair.clock.advance(minutes=5)
    persist(pair)
    assert pair.lgsco.states()[-1] == "acknowledged"
    quiet(pair.ofsted)
    # for ever, by whatever card comes later, and for stock tools
    recorded, used = events(pair.ofsted, "received")[-1], pair.lgsco.parts.own.usable(purpose)[-1]
    public = PublicKey.parse(used.public) if purpose == "signing" else CompositeKey.parse(used.public)
    pair.ofsted.parts.trust.signing_key("lgsco", public, from_text(recorded.at))


@pytest.mark.parametrize("purpose", ["signing", "signing-pq"])
def test_a_key_that_counts_in_more_than_some_minutes_is_waited_for_by_nobody(pair: Pair, purpose: Purpose) -> None:
    chained(pair)
    begin(pair, purpose)
    exchange_files(pair, "before")
    parts = pair.ofsted.parts
    parts.ledger.close()
    pair.ofsted.parts = assemble(parts.home, lambda: PASSPHRASE, replace(parts.effects, clock=Behind(pair.clock, 20)))
    chained(pair)
    rotate(pair.lgsco, purpose, timedelta(0))
    persist(pair)
    pair.lgsco.drop(b"after", f"{CASE} after.pdf")
    persist(pair)
    assert "key-not-yet-valid" in {entry.detail["reason"] for entry in events(pair.ofsted, "quarantined")}
