"""The Merkle tree of RFC 9162: hashes, complete subtrees, inclusion and consistency proofs.

    leaf      SHA-256(0x00 || data)
    interior  SHA-256(0x01 || left || right)

Only complete subtrees are stored: node (level, index) covers the leaves [index * 2^level, (index + 1) * 2^level), level 0
being the leaves, so that appending and proving touch O(log n) nodes. Specification: RFC 9162, section 2.1.

>>> leaves = [leaf_hash(bytes([n])) for n in range(3)]
>>> nodes = {}
>>> for size, leaf in enumerate(leaves):
...     nodes |= {(level, index): h for level, index, h in new_nodes(size, leaf, lambda l, i: nodes[l, i])}
>>> read = lambda level, index: nodes[level, index]
>>> root(3, read) == node_hash(node_hash(leaves[0], leaves[1]), leaves[2])
True
>>> verify_inclusion(leaves[2], 2, 3, inclusion_proof(2, 3, read), root(3, read))
>>> verify_consistency(2, 3, consistency_proof(2, 3, read), root(2, read), root(3, read))
"""

import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from config.errors import Refused

HASH_SIZE: Final = 32
MAX_SIZE: Final = 2**63 - 1
"""Largest tree: sizes are signed 64-bit numbers in the formats and databases that carry them."""

# SPEC: RFC 9162 2.1.1: the hash of an empty list is the hash of an empty string
EMPTY_ROOT: Final = sha256(b"").digest()

NodeReader = Callable[[int, int], bytes]
"""read(level, index) -> hash of a complete subtree; level 0 are the leaf hashes."""


class ProofError(Refused):
    """A proof that does not prove what it is said to."""

    reason = "bad-proof"


def leaf_hash(data: bytes) -> bytes:
    """SPEC: RFC 9162 2.1.1: SHA-256(0x00 || data)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SPEC: RFC 9162 2.1.1: SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def new_nodes(size: int, leaf: bytes, read: NodeReader) -> list[tuple[int, int, bytes]]:
    """The complete subtrees, lowest first, that leaf number `size` completes (itself included)."""
    level, index, digest = 0, size, leaf
    made = [(level, index, digest)]
    while index & 1:
        digest = node_hash(read(level, index - 1), digest)
        level, index = level + 1, index >> 1
        made.append((level, index, digest))
    return made


def root(size: int, read: NodeReader) -> bytes:
    """The root of the first `size` leaves."""
    _check_size(size)
    return _range_hash(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: NodeReader) -> tuple[bytes, ...]:
    """The path from leaf `index` to the root of the first `size` leaves; 0 ≤ index < size."""
    _check_size(size)
    if not 0 <= index < size:
        raise ProofError(f"there is no entry {index} in a tree of {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        # SPEC: RFC 9162 2.1.3.1: split at the largest power of two smaller than n
        middle = low + _split(high - low)
        if index < middle:
            path.append(_range_hash(middle, high, read))
            high = middle
        else:
            path.append(_range_hash(low, middle, read))
            low = middle
    return tuple(reversed(path))


def consistency_proof(old: int, new: int, read: NodeReader) -> tuple[bytes, ...]:
    """That the first `old` leaves are a prefix of the first `new`; empty for old = 0 and old = new."""
    _check_size(new)
    if not 0 <= old <= new:
        raise ProofError(f"a tree of {new} has no prefix of {old}")
    if old in (0, new):
        return ()
    path: list[bytes] = []
    low, high, whole = 0, new, True
    # SPEC: RFC 9162 2.1.4.1: SUBPROOF(m, D[0:n], b)
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_range_hash(middle, high, read))
            high = middle
        else:
            path.append(_range_hash(low, middle, read))
            low, whole = middle, False
    if not whole:
        path.append(_range_hash(low, high, read))
    return tuple(reversed(path))


def verify_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise ProofError unless `proof` leads from the leaf at `index` to `root` of a tree of `size` leaves."""
    _check_size(size)
    _check_hashes((leaf_hash, root, *proof))
    if not 0 <= index < size:
        raise ProofError(f"there is no entry {index} in a tree of {size}")
    # SPEC: RFC 9162 2.1.3.2 steps 2 to 5
    fn, sn, r = index, size - 1, leaf_hash
    for p in proof:
        if sn == 0:
            raise ProofError("the inclusion proof is too long")
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise ProofError("the inclusion proof is too short")
    if not hmac.compare_digest(r, root):
        raise ProofError("the inclusion proof does not lead to the root")


def verify_consistency(size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    """Raise ProofError unless the tree of `size1` leaves is a prefix of the tree of `size2`."""
    _check_size(size1)
    _check_size(size2)
    _check_hashes((root1, root2, *proof))
    if size1 > size2:
        raise ProofError(f"a tree of {size2} cannot continue one of {size1}")
    if size1 in (0, size2):
        if proof:
            raise ProofError("a consistency proof is given where it must be empty")
        if size1 == size2 and not hmac.compare_digest(root1, root2):
            raise ProofError(f"two roots are given for the same size {size1}")
        if size1 == 0 and not hmac.compare_digest(root1, EMPTY_ROOT):
            raise ProofError("the root of the empty tree is wrong")
        return
    _walk_consistency(size1, size2, proof, root1, root2)


def _walk_consistency(size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    # SPEC: RFC 9162 2.1.4.2 steps 2 to 7
    path = list(proof)
    if size1 & (size1 - 1) == 0:
        path.insert(0, root1)
    if not path:
        raise ProofError("the consistency proof is empty")
    fn, sn = size1 - 1, size2 - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            raise ProofError("the consistency proof is too long")
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise ProofError("the consistency proof is too short")
    if not hmac.compare_digest(fr, root1):
        raise ProofError("the consistency proof does not lead to the old root")
    if not hmac.compare_digest(sr, root2):
        raise ProofError("the consistency proof does not lead to the new root")


def _range_hash(low: int, high: int, read: NodeReader) -> bytes:
    """Root of the leaves [low, high), where `low` is a multiple of the largest power of two up to high - low."""
    digests = []
    while low < high:
        level = (high - low).bit_length() - 1
        digests.append(read(level, low >> level))
        low += 1 << level
    digest = digests.pop()
    while digests:
        digest = node_hash(digests.pop(), digest)
    return digest


def _split(size: int) -> int:
    """The largest power of two smaller than `size` (≥ 2)."""
    return 1 << (size - 1).bit_length() - 1


def _check_size(size: int) -> None:
    if not 0 <= size <= MAX_SIZE:
        raise ProofError("a tree size is out of range")


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(digest) != HASH_SIZE for digest in hashes):
        raise ProofError(f"a hash has not {HASH_SIZE} bytes")
