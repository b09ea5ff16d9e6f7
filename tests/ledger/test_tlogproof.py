"""Proof files: what they prove, and that nothing else is one."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from config.errors import Refused
from ledger import checkpoint, merkle, note, tlogproof
from ledger.checkpoint import Checkpoint, Cosigner
from ledger.note import Ed25519Signer, Ed25519Verifier, NoteError
from ledger.tlogproof import Proof, TlogProofError
from tests.ledger import naive

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LOG = Ed25519Signer("lgsco/handover", KEY.public_key().public_bytes_raw(), KEY.sign)
VERIFIER = Ed25519Verifier(LOG.name, LOG.public)
WITNESS = Cosigner("ofsted/witness", LOG.public, KEY.sign, 1_795_000_000)

DATA = tuple(f"entry {n}".encode() for n in range(11))
HEAD = Checkpoint(LOG.name, len(DATA), naive.mth(DATA))
SIGNED = note.sign_note(HEAD.encode(), [LOG])
PROOF = Proof(5, tuple(naive.path(5, DATA)), SIGNED, DATA[5])
TEXT = PROOF.encode()
HASH = base64.b64encode(bytes(32)).decode()


def file(*lines: str, signed: bytes = SIGNED) -> bytes:
    """A proof file with these lines before its checkpoint."""
    return "".join(f"{line}\n" for line in ("c2sp.org/tlog-proof@v1", *lines, "")).encode() + signed


def refusal(data: bytes) -> str:
    with pytest.raises(TlogProofError) as caught:
        tlogproof.parse(data)
    assert caught.value.reason == "bad-proof"
    return caught.value.message


def check_alone(data: bytes) -> Checkpoint:
    """As somebody does who has nothing but the file and the ledger's key."""
    proof = tlogproof.parse(data)
    assert proof.extra is not None
    return proof.verify(proof.extra, [VERIFIER])


# proving


def test_every_entry_is_proven_by_its_own_file() -> None:
    for index, leaf in enumerate(DATA):
        proof = tlogproof.parse(Proof(index, tuple(naive.path(index, DATA)), SIGNED, leaf).encode())
        assert proof.extra == leaf
        assert check_alone(proof.encode()) == HEAD


def test_the_file_looks_as_the_specification_shows_it() -> None:
    hashes = [base64.b64encode(digest).decode() for digest in naive.path(5, DATA)]
    assert file("extra ZW50cnkgNQ==", "index 5", *hashes) == TEXT


def test_a_tree_of_one_entry_needs_no_hashes() -> None:
    signed = note.sign_note(Checkpoint(LOG.name, 1, merkle.leaf_hash(b"only")).encode(), [LOG])
    proof = Proof(0, (), signed)
    assert proof.encode() == b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + signed
    assert tlogproof.parse(proof.encode()) == proof
    assert proof.verify(b"only", [VERIFIER]).size == 1


def test_cosignatures_are_kept_and_not_asked_for() -> None:
    both = note.add_signatures(SIGNED, [checkpoint.cosign(SIGNED, WITNESS)])
    proof = tlogproof.parse(Proof(5, PROOF.hashes, both, DATA[5]).encode())
    assert proof.checkpoint == both
    assert proof.verify(DATA[5], [VERIFIER]) == HEAD


def test_another_entry_or_another_index_is_not_proven() -> None:
    for leaf in (DATA[4], b"", DATA[5] + b" "):
        with pytest.raises(merkle.ProofError, match="root"):
            PROOF.verify(leaf, [VERIFIER])
    for index in set(range(13)) - {5}:
        with pytest.raises(merkle.ProofError):
            Proof(index, PROOF.hashes, SIGNED).verify(DATA[5], [VERIFIER])


def test_a_proof_is_worth_nothing_without_the_ledgers_own_signature() -> None:
    other = Ed25519Signer("ofsted/handover", LOG.public, KEY.sign)
    for signed, verifiers, reason in (
        (SIGNED, [], "unknown-key"),
        (SIGNED, [Ed25519Verifier("ofsted/handover", LOG.public)], "unknown-key"),
        (SIGNED.replace(b"\n11\n", b"\n12\n"), [VERIFIER], "bad-signature"),
        (note.sign_note(HEAD.encode(), [other]), [Ed25519Verifier(other.name, other.public)], "wrong-origin"),
    ):
        with pytest.raises(NoteError) as caught:
            Proof(5, PROOF.hashes, signed).verify(DATA[5], verifiers)
        assert caught.value.reason == reason


def test_every_flipped_bit_of_a_proof_is_noticed() -> None:
    for bit in range(len(TEXT) * 8):
        changed = bytearray(TEXT)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Refused):
            check_alone(bytes(changed))


def test_every_cut_of_a_proof_is_refused() -> None:
    for end in range(len(TEXT)):
        assert refusal(TEXT[:end])


# the form


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no empty line"),
        (b"\n\n", "begin with c2sp.org/tlog-proof@v1"),
        (b"not a proof at all", "no empty line"),
        (b"c2sp.org/tlog-proof@v1\n", "no empty line"),
        (file()[:-1], "no index"),
        (file(signed=b""), "no index"),
        (file("index 0", signed=b""), "no signed checkpoint"),
        (file("index 0", signed=b"checkpoint\n"), "no signed checkpoint"),
        (file("index 0", signed=HEAD.encode().encode()), "no signed checkpoint"),
        (file("index 0", signed=note.sign_note("a text\n", [LOG])), "no signed checkpoint"),
        (file("index 0", signed=b"\n" + SIGNED), "no signed checkpoint"),
        (file("index 0", signed=SIGNED[:-1]), "no signed checkpoint"),
        (file("index 0", signed=SIGNED + b"\n"), "no signed checkpoint"),
        (file("index 0", "", HASH), "no signed checkpoint"),
        (TEXT.replace(b"@v1", b"@v2"), "begin with"),
        (TEXT.replace(b"@v1", b"@v1 "), "begin with"),
        (b" " + TEXT, "begin with"),
        (b"\n" + TEXT, "begin with"),
        (b"\xef\xbb\xbf" + TEXT, "ASCII"),
        (TEXT.replace(b"\n", b"\r\n"), "no empty line"),
        (TEXT.replace(b"@v1\n", b"@v1\r\n"), "begin with"),
        (file("index"), "no index"),
        (file("Index 0"), "no index"),
        (file("index\t0"), "no index"),
        (file(HASH), "no index"),
        (file("index 0", "index 0"), "base64"),
        (file("index 0", "extra AAAA"), "base64"),
        (file("extra AAAA", "extra AAAA", "index 0"), "no index"),
        (file("extra", "index 0"), "no index"),
        (file("extra !!notbase64!!", "index 0"), "extra data is not canonical base64"),
        (file("extra AAB=", "index 0"), "extra data is not canonical base64"),
        (file("extra AAA", "index 0"), "extra data is not canonical base64"),
        (file("extra  AAAA", "index 0"), "extra data is not canonical base64"),
        (file("extra " + "A" * 100_000, "index 0"), "larger than an entry"),
        (file("index 0", "!!notbase64!!"), "hash is not canonical base64"),
        (file("index 0", HASH[:-1]), "hash is not canonical base64"),
        (file("index 0", HASH + " "), "hash is not canonical base64"),
        (file("index 0", HASH[:-2] + "B="), "hash is not canonical base64"),
        (file("index 0", base64.b64encode(bytes(31)).decode()), "32 bytes"),
        (file("index 0", base64.b64encode(bytes(64)).decode()), "32 bytes"),
        (file("index 0", *[HASH] * 64), "more than 63 hashes"),
        (file("index 0", "é"), "ASCII"),
        (TEXT + b"a" * tlogproof.MAX_PROOF, "a proof is larger than"),
    ],
)
def test_what_is_no_proof_file_is_refused(data: bytes, why: str) -> None:
    assert why in refusal(data)


@pytest.mark.parametrize("data", [None, 7, TEXT.decode(), bytearray(TEXT)])
def test_what_is_not_bytes_is_no_proof_file(data: Any) -> None:
    assert refusal(data) == "a proof is not given as bytes"


@pytest.mark.parametrize(
    "index", ["", "-5", "+5", "00", "05", "5 ", " 5", "5.0", "0x5", "notanumber", "5_0", str(2**63), "9" * 30]
)
def test_other_spellings_of_the_index_are_refused(index: str) -> None:
    assert "plain decimal number of 63 bits" in refusal(file(f"index {index}"))


@pytest.mark.parametrize("extra", [None, b"", b"\x00", b"\n\n", bytes(65_535)])
def test_extra_data_is_optional_and_may_be_any_bytes(extra: bytes | None) -> None:
    proof = Proof(0, (bytes(32),) * 63, SIGNED, extra)
    assert tlogproof.parse(proof.encode()) == proof


def test_the_largest_proof_has_the_largest_parts() -> None:
    line = "extra " + "A" * (tlogproof.MAX_EXTRA - 6)
    assert "extra data is not canonical base64" in refusal(file(line, "index 0"))
    assert "extra data is larger than an entry" in refusal(file(line + "A", "index 0"))
    rest = len(file(line, "index 9223372036854775807", *[HASH] * 63, signed=b""))
    assert rest + note.MAX_NOTE <= tlogproof.MAX_PROOF < rest + note.MAX_NOTE + 100


@given(
    st.integers(0, 2**63 - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=5).map(tuple),
    st.none() | st.binary(max_size=100),
)
def test_what_is_written_is_what_is_read(index: int, hashes: tuple[bytes, ...], extra: bytes | None) -> None:
    proof = Proof(index, hashes, SIGNED, extra)
    assert tlogproof.parse(proof.encode()) == proof


PIECES = st.sampled_from(
    [
        b"c2sp.org/tlog-proof@v1\n",
        b"extra ",
        b"index ",
        b"0",
        b"\n",
        b"\n\n",
        HASH.encode() + b"\n",
        SIGNED,
        b"\xff",
        TEXT,
    ]
)


@given(st.lists(PIECES | st.binary(max_size=4), max_size=10).map(b"".join))
def test_what_parses_is_written_back_byte_for_byte_and_all_else_is_refused(data: bytes) -> None:
    try:
        proof = tlogproof.parse(data)
    except TlogProofError:
        return
    assert proof.encode() == data


@given(st.binary(max_size=100), st.integers(0, len(TEXT)), st.integers(0, len(TEXT)))
def test_a_changed_proof_file_proves_nothing(junk: bytes, start: int, stop: int) -> None:
    changed = TEXT[:start] + junk + TEXT[stop:]
    if changed == TEXT:
        return
    try:
        proof = tlogproof.parse(changed)
        head = proof.verify(DATA[5], [VERIFIER])
    except Refused:
        return
    # the extra data alone is not covered by anything
    assert (proof.index, proof.hashes, head) == (5, PROOF.hashes, HEAD)
