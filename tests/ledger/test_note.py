"""Signed notes: the published ones, the order of the checks, and every malformed spelling."""

import base64
from collections.abc import Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger import note
from ledger.note import Ed25519Signer, Ed25519Verifier, Note, NoteError, Signature, Verifier
from tests.ledger import published
from tests.ledger.published import ENOCH, ENOCH_KEY, PETER, PETER_KEY, TEXT

PETER_VERIFIER, ENOCH_VERIFIER = note.parse_vkey(PETER_KEY), note.parse_vkey(ENOCH_KEY)
BY_PETER = Signature.parse(PETER.strip())
BY_ENOCH = Signature.parse(ENOCH.strip())

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER = Ed25519Signer("lgsco/handover", KEY.public_key().public_bytes_raw(), KEY.sign)
VERIFIER = Ed25519Verifier(SIGNER.name, SIGNER.public)
GOOD = note.sign_note("a text\n\nof three lines\n", [SIGNER])


def opened(text: str, *verifiers: Verifier) -> Note:
    return note.open_note(text.encode(), verifiers)


def refusal(text: bytes | str, verifiers: Sequence[Verifier] = (PETER_VERIFIER, VERIFIER)) -> tuple[str, str]:
    with pytest.raises(NoteError) as caught:
        note.open_note(text.encode() if isinstance(text, str) else text, verifiers)
    return caught.value.reason, caught.value.message


def longer(line: str) -> str:
    """The published corruption: three more bytes in the middle of a signature."""
    return line[:60] + "ABCD" + line[60:]


def renamed(name: str) -> str:
    """Peter's signature under another name."""
    return PETER.replace("PeterNeumann", name)


# published


def test_a_published_note_is_opened_with_the_unknown_signature_left_aside() -> None:
    assert opened(TEXT + "\n" + PETER + ENOCH, PETER_VERIFIER) == Note(TEXT, (BY_PETER,), (BY_ENOCH,))


def test_both_published_signatures_hold() -> None:
    found = opened(TEXT + "\n" + PETER + ENOCH, PETER_VERIFIER, ENOCH_VERIFIER)
    assert found == Note(TEXT, (BY_PETER, BY_ENOCH), ())


def test_a_published_checkpoint_of_another_program_is_opened() -> None:
    key = Ed25519Verifier(published.LOG, published.LOG_PUBLIC)
    assert opened(published.LOG_CHECKPOINT, key).text == published.LOG_CHECKPOINT.partition("\n\n")[0] + "\n"


def test_a_note_without_a_known_signature_is_refused() -> None:
    for verifiers in ((), (VERIFIER,)):
        assert refusal(TEXT + "\n" + PETER + ENOCH, verifiers) == ("unknown-key", "no known key signed the note")


def test_a_key_that_is_known_twice_is_refused_when_it_is_used_only() -> None:
    twice = (ENOCH_VERIFIER, PETER_VERIFIER, ENOCH_VERIFIER)
    reason, message = refusal(TEXT + "\n" + ENOCH, twice)
    assert (reason, "same name and key id" in message) == ("ambiguous-key", True)
    assert opened(TEXT + "\n" + PETER, *twice).verified == (BY_PETER,)


def test_repeated_signatures_count_once() -> None:
    found = opened(TEXT + "\n" + PETER + PETER + ENOCH + ENOCH + longer(ENOCH), PETER_VERIFIER)
    assert found.verified == (BY_PETER,)
    assert found.unverified == (BY_ENOCH, Signature.parse(longer(ENOCH).strip()))


def test_a_bad_signature_of_a_known_key_refuses_the_note() -> None:
    expected = ("bad-signature", "a known key's signature on a note does not hold")
    assert refusal(TEXT + "\n" + longer(PETER)) == expected
    assert refusal("Another text\n\n" + PETER) == expected


def test_a_good_signature_does_not_cover_up_a_bad_one_of_the_same_or_another_key() -> None:
    for lines in (PETER + longer(PETER), longer(PETER) + PETER, PETER + longer(ENOCH), longer(ENOCH) + PETER):
        assert refusal(TEXT + "\n" + lines, (PETER_VERIFIER, ENOCH_VERIFIER))[0] == "bad-signature"


def test_one_hundred_signatures_are_read_and_no_more() -> None:
    assert opened(TEXT + "\n" + PETER * 100, PETER_VERIFIER).verified == (BY_PETER,)
    for verifiers in ((), (PETER_VERIFIER,)):
        assert refusal(TEXT + "\n" + PETER * 101, verifiers) == ("bad-note", "a note has more than 100 signatures")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TEXT.encode(), "no signatures"),
        (f"{TEXT}\n".encode(), "no signatures"),
        (f"{TEXT}\n{PETER[:-1]}".encode(), "end with a newline"),
        (f"\x01{TEXT}\n{PETER}".encode(), "control character"),
        (b"\xff" + f"{TEXT}\n{PETER}".encode(), "not UTF-8"),
        (f"{TEXT}\n{renamed('Bad Name')}".encode(), "base64"),
        (f"{TEXT}\n{PETER}Unexpected line.\n".encode(), "dash"),
        (b"", "no signatures"),
        (b"\n", "no signatures"),
        (b"\n\n", "no signatures"),
        (PETER.encode(), "no signatures"),
        (f"\n{PETER}".encode(), "no signatures"),
        (f"{TEXT}{PETER}".encode(), "no signatures"),
        (f"{TEXT}\n{PETER}\n".encode(), "no signatures"),
        (f"{TEXT}\n{PETER}\n\n".encode(), "no signatures"),
        (f"{TEXT}\n{PETER}{PETER[:-1]}".encode(), "end with a newline"),
        (f"{TEXT}\r\n{PETER}".encode(), "control character"),
        (f"{TEXT}\n{PETER}".replace("\n", "\r\n").encode(), "control character"),
        (f"{TEXT}\n{PETER[:-1]}\r\n".encode(), "control character"),
        (f"{TEXT}\t\n{PETER}".encode(), "control character"),
        (f"{TEXT}\0\n{PETER}".encode(), "control character"),
        (f"{TEXT}\n{PETER}".encode("utf-16"), "not UTF-8"),
        (b"\xc0\xaf" + f"{TEXT}\n{PETER}".encode(), "not UTF-8"),
        (b"\xed\xa0\x80" + f"{TEXT}\n{PETER}".encode(), "not UTF-8"),
        (b"\xf4\x90\x80\x80" + f"{TEXT}\n{PETER}".encode(), "not UTF-8"),
        (f"{TEXT}\n {PETER}".encode(), "dash"),
        (f"{TEXT}\n-{PETER[1:]}".encode(), "dash"),
        (f"{TEXT}\n–{PETER[1:]}".encode(), "dash"),
        (f"{TEXT}\n—{PETER[2:]}".encode(), "dash"),
        (f"{TEXT}\n— {PETER[1:]}".encode(), "base64"),
        (f"{TEXT}\n—  {PETER[2:]}".encode(), "base64"),
        (f"{TEXT}\n{PETER.replace('n x', 'n  x')}".encode(), "base64"),
        (f"{TEXT}\n{PETER[:-1]} \n".encode(), "base64"),
        (f"{TEXT}\n{PETER[:-1]}=\n".encode(), "base64"),
        (f"{TEXT}\n{renamed('Peter+Neumann')}".encode(), "malformed"),
        (TEXT.encode() + b"\n" + renamed("Peter\N{NO-BREAK SPACE}Neumann").encode(), "malformed"),
        (TEXT.encode() + b"\n" + renamed("Peter\N{LINE SEPARATOR}Neumann").encode(), "malformed"),
        (f"{TEXT}\n{PETER}— x\n".encode(), "malformed"),
        (f"{TEXT}\n{PETER}— x \n".encode(), "malformed"),
        (f"{TEXT}\n{PETER}— \n".encode(), "malformed"),
        (f"{TEXT}\n{PETER}— x AAAAAA==\n".encode(), "malformed"),
        (f"{TEXT}\n{PETER}— x AAAAAAB=\n".encode(), "base64"),
        (f"{TEXT}\n{PETER}— x AAAAAAA\n".encode(), "base64"),
        (f"{TEXT}\n{PETER}— x AAAA-A_=\n".encode(), "base64"),
    ],
)
def test_what_is_no_note_is_refused_though_a_good_signature_is_in_it(text: bytes, why: str) -> None:
    reason, message = refusal(text)
    assert (reason, why in message) == ("bad-note", True), message


def test_the_smallest_signature_line_has_one_byte_of_signature() -> None:
    assert Signature.parse("— x AAAAAAE=") == Signature("x", bytes(4), b"\x01")
    assert opened(f"{TEXT}\n{PETER}— x AAAAAAE=\n", PETER_VERIFIER).verified == (BY_PETER,)


def test_a_note_of_a_million_bytes_is_read_and_no_larger_one() -> None:
    rest = len(note.sign_note("\n", [SIGNER]))
    text = "a" * (note.MAX_NOTE - rest) + "\n"
    whole = note.sign_note(text, [SIGNER])
    assert (len(whole), note.open_note(whole, [VERIFIER]).text) == (note.MAX_NOTE, text)
    assert refusal(b"a" + whole) == ("bad-note", "a note is larger than 1000000 bytes")
    with pytest.raises(NoteError, match="larger"):
        note.sign_note("a" + text, [SIGNER])


@pytest.mark.parametrize("text", [None, 7, GOOD.decode(), bytearray(GOOD), [GOOD]])
def test_what_is_not_bytes_is_no_note(text: Any) -> None:
    for wrong in (
        lambda: note.open_note(text, [VERIFIER]),
        lambda: note.split(text),
        lambda: note.add_signatures(text, []),
    ):
        with pytest.raises(NoteError, match="not given as bytes"):
            wrong()


@pytest.mark.parametrize("line", [None, 7, PETER.strip().encode()])
def test_what_is_not_text_is_no_signature_line(line: Any) -> None:
    with pytest.raises(NoteError, match="dash"):
        Signature.parse(line)


# which key


def test_a_signature_that_shares_only_the_name_or_only_the_id_with_a_known_key_is_ignored() -> None:
    other_id = Signature(BY_PETER.name, b"abcd", BY_PETER.blob)
    other_name = Signature("CarmenSandiego", BY_PETER.key_id, BY_PETER.blob)
    lines = f"{other_id.line}\n{other_name.line}\n"
    assert refusal(f"{TEXT}\n{lines}")[0] == "unknown-key"
    assert opened(f"{TEXT}\n{lines}{PETER}", PETER_VERIFIER) == Note(TEXT, (BY_PETER,), (other_id, other_name))


class Colliding:
    """Another key that happens to have Peter's name and key id."""

    name = BY_PETER.name
    key_id = BY_PETER.key_id

    def verify(self, message: bytes, signature: bytes) -> bool:
        return VERIFIER.verify(message, signature)


def test_a_key_that_collides_with_the_signers_refuses_the_note() -> None:
    assert refusal(f"{TEXT}\n{PETER}", [Colliding()])[0] == "bad-signature"
    assert refusal(f"{TEXT}\n{PETER}", [Colliding(), PETER_VERIFIER])[0] == "ambiguous-key"
    assert refusal(f"{TEXT}\n{PETER}", [PETER_VERIFIER, Colliding()])[0] == "ambiguous-key"


def test_names_are_compared_byte_for_byte() -> None:
    composed, decomposed = Ed25519Signer("é", SIGNER.public, KEY.sign), Ed25519Verifier("e\u0301", SIGNER.public)
    assert refusal(note.sign_note("a\n", [composed]), [decomposed])[0] == "unknown-key"


# text and its end


def test_the_text_ends_at_the_last_empty_line() -> None:
    for text in ("\n", "\n\n", "a\n\n\n", "a\n\n— b AAAAAAAA\n", "a\n\nb\n\nc\n", "\u0080 \x7f\n"):
        signed = note.sign_note(text, [SIGNER])
        assert note.open_note(signed, [VERIFIER]).text == text


def test_a_note_inside_a_note_is_text() -> None:
    outer = note.sign_note(GOOD.decode(), [SIGNER])
    assert note.open_note(outer, [VERIFIER]).text == GOOD.decode()


def test_signatures_that_were_moved_into_the_text_or_out_of_it_do_not_hold() -> None:
    assert refusal(GOOD + b"\n" + PETER.encode(), [VERIFIER])[0] == "unknown-key"
    cut = GOOD.replace(b"a text\n\nof three lines\n", b"a text\n")
    assert refusal(cut)[0] == "bad-signature"


def test_every_flipped_bit_of_a_note_is_noticed() -> None:
    for bit in range(len(GOOD) * 8):
        changed = bytearray(GOOD)
        changed[bit // 8] ^= 1 << bit % 8
        assert refusal(bytes(changed), [VERIFIER])[0] in ("bad-note", "bad-signature", "unknown-key")


def test_every_cut_of_a_note_is_noticed() -> None:
    for end in range(len(GOOD)):
        assert refusal(GOOD[:end], [VERIFIER])[0] == "bad-note"
    for start in range(1, len(GOOD)):
        assert refusal(GOOD[start:], [VERIFIER])[0] in ("bad-note", "bad-signature")


# writing


def test_signing_gives_the_published_note() -> None:
    """Ed25519 is deterministic, and the private key of this one is published too."""
    raw = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")
    key = Ed25519PrivateKey.from_private_bytes(raw[1:])
    signer = Ed25519Signer("PeterNeumann", key.public_key().public_bytes_raw(), key.sign)
    assert note.sign_note(TEXT, [signer]).decode() == TEXT + "\n" + PETER


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must end with a newline"),
        ("abc", "must end with a newline"),
        ("a\r\n", "control character"),
        ("a\0\n", "control character"),
        ("a\tb\n", "control character"),
        ("\ud800\n", "not Unicode"),
    ],
)
def test_no_text_is_signed_that_no_reader_would_accept(text: str, why: str) -> None:
    with pytest.raises(NoteError, match=why):
        note.sign_note(text, [SIGNER])


@pytest.mark.parametrize("name", ["", "bad name", "a+b", "a\nb", "a\u2003b", "a\x00"])
def test_nothing_is_signed_under_a_name_that_is_none(name: str) -> None:
    with pytest.raises(NoteError):
        note.sign_note("a\n", [Ed25519Signer(name, SIGNER.public, KEY.sign)])


def test_a_note_without_signers_or_with_too_many_is_not_written() -> None:
    with pytest.raises(NoteError, match="no signatures"):
        note.sign_note("a\n", [])
    with pytest.raises(NoteError, match="more than 100"):
        note.sign_note("a\n", [SIGNER] * 101)


def test_added_signatures_follow_the_others_once() -> None:
    more = note.add_signatures((TEXT + "\n" + PETER).encode(), [ENOCH.strip(), PETER.strip(), ENOCH.strip()])
    assert more.decode() == TEXT + "\n" + PETER + ENOCH
    assert note.add_signatures(more, []) == more


@pytest.mark.parametrize("line", ["", PETER, "x", "— x", PETER.strip() + "\n\n— x AAAAAAE="])
def test_only_signature_lines_are_added(line: str) -> None:
    with pytest.raises(NoteError):
        note.add_signatures(GOOD, [line])


def test_signatures_are_added_to_notes_only_and_not_too_many() -> None:
    with pytest.raises(NoteError, match="no signatures"):
        note.add_signatures(b"a text\n", [PETER.strip()])
    many = [Signature("x", bytes(4), bytes([n])).line for n in range(100)]
    with pytest.raises(NoteError, match="more than 100"):
        note.add_signatures(GOOD, many)


# properties

TEXTS = st.text(st.characters(exclude_categories=["Cs"]).filter(lambda c: c >= " ") | st.just("\n")).map(
    lambda t: t + "\n"
)


@given(TEXTS)
def test_what_was_signed_is_what_is_opened(text: str) -> None:
    signed = note.sign_note(text, [SIGNER])
    assert note.open_note(signed, [VERIFIER]).text == text
    assert written(*note.split(signed)) == signed


def written(text: str, signatures: tuple[Signature, ...]) -> bytes:
    return (text + "\n" + "".join(f"{s.line}\n" for s in signatures)).encode()


PIECES = st.sampled_from(
    [b"\n", b"\n\n", "— ".encode(), b"x ", b"AAAAAAE=", b"AAAAAAE", b"\xff", b"+", b"\r", PETER.encode()]
)


@given(st.lists(PIECES | st.binary(max_size=4), max_size=12).map(b"".join))
def test_what_parses_is_written_back_byte_for_byte_and_all_else_is_refused(data: bytes) -> None:
    try:
        parts = note.split(data)
    except NoteError:
        return
    assert written(*parts) == data


@given(st.binary(max_size=200), st.integers(0, len(GOOD)), st.integers(0, len(GOOD)))
def test_a_changed_note_is_refused_with_a_note_error(junk: bytes, start: int, stop: int) -> None:
    changed = GOOD[:start] + junk + GOOD[stop:]
    if changed != GOOD:
        assert refusal(changed, [VERIFIER])
