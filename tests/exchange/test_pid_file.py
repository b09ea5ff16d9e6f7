"""One daemon a home: whatever the other one and those who only look do at the same moment."""

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from config.errors import NotNow
from exchange.service.pid_file import is_held, only_one

CONTENDER = """
import sys, time
from pathlib import Path
from config.errors import NotNow
from exchange.service import pid_file
pid_file.PATIENCE = 0.0
lock, inside = Path(sys.argv[1]), Path(sys.argv[2])
held = 0
for _ in range(400):
    try:
        with pid_file.only_one(lock):
            inside.touch(exist_ok=False)
            inside.unlink()
            held += 1
    except NotNow:
        pass
print(held)
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "daemon.pid"


def test_it_says_who_holds_it_and_goes_after_a_clean_stop(lock: Path) -> None:
    assert not is_held(lock)
    with only_one(lock):
        assert lock.read_text() == f"{os.getpid()}\n"
        assert is_held(lock)
        with pytest.raises(NotNow, match="another handover daemon runs on this home"), only_one(lock):
            pass
        assert is_held(lock)
    assert not lock.exists()
    assert not is_held(lock)


def test_of_many_that_start_and_stop_at_once_never_two_hold_it(lock: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CONTENDER, str(lock), str(tmp_path / "inside")]
    contenders = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    said = [contender.communicate(timeout=60) for contender in contenders]
    assert [contender.returncode for contender in contenders] == [0] * 4, said
    assert sum(int(out) for out, _ in said) > 0


def test_who_only_looks_keeps_no_daemon_from_starting(lock: Path) -> None:
    lock.touch()
    with lock.open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.3, fcntl.flock, (looking, fcntl.LOCK_UN)).start()
        with only_one(lock):
            assert is_held(lock)
