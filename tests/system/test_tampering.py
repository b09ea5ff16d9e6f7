"""Evidence of tampering that a start finds is recorded, logged and told before the service ends."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.organisations import CASE
from tests.system.daemons import Running, exchange


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return tmp_path / "told"


@pytest.fixture
def both(tmp_path: Path, told: Path) -> Iterator[dict[str, Running]]:
    hook = tmp_path / "hook"
    hook.write_text(f'#!/bin/sh\necho "$@" >> {told}\n')
    hook.chmod(0o755)
    with exchange(tmp_path, {"alerts.command": [str(hook)]}) as running:
        yield running


def once(*running: Running) -> None:
    for one in running:
        done = one.command("run", "--once")
        assert done.returncode == 0, done.stderr


def put_back(one: Running, backup: Path) -> None:
    for ending in ("-wal", "-shm"):
        one.home.ledger.with_name(f"ledger.db{ending}").unlink(missing_ok=True)
    shutil.copy(backup, one.home.ledger)


def test_an_older_ledger_put_back_stops_the_service_after_people_were_told(
    both: dict[str, Running], told: Path, tmp_path: Path
) -> None:
    lgsco, ofsted = both["lgsco"], both["ofsted"]
    lgsco.drop(b"one", f"{CASE} one.pdf")
    once(lgsco, ofsted, lgsco, ofsted)
    shutil.copy(ofsted.home.ledger, tmp_path / "backup.db")
    lgsco.drop(b"two", f"{CASE} two.pdf")
    once(lgsco, ofsted, lgsco, ofsted)
    put_back(ofsted, tmp_path / "backup.db")
    # what was taken in before the stop waits in the spool
    lgsco.drop(b"three", f"{CASE} three.pdf")
    once(lgsco)
    (landed,) = (path for path in ofsted.sshd.zone.iterdir() if path.name.endswith(".age"))
    shutil.move(landed, ofsted.home.spool / "in" / "lgsco" / landed.name)
    stopped = ofsted.command("run")
    assert stopped.returncode == 4
    assert "error: lgsco has cosigned" in stopped.stderr
    events = [json.loads(line)["event"] for line in stopped.stdout.splitlines()]
    assert {"witness.rolled-back", "daemon.tampered"} <= set(events)
    assert events[-1] == "daemon.stopped"
    assert "witness.rolled-back - lgsco" in told.read_text()
