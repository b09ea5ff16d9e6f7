"""A ledger that is replaced by an older copy of itself is noticed by the partner, and by its own daemon."""

import shutil
from pathlib import Path

import pytest

from exchange import sender
from ledger.witness import RolledBack
from tests.organisations import CASE, Organisation, Pair, restart

CONCERN = ("lgsco", "unimplemented-recommendation", "Leeds")


def copy_of(organisation: Organisation, pair: Pair, partner: Organisation, target: Path) -> Organisation:
    """Stop, copy the ledger's file as a backup would, and start again."""
    organisation.parts.ledger.close()
    shutil.copy(organisation.home.ledger, target)
    return restart(organisation, partner, pair.clock)


def put_back(organisation: Organisation, pair: Pair, partner: Organisation, backup: Path) -> Organisation:
    """Stop, replace the ledger by the backup, and start again."""
    organisation.parts.ledger.close()
    for ending in ("-wal", "-shm"):
        organisation.home.ledger.with_name(f"ledger.db{ending}").unlink(missing_ok=True)
    shutil.copy(backup, organisation.home.ledger)
    return restart(organisation, partner, pair.clock)


@pytest.fixture
def older(pair: Pair, tmp_path: Path) -> Pair:
    """Both have exchanged files; then LGSCO's ledger was put back to an earlier state."""
    pair.lgsco.drop(b"one", f"{CASE} one.pdf")
    pair.settle()
    backup = tmp_path / "backup.db"
    pair.lgsco = copy_of(pair.lgsco, pair, pair.ofsted, backup)
    pair.lgsco.drop(b"two", f"{CASE} two.pdf")
    pair.settle()
    pair.lgsco = put_back(pair.lgsco, pair, pair.ofsted, backup)
    return pair


def test_the_partner_notices_at_the_next_message_and_records_it(older: Pair) -> None:
    older.lgsco.drop(b"three", f"{CASE} three.pdf")
    older.lgsco.take()
    older.lgsco.send()
    older.ofsted.receive()
    assert "witness.conflict" in older.ofsted.events()


def test_the_daemon_whose_ledger_it_is_stops_when_the_partner_says_what_it_has_cosigned(older: Pair) -> None:
    older.ofsted.drop(b"{}", f"{CASE} concern.json", CONCERN)
    older.ofsted.take()
    older.ofsted.send()
    with pytest.raises(RolledBack):
        older.lgsco.receive()
    assert "witness.rolled-back" in older.lgsco.events()
    assert older.lgsco.inbound() == []


def test_a_ledger_that_has_lost_nothing_but_what_came_in_is_noticed_by_its_own_daemon(
    pair: Pair, tmp_path: Path
) -> None:
    pair.lgsco.drop(b"one", f"{CASE} one.pdf")
    pair.settle()
    pair.lgsco = copy_of(pair.lgsco, pair, pair.ofsted, tmp_path / "backup.db")
    # no running number of LGSCO's is lost with these, only what it received and answered
    pair.ofsted.drop(b"{}", f"{CASE} one.json", CONCERN)
    pair.settle()
    pair.lgsco = put_back(pair.lgsco, pair, pair.ofsted, tmp_path / "backup.db")
    pair.ofsted.drop(b"{}", f"{CASE} two.json", CONCERN)
    pair.ofsted.take()
    pair.ofsted.send()
    with pytest.raises(RolledBack):
        pair.lgsco.receive()


def test_an_honest_ledger_that_is_stopped_copied_and_started_is_never_accused(pair: Pair, tmp_path: Path) -> None:
    for number in range(3):
        pair.lgsco.drop(b"x", f"{CASE} {number}.pdf")
        pair.ofsted.drop(b"{}", f"{CASE} {number}.json", CONCERN)
        pair.settle()
        pair.lgsco = copy_of(pair.lgsco, pair, pair.ofsted, tmp_path / "copy.db")
    assert not {"witness.conflict", "witness.rolled-back"} & {*pair.lgsco.events(), *pair.ofsted.events()}


def test_files_that_are_sealed_in_another_order_than_they_came_accuse_nobody(pair: Pair) -> None:
    for name in ("one", "two"):
        pair.lgsco.drop(name.encode(), f"{CASE} {name}.pdf")
        pair.lgsco.take()
        pair.clock.advance(seconds=1)
    for handover in reversed(pair.lgsco.handovers()):
        sender.seal_next(pair.lgsco.parts, handover)
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"] * 2
    assert "witness.conflict" not in pair.ofsted.events()
