"""Where a file ends: beside its explanation or its receipt, and never in the place of another file."""

from pathlib import Path

import pytest

from config.home import Home
from exchange import archive, held, sender
from ledger.entry import Draft
from tests.organisations import CASE, DECISION, Pair, start


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_explanation_never_replaces_a_file_that_has_its_name(pair: Pair) -> None:
    pair.lgsco.drop(b"mine", "a.exe.why.txt")
    pair.settle()
    pair.lgsco.drop(b"program", "a.exe")
    pair.settle()
    found = files_in(pair.lgsco.home.held)
    assert found["a.exe.why.txt"] == b"mine"
    assert found["a (2).exe"] == b"program"
    assert b"NOT sent" in found["a (2).exe.why.txt"]
    assert len(found) == 4


def test_a_receipt_never_replaces_a_file_that_has_its_name(pair: Pair) -> None:
    folder = pair.lgsco.home.sent.joinpath(*DECISION)
    folder.mkdir(parents=True)
    (folder / f"{CASE} decision.pdf.receipt.txt").write_bytes(b"mine")
    pair.lgsco.drop(b"content")
    pair.settle()
    found = files_in(folder)
    assert found[f"{CASE} decision.pdf.receipt.txt"] == b"mine"
    assert b"has received this file" in found[f"{CASE} decision (2).pdf.receipt.txt"]


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "x" * 251 + ".exe"])
def test_a_name_of_full_length_gets_its_explanation_under_a_shorter_one(pair: Pair, name: str) -> None:
    pair.lgsco.drop(b"content", name)
    pair.settle()
    found = files_in(pair.lgsco.home.held)
    assert found.pop(name) == b"content"
    ((beside, text),) = found.items()
    assert beside.endswith(".why.txt")
    assert beside[:100] == name[:100]
    assert b"NOT sent" in text


@pytest.mark.parametrize(
    "name", ["x" * 255, "é" * 127, "x" * 251 + ".exe", "a." + "b" * 253, "a" * 220 + "." + "b" * 34]
)
def test_two_files_of_one_name_of_full_length_have_an_explanation_each(pair: Pair, name: str) -> None:
    for content in (b"first", b"second"):
        pair.lgsco.drop(content, name)
        pair.settle()
    assert pair.lgsco.states() == ["held", "held"]
    assert pair.lgsco.spooled() == []
    found = [held.find(pair.lgsco.home.held, one.id) for one in pair.lgsco.handovers()]
    assert [path.read_bytes() for _, path in found if path is not None] == [b"first", b"second"]
    assert [path.name[-8:] for _, path in found if path is not None][1].count(" (2)") == 1
    assert len(files_in(pair.lgsco.home.held)) == 4


def test_two_names_of_full_length_that_differ_only_at_their_end_have_an_explanation_each(pair: Pair) -> None:
    for number in (1, 2):
        pair.lgsco.drop(b"content", f"{'x' * 254}{number}")
    pair.settle()
    found = files_in(pair.lgsco.home.held)
    assert len(found) == 4
    assert len([name for name in found if name.endswith(".why.txt")]) == 2


def test_two_held_files_of_one_name_have_an_explanation_each(pair: Pair) -> None:
    for content in (b"one", b"two"):
        pair.lgsco.drop(content, "decision.exe")
        pair.settle()
    assert set(files_in(pair.lgsco.home.held)) == {
        "decision.exe",
        "decision.exe.why.txt",
        "decision (2).exe",
        "decision (2).exe.why.txt",
    }


def test_a_refused_file_comes_back_with_the_partners_reason(pair: Pair) -> None:
    pair.lgsco.drop(b"content")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.clock.advance(days=31)
    pair.settle()
    found = files_in(pair.lgsco.home.held)
    assert found[f"{CASE} decision.pdf"] == b"content"
    why = found[f"{CASE} decision.pdf.why.txt"].decode()
    assert "REFUSED" in why
    assert "expired" in why


def test_a_withdrawn_file_comes_back_and_settling_again_changes_nothing(pair: Pair) -> None:
    pair.lgsco.drop(b"content")
    pair.lgsco.take()
    (handover,) = pair.lgsco.handovers()
    ledger = pair.lgsco.parts.ledger
    draft = Draft(event="withdrawn", actor="operator", handover=handover.id, partner="ofsted", direction="out")
    ledger.write(lambda tx: tx.append(draft))
    for _ in range(2):
        sender.settle(pair.lgsco.parts, pair.lgsco.handovers()[0])
    found = files_in(pair.lgsco.home.held)
    assert found[f"{CASE} decision.pdf"] == b"content"
    assert b"WITHDRAWN" in found[f"{CASE} decision.pdf.why.txt"]
    assert len(found) == 2
    assert pair.lgsco.spooled() == []


def test_what_may_not_be_kept_is_destroyed_once_it_was_acknowledged(pair: Pair) -> None:
    config = pair.lgsco.home.config_file
    config.write_text(config.read_text() + '\n[partners.ofsted]\nkeep_sent = "none"\n')
    pair.lgsco.parts.ledger.close()
    pair.lgsco = start(Home.open(pair.lgsco.home.root), pair.ofsted.home, pair.clock)
    pair.lgsco.drop(b"content")
    pair.settle()
    assert pair.lgsco.states() == ["destroyed"]
    assert files_in(pair.lgsco.home.sent) == {}
    assert pair.lgsco.spooled() == []
    assert not any(data == b"content" for data in files_in(pair.lgsco.home.root).values())


def test_the_text_beside_a_sent_file_says_when_and_where_it_is_proved(pair: Pair) -> None:
    pair.lgsco.drop(b"content")
    pair.settle()
    (handover,) = pair.lgsco.handovers()
    text = archive.receipt_text(pair.lgsco.parts, handover)
    assert text.startswith("Ofsted has received this file")
    assert handover.id in text
    assert "7 bytes" in text
