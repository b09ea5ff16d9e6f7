"""A line between LGSCO's daemon and Ofsted's SFTP server that breaks the ways networks do, and what must then hold.

with faulty_network(folder) as net:
    net.line.refuse()
    files = net.drop(3 * [20_000])
    net.wait_until_unreachable()
    net.line.mend()
    net.check(outages=1)
"""

import contextlib
import os
import re
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from config.sample import Value
from exchange.audit import public_keyring, read_ledger
from ledger.query import outage
from tests.organisations import CASE
from tests.system.daemons import Running, exchange, wait_for

KIB = 1024
_PIECE = 1 << 16
_SLOW_BUFFER = 64 * KIB
_RESET = struct.pack("ii", 1, 0)


@dataclass
class Session:
    """One connection through the line: both sockets, and how many bytes it has carried."""

    client: socket.socket
    server: socket.socket
    up: int = 0
    down: int = 0
    cut_up: int | None = None
    cut_down: int | None = None
    silent: threading.Event = field(default_factory=threading.Event)

    def close(self, *, reset: bool = False) -> None:
        """End it for both sides, by a reset or in order."""
        for one in (self.client, self.server):
            with contextlib.suppress(OSError):
                if reset:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                one.shutdown(socket.SHUT_RDWR)


class Line:
    """Forwards one port to another. Everything may be changed at any time; `mend` makes all of it well again."""

    def __init__(self) -> None:
        self.target = 0
        self.sessions: list[Session] = []
        """Since it was last forgotten, in order."""
        self._sockets: list[socket.socket] = []
        self.cuts: deque[tuple[int | None, int | None]] = deque()
        """For each connection to come: after how many bytes from the client, or from the server, it is cut."""
        self.reset = False
        """Whether a cut is a reset."""
        self.rate: int | None = None
        """Bytes a second."""
        self.before_answer: Callable[[], bool] = lambda: False
        """Asked before anything of the server is passed on; if it says yes, the connection is cut instead, once."""
        self._silent = False
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self.port = 0
        self._listen()

    # --- conditions ---------------------------------------------------------------------------------------------

    def refuse(self) -> None:
        """Nobody listens any more, and every connection is reset."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut(reset=True)

    def fall_silent(self, *, new_ones: bool = True) -> None:
        """Nothing is forwarded any more and nothing is closed; on `new_ones` neither, if wanted."""
        self._silent = new_ones
        for session in self.sessions:
            session.silent.set()

    def cut(self, *, reset: bool = False) -> None:
        """Close every connection."""
        for session in self.sessions:
            session.close(reset=reset)

    def mend(self) -> None:
        """All is well for every connection to come; those that fell silent stay so, as lost ones do."""
        self.cuts.clear()
        self.reset, self.rate, self._silent = False, None, False
        self.before_answer = lambda: False
        if self._listener is None:
            self._listen()

    def close(self) -> None:
        self._closing.set()
        self.refuse()
        for thread in self._threads:
            thread.join()
        for one in self._sockets:
            one.close()

    # --- work ---------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(16)
        self.port = int(listener.getsockname()[1])
        self._listener = listener
        self._start(self._accept, listener)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                self._sockets += [client, server]
                session = Session(client, server)
                if self.cuts:
                    session.cut_up, session.cut_down = self.cuts.popleft()
                if self._silent:
                    session.silent.set()
                if self.rate is not None:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SLOW_BUFFER)
                self.sessions.append(session)
                self._start(self._forward, session, True)
                self._start(self._forward, session, False)

    def _forward(self, session: Session, upward: bool) -> None:
        source, sink = (session.client, session.server) if upward else (session.server, session.client)
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE if self.rate is None else min(_PIECE, max(256, self.rate // 20))):
                if self.rate is not None:
                    time.sleep(len(data) / self.rate)
                if session.silent.is_set():
                    self._closing.wait()
                    break
                if not upward and self._loses_answer():
                    break
                if not self._pass(session, data, sink, upward):
                    break
        session.close(reset=self.reset)

    def _loses_answer(self) -> bool:
        with self._lock:
            if not self.before_answer():
                return False
            self.before_answer = lambda: False
            return True

    def _pass(self, session: Session, data: bytes, sink: socket.socket, upward: bool) -> bool:
        """Pass on what may pass; whether the connection lives on."""
        limit, before = (session.cut_up, session.up) if upward else (session.cut_down, session.down)
        passed = data if limit is None else data[: max(0, limit - before)]
        sink.sendall(passed)
        if upward:
            session.up += len(passed)
        else:
            session.down += len(passed)
        return len(passed) == len(data)


@dataclass
class Network:
    """Both organisations, of which LGSCO reaches Ofsted through the line."""

    lgsco: Running
    ofsted: Running
    line: Line
    dropped: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    """What was dropped since `begin`, by name."""
    seen: dict[str, int] = field(default_factory=lambda: {"lgsco": 0, "ofsted": 0})

    def start(self) -> None:
        for one in (self.ofsted, self.lgsco):
            one.start()

    def begin(self) -> None:
        """Forget what was before, and end the connections of before."""
        self.line.mend()
        self.line.cut()
        self.line.sessions.clear()
        self.files.clear()
        self.seen = {name: len(one.events()) for name, one in self._both().items()}

    def drop(self, *sizes: int) -> None:
        """Drop files of these sizes at LGSCO."""
        for size in sizes:
            self.dropped += 1
            name, content = f"{CASE} {self.dropped:04}.pdf", os.urandom(size)
            self.files[name] = content
            self.lgsco.drop(content, name)

    def events(self, name: str = "lgsco") -> list[str]:
        """What the ledger of one organisation says since `begin`."""
        return self._both()[name].events()[self.seen[name] :]

    def cause(self) -> str | None:
        """Why Ofsted cannot be used, as LGSCO's ledger says."""
        with read_ledger(self.lgsco.home) as ledger:
            return outage(ledger, "ofsted")

    def transport_keys(self) -> list[str]:
        """LGSCO's, as Ofsted's server knows them."""
        return [info.public for info in public_keyring(self.lgsco.home).infos() if info.purpose == "transport"]

    def wait_for(self, event: str, count: int = 1, name: str = "lgsco") -> None:
        """Wait until an event has been recorded so often since `begin`."""
        wait_for(lambda: self.events(name).count(event) >= count)

    def failures(self) -> list[float]:
        """The seconds at which LGSCO's rounds towards Ofsted failed, from the daemon's log."""
        lines = [one for one in self.lgsco.log() if one.get("event") == "round.failed"]
        return [
            datetime.fromisoformat(str(one["at"])).timestamp() for one in lines if one.get("worker") == "out:ofsted"
        ]

    def check(self, *, outages: int) -> None:
        """Wait until all arrived and was answered; then everything must be as if the network had always been well."""
        self.wait_for("acknowledged", len(self.files))
        self.wait_for("partner.reachable", outages)
        assert self.events().count("partner.unreachable") == outages
        assert self.events().count("partner.reachable") == outages
        assert self.events().count("acknowledged") == len(self.files)
        assert self.events("ofsted").count("delivered") == len(self.files)
        arrived = self.ofsted.files(self.ofsted.home.inbound)
        assert {path.name: path.read_bytes() for path in arrived[-len(self.files) :]} == self.files
        assert len(arrived) == self.dropped
        for one in self._both().values():
            one.verify()
            wait_until_empty(one, one.home.spool)
            wait_until_empty(one, one.sshd.zone)
            check_log(one)

    def _both(self) -> dict[str, Running]:
        return {"lgsco": self.lgsco, "ofsted": self.ofsted}


def wait_until_empty(one: Running, folder: Path) -> None:
    wait_for(lambda: one.files(folder) == [])


_WORDS = re.compile(r"[A-Za-z0-9_.:+-]*")


def check_log(one: Running) -> None:
    """Every line is JSON, and its values are ids, codes and numbers: no text, and no name of any file."""
    for line in one.log():
        for value in line.values():
            assert isinstance(value, int | float) or _WORDS.fullmatch(str(value)), line
    text = one.log_file.read_text()
    assert not [secret for secret in (CASE, CASE.replace(" ", ""), ".pdf", "127.0.0.1") if secret in text]


@contextmanager
def faulty_network(base: Path, values: dict[str, Value] | None = None) -> Iterator[Network]:
    """Both organisations introduced, the daemons not started; every wait is short."""
    line = Line()
    settings: dict[str, Value] = {
        "watch.rescan": "250ms",
        "retry.first": "50ms",
        "retry.max": "400ms",
        "retry.timeout": "1500ms",
        "partners.ofsted.host": "127.0.0.1",
        "partners.ofsted.port": line.port,
        **(values or {}),
    }
    try:
        with exchange(base, settings) as both:
            line.target = both["ofsted"].sshd.port
            yield Network(both["lgsco"], both["ofsted"], line)
    finally:
        line.close()
