"""`run --once`: what fails in one place keeps nothing else from being done, and is told at the end."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from config.errors import Misuse, NotNow, Refused
from exchange.landing import Landing
from exchange.parts import Parts
from exchange.service.once import run_once
from ledger.witness import RolledBack
from tests.organisations import CASE, Pair

CONCERN = ("lgsco", "unimplemented-recommendation", "Leeds")


def connecting(parts: Parts, connect: Callable[[object], Landing]) -> Parts:
    return replace(parts, effects=replace(parts.effects, connect=connect))


def silent(event: str, **ids: object) -> None:
    pass


def test_without_its_outbound_folder_it_still_receives_and_sends(pair: Pair) -> None:
    pair.ofsted.drop(b"{}", f"{CASE} concern.json", CONCERN)
    pair.ofsted.take()
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.ofsted.home.marker.unlink()
    with pytest.raises(NotNow, match="the outbound folder has lost its marker file"):
        run_once(pair.ofsted.parts, silent)
    assert pair.ofsted.states("in") == ["delivered"]
    assert pair.ofsted.states("out") == ["sent"]
    pair.lgsco.receive()
    assert pair.lgsco.states() == ["acknowledged"]


@pytest.mark.parametrize("problem", [NotNow("later"), Refused("no"), Misuse("wrong"), OSError(5, "broken")])
def test_the_first_failure_of_any_kind_is_raised_after_all_else_was_tried(pair: Pair, problem: Exception) -> None:
    pair.ofsted.drop(b"{}", f"{CASE} concern.json", CONCERN)
    pair.ofsted.take()
    pair.ofsted.send()
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()

    tries = []

    def away(_: object) -> Landing:
        tries.append(problem)
        # what lands meanwhile is for the next pass
        pair.ofsted.drop(b"{}", f"{CASE} another.json", CONCERN)
        pair.ofsted.take()
        pair.ofsted.send()
        raise problem

    with pytest.raises(type(problem)) as raised:
        run_once(connecting(pair.lgsco.parts, away), silent)
    assert raised.value is problem
    assert pair.lgsco.states("out") == ["sealed"]
    assert pair.lgsco.states("in") == ["delivered"] * (1 + len(tries))


def test_evidence_of_tampering_ends_it_at_once(pair: Pair) -> None:
    def tampered(_: object) -> Landing:
        raise RolledBack("somebody was here")

    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    with pytest.raises(RolledBack):
        run_once(connecting(pair.lgsco.parts, tampered), silent)
