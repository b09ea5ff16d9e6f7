"""What a person takes back out of held/ is held no more; whatever may still be there stays held."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange import files, orders, taken_back
from exchange.audit import verify_home
from tests.organisations import CASE, DECISION, Pair, restart

NAME = "decision.pdf"


def folder(pair: Pair) -> Path:
    return pair.lgsco.home.held / "ofsted"


def why(pair: Pair, name: str = NAME) -> Path:
    return folder(pair) / f"{name}.why.txt"


def held(pair: Pair, *names: str) -> None:
    for name in names or (NAME,):
        pair.lgsco.drop(b"first", name)
    pair.settle()
    assert set(pair.lgsco.states()) == {"held"}


def later(pair: Pair, minutes: int = 2) -> None:
    pair.clock.advance(minutes=minutes)
    pair.lgsco.take()


def take_back(pair: Pair) -> None:
    """As the explanation says: the name is mended, and the file moved into its folder."""
    outbound = pair.lgsco.home.outbound.joinpath(*DECISION)
    (folder(pair) / NAME).rename(outbound / f"{CASE} {NAME}")


def test_a_file_that_is_mended_and_moved_back_is_sent_and_no_longer_held(pair: Pair) -> None:
    held(pair)
    take_back(pair)
    pair.settle()
    later(pair)
    assert pair.lgsco.states() == ["withdrawn", "acknowledged"]
    first = pair.lgsco.handovers()[0]
    assert first.reason == "file-gone"
    assert list(folder(pair).iterdir()) == []
    assert verify_home(pair.lgsco.home).ok
    size = pair.lgsco.parts.ledger.size
    later(pair)
    assert pair.lgsco.parts.ledger.size == size


def test_a_file_that_is_thrown_away_is_no_longer_held(pair: Pair) -> None:
    held(pair, NAME, "other.pdf")
    (folder(pair) / "other.pdf").unlink()
    later(pair)
    assert pair.lgsco.states() == ["held", "withdrawn"]
    assert sorted(path.name for path in folder(pair).iterdir()) == [NAME, why(pair).name]


def test_all_that_was_taken_out_of_a_folder_ends_at_once(pair: Pair) -> None:
    held(pair, "one.pdf", "two.pdf", "three.pdf")
    for name in ("one.pdf", "two.pdf", "three.pdf"):
        (folder(pair) / name).unlink()
    # taking the explanations away changes the folder too
    long_ago = pair.clock().timestamp() - 61
    os.utime(folder(pair), (long_ago, long_ago))
    pair.lgsco.take()
    assert pair.lgsco.states() == ["withdrawn"] * 3


def test_a_file_that_is_being_saved_stays_held(pair: Pair) -> None:
    held(pair)
    content = (folder(pair) / NAME).read_bytes()
    (folder(pair) / NAME).unlink()
    pair.lgsco.take()
    (folder(pair) / NAME).write_bytes(content)
    later(pair)
    assert pair.lgsco.states() == ["held"]
    assert why(pair).exists()


@pytest.mark.parametrize("where", ["", "mended"])
def test_a_file_that_has_another_name_stays_held(pair: Pair, where: str) -> None:
    held(pair)
    (folder(pair) / where).mkdir(exist_ok=True)
    (folder(pair) / NAME).rename(folder(pair) / where / f"{CASE} {NAME}")
    if where:
        why(pair).rename(folder(pair) / where / why(pair).name)
    later(pair)
    assert pair.lgsco.states() == ["held"]
    (folder(pair) / where / f"{CASE} {NAME}").unlink()
    later(pair)
    assert pair.lgsco.states() == ["withdrawn"]


@pytest.mark.parametrize("name", [NAME, f"{CASE} {NAME}"])
def test_a_file_that_lies_deeper_in_its_folder_without_its_explanation_stays_held(pair: Pair, name: str) -> None:
    held(pair)
    deeper = folder(pair) / "to do" / "soon"
    deeper.mkdir(parents=True)
    (folder(pair) / NAME).rename(deeper / name)
    later(pair)
    assert pair.lgsco.states() == ["held"]
    assert why(pair).exists()
    (deeper / name).unlink()
    later(pair)
    assert pair.lgsco.states() == ["withdrawn"]


def test_a_file_in_the_folder_of_another_partner_keeps_nothing_held(pair: Pair) -> None:
    held(pair)
    (pair.lgsco.home.held / "unsorted").mkdir()
    (pair.lgsco.home.held / "unsorted" / "notes.txt").write_bytes(b"x")
    (folder(pair) / NAME).unlink()
    later(pair)
    assert pair.lgsco.states() == ["withdrawn"]


def test_a_link_to_a_folder_that_was_dropped_stays_held(pair: Pair) -> None:
    outbound = pair.lgsco.home.outbound.joinpath(*DECISION)
    outbound.mkdir(parents=True, exist_ok=True)
    (outbound / NAME).symlink_to(pair.base)
    pair.settle()
    later(pair)
    assert pair.lgsco.states() == ["held"]
    assert (folder(pair) / NAME).is_symlink()
    assert why(pair).exists()


@pytest.mark.parametrize("beside", [".DS_Store", f"{NAME}.concern.toml"])
def test_what_is_no_file_of_its_own_keeps_nothing_held(pair: Pair, beside: str) -> None:
    held(pair)
    (folder(pair) / beside).write_bytes(b"x")
    (folder(pair) / NAME).unlink()
    later(pair)
    assert pair.lgsco.states() == ["withdrawn"]


def test_a_share_that_is_not_mounted_ends_nothing(pair: Pair) -> None:
    held(pair)
    shutil.rmtree(pair.lgsco.home.held)
    pair.lgsco.home.held.mkdir()
    later(pair)
    assert pair.lgsco.states() == ["held"]


def test_an_order_about_a_held_file_waits_until_its_share_is_mounted_again(pair: Pair) -> None:
    held(pair)
    elsewhere = pair.base / "elsewhere"
    pair.lgsco.home.held.rename(elsewhere)
    orders.place(pair.lgsco.parts.ledger, pair.lgsco.handovers()[0], "release", "Kim Example")
    with pytest.raises(FileNotFoundError):
        pair.lgsco.take()
    assert pair.lgsco.states() == ["held"]
    elsewhere.rename(pair.lgsco.home.held)
    pair.lgsco.take()
    first, second = pair.lgsco.handovers()
    assert (first.state, first.reason, second.state) == ("withdrawn", "released", "held")


# --- attacks ----------------------------------------------------------------------------------------------------------


def test_a_copy_of_an_explanation_ends_nothing(pair: Pair) -> None:
    held(pair)
    for name in ("a", "z"):
        (pair.lgsco.home.held / name).mkdir()
        shutil.copy(why(pair), pair.lgsco.home.held / name)
    later(pair)
    assert pair.lgsco.states() == ["held"]


@pytest.mark.parametrize("identifier", ["../../etc/passwd", "", "x" * 36, "01a205b3-d000-7000-8000-000000000000"])
def test_an_explanation_that_names_no_handover_is_left_where_it_is(pair: Pair, identifier: str) -> None:
    held(pair)
    made = pair.lgsco.home.held / "made.why.txt"
    made.write_text(f"Handover:  {identifier}\n")
    later(pair)
    assert made.exists()
    assert pair.lgsco.states() == ["held"]


def test_an_explanation_that_is_a_link_is_not_followed(pair: Pair) -> None:
    held(pair)
    outside = pair.base / "outside"
    why(pair).rename(outside)
    why(pair).symlink_to(outside)
    (folder(pair) / NAME).unlink()
    later(pair)
    assert outside.exists()
    assert pair.lgsco.states() == ["held"]


@pytest.fixture
def endless(pair: Pair) -> Iterator[None]:
    """Folders in held/ so deep that no recursion comes to their end; what removes them after the tests neither."""
    here = os.open(pair.lgsco.home.held, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    yield
    subprocess.run(["rm", "-rf", pair.lgsco.home.held / "d"], check=True)


@pytest.mark.usefixtures("endless")
def test_a_tree_without_an_end_keeps_nobody_waiting(pair: Pair) -> None:
    held(pair)
    (folder(pair) / NAME).unlink()
    later(pair)
    assert pair.lgsco.states() == ["withdrawn"]


def test_nothing_is_ended_that_was_sent(pair: Pair) -> None:
    held(pair)
    pair.lgsco.drop(b"second")
    pair.settle()
    sent = pair.lgsco.handovers()[-1]
    made = pair.lgsco.home.held / "made.why.txt"
    made.write_text(f"Handover:  {sent.id}\n")
    later(pair)
    assert pair.lgsco.states() == ["held", "acknowledged"]


# --- crashes, and orders ----------------------------------------------------------------------------------------------


def test_a_crash_before_the_explanation_is_removed_leaves_nothing_behind(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(pair)
    (folder(pair) / NAME).unlink()
    pair.clock.advance(minutes=2)

    def crash(_path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "remove", crash)
        with pytest.raises(KeyboardInterrupt):
            taken_back.notice(pair.lgsco.parts)
    assert why(pair).exists()
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    assert taken_back.notice(pair.lgsco.parts) == 0
    assert not why(pair).exists()
    ledger = pair.lgsco.parts.ledger
    assert [entry.event for entry in ledger.entries(0, ledger.size)].count("withdrawn") == 1


def test_a_crash_before_the_explanation_of_a_released_file_is_removed_does_not_take_its_name_from_it(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(pair)
    orders.place(pair.lgsco.parts.ledger, pair.lgsco.handovers()[0], "release", "Kim Example")

    def crash(_path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "remove", crash)
        with pytest.raises(KeyboardInterrupt):
            pair.lgsco.take()
    assert why(pair).exists()
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    pair.settle()
    assert [(one.state, one.reason) for one in pair.lgsco.handovers()] == [
        ("withdrawn", "released"), ("held", "missing-reference")
    ]  # fmt: skip
    assert sorted(path.name for path in folder(pair).iterdir()) == [NAME, why(pair).name]


def test_a_file_that_was_withdrawn_and_taken_away_leaves_no_explanation(pair: Pair) -> None:
    held(pair)
    orders.place(pair.lgsco.parts.ledger, pair.lgsco.handovers()[0], "withdraw", "Kim Example")
    pair.lgsco.take()
    assert why(pair).exists()
    (folder(pair) / NAME).rename(pair.base / NAME)
    later(pair)
    assert not why(pair).exists()
    assert verify_home(pair.lgsco.home).ok
