"""Reach a landing zone's server, make sure that it is the partner's, log in, and ask for SFTP.

In this order, because nothing of ours may go to a server that is not the partner's:

    1  TCP                               Unreachable
    2  key exchange                      Unreachable, when what answers speaks no SSH, or not in time;
                                         KeyExchangeTooWeak, where only a post-quantum one will do
    3  host key == one of the pinned     HostKeyChanged
    4  our transport keys, in order      AuthenticationRefused, if none of them is taken
    5  a session channel, with SFTP      LandingFailed

There is no "trust on first use", no password, no agent, and no configuration of SSH that is read.
"""

import contextlib
import hmac
import socket
import threading
from collections.abc import Sequence

import paramiko

from exchange.landing import (
    Address,
    Agreed,
    AuthenticationRefused,
    ConnectionLost,
    HostKeyChanged,
    KeyExchangeTooWeak,
    LandingFailed,
    Unreachable,
)
from exchange.sftp import ssh
from exchange.sftp.hearing import CountingSocket
from keys import openssh


def log_in(
    address: Address, *keys_pem: bytes, timeout: float, keepalive: float, hybrid: bool = False
) -> tuple[paramiko.Channel, Agreed]:
    """A channel on which the partner's server speaks SFTP, and what was agreed for it; raises a LandingError.

    `hybrid`: only by a key exchange that resists quantum computers, now and whenever the keys are exchanged anew.

    Of our own keys the first that the server takes is used: during a rotation, the new one and then the old one.
    `timeout` seconds are the longest wait for any one answer, `keepalive` the longest silence on an idle connection.
    Closing the channel's transport ends everything.
    """
    ssh.silence_library()
    keys = [ssh.private_key(pem) for pem in keys_pem]
    for line in address.host_keys:
        openssh.host_key_fingerprint(line)
    transport = ssh.Client(_reach(address, timeout, keepalive))
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = timeout
    try:
        _exchange_keys(transport, address, timeout, ssh.HYBRID if hybrid else ssh.KEY_EXCHANGES)
        _check_host_key(transport, address)
        _authenticate(transport, address, keys, timeout)
        transport.set_keepalive(max(1, int(keepalive)))
        channel = _open_sftp(transport, address, timeout)
    except BaseException:
        ssh.end(transport)
        raise
    channel.settimeout(timeout)
    return channel, Agreed(transport.agreed_key_exchange, transport.local_cipher)


def _reach(address: Address, timeout: float, keepalive: float) -> socket.socket:
    try:
        raw = socket.create_connection((address.host, address.port), timeout)
    except socket.gaierror:
        raise Unreachable(address.place, "its name is not known") from None
    except TimeoutError:
        raise Unreachable(address.place, f"no answer within {timeout:g} seconds") from None
    except (OSError, OverflowError, UnicodeError) as problem:
        raise Unreachable(address.place, (getattr(problem, "strerror", None) or "no connection").lower()) from None
    ssh.tune(raw, timeout, keepalive)
    return CountingSocket.of(raw)


def _exchange_keys(transport: ssh.Client, address: Address, timeout: float, wanted: tuple[str, ...]) -> None:
    ssh.prefer(transport, ssh.pinned_first(address.host_keys), wanted)
    try:
        transport.start_client(timeout=timeout)
        transport.get_remote_server_key()
    except paramiko.ssh_exception.IncompatiblePeer as problem:
        if wanted == ssh.HYBRID and "kex" in str(problem):
            raise KeyExchangeTooWeak(address.place) from None
        raise Unreachable(address.place, "it offers no algorithm that is safe and known to us") from None
    except (paramiko.SSHException, EOFError, OSError):
        raise Unreachable(address.place, "what answers there does not complete SSH's key exchange") from None
    if wanted == ssh.HYBRID and transport.agreed_key_exchange not in ssh.HYBRID:
        raise KeyExchangeTooWeak(address.place)


def _check_host_key(transport: paramiko.Transport, address: Address) -> None:
    found = transport.get_remote_server_key().asbytes()
    # Every pinned key is compared, whichever fits, and each in constant time.
    fits = [hmac.compare_digest(found, ssh.blob_of(line)) for line in address.host_keys]
    if not any(fits):
        expected = " or ".join(openssh.fingerprint(ssh.blob_of(line)) for line in address.host_keys) or "none at all"
        raise HostKeyChanged(address.place, f"expected {expected}, found {openssh.fingerprint(found)}")


def _authenticate(
    transport: paramiko.Transport, address: Address, keys: Sequence[paramiko.Ed25519Key], timeout: float
) -> None:
    for key in keys:
        answered = threading.Event()
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            transport.auth_publickey(address.user, key, answered)
            answered.wait(timeout)
        if transport.is_authenticated():
            return
        # The event is also set when the connection breaks: only a server that is still there has answered.
        if not (answered.is_set() and transport.is_active()):
            raise ConnectionLost(address.place, "while logging in")
    tried = " and ".join(openssh.fingerprint(key.asbytes()) for key in keys)
    raise AuthenticationRefused(address.place, f"{tried} for user {address.user}")


def _open_sftp(transport: paramiko.Transport, address: Address, timeout: float) -> paramiko.Channel:
    # The library waits for the answer to the second request without end: this ends it by closing the connection.
    deadline = threading.Timer(timeout, transport.close)
    deadline.daemon = True
    deadline.start()
    try:
        channel = transport.open_session(timeout=timeout)
        channel.invoke_subsystem("sftp")
    except (paramiko.SSHException, EOFError, OSError):
        if transport.is_active():
            raise LandingFailed(address.place, "it gives this user no SFTP") from None
        raise ConnectionLost(address.place, "while asking for SFTP") from None
    finally:
        deadline.cancel()
        deadline.join()
    return channel
