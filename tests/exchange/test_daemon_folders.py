"""A running daemon and what happens to the folders that it watches (PITFALLS: Watching a folder)."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from config.home import MARKER, Home
from exchange import drop
from exchange.service.daemon import Daemon
from tests.exchange.supervised import Logged, quick, running, wait_for
from tests.organisations import CASE, DECISION, Organisation, Pair, restart, start

NEVER = 3600.0
"""Seconds between two rescans where only an event can have helped."""


@pytest.fixture
def logged() -> Logged:
    return []


def accepted(organisation: Organisation, number: int) -> bool:
    """Whether exactly so many files have been taken."""
    taken = [h for h in organisation.handovers() if h.direction == "out"]
    assert len(taken) <= number
    return len(taken) == number


def failures(logged: Logged, worker: str) -> int:
    return [(event, ids.get("worker")) for event, ids in logged].count(("round.failed", worker))


def test_what_was_there_at_the_start_and_what_comes_later_is_taken_without_a_rescan(pair: Pair, logged: Logged) -> None:
    pair.lgsco.drop(b"early", f"{CASE} early.pdf")

    def act(daemon: Daemon) -> None:
        wait_for(lambda: accepted(pair.lgsco, 1))
        wait_for(lambda: daemon._watcher._watched != {})
        for number in range(2, 5):
            pair.lgsco.drop(b"late", f"{CASE} late {number}.pdf")
            wait_for(partial(accepted, pair.lgsco, number))

    with running(pair, logged, act, quick(pair.lgsco.parts, rescan=NEVER)):
        pass


def test_a_network_share_is_polled_and_nothing_is_watched(pair: Pair, logged: Logged) -> None:
    def act(daemon: Daemon) -> None:
        pair.lgsco.drop(b"content")
        wait_for(lambda: accepted(pair.lgsco, 1))
        assert "watch" not in daemon.workers
        assert daemon._watcher._observer is None

    with running(pair, logged, act, quick(pair.lgsco.parts, polling=True)):
        pass


@pytest.mark.parametrize("polling", [False, True], ids=["events", "polling"])
def test_a_file_that_a_program_goes_on_writing_is_taken_when_it_is_closed_and_whole(
    pair: Pair, logged: Logged, polling: bool
) -> None:
    def act(_: Daemon) -> None:
        path = pair.lgsco.drop(b"")
        with path.open("wb") as writer:
            for number in range(20):
                writer.write(b"%02d" % number)
                writer.flush()
                time.sleep(0.05)
            # longer than the quiet period, several times over
            time.sleep(1.0)
            assert pair.lgsco.handovers() == []
            writer.write(b"end")
        wait_for(lambda: accepted(pair.lgsco, 1))

    with running(pair, logged, act, quick(pair.lgsco.parts, polling=polling)):
        pass
    (payload,) = pair.lgsco.home.spool.rglob("payload")
    assert payload.read_bytes() == b"".join(b"%02d" % n for n in range(20)) + b"end"


def test_a_file_that_was_renamed_in_from_outside_is_taken(pair: Pair, logged: Logged) -> None:
    def act(_: Daemon) -> None:
        outside = pair.base / "outside"
        outside.write_bytes(b"content")
        target = pair.lgsco.home.outbound.joinpath(*DECISION, f"{CASE} decision.pdf")
        target.parent.mkdir(parents=True)
        outside.rename(target)
        wait_for(lambda: accepted(pair.lgsco, 1))

    with running(pair, logged, act, quick(pair.lgsco.parts)):
        pass


def test_outbound_deleted_and_made_again_is_refused_until_it_is_marked_and_watched_then(
    pair: Pair, logged: Logged
) -> None:
    outbound = pair.lgsco.home.outbound
    marker = pair.lgsco.home.marker.read_bytes()

    def act(daemon: Daemon) -> None:
        wait_for(lambda: daemon._watcher._watched != {})
        shutil.rmtree(outbound)
        wait_for(lambda: failures(logged, "drop") > 0)
        assert not outbound.exists()
        path = pair.lgsco.drop(b"content")
        time.sleep(0.5)
        assert path.exists()
        assert pair.lgsco.handovers() == []
        (outbound / MARKER).write_bytes(marker)
        wait_for(lambda: accepted(pair.lgsco, 1))
        wait_for(lambda: daemon._watcher._watched == daemon._watcher._present() and daemon._watcher._is_alive())
        pair.lgsco.drop(b"again", f"{CASE} again.pdf")
        wait_for(lambda: accepted(pair.lgsco, 2))

    with running(pair, logged, act, quick(pair.lgsco.parts)):
        pass


@contextmanager
def share(pair: Pair) -> Iterator[tuple[Path, Path]]:
    """LGSCO's folders lie on a share: where it is mounted, and what is mounted there."""
    home = pair.lgsco.home
    text = home.config_file.read_text()
    disk, mounted = pair.base / "disk", pair.base / "mounted"
    disk.mkdir()
    mounted.mkdir()
    for name in ("outbound", "inbound", "held", "sent", "spool", "quarantine", "landing"):
        assert f'# {name} = "{name}"' in text
        text = text.replace(f'# {name} = "{name}"', f'{name} = "{mounted / name}"')
        shutil.move(home.root / name, disk / name)
    home.config_file.write_text(text)
    pair.lgsco.parts.ledger.close()
    bind(disk, mounted)
    try:
        pair.lgsco = start(Home.open(home.root), pair.ofsted.home, pair.clock)
        yield disk, mounted
    finally:
        subprocess.run(["umount", "--lazy", mounted], check=False)


def bind(disk: Path, mounted: Path) -> None:
    done = subprocess.run(["mount", "--bind", disk, mounted], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"these tests mount folders and need root for it: {done.stderr}"


def test_a_share_that_is_unmounted_for_a_while_costs_nothing_and_its_mount_point_is_no_outbound_folder(
    pair: Pair, logged: Logged
) -> None:
    with share(pair) as (disk, mounted):

        def act(daemon: Daemon) -> None:
            pair.lgsco.drop(b"before", f"{CASE} before.pdf")
            wait_for(lambda: accepted(pair.lgsco, 1))
            subprocess.run(["umount", "--lazy", mounted], check=True)
            wait_for(lambda: failures(logged, "drop") > 1)
            # somebody who does not know better copies into what is left, the empty mount point
            stray = pair.lgsco.drop(b"stray", f"{CASE} stray.pdf")
            time.sleep(0.5)
            assert stray.read_bytes() == b"stray"
            assert sorted(path.name for path in mounted.iterdir()) == ["outbound"]
            shutil.rmtree(mounted / "outbound")
            bind(disk, mounted)
            wait_for(lambda: daemon._watcher._watched == daemon._watcher._present() and daemon._watcher._is_alive())
            pair.lgsco.drop(b"after", f"{CASE} after.pdf")
            wait_for(lambda: accepted(pair.lgsco, 2))

        with running(pair, logged, act, quick(pair.lgsco.parts)) as daemon:
            assert daemon.error is None
        pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
        pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
        pair.settle()
        assert sorted(path.read_bytes() for path in pair.ofsted.inbound()) == [b"after", b"before"]
        assert pair.lgsco.states() == ["acknowledged"] * 2


def test_a_share_without_leases_is_believed_after_the_quiet_period_alone(
    pair: Pair, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(_: Daemon) -> None:
        path = pair.lgsco.drop(b"first")
        for number in range(10):
            time.sleep(0.1)
            with path.open("ab") as writer:
                writer.write(b"%d" % number)
            os.utime(path, (1, 1))  # as a copy does that keeps the times
        assert pair.lgsco.handovers() == []
        wait_for(lambda: accepted(pair.lgsco, 1))

    with monkeypatch.context() as patch:
        patch.setattr(drop, "is_open_for_writing", lambda _: False)
        with running(pair, logged, act, quick(pair.lgsco.parts, polling=True, quiet=1.0)):
            pass
    (payload,) = pair.lgsco.home.spool.rglob("payload")
    assert payload.read_bytes() == b"first0123456789"
