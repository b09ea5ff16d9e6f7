"""ledger/store.py: opening, and everything that must never be possible."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import Misuse, NotNow, Refused, Tampered
from ledger import note
from ledger.entry import Draft, parse
from ledger.head import open_checkpoint
from ledger.store import Ledger, Transaction
from tests.ledger.ledgers import LGSCO, OFSTED, Organisation, add, add_handovers, sqlite3

NOTE = Draft(event="partner.added", actor="operator", partner="ofsted")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with LGSCO.create(tmp_path / "ledger.db") as ledger:
        yield ledger


def test_a_ledger_opens_again_and_goes_on(ledger: Ledger) -> None:
    add_handovers(ledger, 2)
    root = ledger.root()
    ledger.close()
    with LGSCO.open(ledger.path) as again:
        assert again.root() == root
        assert add(again, NOTE)[0].seq == 8


def test_a_reader_sees_what_is_committed_and_cannot_write(ledger: Ledger) -> None:
    with LGSCO.read(ledger.path) as reader:
        add(ledger, NOTE)
        assert reader.size == 1
        with pytest.raises(Misuse, match="reading only"):
            add(reader, NOTE)


def test_a_closed_ledger_says_so(ledger: Ledger) -> None:
    ledger.close()
    ledger.close()
    for act in (lambda: ledger.size, lambda: add(ledger, NOTE)):
        with pytest.raises(NotNow, match="closed"):
            act()


def test_another_key_does_not_open_it(ledger: Ledger) -> None:
    ledger.close()
    with pytest.raises(Tampered, match="no known key signed"):
        OFSTED.read(ledger.path)


def test_a_checkpoint_of_another_origin_is_not_ours(ledger: Ledger) -> None:
    foreign = note.sign_note(f"ofsted/handover\n0\n{_empty()}\n", [LGSCO.signer])
    with pytest.raises(Refused) as caught:
        open_checkpoint(foreign, [LGSCO.verifier])
    assert caught.value.reason == "wrong-origin"


def _empty() -> str:
    return "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def test_the_data_version_changes_only_when_somebody_else_writes(ledger: Ledger) -> None:
    before = ledger.data_version()
    add(ledger, NOTE)
    assert ledger.data_version() == before
    with LGSCO.open(ledger.path) as other:
        add(other, NOTE)
    assert ledger.data_version() != before
    assert add(ledger, NOTE)[0].seq == 2


def test_a_ledger_that_somebody_else_holds_locked_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.store.connect", _impatient)
    with LGSCO.create(tmp_path / "ledger.db") as one, LGSCO.open(one.path) as two:
        holding, done = threading.Event(), threading.Event()

        def hold(tx: Transaction) -> None:
            holding.set()
            assert done.wait(10)

        thread = threading.Thread(target=one.write, args=(hold,))
        thread.start()
        assert holding.wait(10)
        try:
            with pytest.raises(NotNow, match="locked by another program"):
                add(two, NOTE)
        finally:
            done.set()
            thread.join()
        assert add(two, NOTE)[0].seq == 0


def _impatient(path: Path, *, writable: bool) -> object:
    from ledger.database import connect

    return connect(path, writable=writable, timeout=0.05)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("DROP TRIGGER entries_no_delete; DELETE FROM entries WHERE seq = 3", "holds 3 entries"),
        ("DROP TRIGGER checkpoints_no_delete; DELETE FROM checkpoints WHERE size = 4", "newest checkpoint says 3"),
        ("DROP TRIGGER checkpoints_no_delete; DELETE FROM checkpoints", "checkpoint of the ledger is missing"),
        ("DROP TRIGGER nodes_no_update; UPDATE nodes SET hash = zeroblob(32)", "has another root"),
        ("DROP TRIGGER nodes_no_delete; DELETE FROM nodes", "hash of the ledger's tree is missing"),
        (
            "DROP TRIGGER checkpoints_no_update; UPDATE checkpoints SET note = replace(note, 'lgsco/', 'ofsted/')",
            "checkpoint is not valid",
        ),
        ("DROP TABLE nodes", "tables are not as they must be"),
        ("PRAGMA application_id = 1", "is not a ledger"),
    ],
)
def test_a_head_that_does_not_fit_is_never_repaired(ledger: Ledger, sql: str, words: str) -> None:
    add_handovers(ledger, 1)
    ledger.close()
    sqlite3(ledger.path, sql)
    before = sqlite3(ledger.path, ".dump")
    for opener in (LGSCO.open, LGSCO.read):
        with pytest.raises(Tampered) as caught:
            opener(ledger.path)
        assert words in caught.value.message
    assert sqlite3(ledger.path, ".dump") == before


def test_a_newer_ledger_is_not_touched(ledger: Ledger) -> None:
    ledger.close()
    sqlite3(ledger.path, "PRAGMA user_version = 99")
    with pytest.raises(NotNow, match="newer version"):
        LGSCO.open(ledger.path)


def test_a_file_that_is_no_database_is_damage(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(os.urandom(8192))
    with pytest.raises(Tampered, match="damaged"):
        LGSCO.open(tmp_path / "ledger.db")


def test_an_entry_cut_off_while_the_ledger_is_open_is_noticed_at_the_next_write(ledger: Ledger) -> None:
    add_handovers(ledger, 1)
    sqlite3(
        ledger.path,
        "DROP TRIGGER entries_no_delete; DROP TRIGGER checkpoints_no_delete;"
        "DELETE FROM entries WHERE seq = 3; DELETE FROM checkpoints WHERE size = 4",
    )
    with pytest.raises(Tampered, match="no longer continues"):
        add(ledger, NOTE)
    assert sqlite3(ledger.path, "SELECT max(seq) FROM entries") == "2"


def test_a_file_replaced_while_the_ledger_is_open_is_noticed_at_the_next_write(ledger: Ledger) -> None:
    add_handovers(ledger, 1)
    sqlite3(ledger.path, f"VACUUM INTO '{ledger.path}.old'")
    ledger.path.with_name("ledger.db.old").replace(ledger.path)
    with pytest.raises(Tampered, match="replaced while it was open"):
        add(ledger, NOTE)


@pytest.mark.parametrize("table", ["entries", "nodes", "checkpoints"])
@pytest.mark.parametrize("sql", ["DELETE FROM {}", "UPDATE {0} SET rowid = rowid", "INSERT OR REPLACE INTO {0} {1}"])
def test_the_ledgers_own_connection_cannot_change_what_it_holds(ledger: Ledger, table: str, sql: str) -> None:
    add_handovers(ledger, 1)
    source = {
        "entries": "(seq, entry, leaf_hash) SELECT seq, entry, leaf_hash FROM entries",
        "nodes": "SELECT * FROM nodes",
        "checkpoints": "SELECT * FROM checkpoints",
    }[table]
    sql = sql.replace("rowid", {"nodes": "idx", "entries": "seq", "checkpoints": "size"}[table])

    def attack(tx: Transaction) -> None:
        tx.rows(sql.format(table, source))

    with pytest.raises(Tampered, match="tried to change what the ledger already holds"):
        ledger.write(attack)


def test_entries_are_read_as_they_are_or_not_at_all(ledger: Ledger) -> None:
    add_handovers(ledger, 1)
    sqlite3(
        ledger.path,
        "DROP TRIGGER entries_no_update; UPDATE entries SET entry = (SELECT entry FROM entries WHERE seq = 1) "
        "WHERE seq = 2; UPDATE entries SET entry = X'7B7D' WHERE seq = 3",
    )
    with pytest.raises(Tampered, match="entry 2 of the ledger says that it is entry 1"):
        ledger.entry(2)
    with pytest.raises(Tampered, match="entry 3 of the ledger cannot be read"):
        ledger.entry(3)


def test_every_entry_in_the_file_parses(ledger: Ledger) -> None:
    add_handovers(ledger, 1)
    for seq in range(4):
        assert parse(ledger.entry_bytes(seq)).seq == seq


def test_an_organisation_in_tests_is_the_same_in_every_process() -> None:
    assert Organisation("lgsco").verifier == LGSCO.verifier
