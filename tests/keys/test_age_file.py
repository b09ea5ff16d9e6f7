"""Whole files: who can open them, in which order they are refused, and how they are read and written in pieces."""

import contextlib
import io
import tarfile
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keys import age
from keys.age.header import Header
from keys.age.stream import BLOCK, CHUNK, SEALED_CHUNK, Sealer, payload_key

FILE_KEY = b"sixteen byte key"
CLASSICAL = age.X25519Identity.generate()
QUANTUM = age.HybridIdentity.generate()
PASSPHRASE = age.ScryptIdentity("correct horse")
IDENTITIES: list[age.Identity] = [CLASSICAL, QUANTUM, PASSPHRASE]


def seal(plain: bytes, *recipients: age.Recipient) -> bytes:
    sealed = io.BytesIO()
    age.encrypt(io.BytesIO(plain), sealed, recipients or [CLASSICAL.recipient()])
    return sealed.getvalue()


def unseal(sealed: bytes, *identities: age.Identity) -> bytes:
    opened = io.BytesIO()
    age.decrypt(io.BytesIO(sealed), opened, identities or IDENTITIES)
    return opened.getvalue()


def armour(sealed: bytes) -> bytes:
    text = io.BytesIO()
    writer = age.ArmorWriter(text)
    writer.write(sealed)
    writer.finish()
    return text.getvalue()


SMALL = seal(b"fictional concern about nobody")
HEADER = SMALL.index(b"\n--- ") + 49


@settings(max_examples=30)
@given(st.binary(max_size=300) | st.integers(0, 3 * CHUNK).map(bytes), st.booleans(), st.booleans())
def test_any_bytes_come_back_unchanged_from_either_kind_binary_or_armoured(plain: bytes, pq: bool, text: bool) -> None:
    identity = QUANTUM if pq else CLASSICAL
    sealed = seal(plain, identity.recipient())
    assert unseal(armour(sealed) if text else sealed, identity) == plain


def test_bytes_come_back_unchanged_with_a_passphrase() -> None:
    assert unseal(seal(b"at rest", age.ScryptRecipient("correct horse", work_factor=2))) == b"at rest"


def test_each_of_several_recipients_opens_the_file_and_nobody_else() -> None:
    others = [age.X25519Identity.generate() for _ in range(3)]
    sealed = seal(b"for three", *(other.recipient() for other in others))
    assert {unseal(sealed, other) for other in others} == {b"for three"}
    with pytest.raises(age.NoMatch, match="none of our 3 identities") as caught:
        unseal(sealed)
    assert caught.value.reason == "age-no-match"
    assert "X25519" in caught.value.hint


def test_a_reader_says_which_stanzas_there_are_and_which_identity_matched() -> None:
    reader = age.Reader(io.BytesIO(seal(b"", QUANTUM.recipient())), IDENTITIES)
    assert reader.stanza_types == ("mlkem768x25519",)
    assert reader.identity is QUANTUM


def by_hand(*stanzas: age.Stanza) -> bytes:
    """An empty file under the header that has exactly these stanzas, of the file key `FILE_KEY`."""
    sealed, nonce = io.BytesIO(), bytes(16)
    sealed.write(Header(stanzas, b"").sealed(FILE_KEY).encode() + nonce)
    Sealer(sealed, payload_key(FILE_KEY, nonce)).finish()
    return sealed.getvalue()


def test_stanzas_of_unknown_types_are_no_obstacle_even_if_they_look_like_armour() -> None:
    unknown = age.Stanza(("-----BEGIN", "AGE", "ENCRYPTED", "FILE-----"), bytes(100))
    assert unseal(by_hand(unknown, *CLASSICAL.recipient().wrap(FILE_KEY), unknown), CLASSICAL) == b""


def test_a_passphrase_stanza_in_company_is_refused_whoever_reads() -> None:
    for stanza in age.ScryptRecipient("x", work_factor=1).wrap(FILE_KEY):
        with pytest.raises(age.HeaderFailure, match="not the only one"):
            unseal(by_hand(*CLASSICAL.recipient().wrap(FILE_KEY), stanza), CLASSICAL)


def test_nobody_reads_without_identities() -> None:
    with pytest.raises(age.NoMatch):
        age.Reader(io.BytesIO(SMALL), [])


@pytest.mark.parametrize(
    ("recipients", "why"),
    [
        ([], "no recipient"),
        ([CLASSICAL.recipient(), QUANTUM.recipient()], "post-quantum and classical"),
        ([PASSPHRASE.recipient(), CLASSICAL.recipient()], "passphrase cannot be combined"),
        ([PASSPHRASE.recipient(), PASSPHRASE.recipient()], "passphrase cannot be combined"),
    ],
)
def test_recipients_that_weaken_each_other_are_refused_before_anything_is_written(
    recipients: list[age.Recipient], why: str
) -> None:
    dst = io.BytesIO()
    with pytest.raises(age.InvalidKey, match=why):
        age.encrypt(io.BytesIO(b"x"), dst, recipients)
    assert not dst.getvalue()


@pytest.mark.parametrize(
    ("sealed", "error"),
    [
        (b"", age.HeaderFailure),
        (b"%PDF-1.7\n", age.HeaderFailure),
        (b"\x00" * 5000, age.HeaderFailure),
        (SMALL[:10], age.HeaderFailure),
        (SMALL[:HEADER], age.HeaderFailure),
        (SMALL[: HEADER + 15], age.HeaderFailure),
        (SMALL[: HEADER + 16], age.PayloadFailure),
        (SMALL[:-1], age.PayloadFailure),
        (SMALL + b"x", age.PayloadFailure),
        (SMALL.replace(b"-> X25519", b"-> grease\n\n-> X25519"), age.HMACFailure),
        (b" \n", age.ArmorFailure),
        (armour(SMALL)[:-20], age.ArmorFailure),
        (b"To: somebody\n" + armour(SMALL), age.ArmorFailure),
        (armour(SMALL) + b"x", age.ArmorFailure),
        (armour(SMALL + b"x"), age.PayloadFailure),
        (armour(armour(SMALL)), age.HeaderFailure),
        (armour(b""), age.HeaderFailure),
    ],
)
def test_each_layer_refuses_with_its_own_error(sealed: bytes, error: type[age.AgeError]) -> None:
    with pytest.raises(age.AgeError) as caught:
        unseal(sealed, CLASSICAL)
    assert type(caught.value) is error


@pytest.mark.parametrize("length", range(len(SMALL)))
def test_a_file_cut_short_anywhere_is_refused(length: int) -> None:
    with pytest.raises((age.HeaderFailure, age.PayloadFailure)):
        unseal(SMALL[:length], CLASSICAL)


@given(st.integers(0, len(SMALL) - 1), st.integers(0, 7))
def test_a_file_with_one_flipped_bit_is_refused_and_gives_nothing(place: int, bit: int) -> None:
    changed, opened = bytearray(SMALL), io.BytesIO()
    changed[place] ^= 1 << bit
    with pytest.raises(age.AgeError):
        age.decrypt(io.BytesIO(changed), opened, [CLASSICAL])
    assert not opened.getvalue()


MASHED = st.lists(
    st.binary(max_size=40)
    | st.sampled_from([b"age-encryption.org/v1\n", b"-> X25519 ", b"-> scrypt ", b"--- ", b"\n", b"A" * 43, b"A" * 64])
    | st.builds(lambda start, stop: SMALL[start:stop], st.integers(0, 300), st.integers(0, 300)),
    max_size=8,
).map(b"".join)


@given(MASHED, st.booleans())
@example(
    b"age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 23\n" + b"A" * 43 + b"\n--- " + b"A" * 43 + b"\n", False
)
def test_whatever_arrives_only_our_own_errors_leave(sealed: bytes, text: bool) -> None:
    with contextlib.suppress(age.AgeError):
        unseal(armour(sealed) if text else sealed)


def test_what_comes_before_a_fault_has_been_given_out_and_nothing_else() -> None:
    plain = bytes(range(256)) * (3 * CHUNK // 256) + b"end"
    sealed, opened = bytearray(seal(plain)), io.BytesIO()
    sealed[HEADER + 16 + 2 * SEALED_CHUNK] ^= 1
    with pytest.raises(age.PayloadFailure, match="chunk 2"):
        age.decrypt(io.BytesIO(sealed), opened, [CLASSICAL])
    assert opened.getvalue() == plain[: 2 * CHUNK]


@settings(max_examples=30)
@given(st.lists(st.integers(-1, 2 * CHUNK), max_size=8), st.integers(0, 3 * CHUNK))
def test_a_reader_gives_as_much_as_it_is_asked_for(sizes: list[int], length: int) -> None:
    plain = bytes(range(256)) * (length // 256) + b"end"
    reader, taken = age.Reader(io.BytesIO(seal(plain)), [CLASSICAL]), 0
    for size in sizes:
        expected = plain[taken:] if size < 0 else plain[taken : taken + size]
        assert reader.read(size) == expected
        taken += len(expected)
    assert reader.read() == plain[taken:]
    assert reader.read(1) == reader.read() == b""


def test_a_reader_fills_a_buffer_and_ends_with_nothing() -> None:
    reader, buffer, taken = age.Reader(io.BytesIO(seal(bytes(CHUNK + 5))), [CLASSICAL]), bytearray(1000), 0
    while size := reader.readinto(buffer):
        taken += size
    assert taken == CHUNK + 5
    assert reader.readinto(bytearray()) == 0


def test_a_reader_gives_what_is_verified_before_it_raises_and_raises_ever_after() -> None:
    reader = age.Reader(io.BytesIO(seal(bytes(CHUNK + 5))[:-1]), [CLASSICAL])
    assert len(reader.read(2 * CHUNK)) == CHUNK
    for _ in range(2):
        with pytest.raises(age.PayloadFailure):
            reader.read(1)
        with pytest.raises(age.PayloadFailure):
            reader.readinto(bytearray(1))


def test_a_fault_of_the_armour_in_a_long_file_is_raised_as_such_ever_after() -> None:
    text = armour(seal(bytes(20 * CHUNK)))
    reader = age.Reader(io.BytesIO(text[:-100]), [CLASSICAL])
    assert reader.read(18 * CHUNK) == bytes((1 + 2 * BLOCK) * CHUNK)
    with pytest.raises(age.ArmorFailure) as first:
        reader.read(CHUNK)
    with pytest.raises(age.ArmorFailure) as second:
        reader.read(CHUNK)
    assert first.value is second.value


def test_a_tar_archive_can_be_read_straight_from_a_reader() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo("payload")
        entry.size = 3 * CHUNK
        archive.addfile(entry, io.BytesIO(bytes(entry.size)))
    reader = age.Reader(io.BytesIO(seal(packed.getvalue())), [CLASSICAL])
    with tarfile.open(fileobj=io.BufferedReader(_Raw(reader)), mode="r|") as archive:
        (member,) = archive.getmembers()
    assert (member.name, member.size) == ("payload", 3 * CHUNK)


class _Raw(io.RawIOBase):
    """A reader as Python's own streams know it."""

    def __init__(self, reader: age.Reader) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        assert isinstance(buffer, memoryview)
        return self._reader.readinto(buffer)


def test_a_writer_takes_any_pieces_and_says_how_much_it_took() -> None:
    sealed = io.BytesIO()
    writer = age.Writer(sealed, [CLASSICAL.recipient()])
    assert writer.write(b"") == 0
    assert writer.write(b"abc") == 3
    assert writer.write(bytearray(CHUNK)) == CHUNK
    assert writer.write(memoryview(bytes(8)).cast("H")) == 8
    writer.finish()
    assert unseal(sealed.getvalue()) == b"abc" + bytes(CHUNK + 8)


def test_a_file_without_its_end_is_refused() -> None:
    sealed = io.BytesIO()
    age.Writer(sealed, [CLASSICAL.recipient()]).write(bytes(2 * CHUNK))
    with pytest.raises(age.PayloadFailure):
        unseal(sealed.getvalue())


def test_nothing_can_be_written_behind_the_end() -> None:
    sealed = io.BytesIO()
    writer = age.Writer(sealed, [CLASSICAL.recipient()])
    writer.finish()
    with pytest.raises(age.AgeError, match="finished"):
        writer.write(b"x")
    with pytest.raises(age.AgeError, match="finished"):
        writer.finish()
    assert unseal(sealed.getvalue()) == b""


class Full(io.BytesIO):
    """A destination that refuses one write, the `at`th, and would take the next."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._left = at

    def write(self, data: object, /) -> int:
        assert isinstance(data, bytes | memoryview)
        self._left -= 1
        if self._left == 0:
            raise OSError(28, "No space left on device")
        return super().write(data)


def test_a_file_that_lost_a_write_cannot_be_made_to_look_complete() -> None:
    dst = Full(at=2)
    writer = age.Writer(dst, [CLASSICAL.recipient()])
    with pytest.raises(OSError, match="No space"):
        writer.write(bytes(2 * CHUNK))
    with pytest.raises(age.AgeError, match="could not be written"):
        writer.write(bytes(2 * CHUNK))
    with pytest.raises(age.AgeError, match="could not be written"):
        writer.finish()
    with pytest.raises(age.PayloadFailure):
        unseal(dst.getvalue())


def test_the_same_plaintext_is_never_sealed_twice_to_the_same_bytes() -> None:
    assert len({seal(b"same") for _ in range(20)}) == 20


class Zeros:
    """A source of `size` zero bytes that holds none of them, and a destination that forgets."""

    def __init__(self, size: int = 0) -> None:
        self._left = size

    def read(self, n: int, /) -> bytes:
        size = min(n, self._left)
        self._left -= size
        return bytes(size)

    def write(self, data: bytes | memoryview, /) -> int:
        return len(data)


def test_encrypting_takes_the_same_memory_for_any_size() -> None:
    tracemalloc.start()
    try:
        age.encrypt(Zeros(64 * 1024 * 1024), Zeros(), [CLASSICAL.recipient()])
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()
