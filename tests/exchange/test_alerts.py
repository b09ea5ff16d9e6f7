"""Alerts: whatever a hook answers, the next alert goes out, and nobody can crowd out what matters."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exchange.service.alerts import Alert, Alerts

Logged = list[tuple[str, dict[str, object]]]


@pytest.fixture
def logged() -> Logged:
    return []


@contextmanager
def server(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A web server that gives these answers, one a connection, whatever it is asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for answer in answers:
                connection, _ = listening.accept()
                with connection:
                    request = b""
                    while b"}" not in request and (more := connection.recv(4096)):
                        request += more
                    asked.append(request)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/", asked
        thread.join(30)


def alerts_to(url: str, logged: Logged) -> Alerts:
    return Alerts((), url, lambda event, **ids: logged.append((event, ids)))


@pytest.mark.parametrize(
    "answer",
    [b"no HTTP at all\r\n\r\n", b"", b"HTTP/1.1 500 Broken\r\n\r\n", b"HTTP/1.1 302 Found\r\nLocation: ftp:\r\n\r\n"],
)
def test_whatever_a_webhook_answers_the_next_alert_is_delivered(answer: bytes, logged: Logged) -> None:
    with server(answer, b"HTTP/1.1 204 No Content\r\n\r\n") as (url, asked):
        alerts = alerts_to(url, logged)
        alerts.tell(Alert("lgsco", "rejected", "one", "ofsted"))
        alerts.tell(Alert("lgsco", "witness.rolled-back", None, "ofsted"))
        alerts.close()
    assert [name for name, _ in logged] == ["alert.failed"]
    assert b'"witness.rolled-back"' in asked[1]


def test_a_thousand_refusals_wait_as_one_and_what_matters_is_told_too(tmp_path: Path, logged: Logged) -> None:
    gate, told = tmp_path / "gate", tmp_path / "told"
    hook = tmp_path / "hook"
    hook.write_text(f'#!/bin/sh\nwhile [ ! -e {gate} ]; do sleep 0.02; done\necho "$@" >> {told}\n')
    hook.chmod(0o755)
    alerts = Alerts([str(hook)], None, lambda event, **ids: logged.append((event, ids)))
    for number in range(3000):
        alerts.tell(Alert("lgsco", "quarantined", f"junk-{number}", "ofsted"))
    alerts.tell(Alert("lgsco", "quarantined", "other", "partner"))
    alerts.tell(Alert("lgsco", "witness.rolled-back", None, "ofsted"))
    gate.touch()
    alerts.close()
    lines = told.read_text().splitlines()
    assert lines[-3:] == ["quarantined - ofsted", "quarantined other partner", "witness.rolled-back - ofsted"]
    assert len(lines) <= 4
    assert logged == []


def test_one_alert_names_its_handover(logged: Logged) -> None:
    with server(b"HTTP/1.1 204 No Content\r\n\r\n") as (url, asked):
        alerts = alerts_to(url, logged)
        alerts.tell(Alert("lgsco", "receipt.overdue", "one", "ofsted"))
        alerts.tell(Alert("lgsco", "delivered", "two", "ofsted"))
        alerts.close()
    assert json.loads(asked[0].split(b"\r\n\r\n")[1]) == {
        "event": "receipt.overdue",
        "handover": "one",
        "partner": "ofsted",
        "organisation": "lgsco",
    }
