"""What lies in the outbound folders, and when a file there is complete (PITFALLS: Watching, Half-written files)."""

import errno
import fcntl
import os
import socket
from pathlib import Path

import pytest

from exchange import drop
from exchange.drop import Candidate, Completeness, Sighting, is_open_for_writing, is_unfinished, scan


class Seconds:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def completeness(seconds: Seconds) -> Completeness:
    return Completeness(5.0, seconds)


def look(path: Path) -> Candidate:
    return Candidate(path, ("ofsted",), Sighting.of(path.lstat()))


@pytest.mark.parametrize(
    "name", ["a.part", "a.PART", "a.tmp", "a.partial", "a.crdownload", "~$a.docx", ".hidden", "a.pdf.concern.toml"]
)
def test_a_name_in_progress_is_never_looked_at(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert is_unfinished(name)
    assert list(scan(tmp_path)) == []


def test_a_scan_finds_files_with_their_folders_and_does_not_follow_links(tmp_path: Path) -> None:
    inner = tmp_path / "out" / "ofsted" / "upheld-decision" / "Leeds"
    inner.mkdir(parents=True)
    (inner / "decision.pdf").write_bytes(b"x")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.pdf").write_bytes(b"x")
    (tmp_path / "out" / "ofsted" / "linked").symlink_to(outside)
    found = {candidate.path.name: candidate for candidate in scan(tmp_path / "out")}
    assert set(found) == {"decision.pdf", "linked"}
    assert found["decision.pdf"].folders == ("ofsted", "upheld-decision", "Leeds")
    assert not found["linked"].sighting.is_regular


def test_links_pipes_and_sockets_are_seen_but_are_not_regular(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        (tmp_path / "link").symlink_to("nowhere")
        assert [c.sighting.is_regular for c in scan(tmp_path)] == [False, False, False]


def test_a_file_is_complete_only_after_the_quiet_period_since_our_first_sighting(
    tmp_path: Path, completeness: Completeness, seconds: Seconds
) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"x")
    os.utime(path, (0, 0))  # a copy that kept its old time is no older for that
    assert not completeness.judge(look(path))
    seconds.now += 4.9
    assert not completeness.judge(look(path))
    seconds.now += 0.2
    assert completeness.judge(look(path))


@pytest.mark.parametrize("change", ["grow", "truncate", "replace", "touch"])
def test_any_change_starts_the_quiet_period_again(
    tmp_path: Path, completeness: Completeness, seconds: Seconds, change: str
) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"xxxx")
    completeness.judge(look(path))
    seconds.now += 4.9
    if change == "grow":
        path.write_bytes(b"xxxxxx")
    elif change == "truncate":
        os.truncate(path, 2)
    elif change == "replace":
        times = path.stat().st_mtime_ns
        (tmp_path / "b").write_bytes(b"yyyy")
        (tmp_path / "b").rename(path)
        os.utime(path, ns=(times, times))
    else:
        os.utime(path, (1, 1))
    assert not completeness.judge(look(path))
    seconds.now += 4.9
    assert not completeness.judge(look(path))
    seconds.now += 0.2
    assert completeness.judge(look(path))


def test_a_close_hint_makes_a_file_complete_at_once_but_not_an_empty_one(
    tmp_path: Path, completeness: Completeness
) -> None:
    full, empty = tmp_path / "full.pdf", tmp_path / "empty.pdf"
    full.write_bytes(b"x")
    empty.touch()
    for path in (full, empty):
        completeness.closed(path)
    assert completeness.judge(look(full))
    assert not completeness.judge(look(empty))


@pytest.mark.parametrize("step", ["append", "copy"])
def test_a_file_that_grows_for_a_minute_on_a_share_without_leases_is_complete_when_it_has_rested(
    tmp_path: Path, completeness: Completeness, seconds: Seconds, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(drop, "is_open_for_writing", lambda _: False)
    path = tmp_path / "slow.pdf"
    path.write_bytes(b"")
    for _ in range(15):
        with path.open("ab") as writer:
            writer.write(b"more")
        if step == "copy":
            os.utime(path, (0, 0))  # keeps the time of the original, which is long past
        for _ in range(4):
            assert not completeness.judge(look(path))
            seconds.now += 1.0
    assert path.stat().st_size == 60
    assert not completeness.judge(look(path))
    seconds.now += 1.0
    assert completeness.judge(look(path))


def test_a_file_that_is_open_for_writing_is_not_complete_however_quiet(
    tmp_path: Path, completeness: Completeness, seconds: Seconds
) -> None:
    path = tmp_path / "slow.pdf"
    with path.open("wb") as writer:
        writer.write(b"half")
        writer.flush()
        completeness.judge(look(path))
        seconds.now += 3600
        assert is_open_for_writing(path)
        assert not completeness.judge(look(path))
    assert not is_open_for_writing(path)
    assert not completeness.judge(look(path))
    assert completeness.waiting() == 1.0
    seconds.now += 1.0
    assert completeness.judge(look(path))


def test_a_hint_about_a_file_that_vanished_is_not_kept_for_the_next_of_its_name(
    tmp_path: Path, completeness: Completeness
) -> None:
    path = tmp_path / "a.pdf"
    completeness.closed(path)
    for _ in range(2):
        completeness.keep_only(set())
    path.write_bytes(b"half")
    assert not completeness.judge(look(path))


def test_what_a_scan_no_longer_sees_is_forgotten(tmp_path: Path, completeness: Completeness, seconds: Seconds) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"x")
    completeness.judge(look(path))
    assert completeness.waiting() == 5.0
    completeness.keep_only(set())
    assert completeness.waiting() is None
    seconds.now += 10
    assert not completeness.judge(look(path))


@pytest.mark.parametrize("name", ["open", "fcntl"])
@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EIO, errno.EINTR, errno.ESTALE])
def test_a_file_of_which_nobody_can_tell_now_whether_it_is_being_written_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    path = tmp_path / "decision.pdf"
    path.write_bytes(b"content")

    def fails(*_: object) -> int:
        raise OSError(number, "not now")

    with monkeypatch.context() as broken:
        broken.setattr(os if name == "open" else fcntl, name, fails)
        assert is_open_for_writing(path)
    assert not is_open_for_writing(path)


@pytest.mark.parametrize(
    ("name", "number"),
    [("open", errno.ENOENT), ("open", errno.EACCES), ("fcntl", errno.EINVAL), ("fcntl", errno.ENOLCK)],
)
def test_a_file_that_has_gone_or_is_not_to_be_read_or_lies_where_there_are_no_leases_does_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    path = tmp_path / "decision.pdf"
    path.write_bytes(b"content")

    def fails(*_: object) -> int:
        raise OSError(number, "never")

    monkeypatch.setattr(os if name == "open" else fcntl, name, fails)
    assert not is_open_for_writing(path)
