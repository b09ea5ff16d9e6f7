"""Content in clear has no name before it is whole: whoever dies leaves nothing of it in somebody's folder."""

import contextlib
import errno
import os
from pathlib import Path

import pytest

from exchange.by_hand import open_by_hand
from exchange.unnamed import unnamed
from tests.exchange.hostile import CONTENT, NAME, envelope, manifest
from tests.exchange.test_half_copy import die_in, killed
from tests.organisations import Pair

SPARE = ".spare.part"


def without(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that answers so to whoever wants a file without a name."""
    opened = os.open

    def fails(path: Path, flags: int, *more: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(number, os.strerror(number))
        return opened(path, flags, *more)

    monkeypatch.setattr(os, "open", fails)


@pytest.fixture(params=[None, errno.EOPNOTSUPP, errno.EISDIR])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of each kind of file system."""
    if request.param is not None:
        without(request.param, monkeypatch)
    return tmp_path


def test_what_is_placed_is_whole_and_replaces_nothing(folder: Path) -> None:
    (folder / "a.pdf").write_bytes(b"precious")
    (folder / "a (2).pdf").symlink_to("nowhere")
    with unnamed(folder, SPARE) as one:
        one.file.write(b"whole")
        assert one.place("a.pdf") == folder / "a (3).pdf"
    assert (folder / "a.pdf").read_bytes() == b"precious"
    assert (folder / "a (3).pdf").read_bytes() == b"whole"
    assert len(list(folder.iterdir())) == 3


def test_what_fails_leaves_nothing(folder: Path) -> None:
    with contextlib.suppress(ValueError), unnamed(folder, SPARE) as one:
        one.file.write(b"half")
        raise ValueError
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_a_disk_that_fails_is_not_one_without_such_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    without(number, monkeypatch)
    with pytest.raises(OSError, match=os.strerror(number)), unnamed(tmp_path, SPARE):
        raise AssertionError
    assert list(tmp_path.iterdir()) == []


def test_who_is_killed_while_opening_an_envelope_leaves_no_content(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, output = tmp_path / "envelope.age", tmp_path / "opened"
    path.write_bytes(envelope(pair, manifest(pair)))
    parts = pair.ofsted.parts

    def opened() -> None:
        open_by_hand(parts.home, parts.keyring, parts.trust, parts.ledger, path, output)

    def killed_in_between() -> None:
        monkeypatch.setattr("exchange.files.sync_file", killed)
        opened()

    die_in(killed_in_between)
    assert list(output.iterdir()) == []
    opened()
    assert {one.name: one.read_bytes() for one in output.iterdir()} == {NAME: CONTENT}
