"""Answers `GET /metrics` on this machine while the service runs, for a Prometheus that asks.

One request at a time, each cut off after a few seconds, and an answer that is a few seconds old is given again: whoever
asks without end costs the service next to nothing. What fails is answered by 503 and logged; nothing else stops.
"""

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socket import AF_INET, AF_INET6
from socketserver import TCPServer
from typing import Final

from exchange.parts import Parts
from exchange.service import log as logs
from exchange.service.log import Log

PATH: Final = "/metrics"

PATIENCE: Final = 5.0
"""Seconds in which a request must have come."""

FRESH: Final = 10.0
"""Seconds for which an answer is given again."""


class Scrape(TCPServer):
    """The listener. `page` makes what is answered; `kind` is its media type."""

    allow_reuse_address = True

    def __init__(self, listen: str, page: Callable[[], bytes], kind: str, log: Log) -> None:
        """Raises OSError where nobody can listen there."""
        host, _, port = listen.rpartition(":")
        host = host.strip("[]")
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self.kind = kind
        self._page = page
        self._log = log
        self._kept: tuple[float, bytes] | None = None
        super().__init__((host, int(port)), _Answer)
        self._thread = threading.Thread(target=self.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def text(self) -> bytes | None:
        """What is answered now; None where it could not be made."""
        now = time.monotonic()
        if self._kept is None or now - self._kept[0] > FRESH:
            try:
                self._kept = (now, self._page())
            except Exception as problem:
                self._kept = None
                self._log("metrics.failed", error=type(problem).__name__, at_line=logs.where(problem))
        return None if self._kept is None else self._kept[1]

    def close(self) -> None:
        """Listen no more."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever went away, or said nothing sensible, is forgotten."""


def answering(parts: Callable[[], Parts], log: Log) -> Scrape | None:
    """A listener where handover.toml says so, about the `parts` as they are at each request.

    Where somebody else listens already, that is logged, and there is none: files go on.
    """
    listen = parts().home.settings.metrics.listen
    if listen is None:
        return None
    from exchange import metrics  # takes long to import, and few ask for it

    def page() -> bytes:
        now = parts()
        return metrics.page(now.home, now.keyring, lambda: now.ledger, lambda: now.trust)[0]

    try:
        return Scrape(listen, page, metrics.CONTENT_TYPE, log)
    except OSError as problem:
        log("metrics.failed", error=type(problem).__name__, at_line=logs.where(problem))
        return None


class _Answer(BaseHTTPRequestHandler):
    server: Scrape
    timeout = PATIENCE

    def do_GET(self) -> None:  # the library's name
        """The page, or nothing."""
        text = self.server.text() if self.path == PATH and self._is_meant() else b""
        if not text:
            self.send_error(HTTPStatus.NOT_FOUND if text == b"" else HTTPStatus.SERVICE_UNAVAILABLE)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", self.server.kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _is_meant(self) -> bool:
        """Whether it was called by this machine's own name: a page in somebody's browser may have been led here."""
        host = (self.headers.get("Host") or "").rpartition(":")[0]
        return host in ("127.0.0.1", "localhost", "[::1]")

    def log_message(self, *_args: object, **_named: object) -> None:
        """Nothing: what a caller sends belongs in no log."""
