"""The embedded server: each user in a folder of its own, SFTP and nothing else, on this machine only."""

import contextlib
import os
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import paramiko
import pytest

from config.errors import Misuse, NotNow
from exchange import sftp, sftp_server, ssh
from exchange import sftp_packets as say
from exchange.landing import (
    Address,
    AuthenticationRefused,
    ConnectionLost,
    LandingFailed,
    LandingFull,
    NotThere,
    PermissionDenied,
    Small,
)
from exchange.sftp import SftpLanding
from exchange.sftp_server import Server
from exchange.sftp_session import MAX_HANDLES, Session
from exchange.sftp_wire import Splitter, encode
from exchange.ssh_login import log_in
from tests.sshd import make_key
from tests.tmpfs import tmpfs

HOST_KEY, HOST_PUBLIC = make_key()
KEYS = {user: make_key() for user in ("lgsco", "ofsted")}
MIB = 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for user in KEYS:
        (tmp_path / user).mkdir()
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    before = set(threading.enumerate())
    with sftp_server.serve("127.0.0.1:0", folder, HOST_KEY, _authorized) as running:
        yield running
    # The library's timer of a handshake is cancelled, and ends when it gets to run.
    _wait_until(lambda: set(threading.enumerate()) == before)


@pytest.fixture
def landing(server: Server) -> Iterator[SftpLanding]:
    connected = _connect(server)
    yield connected
    connected.close()


def _authorized(user: str) -> frozenset[str]:
    return frozenset({KEYS[user][1]}) if user in KEYS else frozenset()


def _address(server: Server, user: str = "lgsco", path: str | None = None) -> Address:
    return Address("127.0.0.1", server.port, user, user if path is None else path, (HOST_PUBLIC,))


def _connect(server: Server, user: str = "lgsco", path: str | None = None, key: bytes | None = None) -> SftpLanding:
    return sftp.connect(_address(server, user, path), key or KEYS[user][0], timeout=10, keepalive=30)


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
    landing = _connect(server, path=path)
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
    other = _connect(server, "ofsted")
    landing.put(BytesIO(b"abc"), 3, "one.age")
    assert (landing.list(), other.list()) == ([("one.age", 3)], [])
    other.close()


@pytest.mark.parametrize("user", ["ofsted", "stranger", "", ".", "..", "../lgsco", "lgsco/"])
def test_a_key_opens_only_its_own_users_folder(server: Server, user: str) -> None:
    with pytest.raises(AuthenticationRefused):
        _connect(server, user, key=KEYS["lgsco"][0])


def test_who_is_authorized_is_asked_anew_for_every_connection(folder: Path) -> None:
    allowed: set[str] = set()
    with sftp_server.serve("127.0.0.1:0", folder, HOST_KEY, lambda user: allowed) as server:
        with pytest.raises(AuthenticationRefused):
            _connect(server)
        allowed.add(KEYS["lgsco"][1] + " lgsco transport key")
        _connect(server).close()


def test_a_user_without_a_folder_gets_no_session(folder: Path, server: Server) -> None:
    (folder / "lgsco").rmdir()
    with pytest.raises(LandingFailed, match="gives this user no SFTP"):
        _connect(server)


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "192.0.2.7:22", "[::]:0", "[2001:db8::7]:22"])
def test_an_address_that_others_can_reach_is_refused(folder: Path, listen: str) -> None:
    with pytest.raises(Misuse, match="this machine only"):
        sftp_server.serve(listen, folder, HOST_KEY, _authorized)


@pytest.mark.parametrize("listen", ["", "127.0.0.1", "localhost:0", "127.0.0.1:ssh", "127.0.0.1:"])
def test_what_is_no_address_is_refused(folder: Path, listen: str) -> None:
    with pytest.raises(Misuse, match="no address and port"):
        sftp_server.serve(listen, folder, HOST_KEY, _authorized)


def test_a_port_in_use_is_said_so(folder: Path, server: Server) -> None:
    with pytest.raises(NotNow, match="cannot listen"):
        sftp_server.serve(f"127.0.0.1:{server.port}", folder, HOST_KEY, _authorized)


def test_it_listens_on_the_other_loopback_too(folder: Path) -> None:
    with sftp_server.serve("[::1]:0", folder, HOST_KEY, _authorized) as server:
        address = Address("::1", server.port, "lgsco", "lgsco", (HOST_PUBLIC,))
        sftp.connect(address, KEYS["lgsco"][0], timeout=10, keepalive=30).close()


def test_closing_ends_open_connections_and_frees_the_port(folder: Path) -> None:
    server = sftp_server.serve("127.0.0.1:0", folder, HOST_KEY, _authorized)
    landing = _connect(server)
    server.close()
    server.close()
    with pytest.raises(ConnectionLost):
        landing.list()
    socket.create_server(("127.0.0.1", server.port)).close()


def test_connections_that_ended_are_forgotten(server: Server) -> None:
    for _ in range(sftp_server.MAX_CONNECTIONS + 5):
        landing = _connect(server)
        assert landing.list() == []
        landing.close()


# What OpenSSH's own programs get from it


@pytest.fixture
def client(server: Server, tmp_path: Path) -> list[str]:
    """Options for ssh and sftp."""
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_bytes(KEYS["lgsco"][0])
    (tmp_path / "known").write_text(f"[127.0.0.1]:{server.port} {HOST_PUBLIC}\n")
    options = [f"Port={server.port}", f"UserKnownHostsFile={tmp_path / 'known'}", "StrictHostKeyChecking=yes"]
    options += ["BatchMode=yes", "IdentitiesOnly=yes", f"IdentityFile={key}", "User=lgsco"]
    return ["-F", "none", *(part for option in options for part in ("-o", option))]


def test_the_stock_sftp_program_works_with_it(client: list[str], folder: Path, tmp_path: Path) -> None:
    data = os.urandom(3 * MIB)
    (tmp_path / "up").write_bytes(data)
    batch = "cd lgsco\nput up one.part\nrename one.part one\nls -l\nget one down\npwd\ndf\nput up two\nrm two\n"
    done = subprocess.run(
        ["sftp", "-b", "-", *client, "127.0.0.1"],
        input=batch,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "down").read_bytes() == data
    assert [path.name for path in (folder / "lgsco").iterdir()] == ["one"]
    assert "Remote working directory: /lgsco" in done.stdout


@pytest.mark.parametrize(
    "line", ["mkdir lgsco/a", "symlink /etc/passwd lgsco/a", "ln lgsco/one lgsco/a", "rmdir lgsco", "put key a"]
)
def test_the_stock_sftp_program_can_make_nothing_but_files_in_the_folder(
    client: list[str], folder: Path, tmp_path: Path, line: str
) -> None:
    (folder / "lgsco" / "one").write_bytes(b"abc")
    done = subprocess.run(
        ["sftp", "-b", "-", *client, "127.0.0.1"], input=line, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 1
    assert [path.name for path in (folder / "lgsco").iterdir()] == ["one"]
    assert stat.S_IMODE((folder / "lgsco" / "one").stat().st_mode) == 0o644


@pytest.mark.parametrize("arguments", [["127.0.0.1", "id"], ["-T", "127.0.0.1"], ["-tt", "127.0.0.1"]])
def test_there_is_no_shell_and_no_command(client: list[str], arguments: list[str]) -> None:
    done = subprocess.run(
        ["ssh", *client, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 255
    assert "uid=" not in done.stdout


def test_there_is_no_forwarding(client: list[str], server: Server) -> None:
    for arguments in (
        ["-W", f"127.0.0.1:{server.port}"],
        ["-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1"],
    ):
        done = subprocess.run(
            ["ssh", *client, *arguments, "127.0.0.1"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 255
        assert "SSH-2.0" not in done.stdout


# A server that misbehaves: nothing that it answers is taken for success


def _misbehave(monkeypatch: pytest.MonkeyPatch, change: "type[Session]") -> None:
    monkeypatch.setattr(sftp_server, "Session", change)


def test_one_failed_write_among_many_is_an_error(monkeypatch: pytest.MonkeyPatch, folder: Path, server: Server) -> None:
    class Once(Session):
        writes = 0

        def answer(self, packet: say.Packet) -> bytes:
            if isinstance(packet, say.Write):
                Once.writes += 1
                if Once.writes == 7:
                    return encode(say.Status(packet.id, say.FAILURE))
            return super().answer(packet)

    _misbehave(monkeypatch, Once)
    data = os.urandom(20 * MIB)
    landing = _connect(server)
    with pytest.raises(LandingFailed, match="does not say why"):
        landing.put(BytesIO(data), len(data), "one.age.part")
    assert (folder / "lgsco" / "one.age.part").read_bytes() == data[: 6 * 261_120]
    landing.put(BytesIO(data), len(data), "one.age.part", offset=6 * 261_120)
    assert (folder / "lgsco" / "one.age.part").read_bytes() == data
    landing.close()


def test_a_small_file_whose_write_failed_once_is_tried_again_alone(
    monkeypatch: pytest.MonkeyPatch, folder: Path, server: Server
) -> None:
    class Once(Session):
        writes = 0

        def answer(self, packet: say.Packet) -> bytes:
            if isinstance(packet, say.Write):
                Once.writes += 1
                if Once.writes == 7:
                    return encode(say.Status(packet.id, say.FAILURE))
            return super().answer(packet)

    _misbehave(monkeypatch, Once)
    files = [Small(os.urandom(5000), f"{n}.part", f"{n}.age") for n in range(60)]
    landing = _connect(server)
    finished: list[Small] = []
    landing.put_many(files, finished.append)
    landing.close()
    assert sorted(finished, key=files.index) == files
    assert all((folder / "lgsco" / one.final).read_bytes() == one.data for one in files)


def test_answers_in_any_order_are_matched_by_their_numbers(
    monkeypatch: pytest.MonkeyPatch, folder: Path, server: Server
) -> None:
    class Backwards(Session):
        held: bytes = b""

        def answer(self, packet: say.Packet) -> bytes:
            reply = super().answer(packet)
            if isinstance(packet, say.Write) and not self.held:
                self.held = reply
                return b""
            reply, self.held = reply + self.held, b""
            return reply

    _misbehave(monkeypatch, Backwards)
    data = os.urandom(8 * MIB)
    landing = _connect(server)
    landing.put_many([Small(data[:n], f"{n}.part", f"{n}.age") for n in (0, 1, 5000, 261_121)])
    landing.put(BytesIO(data[: 2 * 261_120]), 2 * 261_120, "one.age")
    landing.close()
    assert (folder / "lgsco" / "one.age").read_bytes() == data[: 2 * 261_120]


def test_a_server_that_loses_bytes_and_says_ok_is_found_out_by_the_length(
    monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    class Liar(Session):
        def answer(self, packet: say.Packet) -> bytes:
            if isinstance(packet, say.Write) and packet.offset:
                return encode(say.Status(packet.id, say.OK))
            return super().answer(packet)

    _misbehave(monkeypatch, Liar)
    landing = _connect(server)
    with pytest.raises(LandingFailed, match="has not the length that was sent"):
        landing.put(BytesIO(bytes(MIB)), MIB, "one.age.part")
    with pytest.raises(LandingFailed, match="has not the length that was sent"):
        landing.put_many([Small(bytes(MIB), "two.age.part", "two.age")])
    landing.close()


@pytest.mark.parametrize(
    "answer",
    [
        encode(say.Status(0xFFFF, say.OK)),
        encode(say.Init(3)),
        b"\0\0\0\x01\xff",
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
    ],
)
def test_an_answer_that_nobody_asked_for_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, server: Server, answer: bytes
) -> None:
    class Stray(Session):
        def answer(self, packet: say.Packet) -> bytes:
            if isinstance(packet, say.Write | say.Readdir | say.Read | say.Lstat):
                return answer
            return super().answer(packet)

    _misbehave(monkeypatch, Stray)
    operations: list[Callable[[SftpLanding], object]] = [
        lambda landing: landing.put(BytesIO(b"abc"), 3, "one.age"),
        lambda landing: landing.put_many([Small(b"abc", "one.part", "one.age")]),
        lambda landing: landing.get("one.age", BytesIO()),
        lambda landing: landing.list(),
        lambda landing: landing.size("one.age"),
    ]
    for operate in operations:
        landing = _connect(server)
        with pytest.raises(ConnectionLost):
            operate(landing)
        with pytest.raises(ConnectionLost):
            landing.list()


def test_short_reads_are_read_on(monkeypatch: pytest.MonkeyPatch, folder: Path, server: Server) -> None:
    class Short(Session):
        def answer(self, packet: say.Packet) -> bytes:
            if isinstance(packet, say.Read):
                packet = say.Read(packet.id, packet.handle, packet.offset, min(packet.length, 77_777))
            return super().answer(packet)

    _misbehave(monkeypatch, Short)
    data = os.urandom(3 * MIB + 1)
    (folder / "lgsco" / "one.age").write_bytes(data)
    landing, down = _connect(server), BytesIO()
    assert landing.get("one.age", down) == len(data)
    assert down.getvalue() == data
    assert landing.resume_offset(BytesIO(data), len(data), "one.age") == len(data)
    landing.close()


def test_no_more_files_can_be_open_than_there_are_handles(server: Server, folder: Path) -> None:
    (folder / "lgsco" / "one").write_bytes(b"abc")
    channel = log_in(_address(server), KEYS["lgsco"][0], timeout=10, keepalive=30)
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
    channel = log_in(_address(server), KEYS["lgsco"][0], timeout=10, keepalive=30)
    channel.sendall(encode(say.Init(3)) + encode(say.Open(1, b"lgsco/one", say.READ)))
    _wait_until(lambda: _open_files(folder) == 2)  # the folder itself, and the file
    ssh.end(channel.get_transport())
    _wait_until(lambda: _open_files(folder) == 0)


def _open_files(folder: Path) -> int:
    """Files and folders below `folder` that this process, so the server in it, has open."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += str(link.readlink()).startswith(str(folder))
    return found


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_full_disk_is_reported_as_full_by_this_server_too(folder: Path, server: Server) -> None:
    (folder / "lgsco").rmdir()
    with tmpfs(folder / "lgsco", "size=1m"):
        landing = _connect(server)
        with pytest.raises(LandingFull):
            landing.put(BytesIO(bytes(2 * MIB)), 2 * MIB, "one.age.part")
        landing.close()
