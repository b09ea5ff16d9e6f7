import io
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.envelope.tar import BLOCK, END, HEADER_LIMIT, MAX_SIZE, RECORD, Member, Members, TarError, header, padding

HUGE = HEADER_LIMIT + 5
"""More than 8 GiB; only its headers are ever made."""


def member(name: str, content: bytes) -> bytes:
    return header(name, len(content)) + content + padding(len(content))


def listed(archive: bytes | io.BytesIO, step: int = 1 << 20) -> list[tuple[str, bytes]]:
    """Names and contents of the whole archive, read in pieces of at most `step`."""
    members, found = Members(io.BytesIO(archive) if isinstance(archive, bytes) else archive), []
    while (item := members.next()) is not None:
        found.append((item.name, b"".join(iter(lambda: members.read(step), b""))))
    return found


def refused(archive: bytes) -> TarError:
    with pytest.raises(TarError) as caught:
        listed(archive)
    return caught.value


GOOD = member("manifest.json", b"{}") + member("payload", b"x" * 600) + END
AS_LISTED = [("manifest.json", b"{}"), ("payload", b"x" * 600)]


_contents = st.lists(st.tuples(st.from_regex(r"[a-z.]{1,100}", fullmatch=True), st.binary(max_size=1500)), max_size=3)


@given(_contents, st.integers(1, 700))
def test_what_is_written_reads_back(contents: list[tuple[str, bytes]], step: int) -> None:
    archive = b"".join(member(name, content) for name, content in contents) + END
    assert listed(archive, step) == contents


@given(_contents)
def test_pythons_tarfile_reads_what_is_written(contents: list[tuple[str, bytes]]) -> None:
    archive = b"".join(member(name, content) for name, content in contents) + END
    with tarfile.open(fileobj=io.BytesIO(archive)) as read:
        found = [(info.name, read.extractfile(info)) for info in read]
        assert [(name, file.read() if file else None) for name, file in found] == contents
        assert all((i.mode, i.uid, i.gid, i.mtime, i.type) == (0o600, 0, 0, 0, b"0") for i in read.getmembers())


@given(_contents)
def test_what_pythons_tarfile_writes_is_read(contents: list[tuple[str, bytes]]) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as written:
        for name, content in contents:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o600
            written.addfile(info, io.BytesIO(content))
    assert len(target.getvalue()) % RECORD == 0
    assert listed(target.getvalue()) == contents


@given(st.binary(max_size=2000) | st.lists(st.sampled_from([GOOD[:512], bytes(512), b"x" * 512])).map(b"".join))
def test_any_bytes_are_an_archive_or_refused(data: bytes) -> None:
    try:
        found = listed(data)
    except TarError:
        return
    spelt = b"".join(member(name, content) for name, content in found) + END
    assert data[: len(spelt)].replace(b"0000000\0" * 2, bytes(16)) == spelt.replace(b"0000000\0" * 2, bytes(16))


@given(st.integers(0, 511), st.integers(1, 255))
def test_no_bit_of_a_header_can_be_changed_and_mean_the_same(at: int, mask: int) -> None:
    spoilt = bytearray(GOOD)
    spoilt[at] ^= mask
    try:
        assert listed(bytes(spoilt)) != AS_LISTED
    except TarError:
        return


@pytest.mark.parametrize("cut", [0, 1, 511, 512, 513, 514, 1023, 1024, 1535, 1536, 1537, 2135, 2559, 2560, 3071, 3583])
def test_an_archive_that_is_cut_short_is_refused(cut: int) -> None:
    assert len(GOOD) == 3584
    assert refused(GOOD[:cut]).reason == "truncated"


@pytest.mark.parametrize("zeros", [0, 512, RECORD - 3584])
def test_zeros_up_to_the_end_of_the_record_may_follow(zeros: int) -> None:
    assert listed(GOOD + bytes(zeros)) == AS_LISTED


@pytest.mark.parametrize(
    "after",
    [
        b"x",
        b"\0",
        bytes(511),
        bytes(513),
        bytes(RECORD - 3584 + 512),
        bytes(RECORD),
        bytes(511) + b"\1",
        bytes(512) + GOOD,
        GOOD,
        member("another", b""),
    ],
)
def test_anything_else_after_the_end_is_refused(after: bytes) -> None:
    assert refused(GOOD + after).reason == "trailing-data"


def test_endless_zeros_after_the_end_are_not_read_to_their_end() -> None:
    source = io.BytesIO(GOOD + bytes(10 * 1024 * 1024))
    with pytest.raises(TarError) as caught:
        listed(source)
    assert caught.value.reason == "trailing-data"
    assert source.tell() <= 2 * RECORD


def test_a_single_block_of_zeros_does_not_end_an_archive() -> None:
    assert "a single block of zeros" in refused(GOOD[:-512] + member("another", b"x") + END).message


def test_content_is_followed_by_zeros_only() -> None:
    spoilt = bytearray(GOOD)
    spoilt[512 + 2] = 1
    assert "followed by something other than zeros" in refused(bytes(spoilt)).message


def test_a_member_must_be_read_before_the_next() -> None:
    members = Members(io.BytesIO(GOOD))
    members.next()
    with pytest.raises(TarError, match="not read to its end"):
        members.next()


def with_checksum(block: bytearray) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def changed_header(at: int, field: bytes) -> bytes:
    """An archive whose first header has another field, and a checksum that fits."""
    block = bytearray(GOOD[:512])
    block[at : at + len(field)] = field
    return with_checksum(block) + GOOD[512:]


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"\0", b"L", b"K", b"S", b"g", b"A"])
def test_a_link_a_device_a_directory_or_any_other_kind_is_refused(kind: bytes) -> None:
    assert refused(changed_header(156, kind)).reason == "not-a-file"


@pytest.mark.parametrize(
    ("at", "field", "what"),
    [
        (100, b"0000644\0", "another mode"),
        (100, b"0000600 ", "another mode"),
        (100, b"   600 \0", "another mode"),
        (108, b"0001750\0", "another mode, owner"),
        (116, b"0001750\0", "another mode, owner"),
        (124, b"\x80" + bytes(10) + b"\2", "name or size"),
        (124, b"         2 \0", "name or size"),
        (124, b"00000000002 ", "name or size"),
        (124, b"00000000009\0", "name or size"),
        (136, b"14724510170\0", "another mode, owner, time"),
        (157, b"/etc/passwd", "another mode"),
        (257, b"ustar  \0", "not of the ustar form"),
        (257, bytes(8), "not of the ustar form"),
        (265, b"root", "another mode, owner"),
        (297, b"root", "another mode, owner"),
        (329, b"0000001\0", "another mode"),
        (329, bytes(8), "another mode"),
        (345, b"etc", "another mode"),
        (500, b"x", "another mode"),
        (0, b"mani\0est.json", "another mode|name or size"),
        (0, bytes(13), "name or size"),
        (0, b"m\xc3\xa4nifest.js", "name or size"),
        (0, b"man ifest.js", "name or size"),
    ],
)
def test_a_header_that_says_anything_unusual_is_refused(at: int, field: bytes, what: str) -> None:
    with pytest.raises(TarError, match=what) as caught:
        listed(changed_header(at, field))
    assert caught.value.reason == "bad-tar"


def test_a_wrong_checksum_is_refused() -> None:
    spoilt = GOOD[:148] + b"000000\0 " + GOOD[156:]
    assert "checksum" in refused(spoilt).message


def pax(name: str, mode: int, record: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode = b"x", len(record), mode
    return info.tobuf(tarfile.USTAR_FORMAT) + record + bytes(-len(record) % BLOCK)


def first(archive: bytes) -> Member | None:
    return Members(io.BytesIO(archive)).next()


@given(st.integers(HEADER_LIMIT, MAX_SIZE) | st.just(HEADER_LIMIT) | st.just(MAX_SIZE))
def test_a_size_of_8_gib_or_more_is_said_in_an_extended_header(size: int) -> None:
    head = header("payload", size)
    assert len(head) == 3 * BLOCK
    assert first(head) == Member("payload", size)
    assert tarfile.TarInfo.frombuf(head[1024:], "utf-8", "strict").size == 0


def test_a_size_just_below_8_gib_needs_none() -> None:
    head = header("payload", HEADER_LIMIT - 1)
    assert len(head) == BLOCK
    assert first(head) == Member("payload", HEADER_LIMIT - 1)


def pythons_huge_header() -> bytes:
    info = tarfile.TarInfo("payload")
    info.size, info.mode = HUGE, 0o600
    return info.tobuf(tarfile.PAX_FORMAT)


def test_an_extended_header_of_pythons_tarfile_is_read() -> None:
    assert first(pythons_huge_header()) == Member("payload", HUGE)


def test_pythons_tarfile_reads_our_extended_header() -> None:
    with tarfile.open(fileobj=io.BytesIO(header("payload", HUGE) + bytes(512)), mode="r|") as read:
        info = read.next()
        assert info is not None
        assert (info.name, info.size) == ("payload", HUGE)


@pytest.mark.parametrize(
    ("name", "mode"), [("././@PaxHeader", 0), ("./PaxHeaders/payload", 0o644), ("PaxHeaders.0/payload", 0)]
)
def test_the_three_usual_names_of_an_extended_header_are_read(name: str, mode: int) -> None:
    assert first(pax(name, mode, b"19 size=8589934597\n") + header("payload", 0)) == Member("payload", HUGE)


@pytest.mark.parametrize(
    "head",
    [
        pax("../PaxHeader", 0, b"19 size=8589934597\n") + header("payload", 0),
        pax("././@PaxHeader", 0o600, b"19 size=8589934597\n") + header("payload", 0),
        pax("././@PaxHeader", 0, b"19 size=8589934591\n") + header("payload", 0),
        pax("././@PaxHeader", 0, b"19 size=08589934597\n") + header("payload", 0),
        pax("././@PaxHeader", 0, b"20 size=8589934597\n") + header("payload", 0),
        pax("././@PaxHeader", 0, b"25 size=9999999999999999\n") + header("payload", 0),
        pax("././@PaxHeader", 0, b"19 size=8589934597") + header("payload", 0),
        pax("././@PaxHeader", 0, b"") + header("payload", 0),
        pax("././@PaxHeader", 0, b"19 path=/etc/passwd\n") + header("payload", 0),
        pax("././@PaxHeader", 0, b"19 size=8589934597\n11 path=etc\n") + header("payload", 0),
        pax("././@PaxHeader", 0, b"19 size=8589934597\n19 size=8589934598\n") + header("payload", 0),
        pax("././@PaxHeader", 0, b"x" * 100000) + header("payload", 0),
        pax("././@PaxHeader", 0, b"19 size=8589934597\n") + header("payload", 7),
        pax("././@PaxHeader", 0, b"19 size=8589934597\n") + pax("././@PaxHeader", 0, b"19 size=8589934597\n"),
        pax("././@PaxHeader", 0, b"19 size=8589934597\n") + pax("././@PaxHeader", 0, b""),
        pax("././@PaxHeader", 0, b"19 size=8589934597\n")[:-1] + b"x" + header("payload", 0),
    ],
)
def test_an_extended_header_that_says_anything_else_is_refused(head: bytes) -> None:
    with pytest.raises(TarError) as caught:
        first(head)
    assert caught.value.reason == "bad-tar"


def test_an_extended_header_of_absurd_size_is_refused_unread() -> None:
    source = io.BytesIO(pax("././@PaxHeader", 0, bytes(1 << 20)) + header("payload", 0))
    with pytest.raises(TarError, match="something other than a size"):
        Members(source).next()
    assert source.tell() == BLOCK


@pytest.mark.parametrize("cut", [512, 520, 1024, 1100])
def test_an_extended_header_that_is_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(TarError) as caught:
        first(header("payload", HUGE)[:cut])
    assert caught.value.reason == "truncated"


class Endless:
    """A source of so many zeros after a beginning, which need no memory."""

    def __init__(self, beginning: bytes, zeros: int, end: bytes) -> None:
        self._parts: list[Callable[[int], bytes]] = [io.BytesIO(beginning).read, self._zeros, io.BytesIO(end).read]
        self._left = zeros
        self._block = bytes(1 << 24)

    def _zeros(self, n: int) -> bytes:
        piece = self._block[: min(n, self._left)]
        self._left -= len(piece)
        return piece

    def read(self, n: int, /) -> bytes:
        while self._parts:
            if data := self._parts[0](n):
                return data
            del self._parts[0]
        return b""


def test_a_member_of_more_than_8_gib_is_read_to_its_end() -> None:
    members = Members(Endless(header("payload", HUGE), HUGE, padding(HUGE) + END))
    assert members.next() == Member("payload", HUGE)
    total = 0
    while piece := members.read(1 << 24):
        total += len(piece)
    assert total == HUGE
    assert members.next() is None
