"""Durable file operations never overwrite and never leave half a file."""

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from exchange import files, rename


@pytest.fixture(params=["one step", "two steps"])
def either_rename(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rename that replaces nothing as most file systems have it, and as it is done where they do not."""
    if request.param == "two steps":
        monkeypatch.setattr(rename, "_rename_without_replacing", lambda _source, _target: errno.EINVAL)


def just_before_the_rename(monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], None]) -> None:
    """Somebody else acts on the target in the last moment in which it is still free."""
    move_new = files.move_new

    def moved(source: Path, target: Path) -> bool:
        act(target)
        return move_new(source, target)

    monkeypatch.setattr(files, "move_new", moved)


def test_a_name_that_is_taken_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "decision.pdf").write_bytes(b"first")
    for content in (b"second", b"third"):
        (tmp_path / "work").write_bytes(content)
        files.place(tmp_path / "work", tmp_path, "decision.pdf")
    assert (tmp_path / "decision.pdf").read_bytes() == b"first"
    assert (tmp_path / "decision (2).pdf").read_bytes() == b"second"
    assert (tmp_path / "decision (3).pdf").read_bytes() == b"third"
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    "name", ["x" * 255, "é" * 127, "x" * 251 + ".pdf", "a." + "b" * 253, "a." + "é" * 126, "-rf", ".hidden", "a\nb"]
)
def test_a_long_or_strange_name_finds_a_place_beside_its_twin(tmp_path: Path, name: str) -> None:
    placed = []
    for number in range(3):
        (tmp_path / "work").write_bytes(bytes([number]))
        placed.append(files.place(tmp_path / "work", tmp_path / "in", name))
    assert len(set(placed)) == 3
    assert [path.read_bytes() for path in placed] == [b"\0", b"\1", b"\2"]
    assert all(len(os.fsencode(path.name)) <= 255 for path in placed)


def test_a_link_that_waits_under_the_name_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    inbound = tmp_path / "in"
    inbound.mkdir()
    (inbound / "decision.pdf").symlink_to(victim)
    (tmp_path / "work").write_bytes(b"theirs")
    assert files.place(tmp_path / "work", inbound, "decision.pdf").name == "decision (2).pdf"
    assert victim.read_bytes() == b"mine"


@pytest.mark.usefixtures("either_rename")
@pytest.mark.parametrize("theirs", [b"theirs", b""], ids=["full", "empty"])
def test_a_file_that_appears_under_the_name_at_the_last_moment_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: bytes
) -> None:
    (tmp_path / "work").write_bytes(b"ours")

    def appear(target: Path) -> None:
        if target.name == "decision.pdf":
            target.write_bytes(theirs)

    just_before_the_rename(monkeypatch, appear)
    placed = files.place(tmp_path / "work", tmp_path, "decision.pdf", tmp_path / "note")
    assert placed.name == "decision (2).pdf"
    assert placed.read_bytes() == b"ours"
    assert (tmp_path / "decision.pdf").read_bytes() == theirs
    assert not (tmp_path / "work").exists()


@pytest.mark.usefixtures("either_rename")
def test_a_rename_that_fails_takes_away_nobodys_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").write_bytes(b"ours")

    def fail(target: Path) -> None:
        target.touch()
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        just_before_the_rename(patch, fail)
        with pytest.raises(OSError, match="Input/output"):
            files.place(tmp_path / "work", tmp_path, "decision.pdf", tmp_path / "note")
    assert (tmp_path / "decision.pdf").exists()
    # the note names a file of somebody else: the repetition finds another place
    assert files.place(tmp_path / "work", tmp_path, "decision.pdf", tmp_path / "note").name == "decision (2).pdf"
    assert (tmp_path / "decision.pdf").read_bytes() == b""


@pytest.mark.usefixtures("either_rename")
def test_of_many_that_want_one_name_at_once_none_replaces_or_removes_another(tmp_path: Path) -> None:
    folder, number, threads = tmp_path / "held", 30, []
    start = threading.Barrier(3)

    def worker(first: int) -> None:
        start.wait()
        for n in range(first, first + number):
            source = tmp_path / f"work {n}"
            # every third is empty, as a held file may be
            source.write_bytes(b"" if n % 3 == 0 else str(n).encode())
            files.place(source, folder, "decision.pdf", tmp_path / f"note {n}")

    for first in range(0, 3 * number, number):
        threads.append(threading.Thread(target=worker, args=(first,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    contents = sorted(path.read_bytes() for path in folder.iterdir())
    assert contents == sorted(b"" if n % 3 == 0 else str(n).encode() for n in range(3 * number))


def test_a_crash_between_the_two_steps_leaves_one_file_and_one_name_after_the_repetition(tmp_path: Path) -> None:
    work, note = tmp_path / "work", tmp_path / "note"
    work.write_bytes(b"ours")
    (tmp_path / "decision.pdf").hardlink_to(work)
    note.write_text(json.dumps({"target": str(tmp_path / "decision.pdf")}))
    assert files.place(work, tmp_path, "decision.pdf", note) == tmp_path / "decision.pdf"
    assert not work.exists()
    assert (tmp_path / "decision.pdf").stat().st_nlink == 1


def test_an_error_of_the_rename_is_raised_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        rename.rename_new(tmp_path / "missing", tmp_path / "a")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        rename.rename_new(tmp_path / "file", tmp_path / "file" / "a")


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "claim.json"
    files.write_new(target, b"old")
    with pytest.raises(OSError, match="File name too long"):
        files.write_new(tmp_path / ("x" * 256), b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["claim.json"]
    assert target.read_bytes() == b"old"
    assert target.stat().st_mode & 0o777 == 0o600


def test_whether_a_file_may_be_read_is_answered_or_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert files.may_read(tmp_path / "file")
    assert files.may_read(tmp_path / "link")
    for path in (tmp_path / "nothing", tmp_path / ("long" * 64)):
        assert not os.access(path, os.R_OK)
        with pytest.raises(OSError, match=r"No such|long"):
            files.may_read(path)
