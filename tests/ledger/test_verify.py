"""ledger/verify.py: what an untouched ledger says, what only evidence kept elsewhere shows, and what may be missing."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import Refused
from ledger.checks.findings import MAX_PROBLEMS
from ledger.checks.openings import FITTING
from ledger.database import LedgerMissing
from ledger.entry import Draft, Entry
from ledger.note import sign_note
from ledger.store import Ledger
from ledger.verify import Report, verify
from tests.ledger.ledgers import LGSCO, OFSTED, add, fresh_id, incoming, outgoing, sqlite3
from tests.ledger.pairs import Pair, Side
from tests.ledger.tampering import EDIT, NOTE, check, hidden, texts, thirteen


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return thirteen(tmp_path)


def test_an_untouched_ledger_verifies(path: Path) -> None:
    report = check(path)
    with LGSCO.read(path) as ledger:
        assert report == Report(13, ledger.root(), 14, 0, None, ())
    assert report.ok
    assert report.to_json() == {
        "ok": True,
        "size": 13,
        "root": report.root.hex(),
        "checkpoints": 14,
        "cosignatures": 0,
        "first_bad_seq": None,
        "problems": [],
    }


def test_an_empty_ledger_verifies(tmp_path: Path) -> None:
    LGSCO.create(tmp_path / "ledger.db").close()
    assert check(tmp_path / "ledger.db").ok


def test_a_ledger_is_verified_while_it_is_written(path: Path) -> None:
    with LGSCO.open(path) as ledger:
        add(ledger, NOTE)
        report = check(path)
        assert (report.ok, report.size) == (True, 14)


def test_a_ledger_that_is_missing_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(LedgerMissing, match="the ledger of this home is missing"):
        check(tmp_path / "ledger.db")


def test_a_dropped_trigger_is_a_finding(path: Path) -> None:
    sqlite3(path, "DROP TRIGGER entries_no_delete")
    assert texts(check(path)) == ["the trigger entries_no_delete is missing"]


def test_a_trigger_that_no_longer_refuses_is_a_finding(path: Path) -> None:
    sqlite3(
        path, "DROP TRIGGER nodes_no_update; CREATE TRIGGER nodes_no_update BEFORE UPDATE ON nodes BEGIN SELECT 1; END"
    )
    assert texts(check(path)) == ["the trigger nodes_no_update is not defined as it must be"]


def test_a_generated_column_that_was_replaced_by_a_plain_one_is_a_finding(path: Path) -> None:
    sqlite3(
        path,
        "PRAGMA writable_schema = ON;"
        "UPDATE sqlite_schema SET sql = replace(sql, 'json_extract(CAST(entry AS TEXT), ''$.partner'')', '''other''') "
        "WHERE name = 'entries'",
    )
    report = check(path)
    assert texts(report)[0] == "the table entries is not defined as it must be"
    assert (sqlite3(path, "SELECT DISTINCT partner FROM entries"), report.ok) == ("other", False)


def test_an_index_that_disagrees_with_the_bytes_is_a_finding(path: Path) -> None:
    """The column is made to say something else while the index is built, and then restored."""
    change = (
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, {}, {}) WHERE name = 'entries';"
        "PRAGMA writable_schema = RESET;"
    )
    true, false = "'''$.authority''))'", "'''$.nothing''))'"
    sqlite3(path, change.format(true, false) + "REINDEX entries_authority;" + change.format(false, true))
    report = check(path)
    assert report.first_bad_seq == 0
    assert texts(report)[0] == "entry 0: the file is damaged: row 1 missing from index entries_authority"


def test_a_page_that_is_overwritten_is_damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(4096 * 4, len(data), 4096):
        data[at : at + 64] = os.urandom(64)
    path.write_bytes(data)
    report = check(path)
    assert not report.ok
    assert "damaged" in texts(report)[0]


def test_a_missing_table_is_a_finding_not_a_crash(path: Path) -> None:
    sqlite3(path, "DROP TABLE openings")
    assert "the table openings is missing" in texts(check(path))


def test_one_edited_entry_is_named_once_for_each_thing_that_it_breaks(path: Path) -> None:
    report = hidden(path, f"UPDATE entries SET entry = CAST({EDIT} AS BLOB) WHERE seq = 6")
    assert texts(report) == [
        "entry 6: its bytes do not have the hash that is stored with them",
        "entry 6: the entries do not have the root of the checkpoint of 7 entries",
        "entry 6: the event seal does not follow the state sealed of an outgoing handover",
        "entry 7: the table of handovers says something else than the entries (sent_at)",
    ]


# --- somebody who has the ledger's own key ---------------------------------------------------------------------------


def rewritten(path: Path, at: int, change: Callable[[Entry], Draft]) -> Path:
    """A new ledger with the same key and the same entries, except that number `at` is another."""
    other = path.with_name("rewritten.db")
    with LGSCO.read(path) as old, LGSCO.create(other) as new:
        for entry in old.entries(0, old.size):
            again = Draft(
                event=entry.event,
                actor=entry.actor,
                handover=entry.handover,
                partner=entry.partner,
                direction=entry.direction,
                detail=entry.detail,
            )
            add(new, change(entry) if entry.seq == at else again)
    return other


def test_a_rewritten_whole_is_noticed_only_by_a_checkpoint_kept_elsewhere(path: Path) -> None:
    with LGSCO.read(path) as ledger:
        kept = ledger.checkpoint_of(9)
        newest = ledger.checkpoint()
    assert kept is not None
    assert check(path, since=kept).ok
    assert check(path, since=newest).ok
    other = rewritten(path, 12, lambda entry: NOTE.replace(partner="other"))
    assert check(other).ok
    report = check(other, since=kept)
    assert texts(report) == [
        "entry 0: the entries do not continue the 9 entries of the checkpoint that was kept elsewhere"
    ]
    assert report.first_bad_seq == 0


def test_an_older_copy_is_noticed_by_a_checkpoint_kept_elsewhere(path: Path) -> None:
    with LGSCO.read(path) as ledger:
        newest = ledger.checkpoint()
    with LGSCO.create(path.with_name("short.db")) as short:
        add(short, *[NOTE] * 4)
    report = check(path.with_name("short.db"), since=newest)
    assert (report.first_bad_seq, texts(report)) == (
        4,
        ["entry 4: it is missing: a checkpoint kept elsewhere covers 13 entries"],
    )


def test_a_checkpoint_of_somebody_else_is_no_evidence(path: Path) -> None:
    with LGSCO.read(path) as ledger:
        body = ledger.checkpoint().decode().partition("\n\n")[0] + "\n"
    report = check(path, since=sign_note(body, [OFSTED.signer]))
    assert texts(report) == ["the checkpoint that was kept elsewhere is not valid: no known key signed the note"]


def test_a_rewritten_tail_is_noticed_by_the_cosignatures_that_are_held(tmp_path: Path) -> None:
    with LGSCO.create(tmp_path / "a.db") as one, OFSTED.create(tmp_path / "b.db") as two:
        pair = Pair(Side(LGSCO, OFSTED, one), Side(OFSTED, LGSCO, two))
        for _ in range(3):
            pair.a.grow(3)
            pair.b.grow(2)
            pair.swap()
    report = check(tmp_path / "a.db")
    assert (report.ok, report.cosignatures) == (True, 3)
    other = rewritten(tmp_path / "a.db", 7, lambda entry: NOTE.replace(partner="other"))
    sqlite3(other, f"ATTACH '{tmp_path / 'a.db'}' AS a; INSERT INTO cosignatures SELECT * FROM a.cosignatures")
    report = check(other)
    assert texts(report)[0].startswith("entry 0: the cosignature of ofsted on 3 entries does not hold")


def test_an_older_copy_verifies_by_itself_and_the_partner_notices(tmp_path: Path) -> None:
    with LGSCO.create(tmp_path / "a.db") as one, OFSTED.create(tmp_path / "b.db") as two:
        pair = Pair(Side(LGSCO, OFSTED, one), Side(OFSTED, LGSCO, two))
        pair.a.grow(3)
        pair.b.grow(2)
        pair.swap()
        sqlite3(one.path, f"VACUUM INTO '{tmp_path / 'old.db'}'")
        pair.a.grow(3)
        pair.swap()
        with LGSCO.open(tmp_path / "old.db") as old:
            assert check(old.path).ok
            add(old, *[NOTE.replace(partner="other")] * 3)
            assert pair.b.hear(Side(LGSCO, OFSTED, old).say()).conflict == "other-root"


def test_another_key_verifies_nothing(path: Path) -> None:
    report = verify(path, [OFSTED.verifier])
    assert report.first_bad_seq == 0
    assert "entry 0: the checkpoint of 0 entries is not valid: no known key signed the note" in texts(report)


# --- what may be missing, and how much is listed ---------------------------------------------------------------------


def test_a_redacted_value_may_be_missing_and_only_that_one(path: Path) -> None:
    with LGSCO.open(path) as ledger:
        add(ledger, Draft(event="ledger.redacted", actor="operator", detail={"entry": 4, "fields": ["reference"]}))
    sqlite3(path, "DELETE FROM openings WHERE seq = 4 AND field = 'reference'")
    assert check(path).ok
    sqlite3(path, "DELETE FROM openings WHERE seq = 4")
    assert texts(check(path)) == ["entry 4: the value of its name is missing, and no redaction says why"]


def test_a_redaction_before_the_entry_excuses_nothing(tmp_path: Path) -> None:
    with LGSCO.create(tmp_path / "ledger.db") as ledger:
        add(ledger, Draft(event="ledger.redacted", actor="operator", detail={"entry": 1, "fields": ["name"]}))
        add(ledger, next(outgoing(fresh_id(), 1)))
    sqlite3(tmp_path / "ledger.db", "DELETE FROM openings WHERE field = 'name'")
    assert check(tmp_path / "ledger.db").first_bad_seq == 1


def test_a_kept_message_that_was_recorded_verifies(tmp_path: Path) -> None:
    import hashlib

    identifier, body = fresh_id(), b'{"kind":"concern"}'
    with LGSCO.create(tmp_path / "ledger.db") as ledger:
        draft = next(incoming(identifier, 1)).replace(detail={"manifest_sha256": hashlib.sha256(body).hexdigest()})
        add(ledger, draft)
        ledger.write(lambda tx: tx.keep_document("manifest", "ofsted", identifier, body, "s"))
    assert check(tmp_path / "ledger.db").ok


def test_a_kept_message_is_not_looked_for_in_all_that_ever_happened_with_its_partner(path: Path) -> None:
    with LGSCO.read(path) as ledger:
        steps = ledger.rows(f"EXPLAIN QUERY PLAN {FITTING}", b"", "", "")
    assert ["entries_handover" in str(step[-1]) for step in steps] == [True]


def test_many_problems_are_counted_and_the_first_is_still_named(tmp_path: Path) -> None:
    with LGSCO.create(tmp_path / "ledger.db") as ledger:
        ledger.write(lambda tx: [tx.append(NOTE) for _ in range(300)])
    report = hidden(tmp_path / "ledger.db", "UPDATE entries SET leaf_hash = zeroblob(32) WHERE seq >= 20")
    assert len(report.problems) == MAX_PROBLEMS + 1
    assert texts(report)[-1] == "180 more problems are not listed"
    assert report.first_bad_seq == 20


def test_verifying_never_changes_the_file(path: Path) -> None:
    before = path.read_bytes()
    check(path)
    assert path.read_bytes() == before


def test_a_report_for_people_names_the_first_bad_entry(path: Path) -> None:
    report = hidden(path, "DELETE FROM entries WHERE seq = 5")
    assert report.to_lines()["first bad entry"] == 5
    assert report.to_lines()["verified"] is False


def test_the_ledgers_in_these_tests_are_real(path: Path) -> None:
    with LGSCO.read(path) as ledger, pytest.raises(Refused, match="no entry 13"):
        ledger.entry(13)
    assert isinstance(ledger, Ledger)
