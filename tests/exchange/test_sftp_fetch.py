"""Many small files side by side, from a real OpenSSH server and from one that lies: what comes is what was listed."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from exchange.landing import ConnectionLost
from exchange.sftp import client as sftp
from exchange.sftp import packets as say
from exchange.sftp import server as sftp_server
from exchange.sftp.client import SftpLanding
from exchange.sftp.fetch import FILES_IN_FLIGHT, _Batch, _File
from exchange.sftp.session import Session
from exchange.sftp.wire import encode
from tests.exchange.loopback import connect, make_folder, serving
from tests.sshd import Sshd


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with Sshd() as server:
        yield server


@pytest.fixture
def landing(sshd: Sshd) -> Iterator[SftpLanding]:
    sshd.new_zone()
    connected = sftp.connect(sshd.address(), sshd.user_key, timeout=20, keepalive=30)
    yield connected
    connected.close()


def fill(folder: Path, *sizes: int) -> dict[str, bytes]:
    contents = {f"{number:03}.age": os.urandom(size) for number, size in enumerate(sizes)}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o644)
    return contents


def get_many(landing: SftpLanding, listed: list[tuple[str, int]] | None = None) -> dict[str, bytes]:
    came: dict[str, bytes] = {}
    landing.get_many(landing.list() if listed is None else listed, came.__setitem__)
    return came


# --- OpenSSH ----------------------------------------------------------------------------------------------------------


def test_files_of_every_size_come_as_they_are(sshd: Sshd, landing: SftpLanding) -> None:
    contents = fill(sshd.zone, 0, 1, 1023, 1024, 1025, 20_000, 255_000, 256 * 1024, 600_000, *[3000] * 100)
    assert get_many(landing) == contents
    assert get_many(landing) == contents
    assert get_many(landing, []) == {}


def test_what_is_not_as_it_was_listed_is_left_out_and_keeps_no_other(sshd: Sshd, landing: SftpLanding) -> None:
    # more of them than a server hands out handles
    contents = fill(sshd.zone, *[5000] * 150)
    listed = landing.list()
    (sshd.zone / "000.age").unlink()
    (sshd.zone / "001.age").write_bytes(bytes(5001))
    (sshd.zone / "002.age").write_bytes(bytes(4999))
    (sshd.zone / "003.age").write_bytes(b"")
    for name in ("004.age", "005.age", "006.age"):
        (sshd.zone / name).unlink()
    (sshd.zone / "004.age").mkdir()
    (sshd.zone / "005.age").symlink_to("nowhere")
    if sshd.is_root:
        (sshd.zone / "006.age").touch(0o000)
    changed = [f"00{n}.age" for n in range(7)]
    assert get_many(landing, listed) == {name: data for name, data in contents.items() if name not in changed}
    many = [("001.age", 5000), ("002.age", 5000)] * 200
    assert get_many(landing, many) == {}
    assert get_many(landing, [("010.age", 5000)]) == {"010.age": contents["010.age"]}


def test_many_files_are_removed_and_what_cannot_be_is_told_of_by_nobody(sshd: Sshd, landing: SftpLanding) -> None:
    contents = fill(sshd.zone, *[1] * (2 * FILES_IN_FLIGHT + 1))
    (sshd.zone / "folder.age").mkdir()
    gone: list[str] = []
    landing.remove_many([*contents, "never-there.age", "folder.age"], gone.append)
    assert sorted(gone) == sorted([*contents, "never-there.age"])
    assert landing.list() == []
    assert (sshd.zone / "folder.age").is_dir()


# --- a server that lies -----------------------------------------------------------------------------------------------


class Lying(Session):
    """Answers as it is told, if at all."""

    lie: ClassVar[Callable[[say.Packet], say.Reply | None]]

    def answer(self, packet: say.Packet) -> bytes:
        made = Lying.lie(packet)
        return super().answer(packet) if made is None else encode(made)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path)


def lies(packet: say.Packet) -> dict[str, say.Reply | None]:
    """Every untrue answer to one packet that looks like a true one."""
    made: dict[str, say.Reply | None] = {}
    match packet:
        case say.Read(offset=offset, length=length) if offset < 4000:
            made = {
                "an early end": say.Status(packet.id, say.EOF),
                "less than was asked for": say.Data(packet.id, bytes(length - 1)),
                "nothing": say.Data(packet.id, b""),
                "a refusal": say.Status(packet.id, say.FAILURE),
                "an empty success": say.Status(packet.id, say.OK),
                "another handle": say.Handle(packet.id, b"x"),
            }
        case say.Read():
            made = {
                "more behind the end": say.Data(packet.id, b"x"),
                "a failure behind the end": say.Status(packet.id, say.FAILURE),
            }
        case say.Open():
            made = {
                "success without a handle": say.Status(packet.id, say.OK),
                "content for a handle": say.Data(packet.id, b"x"),
            }
        case say.Close():
            made = {"a failure to close": say.Status(packet.id, say.FAILURE)}
    return made


PACKETS = (say.Open(0, b"", say.READ), say.Read(0, b"", 0, 10), say.Read(0, b"", 4000, 1), say.Close(0, b""))
LIES = [kind for packet in PACKETS for kind in lies(packet)]


@pytest.mark.parametrize("kind", LIES)
def test_a_lie_about_one_file_leaves_it_out(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    contents = fill(folder / "ofsted", *[4000] * 5)
    listed: list[tuple[str, int]] = []
    told: list[say.Packet] = []

    def lie(packet: say.Packet) -> say.Reply | None:
        made = lies(packet).get(kind)
        if listed and made is not None and not told:
            told.append(packet)
            return made
        return None

    monkeypatch.setattr(Lying, "lie", staticmethod(lie), raising=False)
    monkeypatch.setattr(sftp_server, "Session", Lying)
    with serving(folder) as server:
        landing = connect(server, "ofsted")
        listed += landing.list()
        came = get_many(landing, listed)
        assert len(told) == 1
        assert {name: contents[name] for name in came} == came
        assert len(came) == 4
        landing.close()


@pytest.mark.parametrize("offset", [0, 4000], ids=["in the file", "behind its end"])
def test_an_answer_that_is_longer_than_was_asked_for_ends_the_conversation(
    folder: Path, monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    fill(folder / "ofsted", *[4000] * 5)

    def lie(packet: say.Packet) -> say.Reply | None:
        if isinstance(packet, say.Read) and packet.offset == offset:
            return say.Data(packet.id, bytes(packet.length + 1))
        return None

    monkeypatch.setattr(Lying, "lie", staticmethod(lie), raising=False)
    monkeypatch.setattr(sftp_server, "Session", Lying)
    with serving(folder) as server:
        landing = connect(server, "ofsted")
        with pytest.raises(ConnectionLost, match="it answered with more than was asked for"):
            get_many(landing)


@pytest.mark.parametrize("refused", [0, 1])
def test_nothing_is_kept_of_a_file_that_is_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    contents = fill(folder / "ofsted", *[100_000] * 5)
    kept: list[int] = []
    reads: list[say.Packet] = []
    end = _Batch._end

    def looked_at(batch: _Batch, file: _File) -> None:
        kept.append(sum(map(len, file.pieces.values())))
        end(batch, file)

    def lie(packet: say.Packet) -> say.Reply | None:
        # one read of the first file that is read, before or behind what came of it
        if isinstance(packet, say.Read) and len(reads) <= refused:
            reads.append(packet)
            return say.Status(packet.id, say.FAILURE) if len(reads) > refused else None
        return None

    monkeypatch.setattr(_Batch, "_end", looked_at)
    monkeypatch.setattr(Lying, "lie", staticmethod(lie), raising=False)
    monkeypatch.setattr(sftp_server, "Session", Lying)
    with serving(folder) as server:
        landing = connect(server, "ofsted")
        assert len(get_many(landing)) == len(contents) - 1
        landing.close()
    assert sorted(kept) == [0, *[100_000] * 4]


def test_an_answer_that_nobody_asked_for_ends_the_conversation(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(folder / "ofsted", *[4000] * 5)
    gone: list[str] = []

    def lie(packet: say.Packet) -> say.Reply | None:
        return say.Data(packet.id + 100_000, b"x") if isinstance(packet, say.Read | say.Remove) else None

    monkeypatch.setattr(Lying, "lie", staticmethod(lie), raising=False)
    monkeypatch.setattr(sftp_server, "Session", Lying)
    with serving(folder) as server:
        landing = connect(server, "ofsted")
        with pytest.raises(ConnectionLost):
            get_many(landing)
        landing = connect(server, "ofsted")
        with pytest.raises(ConnectionLost):
            landing.remove_many(["000.age"], gone.append)
        assert gone == []
