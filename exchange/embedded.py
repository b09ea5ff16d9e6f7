"""The embedded SFTP server of one home: for the demo and tests on one machine, never for a real exchange."""

from collections.abc import Callable

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from config.errors import NotNow
from config.home import Home
from exchange import files
from exchange.parts import Parts
from exchange.sftp import server as sftp_server
from keys.sshsig import PublicKey
from keys.trust import Trust

HOST_KEY = "embedded-host-key"
"""File in `keys/` with the server's host key: unprotected, as every SSH server's is."""


def make_host_key() -> tuple[bytes, str]:
    """A new host key: the private half in OpenSSH's format, the public half as an OpenSSH line."""
    private = Ed25519PrivateKey.generate()
    text = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return text, PublicKey.from_key(private).line


def keep_host_key(home: Home, private: bytes) -> None:
    """Store the private half where `serve` looks for it."""
    files.write_new(home.keys / HOST_KEY, private)


def serve(parts: Parts, trust: Callable[[], Trust] | None = None) -> sftp_server.Server:
    """Start the server: each partner may log in with the transport keys of its card, and see its own folder only.

    `trust` says whom to let in at every login, where a card may be exchanged meanwhile; else the cards of `parts` do.
    """
    path = parts.home.keys / HOST_KEY
    try:
        host_key = path.read_bytes()
    except OSError:
        raise NotNow(
            "the embedded SFTP server has no host key", hint="it is for the demo only: set landing.embedded = false"
        ) from None
    for partner in parts.trust.partners:
        files.make_directory(parts.home.landing / partner, 0o700)

    def authorized(user: str) -> frozenset[str]:
        known = parts.trust if trust is None else trust()
        if user not in known.partners:
            return frozenset()
        return frozenset(known.standing(user).keys("transport", parts.effects.clock()))

    return sftp_server.serve(parts.home.settings.landing.listen, parts.home.landing, host_key, authorized)
