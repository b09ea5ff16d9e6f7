import errno
import hashlib
import io
import time
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.envelope.digest import BUFFER, Digest, HashedReader, HashedWriter

SIZES = [0, 1, 1000, 64 * 1024, BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER + 7]


def pattern(size: int) -> bytes:
    return (b"0123456789abcdef!" * (size // 17 + 1))[:size]


@pytest.mark.parametrize("threads", [False, True])
@given(st.lists(st.sampled_from(SIZES), max_size=4))
def test_a_digest_is_that_of_all_pieces_in_order(threads: bool, sizes: list[int]) -> None:
    pieces = [pattern(size) for size in sizes]
    with ThreadPoolExecutor(2) as pool:
        digest = Digest(pool if threads else None)
        for piece in pieces:
            digest.update(piece)
        assert digest.hexdigest() == hashlib.sha256(b"".join(pieces)).hexdigest()


@pytest.mark.parametrize("threads", [False, True])
@given(st.lists(st.sampled_from(SIZES), max_size=4))
def test_what_is_written_is_hashed_and_arrives_in_order(threads: bool, sizes: list[int]) -> None:
    target = io.BytesIO()
    with ThreadPoolExecutor(2) as pool:
        writer = HashedWriter(target, pool if threads else None)
        for size in sizes:
            piece = bytearray(pattern(size))
            assert writer.write(memoryview(piece)) == size
            piece[:] = bytes(size)
        writer.finish()
    written = b"".join(map(pattern, sizes))
    assert target.getvalue() == written
    assert writer.size == len(written)
    assert writer.digest.hexdigest() == hashlib.sha256(written).hexdigest()


class Slow(io.BytesIO):
    """A disk that takes its time, so that the next buffer is full before this one is written."""

    def write(self, data: object, /) -> int:
        time.sleep(0.01)
        return super().write(bytes(data) if isinstance(data, memoryview) else b"")


def test_a_slow_disk_gets_each_buffer_before_it_is_filled_again() -> None:
    target, data = Slow(), b"".join(bytes([number]) * BUFFER for number in range(6))
    with ThreadPoolExecutor(3) as pool:
        writer = HashedWriter(target, pool)
        writer.write(data)
        writer.finish()
    assert target.getvalue() == data
    assert writer.digest.hexdigest() == hashlib.sha256(data).hexdigest()


class Full(io.BytesIO):
    """A disk with room for so many bytes."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, data: object, /) -> int:
        size = len(data) if isinstance(data, bytes | memoryview) else 0
        self.room -= size
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return size


@pytest.mark.parametrize("size", [1, BUFFER, 5 * BUFFER])
@pytest.mark.parametrize("threads", [False, True])
def test_a_full_disk_is_not_lost_in_a_thread(threads: bool, size: int) -> None:
    with ThreadPoolExecutor(2) as pool:
        writer = HashedWriter(Full(size - 1), pool if threads else None)
        with pytest.raises(OSError, match="No space left"):
            _write_and_finish(writer, pattern(size))


def _write_and_finish(writer: HashedWriter, data: bytes) -> None:
    writer.write(data)
    writer.finish()


class Plain:
    """A source that can only `read`."""

    def __init__(self, data: bytes) -> None:
        self.read = io.BytesIO(data).read


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_what_is_read_is_hashed_however_it_is_read(plain: bool, size: int) -> None:
    data = pattern(size)
    source: BinaryIO | Plain = Plain(data) if plain else io.BytesIO(data)
    with ThreadPoolExecutor(2) as pool:
        reader = HashedReader(source)
        reader.digest.pool = pool
        begin = reader.read(3)
        buffer = memoryview(bytearray(100_000))
        found = begin
        while count := reader.readinto(buffer):
            found += buffer[:count]
        assert found == data
        assert reader.first == data[:1]
        assert reader.digest.hexdigest() == hashlib.sha256(data).hexdigest()
