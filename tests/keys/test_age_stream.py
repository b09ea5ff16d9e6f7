"""The payload: every chunk in its place, the end where it was made, nothing given out that is not authentic."""

import io
import re
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.age import PayloadFailure
from keys.age.source import Source
from keys.age.stream import BLOCK, CHUNK, SEALED_CHUNK, TAG, Opener, Sealer, chunk_nonce, payload_key

KEY = payload_key(b"sixteen byte key", bytes(16))
SIZES = [
    0,
    1,
    CHUNK - 1,
    CHUNK,
    CHUNK + 1,
    2 * CHUNK,
    BLOCK * CHUNK + 1,
    (BLOCK + 1) * CHUNK,
    (2 * BLOCK + 3) * CHUNK + 7,
]


def plaintext(size: int) -> bytes:
    """Bytes of which no two chunks are alike."""
    return b"".join(number.to_bytes(8, "big") for number in range(size // 8 + 1))[:size]


def seal(plain: bytes, *, piece: int | None = None) -> bytes:
    sealed = io.BytesIO()
    sealer = Sealer(sealed, KEY)
    for start in range(0, len(plain), piece or len(plain) or 1):
        sealer.write(plain[start : start + (piece or len(plain))])
    sealer.finish()
    return sealed.getvalue()


def seal_chunks(*chunks: tuple[bytes, int, bool]) -> bytes:
    """Chunks by hand: plaintext, counter, whether it is marked as the last."""
    cipher = Sealer(io.BytesIO(), KEY)._cipher
    return b"".join(cipher.encrypt(chunk_nonce(counter, last=last), plain, None) for plain, counter, last in chunks)


def open_all(sealed: bytes) -> tuple[bytes, str]:
    """What is given out, and the message of the fault that ends it ("" for the verified end)."""
    opener, plain, fault = Opener(Source(io.BytesIO(sealed)), KEY), b"", ""
    try:
        while block := opener.block():
            plain += block
    except PayloadFailure as failure:
        fault = failure.message
    if fault:
        with pytest.raises(PayloadFailure, match=re.escape(fault)):  # again, by every later call
            opener.block()
        return plain, fault
    assert opener.ended
    assert not opener.block()
    return plain, ""


LONG = plaintext((2 * BLOCK + 1) * CHUNK + 100)
SEALED = seal(LONG)


@pytest.mark.parametrize("size", SIZES)
def test_a_payload_of_any_size_is_opened_to_the_same_bytes(size: int) -> None:
    sealed = seal(plaintext(size))
    assert len(sealed) == size + max(1, -(-size // CHUNK)) * TAG
    assert open_all(sealed) == (plaintext(size), "")


@pytest.mark.parametrize("piece", [1000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK - 3])
def test_the_sizes_in_which_it_is_written_do_not_matter(piece: int) -> None:
    assert seal(LONG, piece=piece) == SEALED


@given(st.lists(st.integers(0, 3 * CHUNK), max_size=6))
def test_any_sequence_of_writes_is_sealed_as_the_whole(sizes: list[int]) -> None:
    plain, sealed = plaintext(sum(sizes)), io.BytesIO()
    sealer, start = Sealer(sealed, KEY), 0
    for size in sizes:
        scratch = bytearray(plain[start : start + size])
        sealer.write(scratch)
        scratch[:] = bytes(len(scratch))  # what was written is ours to change
        start += size
    sealer.finish()
    assert sealed.getvalue() == seal(plain)


@pytest.mark.parametrize("kept", range(2 * BLOCK + 2))
@pytest.mark.parametrize("beyond", [-1, 0, 1, TAG, TAG + 1])
def test_a_payload_cut_short_at_or_near_a_border_gives_what_is_before_and_fails(kept: int, beyond: int) -> None:
    length = kept * SEALED_CHUNK + beyond
    if length < 0:
        return
    plain, fault = open_all(SEALED[:length])
    assert plain == LONG[: length // SEALED_CHUNK * CHUNK]
    assert fault


@pytest.mark.parametrize(
    ("sealed", "given_out", "why"),
    [
        (b"", b"", "cut short"),
        (bytes(TAG - 1), b"", "cut short"),
        (bytes(TAG), b"", "chunk 0 of the payload is altered"),
        (SEALED[: 3 * SEALED_CHUNK], LONG[: 3 * CHUNK], "cut short"),
        (SEALED[: 3 * SEALED_CHUNK + 5], LONG[: 3 * CHUNK], "cut short"),
        (SEALED[:-1], LONG[:-100], f"chunk {2 * BLOCK + 1} of the payload is altered"),
        (SEALED + b"\n", LONG[:-100], "altered"),
        (seal(LONG[: 2 * CHUNK]) + b"\n", LONG[: 2 * CHUNK], "something follows"),
        (seal(LONG[:CHUNK]) + b"\n", LONG[:CHUNK], "something follows"),
        (seal(LONG[: (BLOCK + 1) * CHUNK]) + b"\n", LONG[: (BLOCK + 1) * CHUNK], "something follows"),
        (seal(LONG[: 2 * CHUNK]) * 2, LONG[: 2 * CHUNK], "something follows"),
        (seal_chunks((LONG[:CHUNK], 0, False), (b"", 1, True)), LONG[:CHUNK], "last chunk is empty"),
        (seal_chunks((b"", 0, False)), b"", "altered"),
        (seal_chunks((b"short", 0, False), (b"end", 1, True)), b"", "altered"),
        (seal_chunks((b"end", 1, True)), b"", "altered"),
        (SEALED[SEALED_CHUNK:], b"", "altered"),
        (SEALED[:SEALED_CHUNK] + SEALED[2 * SEALED_CHUNK :], LONG[:CHUNK], "chunk 1 of the payload is altered"),
        (SEALED[:SEALED_CHUNK] + SEALED, LONG[:CHUNK], "chunk 1 of the payload is altered"),
        (
            SEALED[SEALED_CHUNK : 2 * SEALED_CHUNK] + SEALED[:SEALED_CHUNK] + SEALED[2 * SEALED_CHUNK :],
            b"",
            "chunk 0 of the payload is altered",
        ),
    ],
)
def test_what_is_not_the_payload_as_it_was_made_is_refused(sealed: bytes, given_out: bytes, why: str) -> None:
    plain, fault = open_all(sealed)
    assert plain == given_out
    assert why in fault


@given(st.integers(0, len(SEALED) - 1), st.integers(0, 7))
def test_one_flipped_bit_stops_the_payload_before_its_chunk(place: int, bit: int) -> None:
    changed = bytearray(SEALED)
    changed[place] ^= 1 << bit
    plain, fault = open_all(bytes(changed))
    assert plain == LONG[: place // SEALED_CHUNK * CHUNK]
    assert f"chunk {place // SEALED_CHUNK} of the payload is altered" in fault


class Breaking(io.BytesIO):
    """A source that fails once, behind `good` bytes, and would go on afterwards."""

    def __init__(self, data: bytes, good: int) -> None:
        super().__init__(data)
        self._good: int | None = good

    def _count(self, wanted: int) -> int:
        if self._good is None:
            return wanted
        if self.tell() >= self._good:
            self._good = None
            raise ConnectionResetError
        return min(wanted, self._good - self.tell())

    def read(self, n: int | None = -1, /) -> bytes:
        assert n is not None
        return super().read(self._count(n))

    def readinto(self, buffer: object, /) -> int:
        assert isinstance(buffer, memoryview)
        return super().readinto(buffer[: self._count(len(buffer))])


def test_nothing_is_given_out_behind_a_gap_that_a_failed_read_left() -> None:
    opener = Opener(Source(Breaking(SEALED, good=SEALED_CHUNK + 10)), KEY)
    assert opener.block() == LONG[:CHUNK]
    with pytest.raises(ConnectionResetError):
        opener.block()
    with pytest.raises(PayloadFailure, match="could not be read any further"):
        opener.block()


class Endless:
    """A source of `size` bytes, and a destination that forgets: neither keeps anything."""

    def __init__(self, size: int = 0) -> None:
        self._left = size
        self._piece = bytes(CHUNK)

    def read(self, n: int, /) -> bytes:
        size = min(n, self._left, CHUNK)
        self._left -= size
        return self._piece[:size]

    def write(self, data: bytes | memoryview, /) -> int:
        return len(data)


class Echo:
    """A source of what a sealer makes of zero bytes, made as it is asked for."""

    def __init__(self, chunks: int) -> None:
        self._made = io.BytesIO()
        self._sealer = Sealer(self, KEY)
        self._left = chunks

    def write(self, data: bytes | memoryview, /) -> int:
        self._made = io.BytesIO(self._made.read() + bytes(data))
        return len(data)

    def read(self, n: int, /) -> bytes:
        while self._left and not (data := self._made.read(n)):
            self._left -= 1
            self._sealer.write(bytes(CHUNK))
            if not self._left:
                self._sealer.finish()
        return data if self._left else self._made.read(n)


def _seal_many() -> None:
    sealer = Sealer(Endless(), KEY)
    for _ in range(200):
        sealer.write(bytes(CHUNK))
    sealer.finish()


def _open_many() -> None:
    opener, size = Opener(Source(Echo(200)), KEY), 0
    while block := opener.block():
        size += len(block)
    assert size == 200 * CHUNK


@pytest.mark.parametrize("work", [_seal_many, _open_many])
def test_the_memory_does_not_grow_with_the_payload(work: Callable[[], None]) -> None:
    tracemalloc.start()
    try:
        work()
        assert tracemalloc.get_traced_memory()[1] < 2 * 1024 * 1024  # of 12.5 MiB that pass through
    finally:
        tracemalloc.stop()
