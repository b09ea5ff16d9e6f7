"""Tells systemd how the service does (sd_notify): readiness, stopping, and a heartbeat.

The protocol is one datagram of `KEY=value` lines to the socket named in NOTIFY_SOCKET; an address that begins with
`@` is in the abstract name space. Without a socket, nothing happens.
"""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

EXTENSION: Final = 60.0
"""Seconds for which a start that goes on asks to be left alone."""


def notify(environment: Mapping[str, str], message: str) -> bool:
    """Send `message` (for example `READY=1`); False when no supervisor listens."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(message.encode(), address)
    except OSError:
        return False
    return True


@contextmanager
def starting(environment: Mapping[str, str], every: float = EXTENSION / 4) -> Iterator[None]:
    """While a start takes long, because a large ledger is verified, ask every so many seconds for more time.

    Without that, systemd would end a service whose ledger has grown, and start it again, for ever.
    """
    if "NOTIFY_SOCKET" not in environment:
        yield
        return
    over = threading.Event()

    def ask() -> None:
        while not over.wait(every):
            notify(environment, f"EXTEND_TIMEOUT_USEC={EXTENSION * 1_000_000:.0f}")

    asking = threading.Thread(target=ask, name="starting", daemon=True)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()


def watchdog_interval(environment: Mapping[str, str], pid: int) -> float | None:
    """Seconds between heartbeats: half of what systemd allows this process; None if it expects none."""
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    microseconds = environment.get("WATCHDOG_USEC", "")
    return int(microseconds) / 2_000_000 if microseconds.isascii() and microseconds.isdigit() else None
