"""The running service answers Prometheus on this machine, and nobody who asks can do it harm."""

import http.client
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from exchange.service import scrape
from exchange.service.daemon import Daemon
from exchange.service.scrape import Scrape, answering
from tests.exchange.supervised import Logged, running
from tests.organisations import Pair

KIND = "text/plain; version=0.0.4; charset=utf-8"


class Source:
    """What is answered; each answer is another."""

    def __init__(self) -> None:
        self.made = 0
        self.broken = False

    def __call__(self) -> bytes:
        if self.broken:
            raise ValueError("24 015 493")
        self.made += 1
        return b"handover_made %d\n" % self.made


@pytest.fixture
def logged() -> Logged:
    return []


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def listener(source: Source, logged: Logged) -> Iterator[Scrape]:
    made = Scrape("127.0.0.1:0", source, KIND, lambda event, **ids: logged.append((event, ids)))
    yield made
    made.close()


def get(listener: Scrape, path: str = "/metrics", host: str | None = None, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", listener.port, timeout=10)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_the_page_is_answered_and_for_a_while_the_same(listener: Scrape, monkeypatch: pytest.MonkeyPatch) -> None:
    assert get(listener) == get(listener) == (200, b"handover_made 1\n")
    monkeypatch.setattr(scrape, "FRESH", -1.0)
    assert get(listener) == (200, b"handover_made 2\n")


@pytest.mark.parametrize(
    ("path", "host", "method", "status"),
    [
        ("/", None, "GET", 404),
        ("/metrics/../metrics", None, "GET", 404),
        ("/metrics", "monitoring.example:80", "GET", 404),
        ("/metrics", "127.0.0.1.evil.example:9464", "GET", 404),
        ("/metrics", None, "POST", 501),
    ],
)
def test_anything_else_is_not_answered(
    listener: Scrape, source: Source, path: str, host: str | None, method: str, status: int
) -> None:
    answered, body = get(listener, path, host, method)
    assert (answered, source.made) == (status, 0)
    assert b"handover_" not in body


def test_what_fails_is_503_once_and_logged_without_its_words(listener: Scrape, source: Source, logged: Logged) -> None:
    source.broken = True
    status, body = get(listener)
    assert (status, b"24 015" in body) == (503, False)
    assert [event for event, _ in logged] == ["metrics.failed"]
    assert "24 015 493" not in str(logged)
    source.broken = False
    assert get(listener) == (200, b"handover_made 1\n")


def test_who_says_nothing_is_cut_off_and_the_next_one_is_answered(
    listener: Scrape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrape._Answer, "timeout", 0.2)
    with socket.create_connection(("127.0.0.1", listener.port)) as silent:
        assert get(listener)[0] == 200
        assert silent.recv(1) == b""


def test_it_listens_on_the_other_loopback_too(source: Source) -> None:
    made = Scrape("[::1]:0", source, KIND, lambda event, **ids: None)
    assert made.server_address[0] == "::1"
    made.close()


def test_the_service_answers_while_it_runs_and_goes_on_where_the_port_is_taken(pair: Pair, logged: Logged) -> None:
    settings = pair.lgsco.home.settings
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        wanted = settings.metrics.model_copy(update={"listen": f"127.0.0.1:{port}"})
        home = replace(pair.lgsco.home, settings=settings.model_copy(update={"metrics": wanted}))
        parts = replace(pair.lgsco.parts, home=home)
        assert answering(lambda: parts, lambda event, **ids: logged.append((event, ids))) is None
    assert logged[0][0] == "metrics.failed"
    logged.clear()
    pages: list[str] = []

    def act(_daemon: Daemon) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        assert answer.getheader("Content-Type") == KIND
        pages.append(answer.read().decode())

    with running(pair, logged, act, parts):
        [page] = pages
    assert "\nhandover_ledger_usable 1.0\n" in page
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
