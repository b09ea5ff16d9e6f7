"""The machine stops at any durable step while missing files are asked for, sent again and explained: all ends well."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config.home import Home
from exchange import orders
from ledger.gaps import explained, sequence_gaps
from tests.exchange.crashes import Machine, memory_folder, run_to_rest
from tests.organisations import CASE, NAMES, ManualClock, Pair, Template, start


@pytest.fixture(scope="module")
def scene(template: Template) -> Iterator[tuple[Path, ManualClock]]:
    """Three files: the first is lost on its way, the second withdrawn after it got its number, the third delivered."""
    with memory_folder() as folder:
        with template.pair(folder / "scene") as pair:
            pair.lgsco.drop(b"lost", f"{CASE} lost.pdf")
            pair.lgsco.take()
            pair.lgsco.send()
            for path in pair.ofsted.landing().iterdir():
                path.unlink()
            pair.lgsco.drop(b"withdrawn", f"{CASE} withdrawn.pdf")
            pair.lgsco.take()
            orders.place(pair.lgsco.parts.ledger, pair.lgsco.handovers()[-1], "withdraw", "Kim Example")
            pair.settle()
            pair.lgsco.drop(b"delivered", f"{CASE} delivered.pdf")
            pair.settle()
            assert sequence_gaps(pair.ofsted.parts.ledger, "lgsco") == [1, 2]
            pair.clock.advance(minutes=15)
        yield folder, pair.clock


@contextmanager
def running(scene: tuple[Path, ManualClock], name: str) -> Iterator[Pair]:
    """A copy of the scene."""
    folder, clock = scene
    copy = folder / name
    shutil.copytree(folder / "scene", copy, symlinks=True)
    homes = {organisation: Home.open(copy / organisation) for organisation in NAMES}
    sides = [start(homes[a], homes[b], clock) for a, b in (("lgsco", "ofsted"), ("ofsted", "lgsco"))]
    pair = Pair(sides[0], sides[1], clock, copy)
    try:
        yield pair
    finally:
        pair.close()
        shutil.rmtree(copy)


@pytest.mark.parametrize("side", ["lgsco", "ofsted"])
def test_wherever_the_machine_stops_each_missing_file_comes_or_is_explained(
    scene: tuple[Path, ManualClock], side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch)
    number, crashes = 0, 1
    while crashes:
        machine.steps.clear()
        # in turn before a step and after one
        machine.stop_at, machine.done = number, number % 2 == 1
        with running(scene, f"{side}{number}") as pair:
            crashes = run_to_rest(pair, side, machine)
            _check(pair)
        number += 3
    assert number > 8


def _check(pair: Pair) -> None:
    ofsted, lgsco = pair.ofsted, pair.lgsco
    assert sequence_gaps(ofsted.parts.ledger, "lgsco") == []
    assert explained(ofsted.parts.ledger, "lgsco") == {2: "withdrawn"}
    assert sorted(path.read_bytes() for path in ofsted.inbound()) == [b"delivered", b"lost"]
    assert lgsco.states() == ["acknowledged", "withdrawn", "acknowledged"]
    assert lgsco.spooled() == ofsted.spooled() == []
    assert not {"gap.contradicted", "message.refused", "quarantined"} & {*ofsted.events(), *lgsco.events()}
    assert lgsco.events().count("gap.reported") == ofsted.events().count("gap.closed") == 1
