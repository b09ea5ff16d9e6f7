"""ledger/witness.py: what an honest ledger can never say is a conflict, and a ledger that went back is noticed."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger import merkle, note
from ledger.note import NoteError
from ledger.witness import Outcome, RolledBack
from tests.ledger.ledgers import LGSCO, OFSTED, add, fresh_id, incoming, sqlite3
from tests.ledger.pairs import NOTE, Pair, Side

LINE = note.Signature("lgsco/witness", b"abcd", b"e" * 72).line + "\n"


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


# --- rolled back ------------------------------------------------------------------------------------------------------


def test_a_ledger_replaced_by_an_older_copy_is_noticed_by_itself(pair: Pair, tmp_path: Path) -> None:
    pair.swap()
    sqlite3(pair.a.ledger.path, f"VACUUM INTO '{tmp_path / 'old.db'}'")
    pair.a.grow(4)
    pair.swap()
    pair.a.ledger.close()
    (tmp_path / "old.db").replace(pair.a.ledger.path)
    with LGSCO.open(pair.a.ledger.path) as old:
        pair.a.ledger = old
        with pytest.raises(RolledBack, match="cosigned 7 entries of this ledger, which holds 3"):
            pair.a.hear(pair.b.say())
        entry = old.entry(3)
        assert (entry.event, entry.detail) == ("witness.rolled-back", {"seen": 7, "size": 3})


def test_a_rolled_back_ledger_that_has_grown_again_is_noticed_by_itself(pair: Pair, tmp_path: Path) -> None:
    sqlite3(pair.a.ledger.path, f"VACUUM INTO '{tmp_path / 'old.db'}'")
    pair.a.grow()
    pair.b.hear(pair.a.say())
    pair.a.ledger.close()
    (tmp_path / "old.db").replace(pair.a.ledger.path)
    with LGSCO.open(pair.a.ledger.path) as old:
        pair.a.ledger = old
        add(old, NOTE.replace(partner="other"))
        with pytest.raises(RolledBack, match="cosigned another tree of 4 entries"):
            pair.a.hear(pair.b.say())
        assert pair.a.events()[-1] == "witness.rolled-back"


def test_a_rolled_back_ledger_that_commits_in_other_steps_is_noticed_by_itself(pair: Pair, tmp_path: Path) -> None:
    sqlite3(pair.a.ledger.path, f"VACUUM INTO '{tmp_path / 'old.db'}'")
    pair.a.grow()
    pair.b.hear(pair.a.say())
    with LGSCO.open(tmp_path / "old.db") as old:
        pair.a.ledger = old
        old.write(lambda tx: [tx.append(NOTE) for _ in range(2)])
        with pytest.raises(RolledBack, match="a checkpoint of 4 entries that this ledger never made"):
            pair.a.hear(pair.b.say())


def test_a_partner_replaced_by_an_older_copy_is_noticed_by_us(pair: Pair, tmp_path: Path) -> None:
    pair.swap()
    sqlite3(pair.a.ledger.path, f"VACUUM INTO '{tmp_path / 'old.db'}'")
    pair.a.grow(2)
    pair.swap()
    with LGSCO.open(tmp_path / "old.db") as old:
        pair.a.ledger = old
        add(old, NOTE.replace(partner="other"), NOTE)
        assert pair.b.hear(pair.a.say()).conflict == "other-root"


def test_a_ledger_that_says_less_than_it_was_told_does_not_speak(pair: Pair) -> None:
    pair.a.ledger.write(lambda tx: tx.keep_partner_seen("ofsted", 9))
    with pytest.raises(RolledBack, match="cosigned 9 entries"):
        pair.a.say()


def test_a_cosignature_by_an_unknown_key_is_not_kept_and_no_accusation(pair: Pair) -> None:
    pair.b.hear(pair.a.say())
    said = replace(pair.b.say(), cosigned=LINE)
    assert pair.a.hear(said).conflict is None
    assert pair.a.ledger.cosignatures(3) == ()
    assert pair.a.ledger.partner_seen("ofsted") == 3


def test_an_empty_ledger_is_not_cosigned(tmp_path: Path) -> None:
    with LGSCO.create(tmp_path / "a.db") as one, OFSTED.create(tmp_path / "b.db") as two:
        assert Side(OFSTED, LGSCO, two).hear(Side(LGSCO, OFSTED, one).say()) == Outcome(cosigned=False)


def test_nothing_of_a_lost_statement_is_kept(pair: Pair) -> None:
    """What the witness tables hold after a rollback was noticed is what they held before."""
    pair.swap()
    before = sqlite3(pair.a.ledger.path, "SELECT * FROM witnessed; SELECT * FROM partner_seen")
    with pytest.raises(RolledBack):
        pair.a.hear(replace(pair.b.say(), seen=99))
    assert sqlite3(pair.a.ledger.path, "SELECT * FROM witnessed; SELECT * FROM partner_seen") == before


def test_a_note_error_is_never_what_a_caller_sees(pair: Pair) -> None:
    for text in ("\n\n", "a\n\n— b c\n", os.urandom(50).hex()):
        try:
            outcome = pair.b.hear(replace(pair.a.say(), checkpoint=text))
        except NoteError:  # pragma: no cover
            pytest.fail("a NoteError escaped")
        assert outcome.conflict is not None
    assert pair.b.ledger.root() != merkle.EMPTY_ROOT
