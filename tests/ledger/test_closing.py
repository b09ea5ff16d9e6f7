"""ledger/closing.py: a partner's old ledger is closed by a person, and only once; what its keys say after that counts
for nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import closing, note
from ledger.checkpoint import Checkpoint, cosign
from ledger.gaps import sequence_gaps
from ledger.verify import verify
from ledger.witness import Outcome, compare
from tests.ledger.ledgers import LGSCO, OFSTED, Organisation, add, fresh_id, incoming, outgoing
from tests.ledger.pairs import Pair, Side


@dataclass(frozen=True)
class Renewed(Organisation):
    """The same organisation in a new home: another ledger key under the same name."""

    @property
    def ledger_key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(f"{self.name} new ledger".encode().ljust(32, b"."))


NEW = Renewed("lgsco")


@pytest.fixture
def pair(pair: Pair) -> Pair:
    """Both have witnessed each other."""
    for _ in range(2):
        pair.swap()
    return pair


@pytest.fixture
def new(pair: Pair, tmp_path: Path) -> Iterator[Pair]:
    """LGSCO has a new home; Ofsted knows its new key."""
    with NEW.create(tmp_path / "new.db") as ledger:
        found = Pair(Side(NEW, OFSTED, ledger), Side(OFSTED, NEW, pair.b.ledger))
        found.a.grow(2)
        yield found


def close(pair: Pair) -> None:
    pair.b.ledger.write(lambda tx: closing.close(tx, "lgsco", ["the key that signed it"]))


def test_nothing_is_closed_where_nothing_was_witnessed(tmp_path: Path) -> None:
    with OFSTED.create(tmp_path / "ofsted.db") as ledger:
        assert ledger.write(lambda tx: closing.close(tx, "lgsco", [])) is None
        assert ledger.size == 0


def test_what_was_witnessed_is_in_the_entry_that_closes_it(pair: Pair) -> None:
    close(pair)
    ledger = pair.b.ledger
    entry = ledger.entry(ledger.begun("lgsco"))
    assert (entry.event, entry.detail["size"], entry.detail["seen"]) == (closing.CLOSED, 3, 5)
    signed = str(entry.detail["checkpoint"]).encode()
    assert len(note.open_note(signed, [LGSCO.verifier, OFSTED.witness_verifier]).verified) == 2
    assert entry.detail["root"] == pair.a.ledger.root(3).hex()
    assert entry.detail["ledger_keys"] == ["the key that signed it"]
    assert ledger.witnessed("lgsco") is None
    assert verify(ledger.path, [OFSTED.verifier]).ok


def test_the_new_ledger_is_witnessed_from_its_beginning(pair: Pair, new: Pair) -> None:
    close(pair)
    for _ in range(2):
        new.swap()
    assert (new.b.seen(), new.a.seen() > 5, new.b.conflicts(), new.a.conflicts()) == (2, True, [], [])
    new.a.grow(3)
    assert new.b.hear(new.a.say()).cosigned


def test_without_a_person_the_old_ledger_counts_on(pair: Pair, new: Pair) -> None:
    known = pair.b.ledger.witnessed("lgsco")
    for _ in range(12):
        new.a.grow()
        assert not new.b.hear(new.a.say()).cosigned
        new.a.hear(new.b.say())
    assert pair.b.ledger.witnessed("lgsco") == known
    assert pair.b.ledger.begun("lgsco") == 0


def test_what_the_closed_ledger_says_is_neither_witnessed_nor_a_conflict(pair: Pair, new: Pair) -> None:
    """As of a message that was on its way, or of one who kept the first that ever came."""
    first = replace(pair.a.say(), old=0, consistency=())
    close(pair)
    assert pair.b.hear(first) == Outcome(cosigned=False)
    assert pair.b.hear(pair.a.say()) == Outcome(cosigned=False)
    assert (pair.b.seen(), pair.b.conflicts()) == (0, [])
    new.swap()
    assert new.b.seen() == 2


def test_numbers_count_from_one_again_and_one_used_twice_is_a_conflict_as_before(pair: Pair, new: Pair) -> None:
    for number in (1, 2, 3):
        add(pair.b.ledger, *incoming(fresh_id(), number, "lgsco"))
        add(pair.b.ledger, *outgoing(fresh_id(), number, "lgsco"))
    close(pair)
    ledger = pair.b.ledger
    assert [ledger.highest_sequence("lgsco", direction) for direction in ("in", "out")] == [0, 0]
    one, two = fresh_id(), fresh_id()
    assert new.b.hear(new.a.say(), 2, one).conflict is None
    add(ledger, *incoming(one, 2, "lgsco"))
    assert (ledger.highest_sequence("lgsco", "in"), sequence_gaps(ledger, "lgsco")) == (2, [1])
    assert new.b.hear(new.a.say(), 2, two).conflict == "sequence-reused"
    assert ledger.write(lambda tx: tx.next_sequence("lgsco")) == 1
    # another partner's numbers are its own
    assert ledger.write(lambda tx: tx.next_sequence("dfe")) == 1
    assert ledger.begun("dfe") == 0


def test_what_is_on_its_way_is_renumbered_in_its_order_and_what_a_courier_carries_is_not(pair: Pair) -> None:
    ledger = pair.b.ledger
    ids = [fresh_id() for _ in range(4)]
    drafts = [list(outgoing(identifier, 6 + n, "lgsco")) for n, identifier in enumerate(ids)]
    drafts[2][0] = drafts[2][0].replace(detail={"sequence": 8, "by_hand": True})
    for n, some in enumerate(drafts):
        add(ledger, *some[: (4, 3, 3, 1)[n]])
    close(pair)
    assert [handover.sequence for handover in ledger.handovers(direction="out")] == [6, 1, 8, 2]
    assert ledger.write(lambda tx: tx.next_sequence("lgsco")) == 3
    assert [ledger.with_number("lgsco", "out", number) is not None for number in (1, 2, 6, 8)] == [
        True,
        True,
        False,
        False,
    ]
    assert verify(ledger.path, [OFSTED.verifier]).ok


def test_a_receipt_that_the_old_ledger_was_owed_is_owed_no_more_until_it_is_asked_for(pair: Pair) -> None:
    ledger, identifier = pair.b.ledger, fresh_id()
    life = list(incoming(identifier, 1, "lgsco"))
    add(ledger, *life[:2])
    close(pair)
    assert ledger.handovers(receipt="due") == []
    add(ledger, life[0].replace(event="repeated", detail={}))
    assert [handover.id for handover in ledger.handovers(receipt="due")] == [identifier]
    assert verify(ledger.path, [OFSTED.verifier]).ok


def test_a_checkpoint_of_the_new_ledger_in_a_receipt_is_compared_with_the_new_one(pair: Pair, new: Pair) -> None:
    close(pair)
    compare(pair.b.ledger, "lgsco", Checkpoint("lgsco/handover", 3, bytes(32)))
    new.swap()
    compare(pair.b.ledger, "lgsco", Checkpoint("lgsco/handover", 3, bytes(32)))
    assert pair.b.conflicts() == []


# --- seen from the new home -------------------------------------------------------------------------------------------


def test_a_partner_that_still_witnesses_the_former_ledger_is_told_of_once_and_is_no_conflict(
    pair: Pair, new: Pair
) -> None:
    for _ in range(3):
        said = new.b.say()
        assert said.seen == 3
        assert new.a.hear(said).conflict is None
        new.b.grow()
    assert new.a.events().count(closing.FORMER) == 1
    assert closing.shown_former(new.a.ledger, "ofsted") == 3
    assert new.a.say().old == 0
    close(pair)
    for _ in range(2):
        new.swap()
    assert closing.shown_former(new.a.ledger, "ofsted") is None
    assert new.a.ledger.newest_cosigned() is not None


def test_once_this_ledger_is_witnessed_another_one_under_our_name_is_a_conflict(pair: Pair, new: Pair) -> None:
    former = new.b.say()
    close(pair)
    for _ in range(2):
        new.swap()
    assert new.a.hear(former).conflict == "not-ours"
    assert closing.FORMER not in new.a.events()


def test_a_second_other_ledger_is_a_conflict(pair: Pair, new: Pair) -> None:
    new.a.hear(new.b.say())
    stranger = note.sign_note(Checkpoint("lgsco/handover", 3, bytes(32)).encode(), [_other("lgsco/handover")])
    cosigned = note.add_signatures(stranger, [cosign(stranger, OFSTED.cosigner)]).decode()
    assert new.a.hear(replace(new.b.say(), cosigned=cosigned)).conflict == "not-ours"


@pytest.mark.parametrize("origin", ["lgsco/handover", "dfe/handover"])
def test_what_the_partners_witness_key_has_not_signed_or_is_not_under_our_name_is_a_conflict(
    pair: Pair, new: Pair, origin: str
) -> None:
    forged = note.sign_note(Checkpoint(origin, 3, bytes(32)).encode(), [_other(origin)])
    if origin != "lgsco/handover":
        forged = note.add_signatures(forged, [cosign(forged, OFSTED.cosigner)])
    assert new.a.hear(replace(new.b.say(), cosigned=forged.decode())).conflict in ("not-ours", "unknown-key")
    assert closing.FORMER not in new.a.events()


def _other(name: str) -> note.Ed25519Signer:
    key = Ed25519PrivateKey.from_private_bytes(b"nobody knows".ljust(32, b"."))
    return note.Ed25519Signer(name, key.public_key().public_bytes_raw(), key.sign)
