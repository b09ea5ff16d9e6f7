"""One partner's landing zone over SFTP: connect with a pinned host key, upload, rename."""

import contextlib
import io
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import paramiko

from config.errors import NotNow


@dataclass(frozen=True, slots=True)
class Address:
    """Where a landing zone is, and which host keys prove it."""

    host: str
    port: int
    user: str
    path: str
    host_keys: tuple[str, ...]


class Landing(Protocol):
    """What the sender needs of a landing zone."""

    def put(
        self, source: BinaryIO, size: int, name: str, *, offset: int = 0, progress: Callable[[int], None] | None = None
    ) -> None:
        """Upload `size` bytes under `name`."""

    def rename(self, old: str, new: str) -> None:
        """Give a file its final name, replacing one of that name."""

    def close(self) -> None:
        """End the connection."""


class SftpLanding:
    """A landing zone on an SFTP server."""

    def __init__(self, transport: paramiko.Transport, client: paramiko.SFTPClient) -> None:
        self._transport = transport
        self._client = client

    def put(
        self, source: BinaryIO, size: int, name: str, *, offset: int = 0, progress: Callable[[int], None] | None = None
    ) -> None:
        """See Landing."""
        with self._client.open(name, "wb") as remote:
            while piece := source.read(32768):
                remote.write(piece)

    def rename(self, old: str, new: str) -> None:
        """See Landing."""
        self._client.posix_rename(old, new)

    def close(self) -> None:
        """See Landing."""
        self._transport.close()


def connect(address: Address, key_pem: bytes, *, timeout: float, keepalive: float) -> SftpLanding:
    """Log in; raises NotNow."""
    try:
        raw = socket.create_connection((address.host, address.port), timeout)
    except OSError as problem:
        raise NotNow(f"{address.host}:{address.port} cannot be reached: {problem.strerror}") from None
    transport = paramiko.Transport(raw)
    try:
        transport.set_keepalive(int(keepalive))
        transport.start_client(timeout=timeout)
        key = transport.get_remote_server_key()
        if f"{key.get_name()} {key.get_base64()}" not in address.host_keys:
            raise NotNow(f"the host key of {address.host}:{address.port} is not the pinned one")
        private = paramiko.Ed25519Key.from_private_key(io.StringIO(key_pem.decode()))
        transport.auth_publickey(address.user, private)
        client = paramiko.SFTPClient.from_transport(transport)
        if client is None:
            raise NotNow(f"{address.host}:{address.port} offers no SFTP")
        with contextlib.suppress(OSError):
            client.chdir(address.path)
    except (paramiko.SSHException, OSError) as problem:
        transport.close()
        raise NotNow(f"{address.host}:{address.port} refused us ({type(problem).__name__})") from None
    return SftpLanding(transport, client)
