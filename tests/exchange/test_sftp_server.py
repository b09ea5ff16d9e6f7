"""The embedded server: each user in a folder of its own, SFTP and nothing else, on this machine only."""

import contextlib
import os
import socket
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import paramiko
import pytest

from config.errors import Misuse, NotNow
from exchange.landing import (
    Address,
    Agreed,
    AuthenticationRefused,
    ConnectionLost,
    LandingFailed,
    LandingFull,
    NotThere,
    PermissionDenied,
    Small,
)
from exchange.sftp import client as sftp
from exchange.sftp import packets as say
from exchange.sftp import server as sftp_server
from exchange.sftp import ssh
from exchange.sftp.client import SftpLanding
from exchange.sftp.login import log_in
from exchange.sftp.server import Server
from exchange.sftp.session import MAX_HANDLES
from exchange.sftp.wire import Splitter, encode
from tests.exchange.loopback import (
    HOST_KEY,
    HOST_PUBLIC,
    KEYS,
    MIB,
    address,
    authorized,
    connect,
    make_folder,
    serving,
    wait_until,
)
from tests.tmpfs import tmpfs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path)


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with serving(folder) as running:
        yield running


@pytest.fixture
def landing(server: Server) -> Iterator[SftpLanding]:
    connected = connect(server)
    yield connected
    connected.close()


def test_files_go_up_are_renamed_listed_and_fetched(folder: Path, landing: SftpLanding) -> None:
    data = os.urandom(5 * MIB + 3)
    landing.put(BytesIO(data), len(data), "one.age.part")
    (folder / "lgsco" / "one.age").write_bytes(b"old")
    landing.rename("one.age.part", "one.age")
    landing.put_many(Small(bytes(n), f"{n}.part", f"{n}.age") for n in range(150))
    assert (folder / "lgsco" / "one.age").read_bytes() == data
    assert len(landing.list()) == 151
    down = BytesIO()
    landing.get("one.age", down)
    assert down.getvalue() == data
    landing.remove("one.age")
    assert landing.size("one.age") is None


def test_an_upload_goes_on_where_it_was_cut(folder: Path, landing: SftpLanding) -> None:
    landing.put(BytesIO(b"abcdXX"), 6, "one.age.part")
    landing.put(BytesIO(b"abcdef"), 6, "one.age.part", offset=4)
    assert (folder / "lgsco" / "one.age.part").read_bytes() == b"abcdef"


def test_the_post_quantum_key_exchange_comes_first_and_both_sides_have_it(server: Server) -> None:
    transport = paramiko.Transport(socket.create_connection(("127.0.0.1", server.port)))
    ssh.prefer(transport)
    options = transport.get_security_options()
    assert options.kex[0] == "mlkem768x25519-sha256"
    options.kex = options.kex[:1]
    transport.start_client(timeout=10)
    ssh.end(transport)


def test_where_a_hybrid_key_exchange_is_required_it_is_what_is_agreed(server: Server) -> None:
    landing = sftp.connect(address(server), KEYS["lgsco"][0], timeout=10, keepalive=30, hybrid=True)
    assert landing.agreed == Agreed("mlkem768x25519-sha256", "aes128-gcm@openssh.com")
    landing.close()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "..",
        "../ofsted",
        "/ofsted",
        "lgsco/../ofsted",
        "/lgsco/../../ofsted",
        "//ofsted",
        "/etc",
        "lgsco/sub",
        "lgsco/link",
        "lgsco/../lgsco/link",
    ],
)
def test_nothing_outside_the_own_folder_can_be_reached(server: Server, folder: Path, path: str) -> None:
    (folder / "ofsted" / "secret").write_bytes(b"secret")
    (folder / "lgsco" / "sub").mkdir()
    (folder / "lgsco" / "link").symlink_to(folder / "ofsted")
    landing = connect(server, path=path)
    for name in ("secret", "passwd"):
        with pytest.raises((NotThere, PermissionDenied)):
            landing.get(name, BytesIO())
        with pytest.raises((NotThere, PermissionDenied)):
            landing.put(BytesIO(b"x"), 1, name)
        with pytest.raises((NotThere, PermissionDenied)):
            landing.rename(name, "taken")
    with pytest.raises((NotThere, PermissionDenied)):
        landing.put(BytesIO(b"x"), 1, "secret")
    if path not in ("/", "", ".."):
        with pytest.raises(NotThere):
            landing.list()
    else:
        assert landing.list() == []
    landing.close()
    assert (folder / "ofsted" / "secret").read_bytes() == b"secret"
    assert sorted(path.name for path in folder.iterdir()) == ["lgsco", "ofsted"]


def test_a_link_in_the_own_folder_is_not_followed(folder: Path, landing: SftpLanding) -> None:
    (folder / "ofsted" / "secret").write_bytes(b"secret")
    (folder / "lgsco" / "link").symlink_to(folder / "ofsted" / "secret")
    with pytest.raises(NotThere):
        landing.get("link", BytesIO())
    with pytest.raises(NotThere):
        landing.put(BytesIO(b"x"), 1, "link")
    assert landing.list() == []
    landing.rename("link", "other")
    assert (folder / "lgsco" / "other").is_symlink()
    assert (folder / "ofsted" / "secret").read_bytes() == b"secret"


def test_what_is_no_regular_file_is_not_opened(folder: Path, landing: SftpLanding) -> None:
    os.mkfifo(folder / "lgsco" / "fifo")
    with pytest.raises(PermissionDenied):
        landing.get("fifo", BytesIO())
    assert landing.list() == []


def test_each_user_sees_its_own_files(server: Server, landing: SftpLanding) -> None:
    other = connect(server, "ofsted")
    landing.put(BytesIO(b"abc"), 3, "one.age")
    assert (landing.list(), other.list()) == ([("one.age", 3)], [])
    other.close()


@pytest.mark.parametrize("user", ["ofsted", "stranger", "", ".", "..", "../lgsco", "lgsco/"])
def test_a_key_opens_only_its_own_users_folder(server: Server, user: str) -> None:
    with pytest.raises(AuthenticationRefused):
        connect(server, user, key=KEYS["lgsco"][0])


def test_who_is_authorized_is_asked_anew_for_every_connection(folder: Path) -> None:
    allowed: set[str] = set()
    with sftp_server.serve("127.0.0.1:0", folder, HOST_KEY, lambda user: allowed) as server:
        with pytest.raises(AuthenticationRefused):
            connect(server)
        allowed.add(KEYS["lgsco"][1] + " lgsco transport key")
        connect(server).close()


def test_a_user_without_a_folder_gets_no_session(folder: Path, server: Server) -> None:
    (folder / "lgsco").rmdir()
    with pytest.raises(LandingFailed, match="gives this user no SFTP"):
        connect(server)


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "192.0.2.7:22", "[::]:0", "[2001:db8::7]:22"])
def test_an_address_that_others_can_reach_is_refused(folder: Path, listen: str) -> None:
    with pytest.raises(Misuse, match="this machine only"):
        sftp_server.serve(listen, folder, HOST_KEY, authorized)


@pytest.mark.parametrize("listen", ["", "127.0.0.1", "localhost:0", "127.0.0.1:ssh", "127.0.0.1:"])
def test_what_is_no_address_is_refused(folder: Path, listen: str) -> None:
    with pytest.raises(Misuse, match="no address and port"):
        sftp_server.serve(listen, folder, HOST_KEY, authorized)


def test_a_port_in_use_is_said_so(folder: Path, server: Server) -> None:
    with pytest.raises(NotNow, match="cannot listen"):
        sftp_server.serve(f"127.0.0.1:{server.port}", folder, HOST_KEY, authorized)


def test_it_listens_on_the_other_loopback_too(folder: Path) -> None:
    with sftp_server.serve("[::1]:0", folder, HOST_KEY, authorized) as server:
        other = Address("::1", server.port, "lgsco", "lgsco", (HOST_PUBLIC,))
        sftp.connect(other, KEYS["lgsco"][0], timeout=10, keepalive=30).close()


def test_closing_ends_open_connections_and_frees_the_port(folder: Path) -> None:
    server = sftp_server.serve("127.0.0.1:0", folder, HOST_KEY, authorized)
    landing = connect(server)
    server.close()
    server.close()
    with pytest.raises(ConnectionLost):
        landing.list()
    socket.create_server(("127.0.0.1", server.port)).close()


def test_connections_that_ended_are_forgotten(server: Server) -> None:
    for _ in range(sftp_server.MAX_CONNECTIONS + 5):
        landing = connect(server)
        assert landing.list() == []
        landing.close()


def test_no_more_files_can_be_open_than_there_are_handles(server: Server, folder: Path) -> None:
    (folder / "lgsco" / "one").write_bytes(b"abc")
    channel, _ = log_in(address(server), KEYS["lgsco"][0], timeout=10, keepalive=30)
    try:
        channel.sendall(encode(say.Init(3)))
        for number in range(80):
            channel.sendall(encode(say.Open(number, b"lgsco/one", say.READ)))
        splitter, replies = Splitter(), list[say.Packet]()
        while len(replies) < 81:
            replies += splitter.feed(channel.recv(65536))
    finally:
        ssh.end(channel.get_transport())
    assert [type(reply) for reply in replies[1:]] == [say.Handle] * MAX_HANDLES + [say.Status] * (80 - MAX_HANDLES)


def test_files_that_a_client_leaves_open_are_closed(server: Server, folder: Path) -> None:
    (folder / "lgsco" / "one").write_bytes(b"abc")
    channel, _ = log_in(address(server), KEYS["lgsco"][0], timeout=10, keepalive=30)
    channel.sendall(encode(say.Init(3)) + encode(say.Open(1, b"lgsco/one", say.READ)))
    wait_until(lambda: _open_files(folder) == 2)  # the folder itself, and the file
    ssh.end(channel.get_transport())
    wait_until(lambda: _open_files(folder) == 0)


def _open_files(folder: Path) -> int:
    """Files and folders below `folder` that this process, so the server in it, has open."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += str(link.readlink()).startswith(str(folder))
    return found


def test_a_full_disk_is_reported_as_full_by_this_server_too(folder: Path, server: Server) -> None:
    (folder / "lgsco").rmdir()
    with tmpfs(folder / "lgsco", "size=1m"):
        landing = connect(server)
        with pytest.raises(LandingFull):
            landing.put(BytesIO(bytes(2 * MIB)), 2 * MIB, "one.age.part")
        landing.close()
