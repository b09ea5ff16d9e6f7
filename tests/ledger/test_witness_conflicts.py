"""ledger/witness.py: what an honest ledger can never say is a conflict."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from config.errors import Refused
from ledger import note
from ledger.checkpoint import Checkpoint
from ledger.witness import CONFLICTS_FOR, MAX_CONFLICTS, Outcome, Statement, compare, compose, receive
from tests.ledger.ledgers import LGSCO, OFSTED, START, add, fresh_id, incoming, sqlite3
from tests.ledger.pairs import NOTE, Pair, Side


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


def test_a_smaller_ledger_that_knows_more_of_ours_is_a_conflict(pair: Pair, tmp_path: Path) -> None:
    pair.swap()
    sqlite3(pair.a.ledger.path, f"VACUUM INTO '{tmp_path / 'old.db'}'")
    pair.a.grow(5)
    assert pair.b.hear(pair.a.say()).cosigned
    pair.b.grow()
    answer = pair.b.say()
    with LGSCO.open(tmp_path / "old.db") as old:
        pair.a.ledger = old
        assert pair.b.hear(pair.a.say()).conflict is None
        # a dishonest partner does not look at what proves its loss
        assert pair.a.hear(replace(answer, seen=0, cosigned="")).cosigned
        pair.a.grow()
        said = pair.a.say()
        assert pair.b.hear(said) == Outcome(cosigned=False, conflict="smaller-than-before")
    assert pair.b.conflicts() == ["smaller-than-before"]


def test_a_lower_running_number_may_be_sealed_later_and_come_first(pair: Pair) -> None:
    second = pair.a.say()
    pair.a.grow()
    first = pair.a.say()
    assert pair.b.hear(first, sequence=1, handover=fresh_id()).cosigned
    assert pair.b.hear(second, sequence=2, handover=fresh_id()) == Outcome(cosigned=False)
    assert pair.b.conflicts() == []


def _forked(pair: Pair, number: int) -> Statement:
    """What a partner says of a ledger that continues nothing, and never from where we ask it to."""
    text = Checkpoint("lgsco/handover", 1000 + number, os.urandom(32)).encode()
    return replace(pair.a.say(), checkpoint=note.sign_note(text, [LGSCO.signer]).decode(), old=0, consistency=())


def test_a_ledger_that_never_proves_that_it_continues_is_a_conflict_once(pair: Pair) -> None:
    pair.swap()
    pair.b.grow()
    pair.swap()
    known = pair.b.ledger.witnessed("lgsco")
    found = [pair.b.hear(_forked(pair, n)).conflict for n in range(12)]
    assert found == [None] * 4 + ["never-consistent"] + [None] * 7
    assert pair.b.conflicts() == ["never-consistent"]
    assert pair.b.ledger.witnessed("lgsco") == known


def test_a_proof_ends_the_suspicion(pair: Pair) -> None:
    pair.swap()
    pair.b.grow()
    pair.swap()
    for _ in range(2):
        for number in range(4):
            assert pair.b.hear(_forked(pair, number)).conflict is None
        pair.a.grow()
        pair.swap()
        pair.b.grow()
        pair.swap()
    assert pair.b.conflicts() == []


def test_a_ledger_that_never_begins_at_its_beginning_is_a_conflict(pair: Pair) -> None:
    pair.a.hear(pair.b.say())
    found = [pair.b.hear(replace(_forked(pair, n), old=7)).conflict for n in range(5)]
    assert found[-1] == "never-consistent"


def test_a_checkpoint_that_came_otherwise_is_compared_with_the_one_that_is_known(pair: Pair) -> None:
    compare(pair.b.ledger, "lgsco", Checkpoint("lgsco/handover", 3, bytes(32)))
    pair.swap()
    compare(pair.b.ledger, "lgsco", Checkpoint("lgsco/handover", 3, pair.a.ledger.root()))
    compare(pair.b.ledger, "lgsco", Checkpoint("lgsco/handover", 2, bytes(32)))
    assert pair.b.conflicts() == []
    with pytest.raises(Refused) as caught:
        compare(pair.b.ledger, "lgsco", Checkpoint("lgsco/handover", 3, bytes(32)))
    assert (caught.value.reason, pair.b.conflicts()) == ("other-root", ["other-root"])


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


def test_the_same_conflict_again_is_recorded_once_an_hour(pair: Pair) -> None:
    forged = replace(pair.a.say(), checkpoint="")
    assert [pair.b.hear(forged).conflict for _ in range(3)] == ["bad-note"] * 3
    assert pair.b.conflicts() == ["bad-note"]
    assert pair.b.hear(replace(forged, old=1)).conflict == "bad-note"
    assert pair.b.conflicts() == ["bad-note"] * 2
    pair.b.me.clock.now += CONFLICTS_FOR
    assert pair.b.hear(forged).conflict == "bad-note"
    assert pair.b.conflicts() == ["bad-note"] * 3


def test_a_flood_of_conflicts_all_different_is_answered_and_recorded_up_to_a_bound(pair: Pair) -> None:
    found = [pair.b.hear(replace(pair.a.say(), checkpoint="", old=number)).conflict for number in range(100)]
    assert found == ["bad-note"] * 100
    assert pair.b.conflicts() == ["bad-note"] * MAX_CONFLICTS


@pytest.mark.parametrize("whose", ["late", "thief's"])
@pytest.mark.parametrize("ended", ["revoked", "retired"])
@pytest.mark.parametrize("excused", [True, False])
def test_what_only_an_excused_key_has_signed_is_not_believed_and_no_conflict(
    pair: Pair, tmp_path: Path, whose: str, excused: bool, ended: str
) -> None:
    pair.swap()
    fork = _fork(pair, tmp_path)
    pair.a.grow()
    said = pair.a.say() if whose == "late" else fork.say()
    before = pair.b.ledger.witnessed("lgsco")
    outcome = receive(
        pair.b.ledger,
        "lgsco",
        said,
        ledger_verifiers=[LGSCO.verifier] if ended == "retired" else [],
        witness_verifiers=[LGSCO.witness_verifier],
        cosigners=[OFSTED.cosigner],
        sequence=None,
        now=START,
        ended=frozenset({LGSCO.verifier.key_id}),
        excused=lambda *_: [LGSCO.verifier] if excused else [],
    )
    assert outcome == Outcome(cosigned=False, conflict=None if excused else "unknown-key")
    assert pair.b.conflicts() == ([] if excused else ["unknown-key"])
    assert pair.b.ledger.witnessed("lgsco") == before


def test_a_partner_that_knows_no_key_in_use_is_told_the_last_that_it_can_verify(pair: Pair) -> None:
    ledger = pair.a.ledger

    def told(until: int | None) -> int:
        return int(compose(ledger, "ofsted", until).checkpoint.split("\n")[1])

    assert told(1) == 1
    pair.swap()
    pair.swap()
    seen = ledger.partner_seen("ofsted")
    pair.a.grow(2)
    ledger.write(lambda tx: [tx.append(NOTE) for _ in range(3)])
    assert [told(until) for until in (None, seen + 2, seen + 4)] == [seen + 5, seen + 2, seen + 2]
    # it has seen more than that key has signed, so it knows a newer one
    assert told(seen - 1) == ledger.size


def test_another_root_of_the_same_size_is_a_conflict_whichever_key_has_signed_it(pair: Pair, tmp_path: Path) -> None:
    fork = _fork(pair, tmp_path)
    pair.a.grow()
    assert pair.b.hear(pair.a.say()).cosigned
    outcome = receive(
        pair.b.ledger,
        "lgsco",
        fork.say(),
        ledger_verifiers=[],
        witness_verifiers=[LGSCO.witness_verifier],
        cosigners=[OFSTED.cosigner],
        sequence=None,
        now=START,
        excused=lambda *_: [LGSCO.verifier],
    )
    assert outcome == Outcome(cosigned=False, conflict="other-root")
