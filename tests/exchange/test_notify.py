"""What systemd is told while the service starts."""

import socket
from pathlib import Path

import pytest

from exchange.service.notify import notify, starting


def test_a_start_that_takes_long_asks_for_more_time_until_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a socket's name is short
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("notify")
        systemd.settimeout(30)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with starting(environment, every=0.01):
            assert [systemd.recv(100) for _ in range(3)] == [b"EXTEND_TIMEOUT_USEC=60000000"] * 3
        notify(environment, "READY=1")
        while systemd.recv(100) != b"READY=1":
            pass
        systemd.settimeout(0.3)
        with pytest.raises(TimeoutError):
            systemd.recv(100)


def test_a_quick_start_asks_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("notify")
        systemd.settimeout(0.2)
        with starting({"NOTIFY_SOCKET": str(tmp_path / "notify")}):
            pass
        with pytest.raises(TimeoutError):
            systemd.recv(100)
