"""An order that fails keeps no other from its turn; what somebody wants back does not go meanwhile."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NoReturn

import pytest

from exchange import clerk, files, orders, receiver, rounds
from exchange.landing import ConnectionLost, Landing, LandingError, PermissionDenied, Progress
from exchange.parts import Parts
from exchange.rounds import Connection
from ledger.handover import Handover
from tests.exchange.test_release import spoilt
from tests.organisations import CASE, FolderLanding, Organisation, Pair


def order(organisation: Organisation, handover: Handover, what: orders.What) -> None:
    orders.place(organisation.parts.ledger, handover, what, "Kim Example")


def unanswered(organisation: Organisation) -> list[orders.What]:
    return [one.what for one in orders.open_orders(organisation.parts.ledger)]


class Refusing(FolderLanding):
    """Takes nothing whose name contains `refused`."""

    refused = "nothing yet"

    def put(self, source: BinaryIO, size: int, name: str, *, offset: int = 0, progress: Progress | None = None) -> None:
        if self.refused in name:
            raise PermissionDenied("ofsted.example:22")
        super().put(source, size, name)

    def size(self, name: str) -> int | None:
        if self.refused in name:
            raise PermissionDenied("ofsted.example:22")
        return super().size(name)


def sent_and_sealed(pair: Pair) -> tuple[Handover, Handover]:
    """One that was sent, and that the partner refuses from now on; and one that waits to be sent."""
    landing = Refusing(pair.ofsted.home.landing / "lgsco")
    pair.lgsco.connection = Connection("ofsted", landing)
    pair.lgsco.drop(b"first", f"{CASE} first.pdf")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.lgsco.drop(b"second", f"{CASE} second.pdf")
    pair.lgsco.take()
    rounds.seal_accepted(pair.lgsco.parts, "ofsted")
    first, second = pair.lgsco.handovers()
    assert (first.state, second.state) == ("sent", "sealed")
    landing.refused = first.id
    pair.ofsted.landing().joinpath(f"{first.id}.age").unlink()
    return first, second


def landed(pair: Pair) -> list[str]:
    return sorted(path.name for path in pair.ofsted.landing().iterdir())


@pytest.mark.topologies("push", only=True)
def test_a_retry_that_the_partner_refuses_keeps_no_withdrawal_waiting(pair: Pair) -> None:
    first, second = sent_and_sealed(pair)
    order(pair.lgsco, first, "retry")
    order(pair.lgsco, second, "withdraw")
    with pytest.raises(PermissionDenied):
        pair.lgsco.send()
    assert pair.lgsco.states() == ["sent", "withdrawn"]
    assert landed(pair) == []
    assert unanswered(pair.lgsco) == ["retry"]


@pytest.mark.topologies("push", only=True)
def test_a_file_whose_withdrawal_fails_does_not_go_up_meanwhile(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    _, second = sent_and_sealed(pair)
    order(pair.lgsco, second, "retry")
    order(pair.lgsco, second, "withdraw")

    def full(*_: object) -> NoReturn:
        raise files.no_room()

    with monkeypatch.context() as patch:
        patch.setattr(orders, "answer", full)
        with pytest.raises(files.DiskFull):
            pair.lgsco.send()
    assert pair.lgsco.states() == ["sent", "sealed"]
    assert landed(pair) == []
    assert unanswered(pair.lgsco) == ["retry", "withdraw"]
    pair.lgsco.send()
    assert pair.lgsco.states() == ["sent", "withdrawn"]
    pair.lgsco.take()
    assert unanswered(pair.lgsco) == []


@pytest.mark.topologies("push", only=True)
def test_a_withdrawal_that_is_ordered_during_the_round_is_in_time(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    _, second = sent_and_sealed(pair)
    about_outgoing = clerk.about_outgoing

    def late(parts: Parts, partner: str, landing: Callable[[], Landing]) -> int:
        done = about_outgoing(parts, partner, landing)
        order(pair.lgsco, second, "withdraw")
        return done

    with monkeypatch.context() as patch:
        patch.setattr(clerk, "about_outgoing", late)
        pair.lgsco.send()
    assert landed(pair) == []
    pair.lgsco.send()
    assert pair.lgsco.states() == ["sent", "withdrawn"]


@pytest.mark.topologies("push", only=True)
def test_a_partner_that_cannot_be_reached_is_asked_once_and_keeps_nothing_waiting_that_can_do_without(
    pair: Pair,
) -> None:
    landing = FolderLanding(pair.ofsted.home.landing / "lgsco")
    pair.lgsco.connection = Connection("ofsted", landing)
    for number in range(2):
        pair.lgsco.drop(b"content", f"{CASE} {number}.pdf")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.lgsco.drop(b"content", f"{CASE} sealed.pdf")
    pair.lgsco.take()
    rounds.seal_accepted(pair.lgsco.parts, "ofsted")
    for handover in pair.lgsco.handovers():
        order(pair.lgsco, handover, "retry")
    tries = []

    def unreachable() -> Landing:
        tries.append(1)
        raise ConnectionLost("ofsted.example:22")

    with pytest.raises(LandingError):
        clerk.about_outgoing(pair.lgsco.parts, "ofsted", unreachable)
    assert len(tries) == 1
    assert [one.handover.state for one in orders.open_orders(pair.lgsco.parts.ledger)] == ["sent", "sent"]


def test_a_release_that_fails_keeps_no_other_order_about_held_files_waiting(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first.pdf", "second.pdf"):
        pair.lgsco.drop(b"content", name)
    pair.settle()
    first, second = pair.lgsco.handovers()
    order(pair.lgsco, first, "release")
    order(pair.lgsco, second, "withdraw")

    def denied(path: Path) -> NoReturn:
        raise PermissionError(path)

    with monkeypatch.context() as patch:
        patch.setattr(files, "make_directory", denied)
        with pytest.raises(PermissionError):
            clerk.about_held(pair.lgsco.parts)
    assert pair.lgsco.states() == ["held", "withdrawn"]
    assert unanswered(pair.lgsco) == ["release"]


def test_an_envelope_that_cannot_be_released_now_keeps_no_other_order_about_quarantine_waiting(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        spoilt(pair)
        pair.ofsted.receive()
        pair.clock.advance(seconds=2)
    first, second = pair.ofsted.handovers()
    order(pair.ofsted, first, "release")
    order(pair.ofsted, second, "withdraw")

    def full(*_: object) -> NoReturn:
        raise files.no_room()

    with monkeypatch.context() as patch:
        patch.setattr(receiver, "receive", full)
        with pytest.raises(files.DiskFull):
            clerk.about_incoming(pair.ofsted.parts, "lgsco")
    assert pair.ofsted.states("in") == ["quarantined", "withdrawn"]
    assert unanswered(pair.ofsted) == ["release"]
