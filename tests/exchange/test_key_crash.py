"""A rotation that is cut off anywhere is finished by whoever comes next, and no half-made key is ever used."""

import contextlib
import errno
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from config.errors import Misuse, NotNow
from exchange import control, key_desk, rounds
from exchange.audit import verify_home
from exchange.parts import Parts
from keys import rotation
from keys.key_errors import DamagedKey
from keys.key_info import Purpose
from ledger.canonical import Json
from tests.exchange.crashes import Crash, Machine
from tests.exchange.test_key_revocation import persist
from tests.exchange.test_key_rotation import chained, exchange_files, quiet, rotate
from tests.organisations import Organisation, Pair, restart


def go_on(pair: Pair) -> Organisation:
    """LGSCO's service starts again."""
    home = pair.lgsco.home
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    rounds.recover(pair.lgsco.parts)
    assert pair.lgsco.home.root == home.root
    chained(pair)
    return pair.lgsco


@pytest.mark.parametrize("purpose", ["signing", "ledger"])
def test_a_rotation_cut_off_at_any_step_is_finished(
    pair: Pair, purpose: Purpose, monkeypatch: pytest.MonkeyPatch
) -> None:
    chained(pair)
    machine = Machine(monkeypatch)
    number = 0
    cut = True
    while cut:
        pair.clock.advance(days=1)
        machine.steps, machine.stop_at, machine.done = [], number // 2, bool(number % 2)
        try:
            with machine.on():
                rotate(pair.lgsco, purpose, overlap=timedelta(0))
            cut = False
        except Crash:
            number += 1
        lgsco = go_on(pair)
        if [making.purpose for making in lgsco.parts.own.making] == [] and len(lgsco.parts.own.usable(purpose)) == 1:
            # it was cut off before anything was ordered
            assert number <= 1
            continue
        exchange_files(pair, f"cut {number}")
        pair.clock.advance(days=1)
        with machine.on():
            machine.steps, machine.stop_at = [], None
            key_desk.tend(lgsco.parts)
        pair.settle()
        [left] = lgsco.parts.own.usable(purpose)
        assert left.replaces is not None
        assert lgsco.parts.own.making == ()
    assert number > 6
    for one in (pair.lgsco, pair.ofsted):
        quiet(one)
        assert verify_home(one.home).ok


def test_a_retirement_cut_off_at_any_step_is_finished(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    chained(pair)
    machine = Machine(monkeypatch)
    number = 0
    cut = True
    while cut:
        pair.clock.advance(days=1)
        new = rotate(pair.lgsco, "signing", overlap=timedelta(0))
        pair.settle()
        machine.steps, machine.stop_at, machine.done = [], number // 2, bool(number % 2)
        pair.clock.advance(days=1)
        try:
            with machine.on():
                key_desk.tend(pair.lgsco.parts)
            cut = False
        except Crash:
            number += 1
        lgsco = go_on(pair)
        assert [key.fingerprint for key in lgsco.parts.own.usable("signing")] == [new.fingerprint]
        assert all(key.destroyed for key in lgsco.parts.own.keys if key.ended)
        exchange_files(pair, f"cut {number}")
    assert number > 3
    privates = sorted(path.name for path in pair.lgsco.home.keys.glob("signing-*.age"))
    assert privates == [f"signing-{new.serial}.age"]


def work(pair: Pair, machine: Machine, rounds_of_it: int = 3) -> None:
    """LGSCO's service, which tries again what failed; Ofsted's comes after it."""
    with machine.on():
        for _ in range(rounds_of_it):
            pair.clock.advance(seconds=1)
            for act in (
                lambda one: key_desk.tend(one.parts),
                Organisation.take,
                Organisation.send,
                Organisation.receive,
            ):
                with contextlib.suppress(OSError, NotNow):
                    act(pair.lgsco)
    persist(pair)


@pytest.mark.parametrize("purpose", ["signing", "ledger"])
def test_a_disk_that_is_full_at_any_step_of_a_rotation_leaves_it_to_the_next_round(
    pair: Pair, purpose: Purpose, monkeypatch: pytest.MonkeyPatch
) -> None:
    chained(pair)
    machine = Machine(monkeypatch)
    for number in count():
        was_full = machine.fill_disk_at(number)
        with machine.on():
            try:
                rotate(pair.lgsco, purpose, overlap=timedelta(0))
            except OSError:
                ordered = pair.lgsco.parts.own.making or len(pair.lgsco.parts.own.usable(purpose)) == 2
                assert ordered or number == 0
        work(pair, machine)
        pair.clock.advance(days=1)
        work(pair, machine)
        exchange_files(pair, f"full {number}")
        [left] = pair.lgsco.parts.own.usable(purpose)
        assert left.replaces is not None or number == 0
        assert pair.lgsco.parts.own.making == ()
        assert all(key.destroyed for key in pair.lgsco.parts.own.keys if key.ended)
        if not was_full():
            break
    assert number >= 10
    for one in (pair.lgsco, pair.ofsted):
        quiet(one)
        assert verify_home(one.home).ok


@pytest.mark.topologies("push", only=True)
def test_a_disk_that_is_full_at_any_step_of_a_revocation_never_lets_its_news_overtake_the_successor(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partner that hears first that the signing key has ended believes nothing any more that it vouches for."""
    chained(pair)
    machine = Machine(monkeypatch)
    for number in count():
        [key] = pair.lgsco.parts.own.usable("signing")
        was_full = machine.fill_disk_at(number)
        with machine.on(), contextlib.suppress(OSError):
            key_desk.revoke(pair.lgsco.parts, key.fingerprint, None, "root")
        work(pair, machine)
        if key in pair.lgsco.parts.own.usable("signing"):
            # the administrator has been told that it was not revoked
            assert was_full()
            key_desk.revoke(pair.lgsco.parts, key.fingerprint, None, "root")
        pair.clock.advance(hours=7)
        persist(pair)
        exchange_files(pair, f"full {number}")
        [left] = pair.lgsco.parts.own.usable("signing")
        assert left.replaces == key.fingerprint
        if not was_full():
            break
    assert number >= 10
    for one in (pair.lgsco, pair.ofsted):
        assert verify_home(one.home).ok


@pytest.mark.parametrize(
    ("problem", "went"),
    [(DamagedKey("damaged"), ["witness"]), (OSError(errno.ENOSPC, "full"), []), (NotNow("locked"), [])],
    ids=["damaged key", "full disk", "not now"],
)
def test_an_announcement_that_cannot_be_made_keeps_no_other_unless_time_may_mend_it(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, problem: Exception, went: list[str]
) -> None:
    keys = {rotate(pair.lgsco, purpose).fingerprint: purpose for purpose in ("transport", "witness")}
    seal = control._seal

    def fails_first(parts: Parts, partner: str, due: control.Due, place: int) -> tuple[str, Path, dict[str, Json]]:
        if place == 0:
            raise problem
        return seal(parts, partner, due, place)

    monkeypatch.setattr(control, "_seal", fails_first)
    with pytest.raises(type(problem)):
        pair.lgsco.send()
    ledger = pair.lgsco.parts.ledger
    sent = [entry.key for entry in ledger.entries(0, ledger.size) if entry.event == "key.announced"]
    assert [keys[str(key)] for key in sent] == went


def test_a_new_key_that_does_not_work_is_discarded_visibly_and_never_used(pair: Pair) -> None:
    office = pair.lgsco.parts.office
    entry = rotation.order(office, "signing", overlap=timedelta(days=1), begins=None, by="root")
    made = office.keyring.add("signing", "lgsco", pair.clock(), serial=int(str(entry.detail["serial"])))
    private = pair.lgsco.home.keys / f"{made.name}.age"
    private.write_bytes(b"not an age file at all")
    with pytest.raises(DamagedKey):
        rotation.finish(office)
    assert pair.lgsco.events()[-1] == "key.discarded"
    assert not list(pair.lgsco.home.keys.glob(f"{made.name}.*"))
    assert pair.lgsco.parts.own.making == ()
    again = rotate(pair.lgsco, "signing")
    assert len(pair.lgsco.parts.own.usable("signing")) == 2
    assert again.fingerprint != made.fingerprint


def test_a_key_that_nobody_recorded_is_never_used_whatever_it_is_for(pair: Pair) -> None:
    chained(pair)
    for one in (pair.lgsco, pair.ofsted):
        planted = [one.parts.keyring.add(p, one.parts.me, pair.clock()) for p in _PURPOSES]
    pair.clock.advance(days=1)
    exchange_files(pair, "planted")
    fingerprints = {info.fingerprint for info in planted}
    assert not fingerprints & {key.fingerprint for key in pair.ofsted.parts.own.keys}
    card = pair.lgsco.parts.trust.card("ofsted")
    assert not {info.public for info in planted} & {*card.transport_keys, *card.ledger_keys, *card.witness_keys}
    sealed = [e for e in pair.lgsco.parts.ledger.entries(0, pair.lgsco.parts.ledger.size) if e.event == "sealed"]
    assert sealed[-1].detail["signed_by"] == pair.lgsco.parts.own.usable("signing")[0].fingerprint
    newest = pair.ofsted.parts.ledger.checkpoint().decode()
    assert newest.count("— ofsted/handover") == 1


_PURPOSES: tuple[Purpose, ...] = ("signing", "encryption", "transport", "ledger", "witness")


def test_one_rotation_of_a_purpose_at_a_time(pair: Pair) -> None:
    rotate(pair.lgsco, "transport")
    with pytest.raises(Misuse, match="a new transport key is taking over already"):
        rotate(pair.lgsco, "transport")
    rotate(pair.lgsco, "witness")
    with pytest.raises(NotNow, match="ofsted has not accepted its successor"):
        key_desk.retire(pair.lgsco.parts, "transport", "root")
    with pytest.raises(Misuse, match="no signing key is being replaced"):
        key_desk.retire(pair.lgsco.parts, "signing", "root")
