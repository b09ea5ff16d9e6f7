"""exchange/submit.py: a file never goes under the details of another, whoever else uses its name."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.errors import Refused
from exchange import files
from exchange.concern import sidecar_for
from exchange.drop import SIDECAR
from exchange.submit import submit
from tests.organisations import CASE, DECISION, Pair

OTHER = "24 099 998"
NAME = "decision.pdf"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / NAME).write_bytes(b"personal data")
    return tmp_path / NAME


def references(pair: Pair) -> list[object]:
    return [pair.lgsco.parts.ledger.openings(handover.first_seq)["reference"] for handover in pair.lgsco.handovers()]


@pytest.mark.parametrize("reference", [CASE, None])
def test_a_sidecar_that_waits_there_is_neither_replaced_nor_used(pair: Pair, path: Path, reference: str | None) -> None:
    home = pair.lgsco.home
    if reference is None:
        path = path.rename(path.with_name(f"{CASE} {NAME}"))
    beside = home.outbound.joinpath(*DECISION, path.name + SIDECAR)
    beside.parent.mkdir(parents=True)
    said = sidecar_for(OTHER)
    assert said is not None
    beside.write_text(said)
    with pytest.raises(Refused) as caught:
        submit(home, pair.lgsco.parts.trust, [path], *DECISION, reference)
    assert caught.value.reason == "name-taken"
    assert [one.name for one in beside.parent.iterdir()] == [beside.name]
    assert beside.read_text() == said


def test_a_sidecar_that_a_killed_try_left_is_used(pair: Pair, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = pair.lgsco.home.outbound.joinpath(*DECISION)

    def dies(_: Path, target: Path) -> bool:
        if target.name == NAME:
            raise KeyboardInterrupt
        return move_new(_, target)

    move_new = files.move_new
    with monkeypatch.context() as patch:
        patch.setattr(files, "move_new", dies)
        with pytest.raises(KeyboardInterrupt):
            submit(pair.lgsco.home, pair.lgsco.parts.trust, [path], *DECISION, CASE)
    assert [one.name for one in place.iterdir()] == [NAME + SIDECAR]
    submit(pair.lgsco.home, pair.lgsco.parts.trust, [path], *DECISION, CASE)
    pair.settle()
    assert (pair.lgsco.states(), references(pair)) == (["acknowledged"], [CASE])


def test_the_sidecar_goes_when_somebody_else_took_the_name(
    pair: Pair, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = pair.lgsco.home.outbound.joinpath(*DECISION)

    def overtaken(source: Path, target: Path) -> bool:
        if target.name == NAME:
            target.write_bytes(b"somebody else")
        return move_new(source, target)

    move_new = files.move_new
    monkeypatch.setattr(files, "move_new", overtaken)
    with pytest.raises(Refused):
        submit(pair.lgsco.home, pair.lgsco.parts.trust, [path], *DECISION, CASE)
    assert [(one.name, one.read_bytes()) for one in place.iterdir()] == [(NAME, b"somebody else")]


def test_of_many_who_submit_one_name_one_is_served_and_with_its_own_reference(pair: Pair, path: Path) -> None:
    def one(reference: str) -> str | None:
        try:
            submit(pair.lgsco.home, pair.lgsco.parts.trust, [path], *DECISION, reference)
        except Refused:
            return None
        return reference

    wanted = [f"24 099 {number:03}" for number in range(100, 116)]
    with ThreadPoolExecutor(len(wanted)) as pool:
        served = [reference for reference in pool.map(one, wanted) if reference is not None]
    assert len(served) == 1
    assert sorted(one.name for one in pair.lgsco.home.outbound.joinpath(*DECISION).iterdir()) == [NAME, NAME + SIDECAR]
    pair.settle()
    assert references(pair) == served


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_what_is_no_file_in_the_place_of_a_sidecar_is_neither_opened_nor_followed(
    pair: Pair, path: Path, kind: str
) -> None:
    beside = pair.lgsco.home.outbound.joinpath(*DECISION, NAME + SIDECAR)
    beside.parent.mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(beside)
    else:
        elsewhere = path.with_name("elsewhere")
        elsewhere.write_text(sidecar_for(CASE) or "")
        beside.symlink_to(elsewhere)
    with pytest.raises(Refused) as caught:
        submit(pair.lgsco.home, pair.lgsco.parts.trust, [path], *DECISION, CASE)
    assert caught.value.reason == "name-taken"
    assert [one.name for one in beside.parent.iterdir()] == [beside.name]


def test_a_name_beside_which_no_sidecar_has_room_can_be_submitted_without_one(pair: Pair, path: Path) -> None:
    path = path.rename(path.with_name(f"{CASE} {'d' * 235}.pdf"))
    submit(pair.lgsco.home, pair.lgsco.parts.trust, [path], *DECISION, None)
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]


@pytest.mark.parametrize("name", [f".{CASE} a.pdf", f"~${CASE} a.docx", f"{CASE} a.pdf.part", f"{CASE} a.pdf{SIDECAR}"])
def test_a_name_that_would_never_be_taken_is_refused(pair: Pair, path: Path, name: str) -> None:
    path = path.rename(path.with_name(name))
    with pytest.raises(Refused, match="A file of this name is never taken"):
        submit(pair.lgsco.home, pair.lgsco.parts.trust, [path], *DECISION, None)
    assert not pair.lgsco.home.outbound.joinpath(*DECISION).exists()


def test_a_name_cannot_rewrite_the_line_that_refuses_it(pair: Pair, path: Path) -> None:
    path = path.rename(path.with_name("a\n\x1b[2Jb.pdf"))
    with pytest.raises(Refused) as caught:
        submit(pair.lgsco.home, pair.lgsco.parts.trust, [path], *DECISION, None)
    assert caught.value.message.isprintable()
