"""SSH itself, for the client and the embedded server: which algorithms, whose key, and silence of the library.

Algorithms in order of preference (the first that both sides know is taken):

    key exchange   mlkem768x25519-sha256 (post-quantum hybrid), curve25519-sha256@libssh.org, NIST curves, group16
    cipher         aes128-gcm, aes256-gcm: authenticated, and the quickest by far; then AES in counter mode
    MAC            for counter mode only: HMAC-SHA-2, encrypt-then-MAC first

A file that is recorded today and opened in twenty years is what the post-quantum key exchange is for; the envelope
inside is post-quantum encrypted of its own. Where `require_pq` asks for it, nothing else is offered.
"""

import contextlib
import io
import logging
import socket
from base64 import b64decode
from typing import Any

import paramiko

from config.errors import Misuse

KEY_EXCHANGES = (
    "mlkem768x25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
)
HYBRID = KEY_EXCHANGES[:1]
"""Those of them that resist quantum computers."""

CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
HOST_KEYS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")

KEEPALIVE_PROBES = 3
"""How many TCP probes in a row may go unanswered before an idle connection counts as dead."""


class Client(paramiko.Transport):
    """The library's transport, which forgets what it agreed on as soon as the keys are exchanged: this one does not."""

    agreed_key_exchange = ""
    """The name of the key exchange; empty before there was one."""

    @property
    def kex_engine(self) -> Any:
        """The library's key exchange while it lasts."""
        return self._engine

    @kex_engine.setter
    def kex_engine(self, engine: Any) -> None:
        """Set by the library when it has agreed on one, and forgotten when that has done its work."""
        self._engine = engine
        if engine is not None:
            # of the library's classes one has no name, and it is no hybrid one
            self.agreed_key_exchange = str(getattr(engine, "name", "curve25519-sha256"))


def silence_library() -> None:
    """Make paramiko's loggers say nothing: they would write user and host names, and tracebacks, to stderr."""
    logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)


def prefer(
    transport: paramiko.Transport,
    host_key_types: tuple[str, ...] = HOST_KEYS,
    key_exchanges: tuple[str, ...] = KEY_EXCHANGES,
) -> None:
    """Set the algorithms of a transport that has not started yet; those the library lacks are left out."""
    options = transport.get_security_options()
    options.kex = tuple(name for name in key_exchanges if name in options.kex)
    options.ciphers = tuple(name for name in CIPHERS if name in options.ciphers)
    options.digests = tuple(name for name in MACS if name in options.digests)
    options.key_types = host_key_types


def pinned_first(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Host key algorithms in the order in which to ask for them: those of the pinned keys, then the others.

    The others are there for the error only: a server that was set up anew with a key of another type must be told
    from one that cannot be reached, and its fingerprint must be named. A key that is not pinned is refused in any case.
    """
    kinds = {line.split(" ")[0] for line in lines}
    pinned = tuple(n for n in HOST_KEYS if n in kinds or (n in _RSA_SIGNATURES and "ssh-rsa" in kinds))
    return pinned + tuple(n for n in HOST_KEYS if n not in pinned)


def blob_of(line: str) -> bytes:
    """The binary form in an OpenSSH public key line that was checked before (a card's)."""
    return b64decode(line.split(" ")[1])


def private_key(pem: bytes) -> paramiko.Ed25519Key:
    """Our own key from OpenSSH's private key format; raises Misuse."""
    try:
        return paramiko.Ed25519Key.from_private_key(io.StringIO(pem.decode("ascii")))
    except (paramiko.SSHException, ValueError, IndexError):
        raise Misuse(
            "the SSH key is not an Ed25519 private key in OpenSSH's format",
            hint="make one with 'handover keys rotate transport'",
        ) from None


def tune(raw: socket.socket, stall: float, keepalive: float) -> None:
    """Small packets at once; a peer that takes nothing for `stall` seconds, idle or not, ends the connection."""
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Linux; elsewhere the timeouts of each wait above the socket hold alone.
    for option, value in (
        ("TCP_USER_TIMEOUT", int(stall * 1000)),
        ("TCP_KEEPIDLE", max(1, int(keepalive))),
        ("TCP_KEEPINTVL", max(1, int(keepalive))),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
    ):
        if hasattr(socket, option):
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def end(transport: paramiko.Transport, wait: float = 2.0) -> None:
    """Close a transport and wait until its threads are gone; harmless when it is closed already."""
    # Wakes the library's thread at once; otherwise it looks up ten times a second.
    with contextlib.suppress(OSError):
        transport.sock.shutdown(socket.SHUT_RDWR)
    transport.close()
    if transport.is_alive():
        transport.join(wait)
    # The library's own timer of an unfinished handshake would run on for its 15 seconds.
    transport.packetizer.complete_handshake()
