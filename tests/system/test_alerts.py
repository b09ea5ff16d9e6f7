"""Overdue receipts are recorded once, and hooks are told with ids only."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.sample import Value
from tests.organisations import CASE, Pair
from tests.system.daemons import Running, exchange, wait_for


class Listener(http.server.BaseHTTPRequestHandler):
    """Keeps what is posted to it."""

    posted: list[dict[str, str]]

    def do_POST(self) -> None:
        self.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def listener() -> Iterator[tuple[str, list[dict[str, str]]]]:
    posted: list[dict[str, str]] = []
    handler = type("Kept", (Listener,), {"posted": posted})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", posted
        server.shutdown()
        thread.join()


def test_a_missing_receipt_is_overdue_after_the_deadline_and_both_hooks_get_ids_only(
    tmp_path: Path, listener: tuple[str, list[dict[str, str]]]
) -> None:
    url, posted = listener
    told = tmp_path / "told"
    hook = tmp_path / "hook"
    hook.write_text(f'#!/bin/sh\necho "$@" >> {told}\n')
    hook.chmod(0o755)
    values: dict[str, Value] = {
        "alerts.command": [str(hook)],
        "alerts.webhook": url,
        "partners.ofsted.receipt_deadline": "1s",
    }
    with exchange(tmp_path, values) as both:
        lgsco: Running = both["lgsco"]
        lgsco.start()
        lgsco.drop(b"x", f"{CASE} Kim Example.pdf")
        wait_for(lambda: any(post["event"] == "receipt.overdue" for post in posted))
        wait_for(lambda: told.exists() and "receipt.overdue" in told.read_text())
        (row,) = lgsco.rows()
        assert row.overdue
        assert {"event": "receipt.overdue", "handover": row.id, "partner": "ofsted", "organisation": "lgsco"} in posted
        assert f"receipt.overdue {row.id} ofsted" in told.read_text()
        assert json.loads(lgsco.command("list", "--state", "overdue", "--json").stdout)[0]["id"] == row.id
        assert lgsco.command("status", "--check").returncode == 1
        assert lgsco.stop() == 0
        assert lgsco.events().count("receipt.overdue") == 1
        assert "Kim" not in told.read_text() + json.dumps(posted) + lgsco.log_file.read_text()


def test_a_file_that_may_not_go_is_told_of_by_its_id(
    tmp_path: Path, listener: tuple[str, list[dict[str, str]]]
) -> None:
    url, posted = listener
    with exchange(tmp_path, {"alerts.webhook": url}) as both:
        lgsco: Running = both["lgsco"]
        lgsco.start()
        lgsco.drop(b"x", "about Kim Example, without a reference.pdf")
        wait_for(lambda: bool(posted))
        (row,) = lgsco.rows()
        assert row.state == "held"
        assert posted == [{"event": "held", "handover": row.id, "partner": "ofsted", "organisation": "lgsco"}]
        assert lgsco.stop() == 0


def test_a_handover_is_noted_as_overdue_once_and_never_after_its_receipt(pair: Pair) -> None:
    from exchange.overdue import note_overdue

    pair.lgsco.drop(b"x")
    pair.lgsco.take()
    pair.lgsco.send()
    assert note_overdue(pair.lgsco.parts) == 0
    pair.clock.advance(days=8)
    assert [note_overdue(pair.lgsco.parts) for _ in range(2)] == [1, 0]
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]
    assert note_overdue(pair.lgsco.parts) == 0
