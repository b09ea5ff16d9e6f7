"""One file that cannot be dealt with, whatever it is or lies beside, keeps no other from its turn, and is seen."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from config.errors import NotNow
from config.times import system_clock
from exchange import intake, orders, receiver, sender, stuck
from exchange.concern import Judgement
from exchange.drop import SIDECAR
from exchange.failures import Failures
from exchange.landed import Arrival
from exchange.landing import Landing, Small
from exchange.parts import Parts
from exchange.questions import in_flight
from exchange.service import pid_file
from exchange.spool import Claim
from ledger.handover import Handover
from tests.organisations import CASE, Organisation, Pair, restart, restart_with

LONG_NUMBER = "x = " + "1" * 5000
MANY_KEYS = "\n".join(f"a{number}=1" for number in range(7000))


def three(pair: Pair) -> str:
    """Three files, taken; returns the id of the first."""
    for name in "abc":
        pair.lgsco.drop(name.encode(), f"{CASE} {name}.pdf")
    pair.lgsco.take()
    return pair.lgsco.handovers()[0].id


@pytest.mark.parametrize("text", [LONG_NUMBER, MANY_KEYS, f"{'k' * 60_000} = 1", 'gateways = ["a\\nb"]'])
def test_a_sidecar_of_any_content_holds_its_file_and_no_other(pair: Pair, text: str) -> None:
    bad = pair.lgsco.drop(b"content", f"{CASE} a.pdf")
    bad.with_name(bad.name + SIDECAR).write_text(text)
    pair.lgsco.drop(b"other", f"{CASE} b.pdf")
    pair.settle()
    assert sorted(pair.lgsco.states()) == ["acknowledged", "held"]
    (held,) = [one for one in pair.lgsco.handovers() if one.state == "held"]
    assert held.reason == "bad-sidecar"
    entry = pair.lgsco.parts.ledger.entry(held.first_seq)
    assert entry.detail["reasons"] == ["bad-sidecar"]
    why = pair.lgsco.home.held / "ofsted" / f"{bad.name}.why.txt"
    assert len(why.read_bytes()) < 4096
    assert pair.lgsco.spooled() == []


def test_a_file_whose_judging_fails_keeps_no_other_and_no_start_and_goes_when_that_is_mended(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = intake._judge

    def fail(parts: Parts, claim: Claim, payload: Path) -> Judgement:
        if claim.name == f"{CASE} a.pdf":
            raise ZeroDivisionError
        return judge(parts, claim, payload)

    with monkeypatch.context() as patch:
        patch.setattr(intake, "_judge", fail)
        for name in "abc":
            pair.lgsco.drop(name.encode(), f"{CASE} {name}.pdf")
        with pytest.raises(ZeroDivisionError):
            pair.lgsco.take()
        pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
        with pytest.raises(ZeroDivisionError):
            pair.lgsco.take()
        pair.lgsco.send()
        pair.ofsted.receive()
        assert sorted(path.read_bytes() for path in pair.ofsted.inbound()) == [b"b", b"c"]
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"] * 3


def test_an_envelope_whose_opening_fails_keeps_no_other_and_is_delivered_when_that_is_mended(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, receive = three(pair), receiver.receive
    pair.lgsco.send()

    def fail(parts: Parts, arrival: Arrival) -> None:
        if arrival.path.stem == bad:
            raise ZeroDivisionError
        receive(parts, arrival)

    with monkeypatch.context() as patch:
        patch.setattr(receiver, "receive", fail)
        with pytest.raises(ZeroDivisionError):
            pair.ofsted.receive()
        assert len(pair.ofsted.inbound()) == 2
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"] * 3


def release(one: Organisation) -> None:
    orders.place(one.parts.ledger, one.handovers()[0], "release", "root")


def test_release_of_what_was_held_after_it_was_accepted_brings_it_back_to_its_folder(pair: Pair) -> None:
    pair.lgsco.drop(b"content")
    pair.lgsco.take()
    config = pair.lgsco.home.config_file
    before = config.read_text()
    config.write_text(before.replace("[limits]\n", '[limits]\nmax_file = "1B"\n'))
    restart_with(pair, "")
    pair.lgsco.send()
    assert pair.lgsco.states() == ["held"]
    config.write_text(before)
    restart_with(pair, "")
    release(pair.lgsco)
    pair.settle()
    assert pair.lgsco.states() == ["withdrawn", "acknowledged"]


@pytest.mark.parametrize("length", [242, 243, 255])
def test_release_of_a_file_with_a_name_of_any_length_is_carried_out(pair: Pair, length: int) -> None:
    name = "x" * (length - 4) + ".pdf"
    pair.lgsco.drop(b"content", name)
    pair.settle()
    assert pair.lgsco.states() == ["held"]
    release(pair.lgsco)
    pair.settle()
    assert pair.lgsco.states() == ["withdrawn", "held"]
    assert [p.name for p in (pair.lgsco.home.held / "ofsted").iterdir() if not p.name.endswith(".txt")] == [name]


def test_a_file_whose_sealing_fails_keeps_no_other_from_going(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, seal_next = three(pair), sender.seal_next

    def fail(parts: Parts, handover: Handover) -> None:
        if handover.id == bad:
            raise ZeroDivisionError
        seal_next(parts, handover)

    with monkeypatch.context() as patch:
        patch.setattr(sender, "seal_next", fail)
        with pytest.raises(ZeroDivisionError):
            pair.lgsco.send()
        pair.ofsted.receive()
        assert len(pair.ofsted.inbound()) == 2
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"] * 3


def test_an_envelope_whose_reading_fails_keeps_no_other_from_going(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, small, upload = three(pair), sender.small, sender.upload

    def fail(path: Path, name: str) -> Small:
        if name == bad:
            raise ZeroDivisionError
        return small(path, name)

    def fail_alone(parts: Parts, landing: Landing, handover: Handover) -> None:
        if handover.id == bad:
            raise ZeroDivisionError
        upload(parts, landing, handover)

    with monkeypatch.context() as patch:
        patch.setattr(sender, "small", fail)
        patch.setattr(sender, "upload", fail_alone)
        with pytest.raises(ZeroDivisionError):
            pair.lgsco.send()
        pair.ofsted.receive()
        assert len(pair.ofsted.inbound()) == 2
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"] * 3


def test_no_fault_with_one_envelope_keeps_the_service_from_starting(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.lgsco.send()
    [envelope] = pair.ofsted.landing().iterdir()
    folder = pair.ofsted.home.spool / "in" / "lgsco"
    folder.mkdir(parents=True, exist_ok=True)
    envelope.rename(folder / envelope.name)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(receiver, "forget_decided", fail)
        pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]


def test_what_time_may_mend_does_not_hide_a_fault() -> None:
    failures = Failures()
    for problem in (NotNow("the disk is full"), OSError("no"), ZeroDivisionError("ours"), NotNow("again")):
        with failures.kept():
            raise problem
    assert isinstance(failures.first, ZeroDivisionError)


def test_what_waits_for_nobody_knows_what_is_told_after_a_while(pair: Pair) -> None:
    now = system_clock()
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    rows = in_flight(pair.lgsco.home, pair.lgsco.parts.ledger, pair.lgsco.parts.trust, everything=True)
    folder = pair.lgsco.home.spool / "in" / "ofsted"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "any.age").write_bytes(b"")
    come = "1 envelope has come, and cannot be opened or put aside: the service's log says why"
    assert list(stuck.problems(pair.lgsco.home, rows, now + timedelta(minutes=9))) == []
    assert list(stuck.problems(pair.lgsco.home, rows, now + timedelta(minutes=70))) == [come]
    waits = ["the service does not run, and 1 file waits for it: 'handover run'"]
    assert list(stuck.without_service(pair.lgsco.home, rows, now + timedelta(minutes=9))) == []
    assert list(stuck.without_service(pair.lgsco.home, rows, now + timedelta(minutes=11))) == waits
    pair.lgsco.drop(b"not taken yet", f"{CASE} second.pdf")
    wait = ["the service does not run, and 2 files wait for it: 'handover run'"]
    assert list(stuck.without_service(pair.lgsco.home, rows, now + timedelta(minutes=11))) == wait
    with pid_file.only_one(pair.lgsco.home.pid_file):
        assert list(stuck.without_service(pair.lgsco.home, rows, now + timedelta(minutes=11))) == []
        told = list(stuck.problems(pair.lgsco.home, rows, now + timedelta(minutes=70)))
    assert told == ["1 file was taken over an hour ago, and cannot be sealed: the service's log says why", come]


def test_a_handover_whose_spool_was_lost_is_a_failure_and_not_passed_over(pair: Pair) -> None:
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    shutil.rmtree(pair.lgsco.home.spool / "out" / pair.lgsco.handovers()[0].id)
    with pytest.raises(NotNow, match="the spool has nothing of handover"):
        pair.lgsco.send()
