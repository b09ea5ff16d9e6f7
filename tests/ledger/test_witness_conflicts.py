"""ledger/witness.py: what an honest ledger can never say is a conflict."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger import note
from ledger.witness import Outcome
from tests.ledger.ledgers import LGSCO, OFSTED, add, fresh_id, incoming, sqlite3
from tests.ledger.pairs import NOTE, Pair, Side


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with LGSCO.create(tmp_path / "lgsco.db") as one, OFSTED.create(tmp_path / "ofsted.db") as two:
        pair = Pair(Side(LGSCO, OFSTED, one), Side(OFSTED, LGSCO, two))
        pair.a.grow(3)
        pair.b.grow(5)
        yield pair


def _fork(pair: Pair, tmp_path: Path) -> Side:
    """The same ledger as `a`, which goes on with other entries."""
    sqlite3(pair.a.ledger.path, f"VACUUM INTO '{tmp_path / 'fork.db'}'")
    (tmp_path / "fork.db").chmod(0o600)
    fork = Side(LGSCO, OFSTED, LGSCO.open(tmp_path / "fork.db"))
    add(fork.ledger, NOTE.replace(partner="other"))
    return fork


def test_another_root_of_the_same_size_is_a_conflict(pair: Pair, tmp_path: Path) -> None:
    fork = _fork(pair, tmp_path)
    pair.a.grow()
    assert pair.b.hear(pair.a.say()).cosigned
    assert pair.b.hear(fork.say()) == Outcome(cosigned=False, conflict="other-root")
    assert pair.b.conflicts() == ["other-root"]
    known = pair.b.ledger.witnessed("lgsco")
    assert known is not None
    assert known.root == pair.a.ledger.root()


def test_a_proof_that_fails_is_a_conflict_and_nothing_is_cosigned(pair: Pair, tmp_path: Path) -> None:
    pair.swap()
    fork = _fork(pair, tmp_path)
    pair.a.grow(2)
    pair.swap()
    add(fork.ledger, *[NOTE.replace(partner="other")] * 4)
    fork.ledger.write(lambda tx: tx.keep_partner_seen("ofsted", 5))
    said = fork.say()
    assert said.old == 5
    assert pair.b.hear(said) == Outcome(cosigned=False, conflict="bad-proof")
    assert pair.b.seen() == 5


@pytest.mark.parametrize("how", ["changed", "shorter", "longer", "from nothing"])
def test_every_wrong_proof_is_a_conflict(pair: Pair, how: str) -> None:
    if how != "from nothing":
        pair.swap()
        pair.a.grow(4)
    said = pair.a.say()
    wrong = {
        "changed": (bytes(32), *said.consistency[1:]),
        "shorter": said.consistency[1:],
        "longer": (*said.consistency, bytes(32)),
        "from nothing": (bytes(32),),
    }[how]
    assert pair.b.hear(replace(said, consistency=wrong)) == Outcome(cosigned=False, conflict="bad-proof")


def test_a_checkpoint_that_the_partner_did_not_sign_is_a_conflict(pair: Pair) -> None:
    said = pair.a.say()
    forged = note.sign_note(said.checkpoint.partition("\n\n")[0] + "\n", [OFSTED.signer])
    assert pair.b.hear(replace(said, checkpoint=forged.decode())).conflict == "unknown-key"
    changed = said.checkpoint.replace("\n3\n", "\n4\n", 1)
    assert pair.b.hear(replace(said, checkpoint=changed)).conflict == "bad-signature"
    assert pair.b.hear(replace(said, checkpoint="")).conflict == "bad-note"
    assert pair.b.hear(replace(said, checkpoint="\ud800")).conflict == "bad-note"
    assert pair.b.seen() == 0


def test_a_running_number_that_is_used_twice_is_a_conflict(pair: Pair) -> None:
    one, two = fresh_id(), fresh_id()
    add(pair.b.ledger, next(incoming(one, 7, partner="lgsco")))
    assert pair.b.hear(pair.a.say(), sequence=7, handover=one).conflict is None
    assert pair.b.hear(pair.a.say(), sequence=8, handover=two).conflict is None
    assert pair.b.hear(pair.a.say(), sequence=7, handover=two).conflict == "sequence-reused"


def test_a_later_concern_from_a_smaller_ledger_is_a_conflict(pair: Pair, tmp_path: Path) -> None:
    sqlite3(pair.a.ledger.path, f"VACUUM INTO '{tmp_path / 'old.db'}'")
    pair.a.grow(5)
    assert pair.b.hear(pair.a.say(), sequence=4).cosigned
    with LGSCO.open(tmp_path / "old.db") as old:
        pair.a.ledger = old
        early = pair.a.say()
        assert pair.b.hear(early, sequence=3).conflict is None
        assert pair.b.hear(early).conflict is None
        assert pair.b.hear(early, sequence=5).conflict == "smaller-than-before"
    assert pair.b.conflicts() == ["smaller-than-before"]


def test_a_receipt_between_two_concerns_is_no_reason_for_suspicion(pair: Pair) -> None:
    early = pair.a.say()
    pair.a.grow()
    assert pair.b.hear(pair.a.say()).cosigned
    assert pair.b.hear(early, sequence=1).conflict is None


def test_a_partner_replaced_by_an_older_copy_is_noticed_by_us(pair: Pair, tmp_path: Path) -> None:
    pair.swap()
    sqlite3(pair.a.ledger.path, f"VACUUM INTO '{tmp_path / 'old.db'}'")
    pair.a.grow(2)
    pair.swap()
    with LGSCO.open(tmp_path / "old.db") as old:
        pair.a.ledger = old
        add(old, NOTE.replace(partner="other"), NOTE)
        assert pair.b.hear(pair.a.say()).conflict == "other-root"


def test_an_empty_ledger_is_not_cosigned(tmp_path: Path) -> None:
    with LGSCO.create(tmp_path / "a.db") as one, OFSTED.create(tmp_path / "b.db") as two:
        assert Side(OFSTED, LGSCO, two).hear(Side(LGSCO, OFSTED, one).say()) == Outcome(cosigned=False)


def test_whatever_stands_where_a_checkpoint_should_be_is_a_conflict(pair: Pair) -> None:
    for text in ("\n\n", "a\n\n— b c\n", os.urandom(50).hex()):
        assert pair.b.hear(replace(pair.a.say(), checkpoint=text)).conflict == "bad-note"
