"""The tree: the published vectors and the RFC's own recursion. What is refused is in test_merkle_refused.py."""

import hashlib
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import merkle
from ledger.merkle import EMPTY_ROOT, MAX_SIZE, ProofError
from tests.ledger import naive, published
from tests.ledger.trees import DATA, LEAF_HASHES, READ, refusal, stored

# hashes and roots


def test_leaf_and_node_hashes_are_the_published_ones() -> None:
    assert merkle.leaf_hash(b"L123456") == published.LEAF_L123456
    assert merkle.node_hash(b"N123", b"N456") == published.NODE_N123_N456
    assert merkle.leaf_hash(b"") == published.ROOTS[0]
    assert hashlib.sha256(b"").digest() == EMPTY_ROOT


def test_a_leaf_cannot_be_passed_off_as_a_node() -> None:
    left, right = LEAF_HASHES[:2]
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)


def test_the_roots_are_the_published_ones() -> None:
    read = stored([merkle.leaf_hash(leaf) for leaf in published.LEAVES])
    assert tuple(merkle.root(size, read) for size in range(1, 9)) == published.ROOTS


def test_the_empty_tree_has_the_hash_of_nothing_and_reads_nothing() -> None:
    assert merkle.root(0, stored([])) == EMPTY_ROOT


def test_every_root_is_the_one_of_the_rfcs_recursion() -> None:
    for size in range(len(DATA) + 1):
        assert merkle.root(size, READ) == naive.mth(DATA[:size])


def test_a_leaf_completes_as_many_subtrees_as_its_number_has_trailing_ones_and_one() -> None:
    made = merkle.new_nodes(0b10111, LEAF_HASHES[0b10111], READ)
    assert [(level, index) for level, index, _ in made] == [(0, 0b10111), (1, 0b1011), (2, 0b101), (3, 0b10)]


def test_stored_nodes_are_the_roots_of_the_leaves_that_they_cover() -> None:
    for level in range(6):
        for index in range(len(DATA) >> level):
            assert READ(level, index) == naive.mth(DATA[index << level : (index + 1) << level])


def test_there_is_no_proof_of_what_is_not_in_the_tree() -> None:
    for index, size in ((0, 0), (3, 3), (4, 3), (2**64 - 1, 3)):
        with pytest.raises(ProofError, match=f"there is no entry {index} in a tree of {size}"):
            merkle.inclusion_proof(index, size, READ)
    for old, new in ((1, 0), (4, 3), (2**64 - 1, 3)):
        with pytest.raises(ProofError, match=f"a tree of {new} has no prefix of {old}"):
            merkle.consistency_proof(old, new, READ)


# proofs that hold


def test_inclusion_proofs_are_those_of_the_rfcs_recursion_and_hold() -> None:
    for size in range(1, len(DATA) + 1):
        root = naive.mth(DATA[:size])
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, READ)
            assert list(proof) == naive.path(index, DATA[:size])
            merkle.verify_inclusion(LEAF_HASHES[index], index, size, proof, root)


def test_consistency_proofs_are_those_of_the_rfcs_recursion_and_hold() -> None:
    for new in range(1, len(DATA) + 1):
        for old in range(1, new + 1):
            proof = merkle.consistency_proof(old, new, READ)
            assert list(proof) == naive.proof(old, DATA[:new])
            merkle.verify_consistency(old, new, proof, naive.mth(DATA[:old]), naive.mth(DATA[:new]))


def test_every_tree_continues_the_empty_one_without_proof() -> None:
    for size in range(5):
        assert merkle.consistency_proof(0, size, READ) == ()
        merkle.verify_consistency(0, size, (), EMPTY_ROOT, merkle.root(size, READ))


@pytest.mark.parametrize(("index", "size", "proof"), published.INCLUSION)
def test_published_inclusion_proofs_hold(index: int, size: int, proof: tuple[bytes, ...]) -> None:
    leaf = merkle.leaf_hash(published.LEAVES[index])
    merkle.verify_inclusion(leaf, index, size, proof, published.ROOTS[size - 1])
    assert proof == merkle.inclusion_proof(index, size, stored([merkle.leaf_hash(d) for d in published.LEAVES]))


@pytest.mark.parametrize(("size1", "size2", "proof"), published.CONSISTENCY)
def test_published_consistency_proofs_hold(size1: int, size2: int, proof: tuple[bytes, ...]) -> None:
    merkle.verify_consistency(size1, size2, proof, published.ROOTS[size1 - 1], published.ROOTS[size2 - 1])
    assert proof == merkle.consistency_proof(size1, size2, stored([merkle.leaf_hash(d) for d in published.LEAVES]))


SIZES = st.integers(1, MAX_SIZE) | st.integers(0, 64).map(lambda n: min(1 << n, MAX_SIZE)) | st.integers(1, 300)


def giant(marked: int) -> merkle.NodeReader:
    """A tree of any size whose leaves are all the same but one."""

    @cache
    def read(level: int, index: int, special: bool = True) -> bytes:
        special = special and index == marked >> level
        if level == 0:
            return merkle.leaf_hash(b"marked" if special else b"same")
        if special:
            return merkle.node_hash(read(level - 1, index * 2), read(level - 1, index * 2 + 1))
        # equal subtrees are read once, whatever their index
        return merkle.node_hash(read(level - 1, 0, False), read(level - 1, 0, False))

    return lambda level, index: read(level, index) if index == marked >> level else read(level, 0, False)


@given(SIZES, st.data())
def test_proofs_hold_in_trees_of_any_size_up_to_two_to_the_64(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1))
    read = giant(index)
    root = merkle.root(size, read)
    proof = merkle.inclusion_proof(index, size, read)
    assert len(proof) <= (size - 1).bit_length() <= 64
    merkle.verify_inclusion(merkle.leaf_hash(b"marked"), index, size, proof, root)
    if other != index:
        assert refusal(merkle.verify_inclusion, merkle.leaf_hash(b"marked"), other, size, proof, root)
    old = data.draw(st.integers(1, size))
    proof = merkle.consistency_proof(old, size, read)
    merkle.verify_consistency(old, size, proof, merkle.root(old, read), root)
