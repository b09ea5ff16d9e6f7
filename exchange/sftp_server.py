"""A small SFTP server for the demo and for tests, on the loopback interface only."""

import io
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import paramiko


class _Login(paramiko.ServerInterface):
    def __init__(self, authorized: Callable[[str], frozenset[str]]) -> None:
        self._authorized = authorized
        self.user = ""

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.user = username
        line = f"{key.get_name()} {key.get_base64()}"
        return paramiko.AUTH_SUCCESSFUL if line in self._authorized(username) else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"


class _Handle(paramiko.SFTPHandle):
    def __init__(self, flags: int, file: io.BufferedRandom) -> None:
        super().__init__(flags)
        self.readfile = file
        self.writefile = file


class _Files(paramiko.SFTPServerInterface):
    def __init__(self, server: _Login, root: Path) -> None:
        super().__init__(server)
        self._root = root / server.user

    def _path(self, path: str) -> Path:
        return self._root / Path(path).name

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        try:
            handle = os.open(self._path(path), flags | os.O_NOFOLLOW, 0o600)
        except OSError as problem:
            return int(paramiko.SFTPServer.convert_errno(problem.errno or 0))
        return _Handle(flags, os.fdopen(handle, "w+b" if flags & os.O_WRONLY == 0 else "wb"))

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        return paramiko.SFTPAttributes.from_stat(self._root.stat())

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        self._path(oldpath).replace(self._path(newpath))
        return paramiko.SFTP_OK


class Server:
    """A running server."""

    def __init__(
        self, listener: socket.socket, root: Path, host_key: bytes, authorized: Callable[[str], frozenset[str]]
    ) -> None:
        self._listener = listener
        self._root = root
        self._key = paramiko.Ed25519Key.from_private_key(io.StringIO(host_key.decode()))
        self._authorized = authorized
        self._transports: list[paramiko.Transport] = []
        self.port = int(listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(raw)
            transport.add_server_key(self._key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files, self._root)
            self._transports.append(transport)
            transport.start_server(server=_Login(self._authorized), event=threading.Event())

    def close(self) -> None:
        """Stop."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for transport in self._transports:
            transport.close()
        self._thread.join()


def serve(listen: str, root: Path, host_key: bytes, authorized: Callable[[str], frozenset[str]]) -> Server:
    """Start a server."""
    host, _, port = listen.rpartition(":")
    return Server(socket.create_server((host, int(port))), root, host_key, authorized)
