"""Looking ahead in a stream loses nothing, whatever the sizes of the pieces."""

import io

from hypothesis import given
from hypothesis import strategies as st

from keys.age.source import Source, write_all


class Pieces:
    """A source with nothing but `read`, that gives pieces of its own sizes."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]
        self._rest = b""

    def read(self, n: int, /) -> bytes:
        if not self._rest and self._pieces:
            self._rest = self._pieces.pop(0)
        taken, self._rest = self._rest[:n], self._rest[n:]
        return taken


class Grudging(io.BytesIO):
    """A destination that takes three bytes at a time, as an unbuffered one may."""

    def write(self, data: object, /) -> int:
        assert isinstance(data, memoryview)
        return super().write(data[:3])


STEPS = st.lists(
    st.tuples(st.sampled_from(["peek", "line", "take", "fill"]), st.integers(0, 9000)),
    max_size=20,
)


@given(st.lists(st.binary(max_size=50) | st.just(b"\n" * 3) | st.just(b"x" * 5000), max_size=10), STEPS)
def test_what_is_taken_in_any_way_is_the_stream_in_its_order(pieces: list[bytes], steps: list[tuple[str, int]]) -> None:
    whole = b"".join(pieces)
    source, taken = Source(Pieces(pieces)), b""
    for step, count in steps:
        rest = whole[len(taken) :]
        if step == "peek":
            assert source.peek(count) == rest[:count]
        elif step == "line":
            expected = rest[: rest.find(b"\n") + 1 or None]
            line = source.line(count)
            assert line == (expected if len(expected) <= count else None)
            taken += line or b""
        elif step == "take":
            taken += source.take(count)
        else:
            buffer = bytearray(count)
            filled = source.fill(memoryview(buffer))
            assert filled == min(count, len(rest))
            taken += buffer[:filled]
        assert whole.startswith(taken)
    assert taken + source.take(len(whole)) == whole


def test_a_line_beyond_the_limit_is_not_read_to_its_end() -> None:
    endless = io.BytesIO(b"x" * 100_000)
    assert Source(endless).line(1000) is None
    assert endless.tell() < 10_000


def test_a_destination_that_takes_a_part_only_gets_the_rest_too() -> None:
    dst = Grudging()
    write_all(dst, b"0123456789")
    assert dst.getvalue() == b"0123456789"
