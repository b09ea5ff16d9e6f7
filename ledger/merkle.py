"""The Merkle tree of RFC 9162: hashes, complete subtrees, inclusion and consistency proofs.

    leaf      SHA-256(0x00 || data)
    interior  SHA-256(0x01 || left || right)

Only complete subtrees are stored: node (level, index) covers the leaves [index * 2^level, (index + 1) * 2^level),
level 0 being the leaves, so that appending and proving touch O(log n) nodes. Specification: RFC 9162, section 2.1.

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
MAX_SIZE: Final = 2**64 - 1
"""Largest tree: RFC 9162 carries sizes as unsigned 64-bit numbers."""

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
    _check_size(size)
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
    _check_size(index)
    if index >= size:
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
    _check_size(old)
    if old > new:
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
    _check_hashes((leaf_hash, root), proof)
    # SPEC: RFC 9162 2.1.3.2 step 1: an index beyond the tree fails
    _check_size(index)
    if index >= size:
        raise ProofError(f"there is no entry {index} in a tree of {size}")
    # SPEC: RFC 9162 2.1.3.2 steps 2 to 4
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
    # SPEC: RFC 9162 2.1.3.2 step 5
    if sn != 0:
        raise ProofError("the inclusion proof is too short")
    if not hmac.compare_digest(r, root):
        raise ProofError("the inclusion proof does not lead to the root")


def verify_consistency(size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    """Raise ProofError unless the tree of `size1` leaves is a prefix of the tree of `size2`.

    Any tree continues the empty one: from size1 = 0 the proof is empty, and says nothing about root2.
    """
    _check_size(size1)
    _check_size(size2)
    if size1 > size2:
        raise ProofError(f"a tree of {size2} cannot continue one of {size1}")
    # SPEC: C2SP tlog-witness add-checkpoint: a tree of size zero has the root of the empty tree (the published
    # vectors of transparency-dev/merkle took any two equal roots for size zero until June 2026, and no longer do)
    if size1 == 0 and root1 != EMPTY_ROOT:
        raise ProofError("the root of the empty tree is wrong")
    # SPEC: RFC 9162 2.1.4.2: for equal sizes the roots are equal and the proof is empty; nothing is hashed, so that the
    # published vectors' roots of other lengths pass
    if size1 == size2:
        _check_empty(proof)
        if not isinstance(root1, bytes) or root1 != root2:
            raise ProofError(f"two roots are given for the same size {size1}")
        return
    _check_hashes((root1, root2), proof)
    # SPEC: C2SP tlog-witness add-checkpoint: the proof from size zero is empty (RFC 9162 knows none)
    if size1 == 0:
        _check_empty(proof)
        return
    _walk_consistency(size1, size2, proof, root1, root2)


def _walk_consistency(size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    """Both roots from one path, for 0 < size1 < size2."""
    # SPEC: RFC 9162 2.1.4.2 step 1: an empty proof fails
    if not proof:
        raise ProofError("the consistency proof is empty")
    # SPEC: RFC 9162 2.1.4.2 step 2: where size1 is a power of two, its root begins the path
    path = [root1, *proof] if size1 & (size1 - 1) == 0 else list(proof)
    # SPEC: RFC 9162 2.1.4.2 steps 3 and 4
    fn, sn = size1 - 1, size2 - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    # SPEC: RFC 9162 2.1.4.2 steps 5 and 6
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
    # SPEC: RFC 9162 2.1.4.2 step 7
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
    """Refuse what is no size: callers may hold numbers that a stranger wrote."""
    # a bool is an int to Python, but whoever passes one has mixed something up
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_SIZE:
        raise ProofError("a tree size or index is not a whole number from 0 to 2^64 - 1")


def _check_hashes(ends: Sequence[bytes], proof: Sequence[bytes]) -> None:
    if not isinstance(proof, Sequence) or not all(_is_hash(digest) for digest in (*ends, *proof)):
        raise ProofError(f"a hash in a proof has not {HASH_SIZE} bytes")


def _check_empty(proof: Sequence[bytes]) -> None:
    if not isinstance(proof, Sequence) or len(proof) > 0:
        raise ProofError("a consistency proof is given where it must be empty")


def _is_hash(digest: bytes) -> bool:
    return isinstance(digest, bytes) and len(digest) == HASH_SIZE
