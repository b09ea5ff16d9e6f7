"""A tree as a ledger stores it, and why a proof in it is refused."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ledger import merkle
from ledger.merkle import ProofError

DATA = tuple(f"entry {n}".encode() for n in range(40))
LEAF_HASHES = tuple(merkle.leaf_hash(data) for data in DATA)


def stored(leaf_hashes: Sequence[bytes]) -> merkle.NodeReader:
    """What a ledger would have stored after adding these leaves one by one."""
    nodes: dict[tuple[int, int], bytes] = {}
    for size, leaf in enumerate(leaf_hashes):
        for level, index, digest in merkle.new_nodes(size, leaf, lambda level, index: nodes[level, index]):
            assert (level, index) not in nodes
            nodes[level, index] = digest
    return lambda level, index: nodes[level, index]


READ = stored(LEAF_HASHES)


def refusal(check: Callable[..., None], *arguments: Any) -> str:
    """Why a proof is refused."""
    with pytest.raises(ProofError) as caught:
        check(*arguments)
    assert caught.value.reason == "bad-proof"
    return caught.value.message
