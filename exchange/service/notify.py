"""Tells systemd how the service does (sd_notify): readiness, stopping, and a heartbeat.

The protocol is one datagram of `KEY=value` lines to the socket named in NOTIFY_SOCKET; an address that begins with
`@` is in the abstract name space. Without a socket, nothing happens.
"""

import socket
from collections.abc import Mapping


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


def watchdog_interval(environment: Mapping[str, str], pid: int) -> float | None:
    """Seconds between heartbeats: half of what systemd allows this process; None if it expects none."""
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    microseconds = environment.get("WATCHDOG_USEC", "")
    return int(microseconds) / 2_000_000 if microseconds.isascii() and microseconds.isdigit() else None
