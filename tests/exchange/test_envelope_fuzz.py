"""Whatever arrives, opening an envelope ends in its content or in an error of our own, in bounded memory."""

import io
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import Refused
from exchange.envelope import tar
from exchange.envelope.sealing import open_envelope
from exchange.envelope.tar import END, Members
from tests.exchange.envelopes import CONTENT, PARTNER, RECEIPT, archive, concern, encrypted, member, signature

SAID = concern().encode()
PLAIN = archive(SAID) + END
ENVELOPE = encrypted(PLAIN)
_said = RECEIPT.encode()
RECEIPT_PLAIN = archive(_said, None, signed=signature(_said, "receipt@handover")) + END
SEEDS = [PLAIN, RECEIPT_PLAIN, PLAIN + bytes(-len(PLAIN) % tar.RECORD)]
BLOCKS = [plain[at : at + 512] for plain in SEEDS for at in range(0, len(plain), 512)]
BLOCKS += [tar.header("payload", 1 << 33)[at : at + 512] for at in (0, 512, 1024)]


def attempt(envelope: bytes) -> bytes | None:
    """The content (empty for a receipt), or None if it was refused; any other error fails the test."""
    target = io.BytesIO()
    try:
        message = open_envelope(io.BytesIO(envelope), [PARTNER])
        message.verify_signature()
        if message.manifest.payload is None:
            message.finish()
        else:
            message.copy_payload(target, 1 << 40)
    except Refused:
        return None
    return target.getvalue()


def test_the_seeds_are_right_before_they_are_spoilt() -> None:
    assert len(BLOCKS) > 20
    assert [attempt(encrypted(plain)) for plain in SEEDS] == [CONTENT, b"", CONTENT]


@st.composite
def spoilt(draw: st.DrawFn, data: bytes) -> bytes:
    """Change, cut out, double or insert a few bytes somewhere, once to three times."""
    for _ in range(draw(st.integers(1, 3))):
        at, length = draw(st.integers(0, len(data))), draw(st.integers(0, 40))
        known = [b"", b"\0", b"/", b'"', b"{", b"0000600\0", data[at : at + 40] * 2]
        data = data[:at] + draw(st.binary(max_size=40) | st.sampled_from(known)) + data[at + length :]
    return data


@given(
    st.sampled_from(SEEDS).flatmap(spoilt)
    | st.lists(st.sampled_from(BLOCKS), max_size=20).map(b"".join)
    | st.binary(max_size=3000)
)
@settings(max_examples=300)
def test_whatever_is_in_an_envelope_is_what_was_signed_or_refused(plain: bytes) -> None:
    assert attempt(encrypted(plain)) in (None, CONTENT if b"payload\0" in plain else b"")


@given(spoilt(ENVELOPE))
@settings(max_examples=300)
def test_whatever_is_done_to_an_envelope_it_is_refused(envelope: bytes) -> None:
    assert attempt(envelope) is None or envelope == ENVELOPE


@given(st.binary(max_size=2000))
def test_any_bytes_are_refused(data: bytes) -> None:
    assert attempt(data) is None


@given(spoilt(SAID))
@settings(max_examples=200)
def test_no_byte_of_a_signed_manifest_can_be_changed(said: bytes) -> None:
    plain = member("manifest.json", said) + PLAIN[512 + len(SAID) + (-len(SAID) % 512) :]
    assert attempt(encrypted(plain)) is None or said == SAID


HUGE: list[Callable[[], bytes]] = [
    lambda: member("manifest.json", b"{" * 5_000_000),
    lambda: member("manifest.json", b"[" * 60_000),
    lambda: member("manifest.json", SAID) + member("manifest.json.sig", b"A" * 5_000_000),
    lambda: archive(SAID, None) + tar.header("payload", 1 << 50) + bytes(5_000_000),
    lambda: RECEIPT_PLAIN + bytes(5_000_000),
    lambda: member("x", b"") * 10_000,
    lambda: archive(SAID, None) + tar.header("payload", 1 << 50) * 3_000,
]


@pytest.mark.parametrize("make", HUGE)
def test_nothing_in_an_envelope_makes_us_take_much_memory(make: Callable[[], bytes]) -> None:
    source = io.BytesIO(encrypted(make()))
    tracemalloc.start()
    try:
        with pytest.raises(Refused):
            open_envelope(source, [PARTNER])
        highest = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert highest < 4 * 1024 * 1024


@given(st.binary(max_size=2000), st.integers(1, 600))
def test_a_tar_is_never_asked_for_more_than_it_says(data: bytes, step: int) -> None:
    members = Members(io.BytesIO(data))
    try:
        while members.next() is not None:
            while piece := members.read(step):
                assert len(piece) <= step
    except tar.TarError:
        return
