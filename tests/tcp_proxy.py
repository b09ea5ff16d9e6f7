"""A TCP proxy on loopback that breaks connections the way networks do: cut, swallowed answers, silence."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

_PIECE = 1 << 16


class TcpProxy:
    """Forwards one port to another; what it does to the bytes may be changed at any time.

    cut_after      bytes from client to server after which both sides are closed
    swallow        bytes from the server are dropped, and the first of them closes both sides
    silent         nothing is forwarded any more, in either direction, and nothing is closed
    silent_after   bytes from client to server after which it falls silent
    """

    def __init__(self, target: int, *, receive_buffer: int | None = None) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.port = int(self._listener.getsockname()[1])
        self.cut_after: int | None = None
        self.silent_after: int | None = None
        self.swallow = False
        self.silent = threading.Event()
        self.sent = 0
        self._closing = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        """Close every connection now."""
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closing.set()
        self.cut()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in (*self._sockets, self._listener):
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [client, server]
            for source, sink, upward in ((client, server, True), (server, client, False)):
                thread = threading.Thread(target=self._forward, args=(source, sink, upward))
                self._threads.append(thread)
                thread.start()

    def _forward(self, source: socket.socket, sink: socket.socket, upward: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE):
                self.sent += len(data) if upward else 0
                if self.silent.is_set() or (self.silent_after is not None and self.sent > self.silent_after):
                    self._closing.wait()
                    return
                if upward:
                    if self.cut_after is not None and self.sent > self.cut_after:
                        break
                elif self.swallow:
                    break
                sink.sendall(data)
            for one in (source, sink):
                one.shutdown(socket.SHUT_RDWR)
