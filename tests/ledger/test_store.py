"""ledger/store.py and what it is made of: append, read, prove, open, and what must never be possible."""

import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import Misuse, Refused
from ledger import merkle, tlogproof
from ledger.database import LedgerMissing
from ledger.entry import Draft, EntryError, commitment
from ledger.handover import TransitionError
from ledger.head import open_checkpoint
from ledger.known import UnknownHandover
from ledger.store import Ledger, Transaction
from tests.ledger.ledgers import LGSCO, add, add_handovers, fresh_id, incoming, outgoing, sqlite3

NOTE = Draft(event="partner.added", actor="operator", partner="ofsted")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with LGSCO.create(tmp_path / "ledger.db") as ledger:
        yield ledger


def test_a_new_ledger_is_empty_signed_and_private(ledger: Ledger) -> None:
    stated = open_checkpoint(ledger.checkpoint(), [LGSCO.verifier])
    assert (stated.origin, stated.size, stated.root) == ("lgsco/handover", 0, merkle.EMPTY_ROOT)
    assert (ledger.size, ledger.root()) == (0, merkle.EMPTY_ROOT)
    add(ledger, NOTE)
    modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in ledger.path.parent.iterdir()}
    assert "ledger.db" in modes
    assert set(modes.values()) == {0o600}


def test_the_name_of_a_new_ledger_is_on_the_disk_before_anything_is_appended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, list[str]]] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        synced.append((str(Path(f"/proc/self/fd/{handle}").readlink()), [f.name for f in tmp_path.iterdir()]))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    with LGSCO.create(tmp_path / "ledger.db"):
        assert synced == [(str(tmp_path), ["ledger.db"])]


def test_a_ledger_is_never_overwritten(ledger: Ledger) -> None:
    with pytest.raises(Misuse, match="there is a ledger already"):
        LGSCO.create(ledger.path)


def test_a_missing_ledger_is_not_made_by_opening(tmp_path: Path) -> None:
    with pytest.raises(LedgerMissing, match="the ledger of this home is missing"):
        LGSCO.open(tmp_path / "ledger.db")
    assert list(tmp_path.iterdir()) == []


def test_entries_come_back_as_they_were_appended_in_order(ledger: Ledger) -> None:
    appended = add(ledger, *outgoing(fresh_id(), 1), NOTE)
    assert [entry.seq for entry in appended] == [0, 1, 2, 3, 4]
    assert ledger.entries(0, 5) == appended
    assert ledger.entries(2, 4) == appended[2:4]
    assert ledger.entry(3) == appended[3]
    assert ledger.size == 5


def test_an_entry_that_is_not_there_is_refused(ledger: Ledger) -> None:
    for seq in (0, 2**63, 2**70):
        with pytest.raises(Refused) as caught:
            ledger.entry(seq)
        assert caught.value.reason == "no-such-entry"


def test_root_and_checkpoints_are_those_of_the_entries(ledger: Ledger) -> None:
    add_handovers(ledger, 5)
    leaves = [merkle.leaf_hash(entry.encode()) for entry in ledger.entries(0, ledger.size)]
    for size in range(21):
        level = leaves[:size]
        expected = _plain_root(level)
        assert ledger.root(size) == expected
        signed = ledger.checkpoint_of(size)
        assert signed is not None
        assert open_checkpoint(signed, [LGSCO.verifier]).root == expected
    assert ledger.checkpoint_of(21) is None


def _plain_root(leaves: list[bytes]) -> bytes:
    """RFC 9162 2.1.1 as it is written, without stored nodes."""
    if len(leaves) < 2:
        return leaves[0] if leaves else merkle.EMPTY_ROOT
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return merkle.node_hash(_plain_root(leaves[:split]), _plain_root(leaves[split:]))


def test_a_commit_of_many_entries_has_one_checkpoint(ledger: Ledger) -> None:
    ledger.write(lambda tx: [tx.append(NOTE) for _ in range(5)])
    assert sqlite3(ledger.path, "SELECT size || ' after ' || coalesce(previous, '-') FROM checkpoints") == (
        "0 after -\n5 after 0"
    )


def test_private_values_are_beside_the_tree_and_fit_their_commitments(ledger: Ledger) -> None:
    (entry,) = add(ledger, next(outgoing(fresh_id(), 1)))
    assert ledger.openings(0) == {"name": "decision 1.pdf", "reference": "24 015 001"}
    assert {o.field: commitment(o.field, o.salt, o.value) for o in ledger.opened(0)} == entry.committed
    assert len({o.salt for o in ledger.opened(0)}) == 2
    stored = sqlite3(ledger.path, "SELECT CAST(entry AS TEXT) FROM entries")
    assert "decision 1" not in stored
    assert "24 015" not in stored


def test_the_columns_that_are_filtered_by_are_those_of_the_entry(ledger: Ledger) -> None:
    identifier = fresh_id()
    add(ledger, next(outgoing(identifier, 1)), NOTE)
    row = "SELECT at, event, actor, handover, partner, direction, authority, category, key FROM entries"
    assert sqlite3(ledger.path, row) == (
        f"{ledger.entry(0).at}|accepted|daemon|{identifier}|ofsted|out|E08000025|upheld-decision|\n"
        f"{ledger.entry(1).at}|partner.added|operator||ofsted||||"
    )


def test_a_reader_sees_one_moment_for_as_long_as_it_reads(ledger: Ledger) -> None:
    add(ledger, NOTE)
    with ledger.reading() as view:
        assert view.size == 1
        add(ledger, NOTE)
        assert (view.size, view.checkpoint()) == (1, ledger.checkpoint_of(1))
    with ledger.reading() as view:
        assert view.size == ledger.size == 2


def test_a_proof_can_be_checked_alone_and_never_changes(ledger: Ledger) -> None:
    add_handovers(ledger, 2)
    first = [ledger.prove(seq) for seq in range(8)]
    add_handovers(ledger, 3)
    for seq, text in enumerate(first):
        assert ledger.prove(seq) == text
        proof = tlogproof.parse(text)
        assert proof.extra == ledger.entry(seq).encode()
        assert proof.verify(proof.extra, [LGSCO.verifier]).size == seq + 1
    later = tlogproof.parse(ledger.prove(2, at_least=19))
    assert later.extra is not None
    assert later.verify(later.extra, [LGSCO.verifier]).size == 19
    with pytest.raises(Refused, match="no entry 20"):
        ledger.prove(20)


def test_any_two_sizes_are_proved_consistent(ledger: Ledger) -> None:
    add_handovers(ledger, 3)
    for old in range(13):
        for new in range(old, 13):
            proof = ledger.consistency(old, new)
            merkle.verify_consistency(old, new, proof, ledger.root(old), ledger.root(new))


def test_the_state_of_a_handover_follows_its_entries(ledger: Ledger) -> None:
    sent, received = fresh_id(), fresh_id()
    add(ledger, *outgoing(sent, 1), *incoming(received, 7))
    out = ledger.find_one("out", sent)
    assert (out.state, out.sequence, out.first_seq, out.last_seq) == ("acknowledged", 1, 0, 3)
    assert ledger.handover("ofsted", "in", received) == ledger.find_one_or_none("in", received)
    assert ledger.handover("ofsted", "out", received) is None
    assert [h.id for h in ledger.handovers(states=("acknowledged", "delivered"))] == [sent, received]
    assert [h.id for h in ledger.handovers(direction="in", partner="ofsted", receipt="sent")] == [received]
    assert ledger.handovers(receipt="due") == []
    assert [e.event for e in ledger.entries_of(out)] == ["accepted", "sealed", "sent", "acknowledged"]
    assert ledger.find_handovers(sent) == [out]
    assert len(ledger.find_handovers(sent[:8])) == 2
    assert ledger.with_number("ofsted", "in", 7) == ledger.handover("ofsted", "in", received)
    assert ledger.with_number("ofsted", "out", 7) is None


def test_an_id_that_means_none_or_two_is_refused(ledger: Ledger) -> None:
    identifier = fresh_id()
    assert ledger.find_one_or_none("out", identifier) is None
    with pytest.raises(UnknownHandover) as caught:
        ledger.find_one("out", identifier)
    assert caught.value.reason == "unknown-handover"
    add(ledger, next(outgoing(identifier, 1)), next(outgoing(identifier, 1, partner="other")))
    with pytest.raises(UnknownHandover) as caught:
        ledger.find_one("out", identifier)
    assert caught.value.reason == "ambiguous-handover"


def test_running_numbers_begin_at_one_for_each_partner(ledger: Ledger) -> None:
    add_handovers(ledger, 2)
    assert ledger.write(lambda tx: tx.next_sequence("ofsted")) == 3
    assert ledger.write(lambda tx: tx.next_sequence("other")) == 1


def test_a_job_that_fails_leaves_nothing_and_harms_nobody(ledger: Ledger) -> None:
    def bad(tx: Transaction) -> None:
        tx.append(NOTE)
        tx.append(Draft(event="Not An Event", actor="operator"))

    with pytest.raises(EntryError):
        ledger.write(bad)
    with pytest.raises(TransitionError):
        add(ledger, list(outgoing(fresh_id(), 1))[2])
    assert ledger.size == 0
    assert add(ledger, NOTE)[0].seq == 0


def test_of_jobs_in_one_commit_only_the_failing_one_is_undone(ledger: Ledger) -> None:
    running, go_on = threading.Event(), threading.Event()
    outcomes: dict[int, object] = {}

    def slow(tx: Transaction) -> None:
        running.set()
        assert go_on.wait(60)
        tx.append(NOTE)

    def job(number: int) -> None:
        def work(tx: Transaction) -> int:
            seq = tx.append(NOTE).seq
            if number % 2:
                raise RuntimeError(f"job {number}")
            return seq

        try:
            outcomes[number] = ledger.write(work)
        except RuntimeError as problem:
            outcomes[number] = str(problem)

    first = threading.Thread(target=ledger.write, args=(slow,))
    first.start()
    assert running.wait(10)
    others = [threading.Thread(target=job, args=(n,)) for n in range(6)]
    for thread in others:
        thread.start()
    deadline = time.monotonic() + 30
    while len(ledger._group._jobs) < 6:
        assert time.monotonic() < deadline
    go_on.set()
    for thread in (first, *others):
        thread.join()
    assert [outcomes[n] for n in (1, 3, 5)] == ["job 1", "job 3", "job 5"]
    assert sorted(int(str(outcomes[n])) for n in (0, 2, 4)) == [1, 2, 3]
    assert sqlite3(ledger.path, "SELECT group_concat(size) FROM checkpoints") == "0,1,4"


def test_a_job_cannot_wait_for_another_commit(ledger: Ledger) -> None:
    with pytest.raises(RuntimeError, match="cannot wait for another commit"):
        ledger.write(lambda tx: ledger.write(lambda inner: inner.append(NOTE)))


def test_an_interrupted_commit_keeps_nothing_and_the_next_one_works(ledger: Ledger) -> None:
    def interrupted(tx: Transaction) -> None:
        tx.append(NOTE)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.write(interrupted)
    assert ledger.size == 0
    assert add(ledger, NOTE)[0].seq == 0


def test_work_that_appends_nothing_makes_no_checkpoint(ledger: Ledger) -> None:
    assert ledger.write(lambda tx: tx.size) == 0
    assert sqlite3(ledger.path, "SELECT count(*) FROM checkpoints") == "1"


def test_messages_are_kept_as_they_came(ledger: Ledger) -> None:
    identifier = fresh_id()
    ledger.write(lambda tx: tx.keep_document("manifest", "ofsted", identifier, b"{}", "signature"))
    kept = ledger.document("manifest", "ofsted", identifier)
    assert kept is not None
    assert (kept.body, kept.signature) == (b"{}", "signature")
    assert ledger.document("receipt", "ofsted", identifier) is None
