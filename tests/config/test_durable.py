"""What has returned is on the disk, and a file is whole or not there."""

import os
import stat
from pathlib import Path

import pytest

from config import durable


def test_a_file_is_replaced_whole_or_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "handover.toml"
    durable.write_file(path, b"old", 0o640)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640

    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        with pytest.raises(OSError, match="Input/output"):
            durable.write_file(path, b"new")
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("handover.toml", b"old")]
    durable.write_file(path, b"new")
    assert path.read_bytes() == b"new"


def test_every_folder_that_is_made_is_synced_in_the_one_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(durable, "sync_directory", synced.append)
    durable.make_directory(tmp_path / "a" / "b", 0o700)
    durable.make_directory(tmp_path / "a" / "b", 0o700)
    assert synced == [tmp_path, tmp_path / "a"]


def test_what_cannot_be_looked_at_is_not_taken_to_be_gone(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    assert durable.is_there(tmp_path / "file")
    assert durable.is_there(tmp_path / "link")
    assert not durable.is_there(tmp_path / "nothing")
    assert not durable.is_there(tmp_path / "file" / "inner")
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    for path in (tmp_path / "ring" / "inner", tmp_path / ("long" * 64)):
        assert not os.path.lexists(path)
        with pytest.raises(OSError, match=r"links|long"):
            durable.is_there(path)
