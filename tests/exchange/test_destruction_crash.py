"""The machine stops at any step of a destruction, or is killed: it is finished, once, and nothing else is touched."""

import contextlib
import os
import signal
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from config.errors import Misuse
from config.home import Home
from exchange import files, legal_holds, locate, retention
from exchange.audit import verify_home
from exchange.legal_holds import Scope
from tests.exchange.crashes import Crash, Machine, memory_folder
from tests.exchange.test_retention import CONTENT, acknowledged, copies_of, files_below, told
from tests.organisations import CASE, DECISION, Organisation, Pair, Template, restart, restart_with, start

NONE = '[partners.ofsted]\nkeep_sent = "none"'

Prepare = Callable[[Pair, bytes, str], Callable[[], object]]


def destroy_when_due(pair: Pair, content: bytes, name: str) -> Callable[[], object]:
    acknowledged(pair, content, name)
    pair.clock.advance(days=91)
    return lambda: pair.lgsco.retain()


def destroy_at_once(pair: Pair, content: bytes, name: str) -> Callable[[], object]:
    if pair.lgsco.parts.home.settings.partner("ofsted").keep_sent is None:
        restart_with(pair, NONE)
    pair.lgsco.drop(content, name)
    pair.lgsco.take()
    pair.lgsco.send()
    pair.ofsted.receive()
    pair.ofsted.send()
    return lambda: pair.lgsco.receive() + pair.lgsco.retain()


def destroy_received(pair: Pair, content: bytes, name: str) -> Callable[[], object]:
    acknowledged(pair, content, name)
    identifier = pair.ofsted.handovers()[-1].id
    retention.order(pair.ofsted.parts, identifier, "Kim Example", "no longer needed", elsewhere=False)
    return lambda: pair.ofsted.retain()


def check_destroyed(pair: Pair, content: bytes = CONTENT) -> None:
    assert copies_of(content, pair.lgsco) == []
    assert files_below(pair.lgsco.home.sent) == set()
    assert len(copies_of(content, pair.ofsted)) == 1
    check_once(pair.lgsco)


def check_received(pair: Pair, content: bytes) -> None:
    assert copies_of(content, pair.ofsted) == []
    assert len(copies_of(content, pair.lgsco)) == 1
    check_once(pair.ofsted)


def check_once(organisation: Organisation) -> None:
    handover = organisation.handovers()[-1]
    assert handover.state == "destroyed"
    events = organisation.parts.ledger.entries_of(handover)
    assert [entry.event for entry in events].count("destruction.begun") == 1
    (certificate,) = [entry for entry in events if entry.event == "destroyed"]
    assert "payload" in str(certificate.detail["removed"])
    assert told(organisation, "destruction.failed") == []
    check_spool(organisation)


def check_spool(organisation: Organisation) -> None:
    assert organisation.spooled() == []
    assert list((organisation.home.spool / "destroy").iterdir()) == []


def check_kept(pair: Pair, name: str = f"{CASE} decision.pdf", content: bytes = CONTENT) -> None:
    original = pair.lgsco.home.sent.joinpath(*DECISION, name)
    assert copies_of(content, pair.lgsco) == [original]
    assert b"has received this file" in original.with_name(f"{name}.receipt.txt").read_bytes()
    handover = pair.lgsco.handovers()[-1]
    assert handover.state == "acknowledged"
    stopped = [entry for entry in pair.lgsco.parts.ledger.entries_of(handover) if entry.event == "destruction.stopped"]
    assert [entry.detail["reason"] for entry in stopped] == ["hold"]
    check_spool(pair.lgsco)


SCENES: dict[str, tuple[Prepare, Callable[[Pair, bytes], None], str, int]] = {
    "due": (destroy_when_due, check_destroyed, "lgsco", 14),
    "at once": (destroy_at_once, check_destroyed, "lgsco", 20),
    "received": (destroy_received, check_received, "ofsted", 10),
}


def start_again(pair: Pair, side: str) -> None:
    partner = pair.ofsted if side == "lgsco" else pair.lgsco
    setattr(pair, side, restart(getattr(pair, side), partner, pair.clock))


def crashes_at(machine: Machine, number: int, run: Callable[[], object]) -> bool:
    """Whether there is such a step, at which the machine then stopped."""
    machine.steps, machine.stop_at = [], number
    try:
        with machine.on():
            run()
    except Crash:
        return True
    finally:
        machine.stop_at = None
    return False


@pytest.mark.parametrize("scene", SCENES)
def test_a_crash_at_any_step_of_a_destruction_is_finished_with_one_certificate(
    template: Template, monkeypatch: pytest.MonkeyPatch, scene: str
) -> None:
    """One file for each step; a crash after a step is one before the next."""
    prepare, check, side, least = SCENES[scene]
    machine = Machine(monkeypatch)
    with memory_folder() as memory, template.pair(memory / "pair") as pair:
        for number in count():
            content = f"decision {number:03}".encode()
            run = prepare(pair, content, f"{CASE} {number:03}.pdf")
            crashed = crashes_at(machine, number, run)
            if crashed:
                start_again(pair, side)
                pair.settle()
                getattr(pair, side).retain()
            check(pair, content)
            if not crashed:
                break
        assert verify_home(getattr(pair, side).home).ok
    assert len(machine.steps) == number
    assert number >= least


@pytest.mark.parametrize("scene", SCENES)
def test_a_disk_that_is_full_at_any_step_of_a_destruction_leaves_it_to_the_next_round(
    template: Template, monkeypatch: pytest.MonkeyPatch, scene: str
) -> None:
    prepare, check, side, least = SCENES[scene]
    machine = Machine(monkeypatch)
    with memory_folder() as memory, template.pair(memory / "pair") as pair:
        for number in count():
            content = f"decision {number:03}".encode()
            run = prepare(pair, content, f"{CASE} {number:03}.pdf")
            was_full = machine.fill_disk_at(number)
            with machine.on():
                for _ in range(3):
                    with contextlib.suppress(OSError):
                        run()
            check(pair, content)
            if not was_full():
                break
        assert verify_home(getattr(pair, side).home).ok
    assert number >= least


def test_a_crash_at_any_step_of_putting_back_what_is_held_leaves_it_in_its_place(
    template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first crash is in the midst of the destruction; then the hold comes, and the second crash."""
    machine = Machine(monkeypatch)
    with memory_folder() as memory, template.pair(memory / "pair") as pair:
        for number in count():
            content, name = f"decision {number:03}".encode(), f"{CASE} {number:03}.pdf"
            run = destroy_when_due(pair, content, name)
            with monkeypatch.context() as patch:
                patch.setattr(locate, "require_at", raise_a_crash)
                with pytest.raises(Crash):
                    run()
            start_again(pair, "lgsco")
            scope = Scope(identifier=pair.lgsco.handovers()[-1].id)
            legal_holds.place(pair.lgsco.parts, scope, "Kim Example", "judicial review")
            crashed = crashes_at(machine, number, run)
            if crashed:
                start_again(pair, "lgsco")
                pair.lgsco.retain()
            check_kept(pair, name, content)
            if not crashed:
                break
    assert len(machine.steps) == number
    assert number >= 10


def raise_a_crash(*_: object) -> None:
    raise Crash


# --- SIGKILL ----------------------------------------------------------------------------------------------------------


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_before_the_unlink(patch: pytest.MonkeyPatch) -> None:
    remove = files.remove
    patch.setattr(files, "remove", lambda path: kill() if path.name == "payload" else remove(path))


def kill_after_the_unlink(patch: pytest.MonkeyPatch) -> None:
    remove = files.remove

    def removed(path: Path) -> None:
        remove(path)
        if path.name == "payload":
            kill()

    patch.setattr(files, "remove", removed)


def kill_after_the_intention(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(locate, "found", lambda *_: kill())


@pytest.mark.parametrize(
    ("where", "left"),
    [(kill_after_the_intention, 1), (kill_before_the_unlink, 1), (kill_after_the_unlink, 0)],
)
@pytest.mark.parametrize("held", [False, True])
def test_a_process_that_is_killed_in_a_destruction_leaves_it_to_the_next(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, where: Callable[[pytest.MonkeyPatch], None], left: int, held: bool
) -> None:
    acknowledged(pair)
    pair.clock.advance(days=91)
    home = pair.lgsco.home
    pair.lgsco.parts.ledger.close()
    child = os.fork()
    if child == 0:
        try:
            organisation = start(Home.open(home.root), pair.ofsted.home, pair.clock)
            where(monkeypatch)
            organisation.retain()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert len(list(home.root.rglob("payload"))) + len(list(home.sent.rglob("*.pdf"))) == left
    pair.lgsco = start(Home.open(home.root), pair.ofsted.home, pair.clock)
    assert told(pair.lgsco, "destroyed") == []
    if held:
        legal_holds.place(pair.lgsco.parts, Scope(partner="ofsted"), "Kim Example", "judicial review")
    pair.lgsco.retain()
    if held and left:
        check_kept(pair)
    else:
        # a hold that came after the unlink cannot bring the file back: the certificate is owed all the same
        check_destroyed(pair)


def test_what_could_not_be_committed_after_the_unlink_is_certified_in_the_next_round(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    acknowledged(pair)
    pair.clock.advance(days=91)
    with monkeypatch.context() as patch:
        patch.setattr(files, "remove", partial(remove_then_fail, files.remove))
        with pytest.raises(OSError, match="the disk is full"):
            pair.lgsco.retain()
    assert copies_of(CONTENT, pair.lgsco) == []
    assert pair.lgsco.states() == ["acknowledged"]
    pair.lgsco.retain()
    check_destroyed(pair)


@pytest.mark.parametrize("keep", ["90d", "none"])
@pytest.mark.parametrize("scope", [Scope(partner="ofsted"), None])
def test_a_hold_after_an_unlink_that_could_not_be_committed_is_told_that_the_file_is_gone(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, scope: Scope | None, keep: str
) -> None:
    restart_with(pair, f'[partners.ofsted]\nkeep_sent = "{keep}"')
    with monkeypatch.context() as patch:
        patch.setattr(files, "remove", partial(remove_then_fail, files.remove))
        with pytest.raises(OSError, match="the disk is full"):
            destroy_when_due(pair, CONTENT, f"{CASE} decision.pdf")()
    assert copies_of(CONTENT, pair.lgsco) == []
    ledger = pair.lgsco.parts.ledger
    if scope is not None:
        placed = legal_holds.place(pair.lgsco.parts, scope, "Kim Example", "judicial review")
        assert (placed["handovers"], placed["destroyed_before"]) == (0, 1)
    else:
        scope, size = Scope(identifier=pair.lgsco.handovers()[0].id), ledger.size
        with pytest.raises(Misuse, match="there is nothing left to hold"):
            legal_holds.place(pair.lgsco.parts, scope, "Kim Example", "judicial review")
        assert ledger.size == size
    pair.settle()
    pair.lgsco.retain()
    check_destroyed(pair)


def test_a_hold_at_any_step_of_a_destruction_is_told_the_truth(
    template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was told to be held is there in the end, and what was told to be gone is gone."""
    machine = Machine(monkeypatch)
    said = set()
    with memory_folder() as memory, template.pair(memory / "pair") as pair:
        for number in count():
            content, name = f"decision {number:03}".encode(), f"{CASE} {number:03}.pdf"
            run = destroy_when_due(pair, content, name)
            crashed = crashes_at(machine, number, run)
            if crashed:
                start_again(pair, "lgsco")
            scope = Scope(identifier=pair.lgsco.handovers()[-1].id)
            try:
                placed = legal_holds.place(pair.lgsco.parts, scope, "Kim Example", "judicial review")
                held = placed["handovers"] == 1
            except Misuse:
                held = False
            said.add(held)
            pair.lgsco.retain()
            assert (len(copies_of(content, pair.lgsco)) == 1) is held, machine.steps[-1]
            assert pair.lgsco.handovers()[-1].state == ("acknowledged" if held else "destroyed")
            if not crashed:
                break
    assert said == {True, False}
    assert number >= 10


def remove_then_fail(remove: Callable[[Path], None], path: Path) -> None:
    remove(path)
    if path.name == "payload":
        raise OSError("the disk is full")
