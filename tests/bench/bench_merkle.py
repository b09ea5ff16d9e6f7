"""How quick the tree is, beside the bare hashing that any tree costs: `python tests/bench/bench_merkle.py [LEAVES]`.

Leaves are added one by one, as a ledger adds entries and as `ledger verify` adds them again, with the nodes in memory,
so that no database is measured; then proofs are made and checked. The floor is SHA-256 of the same number of leaves and
nodes in a plain loop. The best of some rounds counts.
"""

import hashlib
import sys
import time
from collections.abc import Callable

from ledger import merkle

DEFAULT_LEAVES = 1_000_000
ROUNDS = 3
PROOFS = 20_000
ENTRY_SIZE = 300
"""About as long as an entry of the ledger is."""

Nodes = list[list[bytes]]


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes at best."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def floor(leaves: int) -> None:
    """One hash for each leaf, and one for each complete subtree above it."""
    leaf, node = b"\x00" + bytes(ENTRY_SIZE), b"\x01" + bytes(64)
    for _ in range(leaves):
        hashlib.sha256(leaf).digest()
    for _ in range(leaves - leaves.bit_count()):
        hashlib.sha256(node).digest()


def grow(leaves: int) -> Nodes:
    """The stored nodes, level by level, of a tree to which the leaves were added one by one."""
    nodes: Nodes = [[] for _ in range(leaves.bit_length() + 1)]

    def read(level: int, index: int) -> bytes:
        return nodes[level][index]

    for size in range(leaves):
        leaf = merkle.leaf_hash(size.to_bytes(8, "big").ljust(ENTRY_SIZE, b"."))
        for level, _, digest in merkle.new_nodes(size, leaf, read):
            nodes[level].append(digest)
    return nodes


def prove(leaves: int, read: merkle.NodeReader) -> list[tuple[int, tuple[bytes, ...]]]:
    """Inclusion proofs of leaves from all over the tree."""
    step = max(1, leaves // PROOFS)
    return [(index, merkle.inclusion_proof(index, leaves, read)) for index in range(0, leaves, step)]


def main(leaves: int) -> None:
    """Print what each step takes, and how many times the floor the growing is."""
    nodes = grow(leaves)

    def read(level: int, index: int) -> bytes:
        return nodes[level][index]

    root = merkle.root(leaves, read)
    proofs = prove(leaves, read)
    sizes = range(1, leaves, max(1, leaves // PROOFS))

    def check() -> None:
        for index, proof in proofs:
            merkle.verify_inclusion(nodes[0][index], index, leaves, proof, root)

    def continue_() -> None:
        for size in sizes:
            proof = merkle.consistency_proof(size, leaves, read)
            merkle.verify_consistency(size, leaves, proof, merkle.root(size, read), root)

    lowest, growing = seconds(lambda: floor(leaves)), seconds(lambda: grow(leaves))
    print(f"{leaves:,} leaves of {ENTRY_SIZE} bytes")
    print(f"  hashing alone          {lowest:6.2f} s")
    print(f"  growing the tree       {growing:6.2f} s   {growing / lowest:.2f} times the hashing alone")
    for what, number, took in (
        ("proofs made", len(proofs), seconds(lambda: prove(leaves, read))),
        ("proofs checked", len(proofs), seconds(check)),
        ("continuations checked", len(sizes), seconds(continue_)),
    ):
        print(f"  {what:<22} {took:6.2f} s   {number / took:10,.0f} a second")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_LEAVES)
