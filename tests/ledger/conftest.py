"""What the tests of witnessing begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger.ledgers import LGSCO, OFSTED
from tests.ledger.pairs import Pair, Side


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Two ledgers with a few entries, which have not heard of each other."""
    with LGSCO.create(tmp_path / "lgsco.db") as one, OFSTED.create(tmp_path / "ofsted.db") as two:
        pair = Pair(Side(LGSCO, OFSTED, one), Side(OFSTED, LGSCO, two))
        pair.a.grow(3)
        pair.b.grow(5)
        yield pair
