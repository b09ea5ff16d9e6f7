"""The embedded server for tests: two users with a key and a folder each, and how to log in."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from exchange.landing import Address
from exchange.sftp import client as sftp
from exchange.sftp import server as sftp_server
from exchange.sftp.client import SftpLanding
from exchange.sftp.server import Server
from tests.sshd import make_key

HOST_KEY, HOST_PUBLIC = make_key()
KEYS = {user: make_key() for user in ("lgsco", "ofsted")}
MIB = 1024 * 1024


def make_folder(parent: Path) -> Path:
    """A landing folder with one folder in it for each user."""
    for user in KEYS:
        (parent / "landing" / user).mkdir(parents=True)
    return parent / "landing"


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server over `folder`; when it is closed, none of its threads is left."""
    before = set(threading.enumerate())
    with sftp_server.serve("127.0.0.1:0", folder, HOST_KEY, authorized) as running:
        yield running
    # The library's timer of a handshake is cancelled, and ends when it gets to run.
    wait_until(lambda: set(threading.enumerate()) == before)


def authorized(user: str) -> frozenset[str]:
    """The public keys of a user."""
    return frozenset({KEYS[user][1]}) if user in KEYS else frozenset()


def address(server: Server, user: str = "lgsco", path: str | None = None) -> Address:
    """The landing zone of a user."""
    return Address("127.0.0.1", server.port, user, user if path is None else path, (HOST_PUBLIC,))


def connect(server: Server, user: str = "lgsco", path: str | None = None, key: bytes | None = None) -> SftpLanding:
    """Log in, with the user's own key if no other is given."""
    return sftp.connect(address(server, user, path), key or KEYS[user][0], timeout=10, keepalive=30)


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
