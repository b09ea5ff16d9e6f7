"""A legal hold keeps what it covers from being destroyed, whoever is quicker."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import HandoverError, Misuse, Refused
from config.home import Home
from exchange import files, legal_holds, locate, retention
from exchange.assembly import assemble
from exchange.audit import verify_home
from exchange.legal_holds import Scope
from exchange.parts import Parts
from exchange.status import status
from ledger.database import connect
from tests.exchange.test_retention import CONTENT, acknowledged, copies_of, files_below, reasons, told
from tests.organisations import CASE, PASSPHRASE, Organisation, Pair, restart_with, start

REASON = "judicial review"
OTHER = "23 000 001"


def hold(organisation: Organisation, scope: Scope, review: str | None = None) -> int:
    return int(str(legal_holds.place(organisation.parts, scope, "Kim Example", REASON, review)["hold"]))


def lift(organisation: Organisation, number: int) -> None:
    legal_holds.lift(organisation.parts, number, "Kim Example", "settled")


def second_process(pair: Pair) -> Parts:
    """LGSCO's home, opened once more as a command opens it."""
    return assemble(pair.lgsco.home, lambda: PASSPHRASE, pair.lgsco.parts.effects)


def somerset(pair: Pair) -> None:
    """Two files about a county and the council that it became, and one about another council."""
    for council, day in (("Somerset", "2022-05-01"), ("Somerset", "2024-05-01"), ("Leeds", "2024-05-01")):
        folders = ("ofsted", "upheld-decision", council)
        path = pair.lgsco.drop(f"{council} {day}".encode(), f"{CASE} {day}.pdf", folders)
        path.with_name(f"{path.name}.concern.toml").write_text(f"event_date = {day}\n")
        pair.settle()


def by_id(pair: Pair) -> Scope:
    return Scope(identifier=pair.lgsco.handovers()[0].id)


def test_a_hold_on_a_handover_keeps_it_and_no_other(pair: Pair) -> None:
    acknowledged(pair)
    acknowledged(pair, b"another", f"{CASE} another.pdf")
    hold(pair.lgsco, by_id(pair))
    pair.clock.advance(days=91)
    pair.lgsco.retain()
    assert pair.lgsco.states() == ["acknowledged", "destroyed"]
    assert pair.lgsco.retain() == 0


def test_a_hold_on_a_council_covers_its_predecessors(pair: Pair) -> None:
    somerset(pair)
    assert [h.authority for h in pair.lgsco.handovers()] == ["E10000027", "E06000066", "E08000035"]
    number = hold(pair.lgsco, Scope(authority="Somerset"))
    pair.clock.advance(days=91)
    pair.lgsco.retain()
    assert pair.lgsco.states() == ["acknowledged", "acknowledged", "destroyed"]
    lift(pair.lgsco, number)
    hold(pair.lgsco, Scope(authority="E10000027"))
    pair.lgsco.retain()
    assert pair.lgsco.states() == ["acknowledged", "destroyed", "destroyed"]


def test_a_hold_on_a_complaint_covers_past_and_future_files_in_whatever_spelling(pair: Pair) -> None:
    acknowledged(pair)
    hold(pair.lgsco, Scope(reference=CASE.replace(" ", "")))
    acknowledged(pair, b"a later one", f"{CASE} later.pdf")
    acknowledged(pair, b"about another complaint", f"{OTHER}.pdf")
    pair.clock.advance(days=91)
    pair.lgsco.retain()
    assert pair.lgsco.states() == ["acknowledged", "acknowledged", "destroyed"]
    for entry in pair.lgsco.parts.ledger.entries(0, pair.lgsco.parts.ledger.size):
        assert CASE.replace(" ", "").encode() not in entry.encode()
        assert REASON.encode() not in entry.encode()
        assert b"Kim" not in entry.encode()


def test_a_hold_on_a_partner_and_a_council_covers_what_is_about_both(pair: Pair) -> None:
    somerset(pair)
    hold(pair.lgsco, Scope(partner="ofsted", authority="Leeds"))
    pair.clock.advance(days=91)
    pair.lgsco.retain()
    assert pair.lgsco.states() == ["destroyed", "destroyed", "acknowledged"]


def test_holds_count_one_by_one(pair: Pair) -> None:
    acknowledged(pair)
    first, second = hold(pair.lgsco, Scope(partner="ofsted")), hold(pair.lgsco, by_id(pair))
    pair.clock.advance(days=91)
    lift(pair.lgsco, first)
    pair.lgsco.retain()
    assert pair.lgsco.states() == ["acknowledged"]
    with pytest.raises(Misuse, match=f"there is no hold {first}"):
        lift(pair.lgsco, first)
    lift(pair.lgsco, second)
    pair.lgsco.retain()
    assert pair.lgsco.states() == ["destroyed"]
    assert verify_home(pair.lgsco.home).ok


def test_a_hold_on_what_would_be_destroyed_at_once_keeps_it_until_it_is_lifted(pair: Pair) -> None:
    restart_with(pair, '[partners.ofsted]\nkeep_sent = "none"')
    number = hold(pair.lgsco, Scope(reference=CASE))
    original = acknowledged(pair)
    assert original.read_bytes() == CONTENT
    assert original.with_name(f"{original.name}.receipt.txt").exists()
    lift(pair.lgsco, number)
    pair.lgsco.retain()
    assert pair.lgsco.states() == ["destroyed"]
    assert files_below(pair.lgsco.home.sent) == set()


def test_an_order_is_refused_under_a_hold_even_if_that_came_after_it(pair: Pair) -> None:
    original = acknowledged(pair)
    identifier = pair.lgsco.handovers()[0].id
    retention.order(pair.lgsco.parts, identifier, "Kim Example", "sent in error", elsewhere=False)
    hold(pair.lgsco, by_id(pair))
    pair.lgsco.retain()
    assert reasons(pair.lgsco, "order.refused") == ["hold"]
    for elsewhere in (False, True):
        with pytest.raises(Refused, match="is on hold and cannot be destroyed"):
            retention.order(pair.lgsco.parts, identifier, "Kim Example", "sent in error", elsewhere=elsewhere)
    assert original.read_bytes() == CONTENT


def test_a_hold_on_a_received_file_refuses_its_destruction(pair: Pair) -> None:
    acknowledged(pair)
    identifier = pair.ofsted.handovers()[0].id
    retention.order(pair.ofsted.parts, identifier, "Kim Example", "no longer needed", elsewhere=False)
    hold(pair.ofsted, Scope(authority="Birmingham"))
    pair.ofsted.retain()
    assert [path.read_bytes() for path in pair.ofsted.inbound()] == [CONTENT]
    assert reasons(pair.ofsted, "order.refused") == ["hold"]


@pytest.mark.parametrize("whose", ["the hold's", "the handover's"])
def test_a_reference_that_cannot_be_read_any_more_counts_as_a_match(pair: Pair, whose: str) -> None:
    acknowledged(pair)
    number = hold(pair.lgsco, Scope(reference=OTHER))
    seq = number if whose == "the hold's" else pair.lgsco.handovers()[0].first_seq
    connection = connect(pair.lgsco.home.ledger, writable=True)
    connection.execute("DELETE FROM openings WHERE seq = ? AND field = 'reference'", (seq,))
    connection.close()
    pair.clock.advance(days=91)
    assert pair.lgsco.retain() == 0
    assert pair.lgsco.states() == ["acknowledged"]
    lift(pair.lgsco, number)
    assert pair.lgsco.retain() == 1


def test_the_status_names_a_hold_whose_review_is_due(pair: Pair) -> None:
    acknowledged(pair)
    today = pair.clock().date().isoformat()
    number = hold(pair.lgsco, by_id(pair), review=today)
    parts = pair.lgsco.parts
    said = status(pair.lgsco.home, parts.ledger, parts.keyring, parts.trust)
    assert f"hold {number} was to be reviewed by {today}" in said.problems
    assert said.on_hold == 1


# --- races ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", ["90d", "none"])
@pytest.mark.parametrize("step", ["taken", "verified"])
def test_a_hold_that_comes_between_the_intention_and_the_unlink_wins(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, step: str, keep: str
) -> None:
    restart_with(pair, f'[partners.ofsted]\nkeep_sent = "{keep}"')
    other = second_process(pair)
    numbers: list[object] = []

    def placing(real: Callable[..., None]) -> Callable[..., None]:
        def act(*arguments: object, **more: object) -> None:
            real(*arguments, **more)
            if not numbers and pair.lgsco.events()[-1] == "destruction.begun":
                numbers.append(legal_holds.place(other, Scope(reference=CASE), "Kim Example", REASON)["hold"])

        return act

    place, name = (locate, "require_at") if step == "taken" else (files, "write_new")
    monkeypatch.setattr(place, name, placing(getattr(place, name)))
    original = acknowledged(pair)
    pair.clock.advance(days=91)
    pair.lgsco.retain()
    monkeypatch.undo()
    assert len(numbers) == 1
    assert reasons(pair.lgsco, "destruction.stopped") == ["hold"]
    assert pair.lgsco.states() == ["acknowledged"]
    assert original.read_bytes() == CONTENT
    assert copies_of(CONTENT, pair.lgsco) == [original]
    assert b"has received this file" in original.with_name(f"{original.name}.receipt.txt").read_bytes()
    assert pair.lgsco.spooled() == []
    pair.lgsco.retain()
    assert pair.lgsco.states() == ["acknowledged"]
    lift(pair.lgsco, int(str(numbers[0])))
    pair.lgsco.retain()
    other.ledger.close()
    assert pair.lgsco.states() == ["destroyed"]
    assert files_below(pair.lgsco.home.sent) == set()
    assert verify_home(pair.lgsco.home).ok


def test_a_hold_that_is_asked_for_at_the_moment_of_the_unlink_waits_and_is_told_the_truth(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    acknowledged(pair)
    scope = by_id(pair)
    other = second_process(pair)
    said: list[HandoverError] = []
    waiting = threading.Event()

    def ask() -> None:
        write = other.ledger.write
        waiting.set()
        assert write is not None
        try:
            legal_holds.place(other, scope, "Kim Example", REASON)
        except HandoverError as problem:
            said.append(problem)

    asking = threading.Thread(target=ask)
    remove = files.remove

    def removed(path: Path) -> None:
        if path.name == "payload":
            asking.start()
            waiting.wait()
            # long enough for it to reach the lock; if it does not, it comes later still and is told the same
            asking.join(0.2)
            assert asking.is_alive()
        remove(path)

    monkeypatch.setattr(files, "remove", removed)
    pair.clock.advance(days=91)
    pair.lgsco.retain()
    asking.join()
    other.ledger.close()
    assert pair.lgsco.states() == ["destroyed"]
    assert ["is destroyed: there is nothing left to hold" in problem.message for problem in said] == [True]
    assert told(pair.lgsco, "hold.placed") == []


def check_race(pair: Pair) -> tuple[int, int]:
    """Each file is there or certified as destroyed, and never destroyed after a hold on it; how many of each."""
    placed = {entry.handover: entry.seq for entry in told(pair.lgsco, "hold.placed")}
    destroyed = {entry.handover for entry in told(pair.lgsco, "destroyed")}
    assert not placed.keys() & destroyed
    for handover in pair.lgsco.handovers():
        content = f"file {handover.sequence}".encode()
        assert len(copies_of(content, pair.lgsco)) == (handover.state == "acknowledged")
    assert placed.keys() | destroyed == {handover.id for handover in pair.lgsco.handovers()}
    assert verify_home(pair.lgsco.home).ok
    return len(placed), len(destroyed)


def many(pair: Pair, number: int) -> None:
    for sequence in range(1, number + 1):
        pair.lgsco.drop(f"file {sequence}".encode(), f"{CASE} {sequence:03}.pdf")
    pair.settle()
    pair.clock.advance(days=91)


def hold_backwards(parts: Parts, identifiers: list[str]) -> None:
    for identifier in reversed(identifiers):
        try:
            legal_holds.place(parts, Scope(identifier=identifier), "Kim Example", REASON)
        except Misuse:
            continue


@pytest.mark.parametrize("processes", [False, True], ids=["threads", "processes"])
def test_holds_and_destructions_at_the_same_time_never_both_win(pair: Pair, processes: bool) -> None:
    many(pair, 16)
    identifiers = [handover.id for handover in pair.lgsco.handovers()]
    home, effects = pair.lgsco.home, pair.lgsco.parts.effects
    if processes:
        pair.lgsco.parts.ledger.close()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                hold_backwards(assemble(Home.open(home.root), lambda: PASSPHRASE, effects), identifiers)
                status = 0
            finally:
                os._exit(status)
        pair.lgsco = start(Home.open(home.root), pair.ofsted.home, pair.clock)
        pair.lgsco.retain()
        assert os.waitpid(child, 0)[1] == 0
    else:
        other = second_process(pair)
        placing = threading.Thread(target=hold_backwards, args=(other, identifiers))
        placing.start()
        pair.lgsco.retain()
        placing.join()
        other.ledger.close()
    pair.lgsco.retain()
    check_race(pair)
