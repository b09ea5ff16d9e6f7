"""A sidecar that comes too late does not speak for the next file of its name."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from exchange import files, orders, strays
from tests.organisations import CASE, Pair

LATE = 'authority = "E08000035"\n'


def test_a_sidecar_without_a_file_is_put_aside_with_its_reason_and_used_for_no_other_file(pair: Pair) -> None:
    path = pair.lgsco.drop(b"first")
    pair.settle()
    sidecar = path.with_name(path.name + ".concern.toml")
    sidecar.write_text(LATE)
    pair.lgsco.take()
    assert sidecar.exists()
    pair.clock.advance(minutes=11)
    pair.lgsco.take()
    assert not sidecar.exists()
    held = pair.lgsco.home.held / "ofsted" / sidecar.name
    assert held.read_text() == LATE
    assert "NOT used" in held.with_name(held.name + ".why.txt").read_text()
    pair.lgsco.drop(b"second")
    pair.settle()
    assert {h.authority for h in pair.lgsco.handovers()} == {"E08000025"}


def test_a_sidecar_stays_where_it_is_until_there_is_room_for_its_explanation(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stray(pair, "Birmingham")
    pair.clock.advance(minutes=11)
    write_new = files.write_new

    def full(target: Path, data: bytes, mode: int = 0o600) -> None:
        if target.is_relative_to(pair.lgsco.home.held):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_new(target, data, mode)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_new", full)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            strays.put_aside(pair.lgsco.parts)
    assert path.exists()
    assert not [left for left in pair.lgsco.home.held.rglob("*") if left.is_file()]
    assert strays.put_aside(pair.lgsco.parts) == 1
    held = pair.lgsco.home.held / "ofsted" / path.name
    assert sorted(held.parent.iterdir()) == [held, held.with_name(f"{held.name}.why.txt")]


def test_a_sidecar_that_waits_for_its_file_is_left_alone(pair: Pair) -> None:
    path = pair.lgsco.home.outbound / "ofsted" / f"{CASE} decision.pdf"
    path.parent.mkdir(parents=True, exist_ok=True)
    sidecar = path.with_name(path.name + ".concern.toml")
    sidecar.write_text(LATE)
    path.with_name(path.name + ".part").write_bytes(b"half")
    pair.clock.advance(minutes=11)
    pair.lgsco.take()
    assert sidecar.exists()


def stray(pair: Pair, council: str) -> Path:
    """A sidecar that names another council, where no file is."""
    folder = pair.lgsco.home.outbound / "ofsted" / "upheld-decision" / council
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{CASE} decision.pdf.concern.toml").write_text(LATE)
    return folder / f"{CASE} decision.pdf.concern.toml"


@pytest.fixture
def unmovable(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Sidecars that nobody can move as long as they are in this set."""
    paths: set[Path] = set()
    place = files.place

    def denied(source: Path, directory: Path, name: str, *more: Any, **others: Any) -> Path:
        if source in paths:
            raise PermissionError(errno.EACCES, "Permission denied", str(source))
        return place(source, directory, name, *more, **others)

    monkeypatch.setattr(files, "place", denied)
    return paths


def test_a_sidecar_that_cannot_be_put_aside_keeps_no_other_where_it_is(pair: Pair, unmovable: set[Path]) -> None:
    first, second, third = (stray(pair, council) for council in ("Birmingham", "Kent", "Leeds"))
    unmovable.add(second)
    pair.clock.advance(minutes=11)
    with pytest.raises(PermissionError):
        strays.put_aside(pair.lgsco.parts)
    assert (first.exists(), second.exists(), third.exists()) == (False, True, False)


def test_a_file_waits_as_long_as_a_sidecar_that_does_not_speak_for_it_cannot_be_put_aside(
    pair: Pair, unmovable: set[Path]
) -> None:
    sidecar = stray(pair, "Birmingham")
    unmovable.add(sidecar)
    pair.clock.advance(minutes=11)
    with pytest.raises(PermissionError):
        pair.lgsco.take()
    pair.lgsco.drop(b"content")
    pair.lgsco.drop(b"another", f"{CASE} another.pdf")
    with pytest.raises(PermissionError):
        pair.lgsco.take()
    assert len(pair.lgsco.handovers()) == 1
    # whoever mends what was wrong may change whose it is, and with that when it was changed
    sidecar.chmod(0o600)
    with pytest.raises(PermissionError):
        pair.lgsco.take()
    assert len(pair.lgsco.handovers()) == 1
    unmovable.clear()
    pair.settle()
    assert [(one.state, one.authority) for one in pair.lgsco.handovers()] == [("acknowledged", "E08000025")] * 2
    assert pair.lgsco.parts.spool.strays == {}


@pytest.mark.parametrize("how", ["written anew", "removed", "removed with its folder"])
def test_a_file_waits_no_longer_than_the_sidecar_that_does_not_speak_for_it_is_there(
    pair: Pair, unmovable: set[Path], how: str
) -> None:
    sidecar = stray(pair, "Birmingham")
    unmovable.add(sidecar)
    pair.clock.advance(minutes=11)
    with pytest.raises(PermissionError):
        pair.lgsco.take()
    if how == "removed with its folder":
        shutil.rmtree(sidecar.parent)
    else:
        sidecar.unlink()
    pair.lgsco.drop(b"content")
    if how == "written anew":
        sidecar.with_name("new").write_text(LATE)
        sidecar.with_name("new").rename(sidecar)
        os.utime(sidecar, (1, 1))
    pair.settle()
    council = "E08000035" if how == "written anew" else "E08000025"
    assert [(one.state, one.authority) for one in pair.lgsco.handovers()] == [("acknowledged", council)]
    assert pair.lgsco.parts.spool.strays == {}


def test_a_sidecar_that_goes_while_it_is_looked_at_is_no_failure(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (stray(pair, council) for council in ("Birmingham", "Leeds"))
    pair.clock.advance(minutes=11)
    lstat = Path.lstat

    def late(path: Path) -> os.stat_result:
        if path == first:
            path.unlink(missing_ok=True)
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", late)
    assert strays.put_aside(pair.lgsco.parts) == 1
    assert not second.exists()


def held(pair: Pair) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in pair.lgsco.home.held.rglob("*") if path.is_file()}


@pytest.mark.parametrize("length", [247, 249, 255])
def test_a_sidecar_with_a_long_name_is_explained_too(pair: Pair, length: int) -> None:
    for content in (LATE, LATE.upper()):
        sidecar = stray(pair, "Leeds")
        sidecar = sidecar.rename(sidecar.with_name("x" * (length - len(".concern.toml")) + ".concern.toml"))
        sidecar.write_text(content)
        pair.clock.advance(minutes=11)
        strays.put_aside(pair.lgsco.parts)
        assert not sidecar.exists()
    found = held(pair)
    assert sorted(text for text in found.values() if b"NOT used" not in text) == [LATE.upper().encode(), LATE.encode()]
    assert len([name for name in found if name.endswith(".why.txt")]) == 2
    assert len(found) == 4


def test_what_a_person_has_written_is_not_replaced_by_an_explanation(pair: Pair) -> None:
    sidecar = stray(pair, "Leeds")
    (pair.lgsco.home.held / "ofsted").mkdir()
    (pair.lgsco.home.held / "ofsted" / f"{sidecar.name}.why.txt").write_bytes(b"a note")
    pair.clock.advance(minutes=11)
    strays.put_aside(pair.lgsco.parts)
    found = held(pair)
    assert found.pop(f"{sidecar.name}.why.txt") == b"a note"
    assert sorted(found) == [f"{CASE} decision.pdf.concern (2).toml", f"{CASE} decision.pdf.concern (2).toml.why.txt"]


def test_a_sidecar_that_is_put_aside_does_not_speak_for_a_held_file_of_its_name(pair: Pair) -> None:
    pair.lgsco.drop(b"content", f"{CASE} decision.pdf", ("ofsted", "upheld-decision", "Nowhere"))
    pair.settle()
    sidecar = stray(pair, "Leeds")
    pair.clock.advance(minutes=11)
    strays.put_aside(pair.lgsco.parts)
    assert not sidecar.exists()
    orders.place(pair.lgsco.parts.ledger, pair.lgsco.handovers()[0], "release", "Kim Example")
    pair.settle()
    assert [(one.state, one.reason) for one in pair.lgsco.handovers()] == [
        ("withdrawn", "released"), ("held", "unknown-authority")
    ]  # fmt: skip
