"""A small SFTP server for the demo and for tests: on this machine only, each user in a folder of its own.

Not for a real exchange: landing zones on a network are OpenSSH's (`handover partner landing`). It listens on loopback
addresses only, knows users by their Ed25519 keys, gives SFTP (`exchange.sftp.session`) and nothing else: no shell, no
command, no forwarding.
"""

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Set
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import paramiko

from config.errors import Misuse, NotNow
from exchange.sftp import ssh
from exchange.sftp.session import Session
from exchange.sftp.wire import Splitter, WireError

MAX_CONNECTIONS: Final = 32
"""Connections at once, those not yet logged in included."""

LOGIN_SECONDS: Final = 30.0
"""How long a connection may take to log in."""

STALL_SECONDS: Final = 60.0
"""How long a client may leave our bytes lying before its connection counts as dead."""

_SWEEP_SECONDS = 0.5
_JOIN_SECONDS = 5.0
_RECEIVE = 1 << 16

Authorized = Callable[[str], Set[str]]
"""The OpenSSH public key lines with which a user may log in; asked anew for every connection."""


def serve(listen: str, landing: Path, host_key: bytes, authorized: Authorized) -> "Server":
    """Start to serve `landing`/<user> at `listen` ("127.0.0.1:0": any free port); raises Misuse or NotNow."""
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        address = ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        raise Misuse(f"landing.listen is no address and port: {listen!r}", hint="write 127.0.0.1:0") from None
    if not address.is_loopback:
        raise Misuse(
            f"the embedded SFTP server does not listen on {host}: it is for this machine only",
            hint="let OpenSSH serve the landing zone; 'handover partner landing' prints its configuration",
        )
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        listener = socket.create_server((host, number), family=family)
    except (OSError, OverflowError) as problem:
        raise NotNow(f"the embedded SFTP server cannot listen on {listen} ({type(problem).__name__})") from None
    return Server(listener, landing, ssh.private_key(host_key), authorized)


class Server:
    """A running server; `close` ends every connection and thread."""

    def __init__(
        self, listener: socket.socket, landing: Path, host_key: paramiko.Ed25519Key, authorized: Authorized
    ) -> None:
        ssh.silence_library()
        self.port = int(listener.getsockname()[1])
        self._listener = listener
        self._landing = landing
        self._host_key = host_key
        self._authorized = authorized
        self._connections: list[tuple[paramiko.Transport, float]] = []
        self._sessions: set[threading.Thread] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="embedded-sftp", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and end all connections; harmless when done already."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        self._listener.settimeout(_SWEEP_SECONDS)
        while not self._closing.is_set():
            with contextlib.suppress(OSError):  # nobody came, or came and went
                self._begin(self._listener.accept()[0])
            self._sweep()
        for transport, _ in self._connections:
            ssh.end(transport)
        for session in list(self._sessions):
            session.join(_JOIN_SECONDS)

    def _begin(self, raw: socket.socket) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            raw.close()
            return
        ssh.tune(raw, STALL_SECONDS, STALL_SECONDS)
        transport = paramiko.Transport(raw)
        ssh.prefer(transport)
        transport.add_server_key(self._host_key)
        transport.set_subsystem_handler("sftp", _Subsystem, self._landing, self._sessions)
        self._connections.append((transport, time.monotonic()))
        with contextlib.suppress(paramiko.SSHException):
            transport.start_server(event=threading.Event(), server=_Login(self._authorized, self._landing))

    def _sweep(self) -> None:
        """Forget connections that ended, and end those that never logged in."""
        now = time.monotonic()
        for one in list(self._connections):
            transport, since = one
            late = not transport.is_authenticated() and now - since > LOGIN_SECONDS
            if late or not transport.is_active():
                ssh.end(transport)
                self._connections.remove(one)


class _Login(paramiko.ServerInterface):
    """Who may log in, and that a session is all there is; the library refuses every request that is not named here."""

    def __init__(self, authorized: Authorized, landing: Path) -> None:
        self._authorized = authorized
        self._landing = landing

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = {tuple(line.split(" ")[:2]) for line in self._authorized(username)} if _is_plain(username) else set()
        allowed = (key.get_name(), key.get_base64()) in known
        return paramiko.common.AUTH_SUCCESSFUL if allowed else paramiko.common.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if kind == "session":
            return paramiko.common.OPEN_SUCCEEDED
        return paramiko.common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        user = channel.get_transport().get_username() or ""
        return (self._landing / user).is_dir() and super().check_channel_subsystem_request(channel, name)


class _Subsystem(paramiko.SubsystemHandler):
    """The thread of one SFTP session; in `sessions` for as long as it runs."""

    def __init__(
        self,
        channel: paramiko.Channel,
        name: str,
        server: paramiko.ServerInterface,
        landing: Path,
        sessions: set[threading.Thread],
    ) -> None:
        super().__init__(channel, name, server)
        self._landing = landing
        self._sessions = sessions
        sessions.add(self)

    def start_subsystem(self, name: str, transport: paramiko.Transport, channel: paramiko.Channel) -> None:
        # No folder, a broken connection, or bytes that are no SFTP: the session is over, and nobody is to be told.
        with contextlib.suppress(OSError, WireError, EOFError, paramiko.SSHException), contextlib.ExitStack() as ending:
            session = Session(self._landing, transport.get_username() or "")
            ending.callback(session.close)
            splitter = Splitter()
            while data := channel.recv(_RECEIVE):
                answers = b"".join(session.answer(packet) for packet in splitter.feed(data))
                if answers:
                    channel.sendall(answers)

    def finish_subsystem(self) -> None:
        super().finish_subsystem()
        self._sessions.discard(self)


def _is_plain(user: str) -> bool:
    return user not in ("", ".", "..") and "/" not in user and "\0" not in user
