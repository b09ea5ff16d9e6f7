"""An explanation in held/ explains one file, wherever people put it; never sent, nor held as a file of its own."""

import shutil
from pathlib import Path

import pytest

from exchange import files, orders
from exchange.held import find
from tests.exchange.test_taken_back import NAME, folder, held, later, why
from tests.organisations import CASE, DECISION, Pair


def move_both(pair: Pair) -> None:
    outbound = pair.lgsco.home.outbound.joinpath(*DECISION)
    for path in (folder(pair) / NAME, why(pair)):
        path.rename(outbound / f"{CASE} {path.name}")


def test_an_explanation_that_is_moved_along_with_its_file_is_sent_to_nobody_and_held_as_no_file(pair: Pair) -> None:
    held(pair)
    move_both(pair)
    pair.settle()
    assert pair.lgsco.states() == ["held", "acknowledged"]
    later(pair)
    assert [(one.state, one.reason) for one in pair.lgsco.handovers()] == [
        ("withdrawn", "file-gone"), ("acknowledged", None)
    ]  # fmt: skip
    assert [path.name for path in pair.ofsted.inbound()] == [f"{CASE} {NAME}"]
    assert list(pair.lgsco.home.outbound.joinpath(*DECISION).iterdir()) == []
    assert list(folder(pair).iterdir()) == []


def test_an_explanation_goes_back_to_the_folder_of_what_lay_in_no_partners_folder(pair: Pair) -> None:
    pair.lgsco.drop(b"content", NAME, ())
    pair.lgsco.take()
    explanation = pair.lgsco.home.held / "unsorted" / f"{NAME}.why.txt"
    outbound = pair.lgsco.home.outbound.joinpath(*DECISION)
    outbound.mkdir(parents=True)
    explanation.rename(outbound / explanation.name)
    pair.lgsco.take()
    assert explanation.exists()
    assert pair.lgsco.states() == ["held"]


def test_a_copy_of_an_explanation_in_an_outbound_folder_is_no_file_either(pair: Pair) -> None:
    held(pair)
    outbound = pair.lgsco.home.outbound.joinpath(*DECISION)
    shutil.copy(why(pair), outbound)
    pair.settle()
    later(pair)
    assert pair.lgsco.states() == ["held"]
    assert list(outbound.iterdir()) == []
    assert sorted(path.name for path in folder(pair).iterdir()) == [NAME, why(pair).name]


def test_an_explanation_that_goes_back_explains_no_other_file(pair: Pair) -> None:
    held(pair)
    outbound = pair.lgsco.home.outbound.joinpath(*DECISION)
    why(pair).rename(outbound / why(pair).name)
    why(pair).write_bytes(b"a note")
    (folder(pair) / "decision (2).pdf").write_bytes(b"another")
    pair.lgsco.take()
    assert list(outbound.iterdir()) == []
    assert why(pair).read_bytes() == b"a note"
    assert (folder(pair) / "decision (3).pdf.why.txt").exists()


def test_an_explanation_that_cannot_go_back_waits(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    held(pair)
    move_both(pair)

    def denied(_source: Path, target: Path) -> bool:
        raise PermissionError(target)

    with monkeypatch.context() as patch:
        patch.setattr(files, "move_new", denied)
        with pytest.raises(PermissionError):
            pair.lgsco.take()
    assert pair.lgsco.states() == ["held", "accepted"]
    pair.settle()
    assert pair.lgsco.states() == ["held", "acknowledged"]


@pytest.mark.parametrize("ending", ["\r\n", "\n\n", ""])
def test_an_explanation_that_went_through_an_editor_is_still_one(pair: Pair, ending: str) -> None:
    held(pair)
    why(pair).write_bytes(ending.join(why(pair).read_text().splitlines()[-1:]).encode() + ending.encode())
    (folder(pair) / NAME).unlink()
    later(pair)
    assert pair.lgsco.states() == ["withdrawn"]


def test_a_held_file_that_looks_like_an_explanation_is_none(pair: Pair) -> None:
    held(pair)
    text = why(pair).read_bytes()
    # as a release before this one could leave it: moved together, and held as a file of its own
    pair.lgsco.drop(b"mine", "mine.why.txt", ("ofsted", "upheld-decision", "Nowhere"))
    pair.lgsco.take()
    payload = folder(pair) / "mine.why.txt"
    payload.write_bytes(text)
    (folder(pair) / NAME).unlink()
    why(pair).unlink()
    first = pair.lgsco.handovers()[0]
    assert find(pair.lgsco.home.held, first.id) == (None, None)
    later(pair)
    orders.place(pair.lgsco.parts.ledger, first, "release", "Kim Example")
    pair.lgsco.take()
    assert pair.lgsco.states() == ["held", "held"]
    assert payload.read_bytes() == text
