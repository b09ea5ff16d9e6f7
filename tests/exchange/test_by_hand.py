"""Envelopes made and opened by a person, beside the daemon."""

from pathlib import Path

import pytest

from config.errors import Refused
from exchange.by_hand import seal_by_hand
from tests.exchange.crashes import Crash, Machine
from tests.organisations import CASE, Pair


def seal(pair: Pair, output: Path) -> dict[str, str | int | None]:
    path = output.parent / f"{CASE} decision.pdf"
    path.write_bytes(b"decision")
    return seal_by_hand(pair.lgsco.parts, path, output, "ofsted", "upheld-decision", "Birmingham", None)


def test_what_is_there_is_not_replaced_and_nothing_is_recorded(pair: Pair, tmp_path: Path) -> None:
    output = tmp_path / "envelope.age"
    output.write_bytes(b"something precious")
    before = pair.lgsco.events()
    with pytest.raises(Refused, match="there is a file of that name already") as refused:
        seal(pair, output)
    assert (refused.value.reason, bool(refused.value.hint)) == ("file-exists", True)
    assert output.read_bytes() == b"something precious"
    assert pair.lgsco.events() == before


def test_an_envelope_is_recorded_before_anybody_can_carry_it_away(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "envelope.age"
    seen: list[tuple[bool, str]] = []
    machine = Machine(monkeypatch)
    machine.before_each = lambda: seen.append((output.exists() and output.stat().st_size > 0, pair.lgsco.events()[-1]))
    with machine.on():
        seal(pair, output)
    assert {event for there, event in seen if there} == {"sealed"}
    assert pair.lgsco.events()[-3:] == ["accepted", "sealed", "sent"]
    landing = pair.ofsted.landing()
    landing.mkdir(parents=True, exist_ok=True)
    (landing / f"{pair.lgsco.handovers()[0].id}.age").write_bytes(output.read_bytes())
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]


def test_what_cannot_be_finished_is_withdrawn_and_leaves_nothing(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "courier"
    folder.mkdir()
    machine = Machine(monkeypatch)
    for number in range(100):
        machine.steps, machine.stop_at = [], number
        output = folder / f"{number}.age"
        try:
            with machine.on():
                seal(pair, output)
        except Crash:
            states = pair.lgsco.states()
            assert [path.name for path in folder.iterdir() if path.suffix == ".part"] == []
            assert not output.exists() or states[-1] == "sealed"
        else:
            break
    assert number > 3
    assert pair.lgsco.states()[-1] == "sent"
