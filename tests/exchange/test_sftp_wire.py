"""Packets of SFTP: what is said comes back, and what is no packet is refused with a typed error."""

from dataclasses import fields
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.sftp import packets as say
from exchange.sftp.wire import MAX_PACKET, Splitter, WireError, encode, name, parse, text, write_header

UINT32 = st.integers(0, 2**32 - 1)
UINT64 = st.integers(0, 2**64 - 1)
STRING = st.binary(max_size=40)
PAIRS = st.lists(st.tuples(STRING, STRING), max_size=3).map(tuple)
ATTRIBUTES = st.builds(
    say.Attributes,
    size=st.none() | UINT64,
    owner=st.none() | st.tuples(UINT32, UINT32),
    permissions=st.none() | UINT32,
    times=st.none() | st.tuples(UINT32, UINT32),
    extended=st.none() | PAIRS,
)
NAMES = st.lists(st.builds(say.Name, STRING, STRING, ATTRIBUTES), max_size=3).map(tuple)
KINDS = [*say.Request.__args__, *say.Reply.__args__, say.Init, say.Version]


def _values(field: str) -> st.SearchStrategy[object]:
    if field in ("offset",):
        return UINT64
    if field in ("id", "flags", "length", "code", "version"):
        return UINT32
    special: dict[str, st.SearchStrategy[object]] = {"attributes": ATTRIBUTES, "names": NAMES, "extensions": PAIRS}
    return special.get(field, STRING)


PACKETS = st.one_of([st.builds(kind, **{f.name: _values(f.name) for f in fields(kind)}) for kind in KINDS])


@given(PACKETS)
def test_what_is_said_comes_back(packet: say.Packet) -> None:
    body = encode(packet)
    assert int.from_bytes(body[:4], "big") == len(body) - 4
    assert parse(body[4:]) == packet


@given(st.binary(max_size=200))
def test_what_parses_encodes_to_the_identical_bytes_or_is_refused(body: bytes) -> None:
    try:
        packet = parse(body)
    except WireError:
        return
    assert encode(packet)[4:] == body


@given(PACKETS, st.data())
def test_a_packet_that_is_cut_or_lengthened_is_refused_or_another_packet(
    packet: say.Packet, data: st.DataObject
) -> None:
    body = encode(packet)[4:]
    for other in (body[: data.draw(st.integers(0, len(body) - 1))], body + b"\0"):
        try:
            assert encode(parse(other))[4:] == other
        except WireError:
            continue


@given(st.lists(PACKETS, max_size=6), st.lists(st.integers(0, 400), max_size=10))
def test_a_stream_may_be_cut_anywhere(packets: list[say.Packet], cuts: list[int]) -> None:
    stream = b"".join(map(encode, packets))
    splitter = Splitter()
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    found = [packet for start, end in pairwise(edges) for packet in splitter.feed(stream[start:end])]
    assert found == packets


@pytest.mark.parametrize("length", [0, MAX_PACKET + 1, 2**32 - 1])
def test_a_packet_of_an_absurd_length_is_refused_before_its_bytes_come(length: int) -> None:
    with pytest.raises(WireError, match="empty or longer than any may be"):
        list(Splitter().feed(length.to_bytes(4, "big")))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no known type"),
        (b"\x63\0\0\0\x01", "no known type"),
        (b"\x04\0\0\0\x01\0\0\0\x05abc", "ends within a field"),
        (b"\x04\0\0\0\x01\0\0\0\x01ab", "longer than its fields"),
        (b"\x65\0\0\0\x01\0\0\0\0", "ends within a field"),
        (b"\x69\0\0\0\x01\0\0\0\x10", "unknown flags"),
        (b"\x68\0\0\0\x01\xff\xff\xff\xff", "ends within a field"),
    ],
)
def test_what_is_no_packet_is_refused_with_what_is_wrong(body: bytes, said: str) -> None:
    with pytest.raises(WireError, match=said):
        parse(body)


@given(UINT32, STRING, UINT64, STRING)
def test_the_head_of_a_write_and_its_data_are_the_write(number: int, handle: bytes, offset: int, data: bytes) -> None:
    assert write_header(number, handle, offset, len(data)) + data == encode(say.Write(number, handle, offset, data))


@given(st.binary(max_size=30))
def test_a_path_of_any_bytes_can_be_shown_and_sent_again(path: bytes) -> None:
    assert text(name(path)) == path
