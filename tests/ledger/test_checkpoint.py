"""Checkpoints: the one spelling, who may sign them, and cosignatures on them."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger import checkpoint, note
from ledger.checkpoint import Checkpoint, CheckpointError, CosignatureVerifier, Cosigner
from ledger.merkle import EMPTY_ROOT
from ledger.note import Ed25519Signer, Ed25519Verifier, NoteError, Signature
from tests.ledger import published

LOG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LOG = Ed25519Signer("lgsco/handover", LOG_KEY.public_key().public_bytes_raw(), LOG_KEY.sign)
LOG_VERIFIER = Ed25519Verifier(LOG.name, LOG.public)

WITNESS_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
WITNESS = Cosigner("ofsted/witness", WITNESS_KEY.public_key().public_bytes_raw(), WITNESS_KEY.sign, 1_795_000_000)
WITNESS_VERIFIER = CosignatureVerifier(WITNESS.name, WITNESS.public)

ROOT = base64.b64encode(EMPTY_ROOT).decode()
HEAD = Checkpoint("lgsco/handover", 0, EMPTY_ROOT)
SIGNED = note.sign_note(HEAD.encode(), [LOG])


def refusal(text: str | bytes) -> str:
    with pytest.raises(CheckpointError) as caught:
        checkpoint.parse(text)
    assert caught.value.reason == "bad-checkpoint"
    return caught.value.message


# reading and writing


def test_published_checkpoints_are_read_and_written_back() -> None:
    for signed, origin, size in (
        (published.COSIGNED, "example.com/behind-the-sofa", 20852163),
        (published.LOG_CHECKPOINT, published.LOG, 1),
    ):
        text, _ = note.split(signed.encode())
        head = checkpoint.parse(text)
        assert (head.origin, head.size, head.extensions, head.encode()) == (origin, size, (), text)


def test_text_and_bytes_are_read_alike() -> None:
    assert checkpoint.parse(HEAD.encode()) == checkpoint.parse(HEAD.encode().encode()) == HEAD


def test_extension_lines_are_kept() -> None:
    head = Checkpoint("lgsco/handover", 7, EMPTY_ROOT, ("an extension", " ", "— another"))
    assert head.encode() == f"lgsco/handover\n7\n{ROOT}\nan extension\n \n— another\n"
    assert checkpoint.parse(head.encode()) == head


@pytest.mark.parametrize("origin", ["a", "example log+origin", "é" * 127 + "a", "a" * 255, " ", "0"])
def test_an_origin_may_be_any_line_of_up_to_255_bytes(origin: str) -> None:
    assert checkpoint.parse(f"{origin}\n1\n{ROOT}\n").origin == origin


def test_a_checkpoint_may_be_as_long_as_a_note() -> None:
    start = f"o\n1\n{ROOT}\n"
    text = start + "x" * (note.MAX_NOTE - len(start) - 1) + "\n"
    assert checkpoint.parse(text).encode() == text


@pytest.mark.parametrize("size", [0, 1, 9, 10, 2**32, 2**63 - 1])
def test_sizes_up_to_63_bits_are_read(size: int) -> None:
    head = checkpoint.parse(f"o\n{size}\n{ROOT}\n")
    assert (head.size, head.encode()) == (size, f"o\n{size}\n{ROOT}\n")


@pytest.mark.parametrize(
    "size",
    [
        *("00", "01", "007", "-0", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "1_000", "١", "１", "²", "", "x"),
        *(str(2**63), str(2**64 - 1), str(2**64), "9" * 20, "9" * 5000),
    ],
)
def test_other_spellings_of_the_size_are_refused(size: str) -> None:
    expected = "an empty one" if size == "" else "plain decimal number of 63 bits"
    assert expected in refusal(f"o\n{size}\n{ROOT}\n")


@pytest.mark.parametrize(
    ("root", "why"),
    [
        (ROOT[:-1], "canonical base64"),
        (ROOT + "=", "canonical base64"),
        (ROOT[:-2] + "V=", "canonical base64"),
        (ROOT.replace("/", "_").replace("+", "-"), "canonical base64"),
        (" " + ROOT, "canonical base64"),
        (ROOT + " ", "canonical base64"),
        (EMPTY_ROOT.hex(), "32 bytes"),
        ("=", "canonical base64"),
        ("é" * 44, "canonical base64"),
        (base64.b64encode(bytes(31)).decode(), "32 bytes"),
        (base64.b64encode(bytes(33)).decode(), "32 bytes"),
        (base64.b64encode(b"bananas").decode(), "32 bytes"),
    ],
)
def test_other_roots_are_refused(root: str, why: str) -> None:
    assert why in refusal(f"o\n1\n{root}\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "end with a newline"),
        (f"o\n1\n{ROOT}", "end with a newline"),
        (f"o\n1\n{ROOT}\nextension", "end with a newline"),
        ("\n", "three lines"),
        ("\n\n\n", "three lines"),
        ("o\n1\n", "three lines"),
        (f"o\n{ROOT}\n", "three lines"),
        (f"\n1\n{ROOT}\n", "an empty one"),
        (f"\no\n1\n{ROOT}\n", "an empty one"),
        (f"o\n\n{ROOT}\n", "an empty one"),
        ("o\n1\n\n", "an empty one"),
        (f"o\n1\n{ROOT}\n\n", "an empty one"),
        (f"o\n1\n{ROOT}\n\nextension\n", "an empty one"),
        (f"o\n1\n{ROOT}\nextension\n\n", "an empty one"),
        (SIGNED.decode(), "an empty one"),
        (f"o\r\n1\r\n{ROOT}\r\n", "control character"),
        (f"o\r\n1\n{ROOT}\n", "control character"),
        (f"o\n1\r\n{ROOT}\n", "control character"),
        (f"o\t\n1\n{ROOT}\n", "control character"),
        (f"o\n1\n{ROOT}\nx\0\n", "control character"),
        (f"{'a' * 256}\n1\n{ROOT}\n", "longer than 255 bytes"),
        (f"{'é' * 128}\n1\n{ROOT}\n", "longer than 255 bytes"),
        (f"\ud800\n1\n{ROOT}\n", "not UTF-8"),
        (b"\xff\n1\n" + ROOT.encode() + b"\n", "not UTF-8"),
        (f"o\n1\n{ROOT}\n" + "x" * note.MAX_NOTE, "larger than a note"),
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str | bytes, why: str) -> None:
    assert why in refusal(text)


@pytest.mark.parametrize("text", [None, 7, bytearray(HEAD.encode().encode()), [HEAD.encode()]])
def test_what_is_neither_text_nor_bytes_is_no_checkpoint(text: Any) -> None:
    assert "neither as text nor as bytes" in refusal(text)


@pytest.mark.parametrize(
    "head",
    [
        Checkpoint("", 0, EMPTY_ROOT),
        Checkpoint("a\n1", 0, EMPTY_ROOT),
        Checkpoint("a\r", 0, EMPTY_ROOT),
        Checkpoint("a", -1, EMPTY_ROOT),
        Checkpoint("a", 2**63, EMPTY_ROOT),
        Checkpoint("a", True, EMPTY_ROOT),
        Checkpoint("a", 0, b""),
        Checkpoint("a", 0, bytes(33)),
        Checkpoint("a", 0, EMPTY_ROOT, ("",)),
        Checkpoint("a", 0, EMPTY_ROOT, ("x\ny",)),
    ],
)
def test_what_could_not_be_read_back_is_not_written(head: Checkpoint) -> None:
    with pytest.raises(CheckpointError):
        head.encode()


LINES = st.text(st.characters(exclude_categories=["Cs"]).filter(lambda c: c >= " "), min_size=1, max_size=60)


@given(LINES, st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32), st.lists(LINES, max_size=3).map(tuple))
def test_what_is_written_is_what_is_read(origin: str, size: int, root: bytes, extensions: tuple[str, ...]) -> None:
    head = Checkpoint(origin, size, root, extensions)
    assert checkpoint.parse(head.encode()) == head


PIECES = st.sampled_from(["\n", "0", "7", "o", ROOT, ROOT[:-1], "=", "\r", "\ud800", "é"])


@given(st.lists(PIECES, max_size=12).map("".join) | st.text())
def test_what_parses_is_written_back_and_all_else_is_refused(text: str) -> None:
    try:
        head = checkpoint.parse(text)
    except CheckpointError:
        return
    assert head.encode() == text


@given(st.binary(max_size=200), st.integers(0, 70), st.integers(0, 70))
def test_changed_bytes_are_read_as_written_or_refused(junk: bytes, start: int, stop: int) -> None:
    data = HEAD.encode().encode()
    changed = data[:start] + junk + data[stop:]
    try:
        head = checkpoint.parse(changed)
    except CheckpointError:
        return
    assert head.encode().encode() == changed


# signatures


def test_a_checkpoint_signed_by_its_origin_is_opened() -> None:
    assert checkpoint.open_checkpoint(SIGNED, [LOG_VERIFIER, WITNESS_VERIFIER]) == HEAD


def test_a_published_checkpoint_is_opened_with_its_logs_key() -> None:
    key = Ed25519Verifier(published.LOG, published.LOG_PUBLIC)
    assert checkpoint.open_checkpoint(published.LOG_CHECKPOINT.encode(), [key]).size == 1


def test_neither_a_witness_nor_another_ledger_speaks_for_an_origin() -> None:
    other = Ed25519Signer("ofsted/handover", WITNESS.public, WITNESS_KEY.sign)
    for signer, verifier in ((WITNESS, WITNESS_VERIFIER), (other, Ed25519Verifier(other.name, other.public))):
        signed = note.sign_note(HEAD.encode(), [signer])
        with pytest.raises(CheckpointError) as caught:
            checkpoint.open_checkpoint(signed, [LOG_VERIFIER, verifier])
        assert (caught.value.reason, caught.value.message) == (
            "wrong-origin",
            "a checkpoint is not signed by its own origin",
        )


def test_a_signed_text_that_is_no_checkpoint_is_refused() -> None:
    with pytest.raises(CheckpointError, match="three lines"):
        checkpoint.open_checkpoint(note.sign_note("a text\n", [LOG]), [LOG_VERIFIER])


def test_an_unknown_or_bad_signature_is_refused_as_such() -> None:
    for verifier, reason in (
        (WITNESS_VERIFIER, "unknown-key"),
        (Ed25519Verifier(LOG.name, WITNESS.public), "unknown-key"),
    ):
        with pytest.raises(NoteError) as caught:
            checkpoint.open_checkpoint(SIGNED, [verifier])
        assert caught.value.reason == reason
    with pytest.raises(NoteError) as caught:
        checkpoint.open_checkpoint(SIGNED.replace(b"\n0\n", b"\n1\n"), [LOG_VERIFIER])
    assert caught.value.reason == "bad-signature"


def test_every_flipped_bit_of_a_signed_checkpoint_is_noticed() -> None:
    for bit in range(len(SIGNED) * 8):
        changed = bytearray(SIGNED)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NoteError):
            checkpoint.open_checkpoint(bytes(changed), [LOG_VERIFIER])


# cosignatures


def test_a_cosignature_holds_beside_the_ledgers_signature() -> None:
    line = checkpoint.cosign(SIGNED, WITNESS)
    both = note.add_signatures(SIGNED, [line])
    opened = note.open_note(both, [LOG_VERIFIER, WITNESS_VERIFIER])
    assert [signature.name for signature in opened.verified] == [LOG.name, WITNESS.name]
    assert checkpoint.open_checkpoint(both, [LOG_VERIFIER]) == HEAD


def test_a_cosignature_covers_every_line_of_the_checkpoint() -> None:
    whole = Checkpoint("lgsco/handover", 5, bytes(32), ("an extension",))
    line = checkpoint.cosign(note.sign_note(whole.encode(), [LOG]), WITNESS)
    for other in (
        Checkpoint("lgsco/handove", 5, bytes(32), ("an extension",)),
        Checkpoint("lgsco/handover", 6, bytes(32), ("an extension",)),
        Checkpoint("lgsco/handover", 5, EMPTY_ROOT, ("an extension",)),
        Checkpoint("lgsco/handover", 5, bytes(32), ("another extension",)),
        Checkpoint("lgsco/handover", 5, bytes(32)),
    ):
        moved = note.add_signatures(note.sign_note(other.encode(), [LOG]), [line])
        with pytest.raises(NoteError) as caught:
            note.open_note(moved, [LOG_VERIFIER, WITNESS_VERIFIER])
        assert caught.value.reason == "bad-signature"


def test_two_cosignatures_of_one_witness_count_once() -> None:
    later = Cosigner(WITNESS.name, WITNESS.public, WITNESS.do, WITNESS.now + 1)
    lines = [checkpoint.cosign(SIGNED, cosigner) for cosigner in (later, WITNESS)]
    opened = note.open_note(note.add_signatures(SIGNED, lines), [WITNESS_VERIFIER])
    assert opened.verified == (Signature.parse(lines[0]),)


def test_only_signed_checkpoints_are_cosigned() -> None:
    with pytest.raises(CheckpointError, match="three lines"):
        checkpoint.cosign(note.sign_note("a text\n", [LOG]), WITNESS)
    with pytest.raises(NoteError, match="no signatures"):
        checkpoint.cosign(HEAD.encode().encode(), WITNESS)


def test_a_tree_of_no_entries_is_cosigned_with_its_one_root_only() -> None:
    assert checkpoint.cosign(SIGNED, WITNESS)
    with pytest.raises(CheckpointError, match="another root than the empty tree"):
        checkpoint.cosign(note.sign_note(Checkpoint(LOG.name, 0, bytes(32)).encode(), [LOG]), WITNESS)


def test_the_published_cosignature_is_of_the_time_that_its_specification_says() -> None:
    _, (_, witness) = note.split(published.COSIGNED.encode())
    assert witness.name == "witness.example.com/w1"
    assert len(witness.blob) == 72
    assert int.from_bytes(witness.blob[:8], "big") == published.COSIGNED_AT
