"""What is let go goes back whole, under its own details, in one place; whatever stops the machine on the way."""

import contextlib
import errno
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from exchange import clerk, files, orders, rounds
from exchange.audit import verify_home
from exchange.held import find, left_alone
from exchange.questions import life
from ledger.store import Ledger
from tests.exchange.crashes import Crash, Machine, memory_folder
from tests.exchange.hostile import CONTENT, envelope, land, manifest
from tests.organisations import CASE, DECISION, Pair, Template, restart

OTHER_CASE = "23 000 001"
SIDECAR = "decision.pdf.concern.toml"


def held(pair: Pair) -> None:
    """A file without a reference, to which somebody has added one while it was held."""
    pair.lgsco.drop(b"first", "decision.pdf")
    pair.settle()
    assert pair.lgsco.states() == ["held"]
    (pair.lgsco.home.held / "ofsted" / SIDECAR).write_text(f'reference = "{CASE}"\n')
    release(pair, "lgsco")


def release(pair: Pair, side: str) -> None:
    organisation = getattr(pair, side)
    orders.place(organisation.parts.ledger, organisation.handovers()[-1], "release", "Kim Example")


def outbound(pair: Pair) -> Path:
    return pair.lgsco.home.outbound.joinpath(*DECISION)


def references(pair: Pair) -> dict[str, object]:
    """What each file that was sent is about, by its content."""
    ledger = pair.ofsted.parts.ledger
    said = [ledger.openings(handover.first_seq) for handover in pair.ofsted.handovers()]
    names = {path.name: path.read_text() for path in pair.ofsted.inbound()}
    return {names[str(one["name"])]: one["reference"] for one in said}


def test_a_released_file_never_speaks_for_another_one_of_its_name(pair: Pair) -> None:
    held(pair)
    pair.lgsco.drop(b"second", "decision.pdf")
    (outbound(pair) / SIDECAR).write_text(f'reference = "{OTHER_CASE}"\n')
    pair.settle()
    assert pair.lgsco.states() == ["withdrawn", "acknowledged", "acknowledged"]
    assert references(pair) == {"first": CASE, "second": OTHER_CASE}
    assert list((pair.lgsco.home.held / "ofsted").iterdir()) == []


def test_details_that_wait_for_a_file_of_that_name_are_not_taken_from_it(pair: Pair) -> None:
    held(pair)
    (outbound(pair) / SIDECAR).write_text(f'reference = "{OTHER_CASE}"\n')
    pair.lgsco.take()
    assert (outbound(pair) / SIDECAR).read_text() == f'reference = "{OTHER_CASE}"\n'
    pair.lgsco.drop(b"second", "decision.pdf")
    pair.settle()
    assert references(pair) == {"first": CASE, "second": OTHER_CASE}


def test_a_file_that_is_dropped_while_one_of_its_name_is_put_back_keeps_its_name(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(pair)
    move_new = files.move_new

    def late(source: Path, target: Path) -> bool:
        if target.name == "decision.pdf" and not target.exists():
            target.write_bytes(f"{OTHER_CASE} dropped".encode())
        return move_new(source, target)

    monkeypatch.setattr(files, "move_new", late)
    clerk.about_held(pair.lgsco.parts)
    assert {path.name: path.read_text() for path in outbound(pair).iterdir()} == {
        "decision.pdf": f"{OTHER_CASE} dropped",
        "decision (2).pdf": "first",
        "decision (2).pdf.concern.toml": f'reference = "{CASE}"\n',
    }


def test_a_name_that_is_nearly_too_long_for_its_details_is_shortened_with_them(pair: Pair) -> None:
    name = "d" * (files.NAME_MAX - len(".concern.toml") - len(".pdf")) + ".pdf"
    pair.lgsco.drop(b"first", name)
    pair.settle()
    (pair.lgsco.home.held / "ofsted" / f"{name}.concern.toml").write_text(f'reference = "{CASE}"\n')
    release(pair, "lgsco")
    pair.lgsco.drop(b"second", name)
    clerk.about_held(pair.lgsco.parts)
    details = [path.name for path in outbound(pair).iterdir() if path.name.endswith(".concern.toml")]
    assert [(outbound(pair) / one.removesuffix(".concern.toml")).read_bytes() for one in details] == [b"first"]


# --- a file that does not lie where it was held -----------------------------------------------------------------------


def folder(pair: Pair) -> Path:
    return pair.lgsco.home.held / "ofsted"


def renamed(pair: Pair) -> None:
    (folder(pair) / "decision.pdf").rename(folder(pair) / f"{CASE} decision.pdf")


def renamed_in_another_folder(pair: Pair) -> None:
    (folder(pair) / "mended").mkdir()
    (folder(pair) / "decision.pdf").rename(folder(pair) / "mended" / f"{CASE} decision.pdf")


def unexplained(pair: Pair) -> None:
    (folder(pair) / "decision.pdf.why.txt").unlink()


def not_mounted(pair: Pair) -> None:
    pair.lgsco.home.held.rename(pair.base / "elsewhere")
    pair.lgsco.home.held.mkdir()


@pytest.mark.parametrize("meanwhile", [renamed, renamed_in_another_folder, unexplained, not_mounted])
def test_a_held_file_that_is_not_found_beside_its_explanation_stays_held(
    pair: Pair, meanwhile: Callable[[Pair], None]
) -> None:
    held(pair)
    explanation = (folder(pair) / "decision.pdf.why.txt").read_bytes()
    meanwhile(pair)
    before = set(pair.base.rglob("*.why.txt"))
    clerk.about_held(pair.lgsco.parts)
    assert pair.lgsco.states() == ["held"]
    refusal = pair.lgsco.parts.ledger.entry(pair.lgsco.parts.ledger.size - 1)
    assert (refusal.event, refusal.detail["reason"]) == ("order.refused", "not-together")
    assert set(pair.base.rglob("*.why.txt")) == before
    assert all(path.read_bytes() == explanation for path in before)
    pair.clock.advance(minutes=5)
    pair.lgsco.take()
    assert pair.lgsco.states() == ["held"]


def test_who_asks_why_a_release_was_refused_is_told_what_ends_it_and_that_does(pair: Pair) -> None:
    held(pair)
    for path in folder(pair).iterdir():
        path.unlink()
    clerk.about_held(pair.lgsco.parts)
    (handover,) = pair.lgsco.handovers()
    parts = pair.lgsco.parts

    def hint() -> str | None:
        return life(parts.home, parts.ledger, parts.trust, handover.id).hint

    assert "'handover withdraw' ends it" in (hint() or "")
    orders.place(parts.ledger, handover, "withdraw", "Kim Example")
    assert hint() is None
    clerk.about_held(parts)
    assert pair.lgsco.states() == ["withdrawn"]


@pytest.mark.parametrize("error", [PermissionError, FileNotFoundError])
def test_a_held_file_in_a_folder_that_cannot_be_looked_into_is_not_taken_for_gone(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    held(pair)
    scandir = os.scandir

    def denied(path: Path) -> Any:
        if Path(path) == folder(pair):
            raise error(errno.EACCES, "", str(path))
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", denied)
        with pytest.raises(error):
            clerk.about_held(pair.lgsco.parts)
        assert list(left_alone(pair.lgsco.home.held)) == []
    assert pair.lgsco.states() == ["held"]
    check_put_back(pair)


def test_the_folder_that_a_file_system_keeps_for_itself_keeps_nothing_held(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pair.lgsco.home.held / "lost+found").mkdir()
    scandir = os.scandir

    def denied(path: Path) -> Any:
        if Path(path).name == "lost+found":
            raise PermissionError(errno.EACCES, "", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert find(pair.lgsco.home.held, "01a205b3-d000-7000-8000-000000000000") == (None, None)


# --- crashes ----------------------------------------------------------------------------------------------------------


def spoilt(pair: Pair) -> tuple[Path, bytes]:
    """Where an envelope from LGSCO landed without its last byte, and the whole of it."""
    said = manifest(pair)
    whole = envelope(pair, said)
    land(pair, whole[:-1], f"{said.id}.age")
    return pair.ofsted.landing() / f"{said.id}.age", whole


def quarantined(pair: Pair) -> None:
    landed, whole = spoilt(pair)
    pair.ofsted.receive()
    (pair.ofsted.home.quarantine / "lgsco" / landed.name).write_bytes(whole)
    release(pair, "ofsted")


def kept_as_a_copy(pair: Pair) -> None:
    landed, whole = spoilt(pair)
    landed.write_bytes(b"forged")
    pair.ofsted.receive()
    pair.clock.advance(seconds=1)
    landed.write_bytes(whole[:-1])
    pair.ofsted.receive()
    (pair.ofsted.home.quarantine / "lgsco" / f"{pair.ofsted.handovers()[-1].id}.age").write_bytes(whole)
    release(pair, "ofsted")


def receipt(pair: Pair) -> Path:
    """One of LGSCO's, as it landed at Ofsted."""
    pair.ofsted.drop(b"concern", f"{CASE} concern.json", ("lgsco", "unimplemented-recommendation", "Leeds"))
    pair.ofsted.take()
    pair.ofsted.send()
    pair.lgsco.receive()
    pair.lgsco.send()
    [landed] = pair.ofsted.landing().glob("*.age")
    return landed


def a_message(pair: Pair) -> None:
    """A receipt that came without its last byte."""
    landed = receipt(pair)
    whole = landed.read_bytes()
    landed.write_bytes(whole[:-1])
    pair.ofsted.receive()
    assert (pair.ofsted.states(), pair.ofsted.states("in")) == (["sent"], ["quarantined"])
    (pair.ofsted.home.quarantine / "lgsco" / landed.name).write_bytes(whole)
    release(pair, "ofsted")


def receive(pair: Pair) -> None:
    pair.ofsted.take()
    pair.ofsted.receive()


def check_delivered(pair: Pair) -> None:
    assert pair.ofsted.states("in") == ["delivered"]
    assert list((pair.ofsted.home.quarantine / "lgsco").iterdir()) == []
    check_let_out(pair)


def check_heard(pair: Pair) -> None:
    assert pair.ofsted.states() == ["acknowledged"]
    [message] = [one for one in pair.ofsted.handovers() if one.direction == "in"]
    assert (message.state, message.reason) == ("withdrawn", "released")
    assert list((pair.ofsted.home.quarantine / "lgsco").iterdir()) == []
    ledger = pair.ofsted.parts.ledger
    events = [entry.event for entry in ledger.entries_of(message)]
    assert events == ["quarantined", *asked(events), "withdrawn", *["release.done"] * (len(asked(events)) - 1)]
    assert list(orders.open_orders(ledger)) == []
    assert pair.ofsted.spooled() == []


def asked(events: list[str]) -> list[str]:
    return [event for event in events if event == "release.asked"]


def check_copy(pair: Pair) -> None:
    # what was kept under the id of the delivery has one of its own
    assert pair.ofsted.states("in") == ["delivered", "withdrawn", "quarantined"]
    assert [path.read_bytes() for path in (pair.ofsted.home.quarantine / "lgsco").iterdir()] == [b"forged"]
    check_let_out(pair)


def check_let_out(pair: Pair) -> None:
    assert [path.read_bytes() for path in pair.ofsted.inbound()] == [CONTENT]
    assert pair.ofsted.events().count("order.refused") == 0
    assert list(orders.open_orders(pair.ofsted.parts.ledger)) == []
    assert pair.ofsted.spooled() == []


def check_put_back(pair: Pair) -> None:
    pair.settle()
    assert pair.lgsco.states() == ["withdrawn", "acknowledged"]
    assert references(pair) == {"first": CASE}
    assert list((pair.lgsco.home.held / "ofsted").iterdir()) == []
    assert list(outbound(pair).iterdir()) == []


def take(pair: Pair) -> None:
    clerk.about_held(pair.lgsco.parts)


SCENES: dict[str, tuple[Callable[[Pair], None], Callable[[Pair], None], Callable[[Pair], None], int]] = {
    "held": (held, take, check_put_back, 8),
    "quarantined": (quarantined, receive, check_delivered, 15),
    "a message": (a_message, receive, check_heard, 10),
    "a copy": (kept_as_a_copy, receive, check_copy, 15),
}


@pytest.mark.topologies("push", only=True)
@pytest.mark.parametrize("scene", SCENES)
def test_a_crash_at_any_step_of_a_release_leaves_it_done_once(
    template: Template, monkeypatch: pytest.MonkeyPatch, scene: str
) -> None:
    prepare, run, check, least = SCENES[scene]
    machine = Machine(monkeypatch)
    number, crashed = -1, True
    while crashed:
        number, crashed = number + 1, False
        with memory_folder() as memory, template.pair(memory / "pair") as pair:
            prepare(pair)
            machine.steps, machine.stop_at = [], number
            try:
                with machine.on():
                    run(pair)
            except Crash:
                crashed = True
            machine.stop_at = None
            if crashed:
                pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
                pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
                for _ in range(2):
                    receive(pair)
            check(pair)
            assert verify_home(pair.ofsted.home).ok
    assert number >= least


@pytest.mark.topologies("push", only=True)
@pytest.mark.parametrize("scene", SCENES)
def test_a_disk_that_is_full_at_any_step_of_a_release_leaves_it_done_once(
    template: Template, monkeypatch: pytest.MonkeyPatch, scene: str
) -> None:
    prepare, run, check, least = SCENES[scene]
    machine = Machine(monkeypatch)
    for number in count():
        was_full = machine.fill_disk_at(number)
        with memory_folder() as memory, template.pair(memory / "pair") as pair:
            prepare(pair)
            with machine.on():
                for _ in range(3):
                    # what fails in one round is told of, and done in one of the next
                    with contextlib.suppress(OSError):
                        run(pair)
            check(pair)
            assert verify_home(pair.ofsted.home).ok
        if not was_full():
            break
    assert number >= least


def test_what_nobody_let_out_is_never_said_to_be_released(pair: Pair) -> None:
    landed = receipt(pair)
    whole = landed.read_bytes()
    landed.write_bytes(whole[:-1])
    receive(pair)
    # somebody removes it by hand, and the partner sends it once more
    (pair.ofsted.home.quarantine / "lgsco" / landed.name).unlink()
    landed.write_bytes(whole)
    receive(pair)
    assert (pair.ofsted.states(), pair.ofsted.states("in")) == (["acknowledged"], ["quarantined"])
    assert "withdrawn" not in pair.ofsted.events()


@pytest.mark.parametrize("scene", SCENES)
def test_an_order_that_was_given_twice_is_carried_out_once_and_never_said_to_be_refused(pair: Pair, scene: str) -> None:
    prepare, run, check, _ = SCENES[scene]
    prepare(pair)
    side = "lgsco" if scene == "held" else "ofsted"
    release(pair, side)
    ledger = getattr(pair, side).parts.ledger
    [one, other] = list(orders.open_orders(ledger))
    assert one.handover == other.handover
    for _ in range(2):
        run(pair)
    answers = [entry.event for entry in ledger.entries_of(one.handover) if "order" in entry.detail]
    assert answers == ["release.done" if scene == "quarantined" else "withdrawn", "release.done"]
    check(pair)
    assert verify_home(getattr(pair, side).home).ok


def test_a_message_that_comes_whole_later_leaves_the_damaged_one_for_a_person(pair: Pair) -> None:
    a_message(pair)
    [kept] = (pair.ofsted.home.quarantine / "lgsco").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1])
    (pair.ofsted.landing() / kept.name).write_bytes(whole)
    for _ in range(2):
        receive(pair)
    assert (pair.ofsted.states(), pair.ofsted.states("in")) == (["acknowledged"], ["quarantined"])
    assert kept.read_bytes() == whole[:-1]


def test_an_order_to_release_what_was_delivered_meanwhile_is_not_said_to_be_refused(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantined(pair)
    answer = orders.answer_once
    meanwhile = [True]

    def late(ledger: Ledger, order: orders.Order, event: str) -> None:
        """The drop worker comes upon the order between the delivery and the answer."""
        if meanwhile and meanwhile.pop():
            rounds.take_dropped(pair.ofsted.parts, pair.ofsted.completeness)
        answer(ledger, order, event)

    monkeypatch.setattr(orders, "answer_once", late)
    pair.ofsted.receive()
    check_delivered(pair)
    assert pair.ofsted.events().count("release.done") == 1
