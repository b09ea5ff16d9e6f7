"""Proofs in the tree that do not hold: the published corruptions, every flipped bit, and what is no proof at all."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import merkle
from ledger.merkle import EMPTY_ROOT, ProofError
from tests.ledger import naive, published
from tests.ledger.trees import DATA, LEAF_HASHES, READ, refusal, stored

Inclusion = tuple[bytes, int, int, Sequence[bytes], bytes]
Consistency = tuple[int, int, Sequence[bytes], bytes, bytes]


def flipped(data: bytes) -> Iterator[bytes]:
    """`data` with each single bit flipped."""
    for bit in range(len(data) * 8):
        yield (int.from_bytes(data, "big") ^ (1 << bit)).to_bytes(len(data), "big")


# proofs that do not hold


def corrupt_inclusion(leaf: bytes, index: int, size: int, proof: tuple[bytes, ...], root: bytes) -> Iterator[Inclusion]:
    """The corruptions of transparency-dev/merkle."""
    for other in (index - 1, (index - 1) % 2**64, index + 1, index ^ 2):
        yield leaf, other, size, proof, root
    yield leaf, index, size * 2, proof, root
    yield leaf, index, size // 2, proof, root
    yield b"WrongLeaf", index, size, proof, root
    yield leaf, index, size, proof, EMPTY_ROOT
    yield leaf, index, size, proof, published.SOME_HASH
    for garbage in (b"", root):
        yield leaf, index, size, (*proof, garbage), root
        yield leaf, index, size, (garbage, *proof), root
    for at in range(len(proof)):
        changed = bytes([proof[at][0] ^ 8]) + proof[at][1:]
        yield leaf, index, size, (*proof[:at], changed, *proof[at + 1 :]), root
    if proof:
        yield leaf, index, size, proof[:-1], root
        yield leaf, index, size, proof[1:], root
    if len(proof) > 1:
        yield leaf, index, size, (proof[0], published.SOME_HASH, *proof[1:]), root


def corrupt_consistency(
    old: int, new: int, proof: tuple[bytes, ...], root1: bytes, root2: bytes
) -> Iterator[Consistency]:
    """The corruptions of transparency-dev/merkle."""
    for other in (old - 1, old + 1, old ^ 2):
        yield other, new, proof, root1, root2
    yield old, new * 2, proof, root1, root2
    yield old, new // 2, proof, root1, root2
    yield old, new, proof, b"WrongRoot", root2
    yield old, new, proof, root1, b"WrongRoot"
    yield old, new, proof, root2, root1
    yield old, new, (), root1, root2
    for garbage in (b"", root1, root2, proof[0]):
        yield old, new, (garbage, *proof), root1, root2
    for garbage in (b"", root1, root2):
        yield old, new, (*proof, garbage), root1, root2
    yield old, new, proof[:-1], root1, root2
    for at in range(len(proof)):
        changed = bytes([proof[at][0] ^ 16]) + proof[at][1:]
        yield old, new, (*proof[:at], changed, *proof[at + 1 :]), root1, root2


@pytest.mark.parametrize(("index", "size", "proof"), published.INCLUSION)
def test_published_inclusion_proofs_fail_when_corrupted(index: int, size: int, proof: tuple[bytes, ...]) -> None:
    leaf = merkle.leaf_hash(published.LEAVES[index])
    for corrupted in corrupt_inclusion(leaf, index, size, proof, published.ROOTS[size - 1]):
        assert refusal(merkle.verify_inclusion, *corrupted)


@pytest.mark.parametrize(("size1", "size2", "proof"), published.CONSISTENCY[1:])
def test_published_consistency_proofs_fail_when_corrupted(size1: int, size2: int, proof: tuple[bytes, ...]) -> None:
    roots = published.ROOTS[size1 - 1], published.ROOTS[size2 - 1]
    for corrupted in corrupt_consistency(size1, size2, proof, *roots):
        assert refusal(merkle.verify_consistency, *corrupted)


NO_MATTER_1, NO_MATTER_2 = b"don't care 1", b"don't care 2"


@pytest.mark.parametrize("size", [1, 2, 2**63, 2**64 - 1])
def test_equal_sizes_need_equal_roots_and_no_proof_whatever_the_roots_are(size: int) -> None:
    check = merkle.verify_consistency
    check(size, size, [], NO_MATTER_1, NO_MATTER_1)
    assert "two roots" in refusal(check, size, size, [], NO_MATTER_1, NO_MATTER_2)
    assert "two roots" in refusal(check, size, size, [], EMPTY_ROOT, NO_MATTER_2)
    assert "must be empty" in refusal(check, size, size, [EMPTY_ROOT], EMPTY_ROOT, EMPTY_ROOT)


@pytest.mark.parametrize("root", [None, 7, "a" * 32, bytearray(32), [0] * 32])
def test_what_are_no_roots_are_not_equal_roots(root: Any) -> None:
    assert "two roots" in refusal(merkle.verify_consistency, 1, 1, [], root, root)


def test_the_empty_tree_has_one_root_also_beside_itself() -> None:
    """As published in testdata/consistency/additional/ since pull request 236 (June 2026); before, any root did."""
    check = merkle.verify_consistency
    check(0, 0, [], EMPTY_ROOT, EMPTY_ROOT)
    assert "two roots" in refusal(check, 0, 0, [], EMPTY_ROOT, NO_MATTER_2)
    assert "must be empty" in refusal(check, 0, 0, [EMPTY_ROOT], EMPTY_ROOT, EMPTY_ROOT)
    for root in (NO_MATTER_1, published.SOME_HASH, b"", None):
        for size in (0, 1):
            assert "root of the empty tree" in refusal(check, 0, size, [], root, root)


def test_from_the_empty_tree_only_its_own_root_and_no_proof_are_taken() -> None:
    check = merkle.verify_consistency
    check(0, 1, [], EMPTY_ROOT, published.SOME_HASH)
    assert "root of the empty tree" in refusal(check, 0, 1, [], published.SOME_HASH, EMPTY_ROOT)
    assert "root of the empty tree" in refusal(check, 0, 1, [], NO_MATTER_1, NO_MATTER_2)
    assert "32 bytes" in refusal(check, 0, 1, [], EMPTY_ROOT, NO_MATTER_2)
    assert "must be empty" in refusal(check, 0, 1, [EMPTY_ROOT], EMPTY_ROOT, EMPTY_ROOT)


def test_a_tree_does_not_shrink() -> None:
    root1, root2 = naive.mth(DATA[:5]), naive.mth(DATA[:4])
    assert "cannot continue" in refusal(merkle.verify_consistency, 5, 4, [], root1, root2)
    assert "cannot continue" in refusal(merkle.verify_consistency, 1, 0, [], root1, root2)


def test_a_proof_between_different_sizes_is_not_empty() -> None:
    for old in (1, 2, 3, 4):
        roots = naive.mth(DATA[:old]), naive.mth(DATA[:5])
        assert "is empty" in refusal(merkle.verify_consistency, old, 5, [], *roots)


def test_nothing_is_in_the_empty_tree() -> None:
    for index, size in ((0, 0), (1, 0), (1, 1), (2, 1), (2**63, 2**63)):
        message = refusal(merkle.verify_inclusion, LEAF_HASHES[0], index, size, [], LEAF_HASHES[0])
        assert message == f"there is no entry {index} in a tree of {size}"


def test_every_flipped_bit_of_an_inclusion_proof_is_noticed() -> None:
    index, size = 10, 23
    leaf, root = LEAF_HASHES[index], merkle.root(size, READ)
    proof = merkle.inclusion_proof(index, size, READ)
    for at, digest in enumerate(proof):
        for wrong in flipped(digest):
            changed = (*proof[:at], wrong, *proof[at + 1 :])
            assert "root" in refusal(merkle.verify_inclusion, leaf, index, size, changed, root)
    for wrong in flipped(leaf):
        assert "root" in refusal(merkle.verify_inclusion, wrong, index, size, proof, root)
    for wrong in flipped(root):
        assert "root" in refusal(merkle.verify_inclusion, leaf, index, size, proof, wrong)


@pytest.mark.parametrize(("old", "new"), [(8, 23), (11, 23), (22, 23)])
def test_every_flipped_bit_of_a_consistency_proof_is_noticed(old: int, new: int) -> None:
    root1, root2 = merkle.root(old, READ), merkle.root(new, READ)
    proof = merkle.consistency_proof(old, new, READ)
    for at, digest in enumerate(proof):
        for wrong in flipped(digest):
            changed = (*proof[:at], wrong, *proof[at + 1 :])
            assert "root" in refusal(merkle.verify_consistency, old, new, changed, root1, root2)
    for wrong in flipped(root1):
        assert "root" in refusal(merkle.verify_consistency, old, new, proof, wrong, root2)
    for wrong in flipped(root2):
        assert "new root" in refusal(merkle.verify_consistency, old, new, proof, root1, wrong)


def test_proofs_of_every_other_length_are_refused_as_too_short_or_too_long() -> None:
    for size in range(2, 20):
        root = merkle.root(size, READ)
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, READ)
            assert "too short" in refusal(merkle.verify_inclusion, LEAF_HASHES[index], index, size, proof[:-1], root)
            longer = (*proof, root)
            assert "too long" in refusal(merkle.verify_inclusion, LEAF_HASHES[index], index, size, longer, root)
        for old in range(1, size):
            roots = merkle.root(old, READ), root
            proof = merkle.consistency_proof(old, size, READ)
            assert "too long" in refusal(merkle.verify_consistency, old, size, (*proof, root), *roots)
            if len(proof) > 1:
                assert "too short" in refusal(merkle.verify_consistency, old, size, proof[:-1], *roots)


def test_a_leaf_is_only_where_it_is() -> None:
    for size in range(1, 20):
        root = merkle.root(size, READ)
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, READ)
            for other in set(range(size)) - {index}:
                assert refusal(merkle.verify_inclusion, LEAF_HASHES[index], other, size, proof, root)


def test_a_rewritten_tree_does_not_continue_the_old_one() -> None:
    for new in range(2, 20):
        for old in range(1, new):
            for changed in range(old):
                rewritten = [*LEAF_HASHES[:changed], published.SOME_HASH, *LEAF_HASHES[changed + 1 : new]]
                read = stored(rewritten)
                proof = merkle.consistency_proof(old, new, read)
                roots = merkle.root(old, READ), merkle.root(new, read)
                # a power of two is taken from the root itself, so that the new one cannot be reached
                which = "new root" if old.bit_count() == 1 else "old root"
                assert which in refusal(merkle.verify_consistency, old, new, proof, *roots)


# what is no proof at all


@pytest.mark.parametrize("size", [-1, -(2**64), 2**64, 2**200, 1.0, "1", None, b"\x01", True, False])
def test_what_is_no_size_is_refused_everywhere(size: Any) -> None:
    leaf = LEAF_HASHES[0]
    assert "whole number" in refusal(merkle.verify_inclusion, leaf, 0, size, [], leaf)
    assert "whole number" in refusal(merkle.verify_inclusion, leaf, size, 1, [], leaf)
    assert "whole number" in refusal(merkle.verify_consistency, size, 1, [], leaf, leaf)
    assert "whole number" in refusal(merkle.verify_consistency, 1, size, [], leaf, leaf)
    for wrong in (
        lambda: merkle.new_nodes(size, leaf, READ),
        lambda: merkle.root(size, READ),
        lambda: merkle.inclusion_proof(0, size, READ),
        lambda: merkle.inclusion_proof(size, 1, READ),
        lambda: merkle.consistency_proof(size, 1, READ),
        lambda: merkle.consistency_proof(1, size, READ),
    ):
        with pytest.raises(ProofError, match="whole number"):
            wrong()


@pytest.mark.parametrize("digest", [b"", bytes(31), bytes(33), "a" * 32, None, 7, bytearray(32), [0] * 32])
def test_what_is_no_hash_is_refused_everywhere(digest: Any) -> None:
    leaf = LEAF_HASHES[0]
    assert "32 bytes" in refusal(merkle.verify_inclusion, digest, 0, 2, [leaf], leaf)
    assert "32 bytes" in refusal(merkle.verify_inclusion, leaf, 0, 2, [digest], leaf)
    assert "32 bytes" in refusal(merkle.verify_inclusion, leaf, 0, 2, [leaf], digest)
    assert "32 bytes" in refusal(merkle.verify_consistency, 1, 2, [digest], leaf, leaf)
    assert "32 bytes" in refusal(merkle.verify_consistency, 1, 2, [leaf], digest, leaf)
    assert "32 bytes" in refusal(merkle.verify_consistency, 1, 2, [leaf], leaf, digest)


@pytest.mark.parametrize("proof", [None, 5, {LEAF_HASHES[1]}, iter([LEAF_HASHES[1]]), LEAF_HASHES[1], "a" * 32])
def test_what_is_no_list_of_hashes_is_refused(proof: Any) -> None:
    leaf, root = LEAF_HASHES[0], naive.mth(DATA[:2])
    assert "32 bytes" in refusal(merkle.verify_inclusion, leaf, 0, 2, proof, root)
    assert "32 bytes" in refusal(merkle.verify_consistency, 1, 2, proof, leaf, root)
    assert "must be empty" in refusal(merkle.verify_consistency, 2, 2, proof, root, root)


NUMBERS = st.integers(-2, 70) | st.integers(-(2**65), 2**65)
HASHES = st.binary(min_size=32, max_size=32) | st.sampled_from(LEAF_HASHES) | st.binary(max_size=40)


@given(HASHES, NUMBERS, NUMBERS, st.lists(HASHES, max_size=70), HASHES)
def test_made_up_proofs_raise_only_proof_errors(
    first: bytes, number1: int, number2: int, proof: list[bytes], second: bytes
) -> None:
    if not (number1 == 0 and number2 == 1 and first == second):
        assert refusal(merkle.verify_inclusion, first, number1, number2, proof, second)
    if not (number1 == number2 and first == second) and first != EMPTY_ROOT:
        assert refusal(merkle.verify_consistency, number1, number2, proof, first, second)
