"""Real inotify events of real folders, and everything because of which there are none (PITFALLS: Watching a folder)."""

import errno
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from exchange.drop import Completeness
from exchange.service.watcher import Watcher
from tests.deep import TREES, nested
from tests.exchange.crashes import memory_folder
from tests.organisations import CASE, DECISION, Organisation, Template
from tests.tmpfs import mount

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
MANY = 10_000


class Hints:
    """What was hinted, and the watcher that hints."""

    def __init__(self, directory: Path) -> None:
        self.heard: list[Path | None] = []
        self.failures: list[Exception] = []
        self.watcher = Watcher(self.failures.append)
        self.watcher.watch(directory, self.heard.append)
        self.watcher.renew()

    def wait_for(self, path: Path | None) -> None:
        until(lambda: path in self.heard)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "what should have happened did not"
        time.sleep(0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "outbound").mkdir()
    return tmp_path / "outbound"


@pytest.fixture
def hints(folder: Path) -> Iterator[Hints]:
    hints = Hints(folder)
    yield hints
    hints.watcher.close()


def test_a_folder_that_is_found_twice_as_it_is_made_is_watched_and_told_to_nobody(
    hints: Hints, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The library warns of it, with the path, on whichever stream the service has; it may happen to any new folder."""
    walked = os.walk

    def twice(*arguments: Any, **options: Any) -> Iterator[Any]:
        return iter([*walked(*arguments, **options)] * 2)

    monkeypatch.setattr("watchdog.observers.inotify.os.walk", twice)
    (folder / "ofsted" / "upheld-decision" / "Leeds").mkdir(parents=True)
    path = folder / "ofsted" / "upheld-decision" / "Leeds" / f"{CASE}.pdf"
    until(path.parent.is_dir)

    def written_and_heard_of() -> bool:
        # only what is written after its folder is watched is told by its name
        path.write_bytes(b"personal data")
        return path in hints.heard

    until(written_and_heard_of)
    assert hints.watcher._is_alive()
    assert "Leeds" not in "".join(capfd.readouterr())


def test_a_file_that_was_closed_or_renamed_is_named_and_one_that_came_from_outside_only_wakes(
    folder: Path, hints: Hints, tmp_path: Path
) -> None:
    (folder / "written.pdf").write_bytes(b"x")
    hints.wait_for(folder / "written.pdf")
    (folder / "a.part").write_bytes(b"x")
    (folder / "a.part").rename(folder / "renamed.pdf")
    hints.wait_for(folder / "renamed.pdf")
    hints.heard.clear()
    (tmp_path / "outside").write_bytes(b"x")
    (tmp_path / "outside").rename(folder / "came.pdf")
    hints.wait_for(None)


def test_what_is_not_asked_for_does_not_fill_the_queue(folder: Path, hints: Hints) -> None:
    (folder / "a.pdf").write_bytes(b"x")
    hints.wait_for(folder / "a.pdf")
    hints.heard.clear()
    for _ in range(50):
        (folder / "a.pdf").read_bytes()
        os.utime(folder / "a.pdf")
    (folder / "b.pdf").write_bytes(b"x")
    hints.wait_for(folder / "b.pdf")
    assert set(hints.heard) == {None, folder / "b.pdf"}


def test_a_hint_that_raises_does_not_end_the_hints(folder: Path) -> None:
    failures: list[Exception] = []
    heard: list[Path | None] = []

    def hint(path: Path | None) -> None:
        heard.append(path)
        if len(failures) < 3:
            raise RuntimeError("a mistake of ours")

    watcher = Watcher(failures.append)
    watcher.watch(folder, hint)
    watcher.renew()
    try:
        for number in range(4):
            (folder / f"{number}.pdf").write_bytes(b"x")
        until(lambda: folder / "3.pdf" in heard)
    finally:
        watcher.close()
    assert [type(failure) for failure in failures] == [RuntimeError] * 3


def test_a_folder_that_is_deleted_and_made_again_is_watched_again(folder: Path, hints: Hints) -> None:
    shutil.rmtree(folder)
    # quick, so that it may even get the number that the old one had
    folder.mkdir()
    until(lambda: hints.watcher.renew())
    (folder / "Leeds").mkdir()
    until(lambda: not hints.watcher._missed())
    (folder / "Leeds" / "a.pdf").write_bytes(b"x")
    hints.wait_for(folder / "Leeds" / "a.pdf")
    assert not hints.watcher.renew()
    assert hints.watcher.is_complete


def test_a_folder_that_is_mounted_is_another_one_than_was_watched(folder: Path, hints: Hints) -> None:
    mount(folder, "size=1m,mode=0700")
    try:
        assert hints.watcher.renew()
        (folder / "a.pdf").write_bytes(b"x")
        hints.wait_for(folder / "a.pdf")
    finally:
        hints.watcher.close()
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_folder_that_is_a_link_is_watched_where_it_leads(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    hints = Hints(tmp_path / "link")
    (tmp_path / "link" / "a.pdf").write_bytes(b"x")
    hints.wait_for(folder / "a.pdf")
    hints.watcher.close()


LIMITED = """
import sys, time
from pathlib import Path
from exchange.service.watcher import Watcher
folder, limit, file = Path(sys.argv[1]), Path("/proc/sys/user") / sys.argv[2], sys.argv[3]
limit.write_text(sys.argv[4])
heard = []
watcher = Watcher()
watcher.watch(folder, heard.append)
said = []
for _ in range(2):
    watcher.renew()
    said.append(watcher.is_complete)
limit.write_text("1000")
watcher.renew()
watcher.renew()
said.append(watcher.is_complete)
(folder / file).write_bytes(b"x")
deadline = time.monotonic() + 30
while folder / file not in heard and time.monotonic() < deadline:
    time.sleep(0.01)
watcher.close()
print(*said, folder / file in heard)
"""


@pytest.mark.parametrize(
    ("limit", "number", "said"),
    [
        ("max_inotify_watches", "1", "True False True True"),
        ("max_inotify_watches", "0", "False False True True"),
        ("max_inotify_instances", "0", "False False True True"),
    ],
)
def test_watches_that_are_used_up_are_noticed_and_used_again_when_there_are_more(
    folder: Path, limit: str, number: str, said: str
) -> None:
    for name in ("Leeds", "Birmingham"):
        (folder / name).mkdir()
    # in a user namespace of its own the limit concerns nobody else
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", sys.executable, "-c", LIMITED, folder, limit, "Leeds/a.pdf", number],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == (said, "")


@contextmanager
def short_queue(length: int) -> Iterator[list[str]]:
    """inotify instances that begin within this block can hold so many events; what the library says of overflows."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    listener, before = Listener(), QUEUE.read_text()
    logging.getLogger("watchdog").addHandler(listener)
    QUEUE.write_text(str(length))
    try:
        yield said
    finally:
        QUEUE.write_text(before)
        logging.getLogger("watchdog").removeHandler(listener)


def take_until(organisation: Organisation, number: int) -> int:
    """Rounds until so many are taken, or none is left; returns how many were."""
    taken = 0
    while taken < number and (more := organisation.take()):
        taken += more
    return taken


def test_ten_thousand_files_at_once_overflow_the_queue_and_each_is_taken_once(template: Template) -> None:
    with memory_folder() as memory, template.pair(memory / "pair") as pair:
        lgsco = pair.lgsco
        folder = lgsco.home.outbound.joinpath(*DECISION)
        folder.mkdir(parents=True)
        lgsco.completeness = Completeness(0.0, lgsco.parts.effects.monotonic)
        woken = threading.Event()
        watcher = Watcher()
        with short_queue(16) as said:
            watcher.watch(lgsco.home.outbound, lambda _: woken.set())
            watcher.renew()
            logging.getLogger("watchdog").setLevel(logging.WARNING)
            for number in range(MANY):
                (folder / f"{CASE} {number}.pdf").write_bytes(b"%d" % number)
            until(lambda: any("overflowed" in line for line in said))
        assert woken.wait(30)
        assert take_until(lgsco, MANY) == MANY
        assert lgsco.take() == 0
        # and the watcher goes on
        woken.clear()
        lgsco.drop(b"one more")
        assert woken.wait(30)
        watcher.close()
        assert lgsco.take() == 1
        names = {row[0] for row in lgsco.parts.ledger.rows("SELECT value FROM openings WHERE field = 'name'")}
        assert len(names) == len(lgsco.handovers()) == MANY + 1
        assert [handover.sequence for handover in lgsco.handovers()] == list(range(1, MANY + 2))


def test_a_thousand_files_in_three_hundred_new_folders_are_all_taken(template: Template) -> None:
    with memory_folder() as memory, template.pair(memory / "pair") as pair:
        woken = threading.Event()
        watcher = Watcher()
        watcher.watch(pair.lgsco.home.outbound, lambda _: woken.set())
        watcher.renew()
        councils = pair.lgsco.parts.register.current(pair.clock().date())[:150]
        folders = [folder for council in councils for folder in (council.gss, council.short_name)]
        assert len(set(folders)) == 300
        for number in range(1000):
            folder = pair.lgsco.home.outbound.joinpath(*DECISION[:2], folders[number % 300])
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{CASE} {number}.part").write_bytes(b"%d" % number)
            (folder / f"{CASE} {number}.part").rename(folder / f"{CASE} {number}.pdf")
        assert woken.wait(30)
        until(lambda: not watcher._missed())
        assert not watcher.renew()
        watcher.close()
        assert take_until(pair.lgsco, 1000) == 1000
        assert pair.lgsco.states() == ["accepted"] * 1000
        assert {handover.authority for handover in pair.lgsco.handovers()} == {council.gss for council in councils}


def test_an_error_that_is_none_of_the_watches_is_no_surprise_either(
    folder: Path, hints: Hints, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr("exchange.service.watcher._Observer", refuse)
        shutil.rmtree(folder)
        folder.mkdir()
        until(lambda: hints.watcher.renew())
        assert not hints.watcher.is_complete
    hints.watcher.renew()
    (folder / "a.pdf").write_bytes(b"x")
    hints.wait_for(folder / "a.pdf")


# --- folders that nest without end ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("levels", "name"), TREES)
def test_a_tree_without_end_costs_only_the_hints_about_its_own_folder(
    folder: Path, hints: Hints, tmp_path: Path, levels: int, name: str
) -> None:
    watcher, landing = hints.watcher, tmp_path / "landing"
    landing.mkdir()
    watcher.watch(landing, hints.heard.append)
    with nested(landing, levels, name):
        for _ in range(2):
            watcher.renew()
        # the longest path that can be watched is watched
        assert watcher.is_complete == (levels < 1000)
        (folder / "a.pdf").write_bytes(b"x")
        hints.wait_for(folder / "a.pdf")
    for _ in range(2):
        watcher.renew()
    assert watcher.is_complete
    (landing / "b.age").write_bytes(b"x")
    hints.wait_for(landing / "b.age")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_tree_without_end_that_comes_later_costs_hints_until_the_next_rescan(
    folder: Path, hints: Hints, tmp_path: Path
) -> None:
    watcher, landing = hints.watcher, tmp_path / "landing"
    landing.mkdir()
    watcher.watch(landing, hints.heard.append)
    assert watcher.renew()
    with nested(tmp_path, 1500, "d") as deep:
        deep.rename(landing / "d")
        try:
            # the thread that the kernel tells has ended
            until(lambda: not watcher._is_alive())
            assert watcher.renew()
            (folder / "a.pdf").write_bytes(b"x")
            hints.wait_for(folder / "a.pdf")
        finally:
            (landing / "d").rename(deep)
