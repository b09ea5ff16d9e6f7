"""ledger/witness.py: a ledger that went back is noticed by itself, on proof and on nothing less."""

from dataclasses import replace
from pathlib import Path

import pytest

from ledger import checkpoint, head, note
from ledger.checkpoint import Checkpoint
from ledger.store import Ledger
from ledger.witness import Outcome, RolledBack, Statement
from tests.ledger.ledgers import LGSCO, OFSTED, Organisation, add, sqlite3
from tests.ledger.pairs import NOTE, Pair

ROOT = b"r" * 32


def _copy(pair: Pair, tmp_path: Path) -> Ledger:
    """What the first ledger is now, to be put in its place later."""
    sqlite3(pair.a.ledger.path, f"VACUUM INTO '{tmp_path / 'old.db'}'")
    return LGSCO.open(tmp_path / "old.db")


def _losses(ledger: Ledger) -> list[object]:
    entries = ledger.entries(0, ledger.size)
    return [entry.detail for entry in entries if entry.event == "witness.rolled-back"]


def _cosigned(pair: Pair, size: int, signer: Organisation, cosigner: Organisation, root: bytes = ROOT) -> Statement:
    """What `b` says, but of a checkpoint that somebody signed and somebody cosigned."""
    signed = note.sign_note(Checkpoint("lgsco/handover", size, root).encode(), [signer.signer])
    line = checkpoint.cosign(signed, cosigner.cosigner)
    return replace(pair.b.say(), seen=size, cosigned=note.add_signatures(signed, [line]).decode())


def test_a_ledger_replaced_by_an_older_copy_notices(pair: Pair, tmp_path: Path) -> None:
    pair.swap()
    with _copy(pair, tmp_path) as old:
        pair.a.grow(4)
        pair.swap()
        newest = head.open_checkpoint(pair.a.ledger.checkpoint(), [LGSCO.verifier])
        pair.a.ledger = old
        with pytest.raises(RolledBack, match="cosigned 7 entries of this ledger, which holds 3"):
            pair.a.hear(pair.b.say())
        root = newest.encode().splitlines()[2]
        assert _losses(old) == [{"seen": 7, "size": 3, "root": root}]


def test_a_loss_is_said_at_every_message_and_recorded_once(pair: Pair, tmp_path: Path) -> None:
    with _copy(pair, tmp_path) as old:
        pair.a.grow()
        pair.b.hear(pair.a.say())
        said = pair.b.say()
        pair.a.grow()
        pair.b.hear(replace(pair.a.say(), old=4, consistency=pair.a.ledger.consistency(4, 5)))
        pair.a.ledger = old
        for _ in range(3):
            with pytest.raises(RolledBack):
                pair.a.hear(said)
        assert len(_losses(old)) == 1
        for _ in range(2):
            with pytest.raises(RolledBack):
                pair.a.hear(pair.b.say())
        assert len(_losses(old)) == 2


def test_a_rolled_back_ledger_that_has_grown_again_notices(pair: Pair, tmp_path: Path) -> None:
    with _copy(pair, tmp_path) as old:
        pair.a.grow()
        pair.b.hear(pair.a.say())
        pair.a.ledger = old
        add(old, NOTE.replace(partner="other"))
        with pytest.raises(RolledBack, match="cosigned another tree of 4 entries"):
            pair.a.hear(pair.b.say())
        assert pair.a.events()[-1] == "witness.rolled-back"


def test_a_rolled_back_ledger_that_commits_in_other_steps_notices(pair: Pair, tmp_path: Path) -> None:
    with _copy(pair, tmp_path) as old:
        pair.a.grow()
        pair.b.hear(pair.a.say())
        pair.a.ledger = old
        old.write(lambda tx: [tx.append(NOTE) for _ in range(2)])
        with pytest.raises(RolledBack, match="cosigned another tree of 4 entries"):
            pair.a.hear(pair.b.say())


def test_a_ledger_that_says_less_than_it_was_told_does_not_speak(pair: Pair) -> None:
    pair.a.ledger.write(lambda tx: tx.keep_partner_seen("ofsted", 9))
    with pytest.raises(RolledBack, match="cosigned 9 entries"):
        pair.a.say()


def test_nothing_of_a_statement_that_proves_a_loss_is_kept(pair: Pair) -> None:
    pair.swap()
    pair.b.grow()
    before = sqlite3(pair.a.ledger.path, "SELECT * FROM witnessed; SELECT * FROM partner_seen")
    with pytest.raises(RolledBack):
        pair.a.hear(_cosigned(pair, 99, LGSCO, OFSTED))
    assert sqlite3(pair.a.ledger.path, "SELECT * FROM witnessed; SELECT * FROM partner_seen") == before


# --- less than a proof ------------------------------------------------------------------------------------------------


def test_a_number_alone_stops_nobody(pair: Pair) -> None:
    pair.swap()
    honest = pair.b.say()
    assert pair.a.hear(replace(honest, seen=10**9)).conflict == "other-size"
    assert pair.a.hear(replace(honest, seen=10**9, cosigned="x")).conflict == "bad-note"
    assert pair.a.hear(replace(honest, seen=10**9, cosigned="\ud800")).conflict == "bad-note"
    line = honest.cosigned.splitlines()[-1]
    assert pair.a.hear(replace(honest, seen=10**9, cosigned=line + "\n")).conflict == "bad-note"
    assert _losses(pair.a.ledger) == []
    assert pair.a.ledger.partner_seen("ofsted") == 3
    assert pair.a.hear(pair.b.say()).conflict is None


def test_a_checkpoint_of_ours_that_we_never_signed_stops_nobody(pair: Pair) -> None:
    pair.swap()
    forged = pair.b.say().cosigned.replace("\n3\n", "\n99\n", 1)
    said = _cosigned(pair, 10**9, OFSTED, OFSTED)
    assert pair.a.hear(said) == Outcome(cosigned=False, conflict="not-ours")
    real = said.cosigned.replace("— ofsted/handover", "— lgsco/handover")
    assert pair.a.hear(replace(said, cosigned=real)).conflict == "not-ours"
    assert pair.a.hear(replace(said, seen=99, cosigned=forged)).conflict == "bad-signature"
    assert _losses(pair.a.ledger) == []


def test_a_checkpoint_that_the_partners_known_key_has_not_cosigned_stops_nobody(pair: Pair) -> None:
    said = _cosigned(pair, 99, LGSCO, LGSCO)
    assert pair.a.hear(said) == Outcome(cosigned=False, conflict="unknown-key")
    assert _losses(pair.a.ledger) == []


def test_the_partners_own_ledger_does_not_pass_for_ours(pair: Pair) -> None:
    signed = note.sign_note(Checkpoint("ofsted/handover", 99, ROOT).encode(), [OFSTED.signer])
    whole = note.add_signatures(signed, [checkpoint.cosign(signed, OFSTED.cosigner)]).decode()
    assert pair.a.hear(replace(pair.b.say(), seen=99, cosigned=whole)).conflict == "not-ours"


def test_a_cosignature_by_a_new_key_of_the_partner_is_not_kept_and_no_accusation(pair: Pair) -> None:
    said = _cosigned(pair, 3, LGSCO, LGSCO, pair.a.ledger.root())
    assert pair.a.hear(said).conflict is None
    assert pair.a.ledger.cosignatures(3) == ()
    assert pair.a.ledger.partner_seen("ofsted") == 3


def test_a_size_that_has_no_checkpoint_here_is_compared_with_the_tree(pair: Pair) -> None:
    pair.a.ledger.write(lambda tx: [tx.append(NOTE) for _ in range(4)])
    assert pair.a.ledger.checkpoint_of(5) is None
    assert pair.a.hear(_cosigned(pair, 5, LGSCO, OFSTED, pair.a.ledger.root(5))).conflict is None
    assert pair.a.ledger.partner_seen("ofsted") == 5
    assert pair.a.ledger.cosignatures(5) == ()
    with pytest.raises(RolledBack, match="another tree of 5"):
        pair.a.hear(_cosigned(pair, 5, LGSCO, OFSTED))
