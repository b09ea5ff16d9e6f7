"""Logging in at a partner's server: only at the pinned one, only with our key, and never without end."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO

import pytest

from config.errors import Misuse, NotNow
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
from exchange.sftp import client as sftp
from keys.openssh import BadKey, host_key_fingerprint
from tests.line import Line
from tests.sshd import Sshd, make_key


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with Sshd() as server:
        yield server


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 2
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(threading.enumerate()) - before == set()


def _connect(address: Address, key: bytes, timeout: float = 10) -> sftp.SftpLanding:
    return sftp.connect(address, key, timeout=timeout, keepalive=30)


def test_a_changed_host_key_is_refused_and_both_fingerprints_are_named() -> None:
    with Sshd() as server:
        address, old = server.address(), server.host_public
        _connect(address, server.user_key).close()
        server.new_host_key()
        # until it is started again, the server has the old one
        _connect(address, server.user_key).close()
        server.stop()
        server.start()
        with pytest.raises(HostKeyChanged) as caught:
            _connect(address, server.user_key)
        assert host_key_fingerprint(old) in caught.value.message
        assert host_key_fingerprint(server.host_public) in caught.value.message
        assert (caught.value.reason, caught.value.exit_code) == ("host-key-changed", 3)
        assert "Accepted publickey" not in server.log().rpartition("Server listening")[2]


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_a_host_key_of_another_type_is_refused_with_its_fingerprint_too(kind: str) -> None:
    with Sshd(host_key=kind) as server, pytest.raises(HostKeyChanged) as caught:
        _connect(server.address(host_keys=(make_key()[1],)), server.user_key)
    assert caught.value.message.endswith(f"found {host_key_fingerprint(server.host_public)}")


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_a_pinned_host_key_of_another_type_than_ours_is_accepted(kind: str) -> None:
    with Sshd(host_key=kind) as server:
        landing = _connect(server.address(), server.user_key)
        assert landing.list() == []
        landing.close()


def test_any_of_several_pinned_keys_will_do(sshd: Sshd) -> None:
    pinned = (make_key()[1], make_key("ecdsa")[1], sshd.host_public)
    _connect(sshd.address(host_keys=pinned), sshd.user_key).close()


def test_without_a_pinned_key_no_server_is_trusted(sshd: Sshd) -> None:
    with pytest.raises(HostKeyChanged, match="expected none at all, found SHA256:"):
        _connect(sshd.address(host_keys=()), sshd.user_key)


def test_a_pinned_line_that_is_no_host_key_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(BadKey):
        _connect(Address("127.0.0.1", 1, "lgsco", "lgsco", ("ssh-ed25519 AAAA",)), make_key()[0])


@pytest.mark.parametrize("pem", [b"", b"no key", make_key("ecdsa")[0], b"\xff\xfe"])
def test_a_private_key_that_is_none_of_ours_is_a_mistake_here_not_there(sshd: Sshd, pem: bytes) -> None:
    with pytest.raises(Misuse, match="not an Ed25519 private key"):
        _connect(sshd.address(), pem)


def test_a_key_that_the_server_does_not_know_is_refused_by_name_of_key_and_user(sshd: Sshd) -> None:
    private, public = make_key()
    with pytest.raises(AuthenticationRefused) as caught:
        _connect(sshd.address(), private)
    assert host_key_fingerprint(public) in caught.value.message
    assert f"for user {sshd.user}" in caught.value.message
    assert caught.value.reason == "authentication-refused"


def test_a_user_that_the_server_does_not_know_is_refused(sshd: Sshd) -> None:
    with pytest.raises(AuthenticationRefused):
        _connect(sshd.address(user="nobody-at-all"), sshd.user_key)


def test_a_port_where_nobody_listens_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unreachable, match="connection refused") as caught:
        _connect(Address("127.0.0.1", port, "lgsco", "lgsco", ()), make_key()[0])
    assert caught.value.reason == "unreachable"
    assert isinstance(caught.value, NotNow)


def test_a_name_that_does_not_exist_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="its name is not known"):
        _connect(Address("landing.invalid", 22, "lgsco", "lgsco", ()), make_key()[0])


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"SSH-2.0-x\r\n" + bytes(64)])
def test_what_speaks_no_ssh_is_unreachable(greeting: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as client:
                client.sendall(greeting)
                client.recv(1000)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(Unreachable, match="does not complete SSH's key exchange"):
            _connect(Address("127.0.0.1", server.getsockname()[1], "lgsco", "lgsco", ()), make_key()[0])
        thread.join()


def test_a_server_that_accepts_and_says_nothing_is_given_up_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        began = time.monotonic()
        with pytest.raises(Unreachable):
            _connect(Address("127.0.0.1", server.getsockname()[1], "lgsco", "lgsco", ()), make_key()[0], timeout=0.5)
        assert time.monotonic() - began < 3


def test_a_server_that_falls_silent_during_the_login_is_given_up_after_the_timeout(sshd: Sshd) -> None:
    # a whole login is 1,500 bytes from the client, or more where the key exchange is a larger one
    with closing(Line(sshd.port)) as line:
        for line.silent_after in range(150, 1500, 225):
            began = time.monotonic()
            with pytest.raises((Unreachable, ConnectionLost)):
                _connect(sshd.address(port=line.port), sshd.user_key, timeout=0.7)
            assert time.monotonic() - began < 4


def test_a_server_that_gives_no_sftp_says_so() -> None:
    with Sshd(subsystem=False) as server, pytest.raises(LandingFailed, match="it gives this user no SFTP"):
        _connect(server.address(), server.user_key)


def test_the_best_algorithms_are_agreed(sshd: Sshd) -> None:
    landing = _connect(sshd.address(), sshd.user_key)
    landing.put(BytesIO(b"abc"), 3, "one.age.part")
    landing.close()
    with Sshd(lines=("LogLevel DEBUG1",)) as server:
        _connect(server.address(), server.user_key).close()
        log = server.log()
    assert "kex: client->server cipher: aes128-gcm@openssh.com" in log
    assert "kex: server->client cipher: aes128-gcm@openssh.com" in log
    assert "kex: algorithm: curve25519-sha256" in log  # OpenSSH 9.2 has no ML-KEM yet


@pytest.mark.parametrize(
    "lines", [(), ("KexAlgorithms curve25519-sha256@libssh.org",), ("KexAlgorithms ecdh-sha2-nistp256",)]
)
def test_a_server_without_a_hybrid_key_exchange_is_refused_where_one_is_required(lines: tuple[str, ...]) -> None:
    with Sshd(lines=("LogLevel DEBUG1", *lines)) as server:
        _connect(server.address(), server.user_key).close()
        with pytest.raises(KeyExchangeTooWeak, match="no post-quantum key exchange") as caught:
            sftp.connect(server.address(), server.user_key, timeout=10, keepalive=30, hybrid=True)
        assert (caught.value.reason, caught.value.exit_code) == ("key-exchange-too-weak", 3)
        server.stop()
        assert server.log().count("userauth-request") == server.log().count("SSH2_MSG_NEWKEYS received") > 0


def test_what_was_agreed_is_known_afterwards() -> None:
    for line, name in (
        ("KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org", "curve25519-sha256"),
        ("KexAlgorithms ecdh-sha2-nistp384", "ecdh-sha2-nistp384"),
    ):
        with Sshd(lines=(line, "Ciphers aes256-gcm@openssh.com")) as server:
            landing = _connect(server.address(), server.user_key)
            assert landing.agreed == Agreed(name, "aes256-gcm@openssh.com")
            landing.close()


def test_the_library_says_nothing_not_even_of_a_failure(
    sshd: Sshd, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.NOTSET)
    with pytest.raises(AuthenticationRefused):
        _connect(sshd.address(), make_key()[0])
    with pytest.raises(HostKeyChanged):
        _connect(sshd.address(host_keys=()), sshd.user_key)
    assert [record for record in caplog.records if record.name.startswith("paramiko")] == []
    assert capfd.readouterr() == ("", "")
