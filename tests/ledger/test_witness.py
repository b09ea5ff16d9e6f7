"""ledger/witness.py: two real ledgers that exchange statements over a wire that loses, repeats and reorders."""

import random

import pytest

from ledger import note
from ledger.view import View, size_of
from ledger.witness import Outcome, Statement
from tests.ledger.ledgers import LGSCO, OFSTED, START, sqlite3
from tests.ledger.pairs import Pair, Side


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
    assert pair.b.say().cosigned == whole.decode()
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
    signature = note.Signature.parse(pair.b.say().cosigned.splitlines()[-1])
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


def test_many_messages_that_were_sealed_before_an_answer_came_are_no_reason_for_suspicion(pair: Pair) -> None:
    pair.swap()
    pair.swap()
    sealed = []
    for _ in range(20):
        pair.a.grow()
        sealed.append(pair.a.say())
        pair.b.grow()
    assert [pair.b.hear(said).cosigned for said in sealed] == [True] + [False] * 19
    assert pair.b.ledger.unproven("lgsco") == 0
    # an answer to the first of them comes; what was sealed before that is no reason for suspicion either
    pair.a.hear(pair.b.say())
    pair.b.hear(pair.a.say())
    assert [pair.b.hear(said).cosigned for said in sealed] == [False] * 20
    assert (pair.b.ledger.unproven("lgsco"), pair.b.conflicts()) == (0, [])


def test_of_answers_that_overtake_each_other_the_newest_counts(pair: Pair) -> None:
    pair.swap()
    late = pair.b.say()
    pair.a.grow()
    pair.b.grow()
    pair.b.hear(pair.a.say())
    assert pair.a.hear(pair.b.say()).cosigned
    assert pair.a.hear(late) == Outcome(cosigned=False)
    assert pair.a.ledger.partner_seen("ofsted") == 4
    pair.a.grow()
    assert pair.b.hear(pair.a.say()).cosigned


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
                assert receiver.ledger.unproven(receiver.partner.name) == 0
    for _ in range(2):
        pair.swap()
    assert pair.a.conflicts() == pair.b.conflicts() == []
    assert pair.b.seen() == pair.a.ledger.size
    assert pair.a.seen() == pair.b.ledger.size
