"""Durable file operations never overwrite and never leave half a file."""

import os
from pathlib import Path

import pytest

from exchange import files


def test_a_name_that_is_taken_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "decision.pdf").write_bytes(b"first")
    for content in (b"second", b"third"):
        (tmp_path / "work").write_bytes(content)
        files.place(tmp_path / "work", tmp_path, "decision.pdf")
    assert (tmp_path / "decision.pdf").read_bytes() == b"first"
    assert (tmp_path / "decision (2).pdf").read_bytes() == b"second"
    assert (tmp_path / "decision (3).pdf").read_bytes() == b"third"
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "x" * 251 + ".pdf", "-rf", ".hidden", "a\nb"])
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


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "claim.json"
    files.write_new(target, b"old")
    with pytest.raises(OSError, match="File name too long"):
        files.write_new(tmp_path / ("x" * 256), b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["claim.json"]
    assert target.read_bytes() == b"old"
    assert target.stat().st_mode & 0o777 == 0o600
