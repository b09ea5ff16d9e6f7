"""A line between two ports that breaks the ways networks do.

line = Line(22)
…                                connect to line.port
line.refuse()                    or cut, fall_silent; or set reset, rate, delay, cuts, silent_after
line.mend()
"""

import contextlib
import queue
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

KIB = 1024
_PIECE = 1 << 16
_SLOW_BUFFER = 64 * KIB
_RESET = struct.pack("ii", 1, 0)
_STUCK = 0.2
"""Seconds that a thread of a reset connection gets to leave a send before that is ended too."""


@dataclass
class Session:
    """One connection through the line: both sockets, and how many bytes it has carried."""

    client: socket.socket
    server: socket.socket
    up: int = 0
    down: int = 0
    cut_up: int | None = None
    cut_down: int | None = None
    silent_up: int | None = None
    silent: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def close(self, *, reset: bool = False) -> None:
        """End it for both sides, by a reset or in order."""
        self.over.set()
        for one in (self.client, self.server):
            with contextlib.suppress(OSError):
                if reset:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                # a shutdown for writing would end it in order: the reset goes out when the socket is closed
                one.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)

    @property
    def has_ended(self) -> bool:
        """Whether no thread uses the sockets any more."""
        return self._ended.is_set()

    def enter(self) -> None:
        """One more thread uses the sockets."""
        with self._lock:
            self._threads += 1

    def leave(self) -> None:
        """The last thread that leaves closes the sockets."""
        with self._lock:
            self._threads -= 1
            last = self._threads == 0
        if last:
            self._ended.set()
            self.client.close()
            self.server.close()
        elif not self._ended.wait(_STUCK):
            for one in (self.client, self.server):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


class Line:
    """Forwards one port to another. Everything may be changed at any time; `mend` makes all of it well again."""

    def __init__(self, target: int = 0) -> None:
        self.target = target
        self.sessions: list[Session] = []
        """Since it was last forgotten, in order."""
        self.cuts: deque[tuple[int | None, int | None]] = deque()
        """For each connection to come: after how many bytes from the client, or from the server, it is cut."""
        self.reset = False
        """Whether a cut is a reset."""
        self.rate: int | None = None
        """Bytes a second; connections to come have small buffers then."""
        self.delay = 0.0
        """Seconds that everything is under way, on connections to come; however much it is."""
        self.silent_after: int | None = None
        """Bytes from the client after which a connection to come falls silent."""
        self.before_answer: Callable[[], bool] = lambda: False
        """Asked before anything of the server is passed on; if it says yes, the connection is cut instead, once."""
        self._silent = False
        self._open: list[Session] = []
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []
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
        for session in list(self._open):
            session.close(reset=reset)

    def mend(self, *cuts: tuple[int | None, int | None]) -> None:
        """All is well for every connection to come, but for the `cuts`; those that fell silent stay so, as lost ones
        do."""
        self.cuts.clear()
        self.cuts.extend(cuts)
        self.reset, self.rate, self.delay, self.silent_after, self._silent = False, None, 0.0, None, False
        self.before_answer = lambda: False
        if self._listener is None:
            self._listen()

    def close(self) -> None:
        """End everything."""
        self.refuse()
        while alive := [thread for thread in self._threads if thread.is_alive()]:
            # one connection may have come while the others were ended; and no reset wakes who is sending
            self.cut(reset=True)
            alive[0].join(_STUCK)
            self.cut()

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
        with self._lock:
            self._threads = [*(one for one in self._threads if one.is_alive()), thread]
            thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    client.close()
                    continue
                self._begin(Session(client, server))

    def _begin(self, session: Session) -> None:
        if self.cuts:
            session.cut_up, session.cut_down = self.cuts.popleft()
        session.silent_up = self.silent_after
        if self._silent:
            session.silent.set()
        if self.rate is not None:
            session.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SLOW_BUFFER)
        self._open = [*(one for one in self._open if not one.has_ended), session]
        self.sessions.append(session)
        for upward in (True, False):
            session.enter()
            if self.delay:
                session.enter()
                late: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                self._start(self._hold_back, session, upward, late, self.delay)
                self._start(self._deliver, session, upward, late)
            else:
                self._start(self._forward, session, upward)

    def _forward(self, session: Session, upward: bool) -> None:
        source = session.client if upward else session.server
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE if self.rate is None else min(_PIECE, max(256, self.rate // 20))):
                if self.rate is not None:
                    time.sleep(len(data) / self.rate)
                if not self._pass(session, data, upward):
                    break
        session.close(reset=self.reset)
        session.leave()

    def _hold_back(
        self, session: Session, upward: bool, late: queue.SimpleQueue[tuple[float, bytes]], delay: float
    ) -> None:
        source = session.client if upward else session.server
        data = b"."
        while data:
            try:
                data = source.recv(_PIECE)
            except OSError:
                data = b""
            late.put((time.monotonic() + delay, data))
        session.leave()

    def _deliver(self, session: Session, upward: bool, late: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = late.get()
                time.sleep(max(0.0, due - time.monotonic()))
                if not data or not self._pass(session, data, upward):
                    break
        session.close(reset=self.reset)
        session.leave()

    def _pass(self, session: Session, data: bytes, upward: bool) -> bool:
        """Pass on what may pass; whether the connection lives on."""
        if upward and session.silent_up is not None and session.up + len(data) > session.silent_up:
            session.silent.set()
        if session.silent.is_set():
            session.over.wait()
            return False
        if not upward and self._loses_answer():
            return False
        sink = session.server if upward else session.client
        limit, before = (session.cut_up, session.up) if upward else (session.cut_down, session.down)
        passed = data if limit is None else data[: max(0, limit - before)]
        sink.sendall(passed)
        if upward:
            session.up += len(passed)
        else:
            session.down += len(passed)
        return len(passed) == len(data)

    def _loses_answer(self) -> bool:
        with self._lock:
            if not self.before_answer():
                return False
            self.before_answer = lambda: False
            return True
