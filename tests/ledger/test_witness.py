"""ledger/witness.py: two real ledgers that exchange statements over a wire that loses, repeats and reorders."""

import os
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import merkle, note
from ledger.canonical import Json
from ledger.entry import Draft
from ledger.note import NoteError
from ledger.store import Ledger
from ledger.witness import Outcome, RolledBack, Statement, StatementError, compose, receive
from tests.ledger.ledgers import LGSCO, OFSTED, START, Organisation, add, fresh_id, incoming, sqlite3

NOTE = Draft(event="partner.added", actor="operator", partner="ofsted")
GOOD: dict[str, Any] = {"checkpoint": "x", "old": 0, "consistency": [], "cosigned": "", "seen": 0}
LINE = note.Signature("lgsco/witness", b"abcd", b"e" * 72).line + "\n"


@dataclass
class Side:
    """One organisation with its ledger, seen from the other."""

    me: Organisation
    partner: Organisation
    ledger: Ledger

    def say(self) -> Statement:
        return Statement.from_json(compose(self.ledger, self.partner.name).to_json())

    def hear(self, statement: Statement, sequence: int | None = None, handover: str | None = None) -> Outcome:
        return receive(
            self.ledger,
            self.partner.name,
            statement,
            ledger_verifiers=[self.partner.verifier],
            witness_verifiers=[self.partner.witness_verifier],
            cosigner=self.me.cosigner,
            sequence=sequence,
            now=START,
            handover=handover,
        )

    def grow(self, number: int = 1) -> None:
        add(self.ledger, *[NOTE] * number)

    def seen(self) -> int:
        known = self.ledger.witnessed(self.partner.name)
        return 0 if known is None else known.size

    def conflicts(self) -> list[Json]:
        entries = self.ledger.entries(0, self.ledger.size)
        return [e.detail["reason"] for e in entries if e.event == "witness.conflict"]

    def events(self) -> list[str]:
        return [e.event for e in self.ledger.entries(0, self.ledger.size)]


@dataclass
class Pair:
    a: Side
    b: Side

    def swap(self) -> None:
        """One message each way, and what it needs to be heard."""
        assert self.b.hear(self.a.say()).conflict is None
        assert self.a.hear(self.b.say()).conflict is None


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with LGSCO.create(tmp_path / "lgsco.db") as one, OFSTED.create(tmp_path / "ofsted.db") as two:
        pair = Pair(Side(LGSCO, OFSTED, one), Side(OFSTED, LGSCO, two))
        pair.a.grow(3)
        pair.b.grow(5)
        yield pair


def test_the_first_message_begins_from_nothing_and_is_cosigned(pair: Pair) -> None:
    said = pair.a.say()
    assert (said.old, said.consistency, said.cosigned, said.seen) == (0, (), "", 0)
    assert pair.b.hear(said) == Outcome(cosigned=True)
    known = pair.b.ledger.witnessed("lgsco")
    assert known is not None
    assert (known.size, known.root, known.note) == (3, pair.a.ledger.root(), said.checkpoint)


def test_a_cosignature_comes_back_and_is_kept_with_our_checkpoint(pair: Pair) -> None:
    pair.swap()
    (line,) = pair.a.ledger.cosignatures(3)
    own = pair.a.ledger.checkpoint_of(3)
    assert own is not None
    whole = note.add_signatures(own, [line])
    opened = note.open_note(whole, [LGSCO.verifier, OFSTED.witness_verifier])
    assert [s.name for s in opened.verified] == ["lgsco/handover", "ofsted/witness"]
    assert pair.a.ledger.newest_cosigned() == 3
    assert pair.a.ledger.partner_seen("ofsted") == 3


def test_the_time_of_the_cosignature_is_that_of_receiving(pair: Pair) -> None:
    pair.b.hear(pair.a.say())
    signature = note.Signature.parse(pair.b.say().cosigned.strip())
    assert int.from_bytes(signature.blob[:8], "big") == int(START.timestamp())


def test_later_messages_prove_that_the_ledger_only_grew(pair: Pair) -> None:
    for _ in range(5):
        pair.swap()
        pair.a.grow(3)
        pair.b.grow(1)
    said = pair.a.say()
    assert said.old == 15
    assert len(said.consistency) > 0
    assert pair.b.hear(said) == Outcome(cosigned=True)
    assert pair.a.conflicts() == pair.b.conflicts() == []


def test_a_message_that_came_before_is_not_cosigned_again_and_no_conflict(pair: Pair) -> None:
    said = pair.a.say()
    assert pair.b.hear(said).cosigned
    size = pair.b.ledger.size
    assert pair.b.hear(said) == Outcome(cosigned=False)
    assert pair.b.ledger.size == size


def test_an_overtaken_message_is_not_cosigned_and_no_conflict(pair: Pair) -> None:
    early = pair.a.say()
    pair.a.grow()
    late = pair.a.say()
    assert pair.b.hear(late).cosigned
    assert pair.b.hear(early) == Outcome(cosigned=False)
    assert pair.b.seen() == 4


def test_a_proof_from_another_size_is_not_cosigned_and_the_answer_heals_it(pair: Pair) -> None:
    pair.b.hear(pair.a.say())
    pair.a.grow()
    # the answer with `seen` 3 was lost, so the next proof starts from nothing again
    said = pair.a.say()
    assert said.old == 0
    assert pair.b.hear(said) == Outcome(cosigned=False)
    pair.a.hear(pair.b.say())
    said = pair.a.say()
    assert said.old == 3
    assert pair.b.hear(said) == Outcome(cosigned=True)


def test_a_partner_that_has_forgotten_us_is_told_from_the_beginning_again(pair: Pair) -> None:
    pair.swap()
    sqlite3(pair.b.ledger.path, "DELETE FROM witnessed")
    pair.a.grow()
    assert pair.b.hear(pair.a.say()) == Outcome(cosigned=False)
    pair.a.hear(pair.b.say())
    assert pair.b.hear(pair.a.say()) == Outcome(cosigned=True)


@pytest.mark.parametrize("seed", range(6))
def test_any_mixture_of_lost_repeated_and_overtaking_messages_ends_in_agreement(pair: Pair, seed: int) -> None:
    chance = random.Random(seed)
    wires: list[tuple[Side, list[Statement]]] = [(pair.b, []), (pair.a, [])]
    for _ in range(60):
        sender, (receiver, wire) = chance.choice([(pair.a, wires[0]), (pair.b, wires[1])])
        act = chance.random()
        if act < 0.35:
            sender.grow(chance.randint(1, 3))
        elif act < 0.7:
            wire.append(sender.say())
        elif wire:
            said = wire[chance.randrange(len(wire))]
            if chance.random() < 0.7:
                wire.remove(said)
            if chance.random() < 0.8:
                before = receiver.seen()
                receiver.hear(said)
                assert receiver.seen() >= before
    for _ in range(2):
        pair.swap()
    assert pair.a.conflicts() == pair.b.conflicts() == []
    assert pair.b.seen() == pair.a.ledger.size
    assert pair.a.seen() == pair.b.ledger.size


# --- conflicts ----------------------------------------------------------------------------------------------------


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


# --- the form of the block --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"more": 1}, "five fields"),
        ({"checkpoint": 5}, "text"),
        ({"cosigned": None}, "text"),
        ({"old": -1}, "size"),
        ({"old": True}, "size"),
        ({"old": 2**53}, "size"),
        ({"seen": "3"}, "size"),
        ({"consistency": "abc"}, "list"),
        ({"consistency": [_ := "AA=="] * 64}, "list"),
        ({"consistency": ["AA=="]}, "hash"),
        ({"consistency": [5]}, "hash"),
        ({"consistency": ["é"]}, "hash"),
        ({"seen": 3}, "without its cosignature"),
        ({"cosigned": LINE}, "without its cosignature"),
        ({"seen": 3, "cosigned": LINE.strip()}, "lines"),
        ({"seen": 3, "cosigned": LINE * 9}, "lines"),
        ({"seen": 3, "cosigned": "— lgsco/witness\n"}, "malformed"),
        ({"seen": 3, "cosigned": "\n"}, "malformed"),
    ],
)
def test_a_malformed_block_is_refused(change: dict[str, Json], words: str) -> None:
    with pytest.raises(StatementError) as caught:
        Statement.from_json({**GOOD, **change})
    assert (caught.value.reason, words in caught.value.message) == ("bad-witness", True)


def test_a_missing_field_is_refused() -> None:
    for name in GOOD:
        with pytest.raises(StatementError, match="five fields"):
            Statement.from_json({key: value for key, value in GOOD.items() if key != name})


_ANY: Mapping[str, st.SearchStrategy[Json]] = {
    "checkpoint": st.text(max_size=20),
    "old": st.integers(-5, 2**60),
    "consistency": st.lists(st.binary(min_size=31, max_size=32).map(lambda b: b.hex()) | st.text(), max_size=3),
    "cosigned": st.sampled_from(["", LINE, LINE * 2, "x"]),
    "seen": st.integers(0, 2**60),
}


@settings(max_examples=200)
@given(st.fixed_dictionaries(dict(_ANY)))
def test_whatever_is_read_is_written_the_same(block: dict[str, Json]) -> None:
    try:
        statement = Statement.from_json(block)
    except StatementError:
        return
    assert statement.to_json() == block


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
