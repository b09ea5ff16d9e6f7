"""ledger/witness.py: two real ledgers that exchange statements over a wire that loses, repeats and reorders."""

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import note
from ledger.canonical import Json
from ledger.view import View, size_of
from ledger.witness import Outcome, Statement, StatementError
from tests.ledger.ledgers import LGSCO, OFSTED, START, sqlite3
from tests.ledger.pairs import Pair, Side

GOOD: dict[str, Any] = {"checkpoint": "x", "old": 0, "consistency": [], "cosigned": "", "seen": 0}
LINE = note.Signature("lgsco/witness", b"abcd", b"e" * 72).line + "\n"


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


def test_what_is_said_is_of_one_moment_whatever_is_heard_meanwhile(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that composes slowly, while others send, are cosigned and hear of it."""
    quick = View.checkpoint

    def slow(view: View) -> bytes:
        monkeypatch.undo()
        newest = quick(view)
        pair.a.grow(2)
        pair.swap()
        return newest

    monkeypatch.setattr(View, "checkpoint", slow)
    said = pair.a.say()
    assert (said.old, size_of(said.checkpoint.encode())) == (0, 3)
    assert pair.a.ledger.partner_seen("ofsted") == 5


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
