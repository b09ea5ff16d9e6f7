"""ledger/verify.py: each way of touching a ledger with Debian's own sqlite3 program is found, and placed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import Misuse, Refused
from ledger.checks.findings import MAX_PROBLEMS
from ledger.entry import Draft, Entry
from ledger.note import sign_note
from ledger.store import Ledger
from ledger.verify import Report, verify
from tests.ledger.ledgers import LGSCO, OFSTED, add, add_handovers, fresh_id, incoming, outgoing, sqlite3
from tests.ledger.test_witness import Pair, Side

NOTE = Draft(event="partner.added", actor="operator", partner="ofsted")
FREE = "".join(
    f"DROP TRIGGER {table}_no_{act};" for table in ("entries", "nodes", "checkpoints") for act in ("update", "delete")
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of 13 entries, each in a commit of its own, closed."""
    with LGSCO.create(tmp_path / "ledger.db") as ledger:
        add_handovers(ledger, 2)
        add(ledger, *incoming(fresh_id(), 1), NOTE, NOTE)
        assert ledger.size == 13
    return tmp_path / "ledger.db"


def check(path: Path, **more: bytes | None) -> Report:
    return verify(path, [LGSCO.verifier], witness_verifiers={"ofsted": [OFSTED.witness_verifier]}, **more)


def restored_triggers(path: Path) -> str:
    """The statements that make the triggers again, as somebody would who hides what was done."""
    return sqlite3(path, "SELECT sql || ';' FROM sqlite_schema WHERE type = 'trigger'")


def texts(report: Report) -> list[str]:
    return [problem.text for problem in report.problems]


def hidden(path: Path, sql: str) -> Report:
    """Drop the triggers, do `sql`, make the triggers again, verify."""
    triggers = restored_triggers(path)
    sqlite3(path, FREE + sql + ";" + triggers)
    return check(path)


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


def test_what_is_no_ledger_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="there is no ledger here"):
        check(tmp_path / "ledger.db")


EDIT = "replace(CAST(entry AS TEXT), '\"sent\"', '\"seal\"')"

TAMPERED: list[tuple[str, str, int | None, str]] = [
    (
        "an entry is edited",
        f"UPDATE entries SET entry = CAST({EDIT} AS BLOB) WHERE seq = 6",
        6,
        "entry 6: its bytes do not have the hash that is stored with them",
    ),
    (
        "an entry in the middle is deleted",
        "DELETE FROM entries WHERE seq = 5",
        5,
        "entry 5: it is missing, although the ledger goes on to entry 12",
    ),
    (
        "the first entry is deleted",
        "DELETE FROM entries WHERE seq = 0",
        0,
        "entry 0: it is missing, although the ledger goes on to entry 12",
    ),
    (
        "the tail is cut",
        "DELETE FROM entries WHERE seq >= 10",
        10,
        "entry 10: it is missing: a checkpoint covers 13 entries",
    ),
    (
        "the tail is cut with its checkpoints",
        "DELETE FROM entries WHERE seq >= 10; DELETE FROM checkpoints WHERE size > 10",
        10,
        "entry 10: 2 hashes of entries are stored that do not exist",
    ),
    (
        "two entries change their places",
        "UPDATE entries SET seq = -1 WHERE seq = 3; UPDATE entries SET seq = 3 WHERE seq = 7;"
        "UPDATE entries SET seq = 7 WHERE seq = -1",
        3,
        "entry 3: its bytes say that it is entry 7",
    ),
    (
        "the entries are renumbered from a gap on",
        "DELETE FROM entries WHERE seq = 8; UPDATE entries SET seq = seq - 1 WHERE seq > 8",
        8,
        "entry 8: its bytes say that it is entry 9",
    ),
    (
        "an entry is edited with its leaf hash",
        "UPDATE entries SET entry = (SELECT entry FROM entries WHERE seq = 5), leaf_hash = (SELECT leaf_hash FROM "
        "entries WHERE seq = 5) WHERE seq = 9",
        9,
        "entry 9: the stored hash of entries 8 to 9 does not follow from the entries",
    ),
    (
        "the leaf hash alone is edited",
        "UPDATE entries SET leaf_hash = zeroblob(32) WHERE seq = 4",
        4,
        "entry 4: its bytes do not have the hash that is stored with them",
    ),
    (
        "a node is edited",
        "UPDATE nodes SET hash = zeroblob(32) WHERE level = 2 AND idx = 1",
        4,
        "entry 4: the stored hash of entries 4 to 7 does not follow from the entries",
    ),
    (
        "a node is deleted",
        "DELETE FROM nodes WHERE level = 1 AND idx = 3",
        6,
        "entry 6: the stored hash of entries 6 to 7 is missing",
    ),
    (
        "a node is added",
        "INSERT INTO nodes VALUES (1, 6, zeroblob(32))",
        13,
        "entry 13: 1 hashes of entries are stored that do not exist",
    ),
    (
        "a checkpoint is edited",
        "UPDATE checkpoints SET note = replace(note, char(10) || '7' || char(10), char(10) || '8' || char(10)) "
        "WHERE size = 7",
        6,
        "entry 6: the checkpoint of 7 entries is not valid: a known key's signature on a note does not hold",
    ),
    (
        "a checkpoint takes another's place",
        "UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size = 3) WHERE size = 7",
        6,
        "entry 6: the checkpoint of 7 entries says 3",
    ),
    (
        "a checkpoint in the middle is deleted",
        "DELETE FROM checkpoints WHERE size = 7",
        6,
        "entry 6: a checkpoint before that of 8 entries is missing",
    ),
    (
        "the newest checkpoint is deleted",
        "DELETE FROM checkpoints WHERE size = 13",
        12,
        "entry 12: no checkpoint covers the entries 12 to 12",
    ),
    (
        "every checkpoint is deleted",
        "DELETE FROM checkpoints",
        0,
        "entry 0: there is no checkpoint at all",
    ),
    (
        "the value of an opening is changed",
        "UPDATE openings SET value = '\"other.pdf\"' WHERE seq = 4 AND field = 'name'",
        4,
        "entry 4: the value of its name is not the one that it commits to",
    ),
    (
        "the salt of an opening is changed",
        "UPDATE openings SET salt = zeroblob(32) WHERE seq = 4 AND field = 'reference'",
        4,
        "entry 4: the value of its reference is not the one that it commits to",
    ),
    (
        "an opening is deleted without a redaction",
        "DELETE FROM openings WHERE seq = 4 AND field = 'reference'",
        4,
        "entry 4: the value of its reference is missing, and no redaction says why",
    ),
    (
        "an opening is added",
        "INSERT INTO openings VALUES (5, 'name', zeroblob(32), '1')",
        5,
        "entry 5: a value is stored for its name, which it does not commit to",
    ),
    (
        "an opening is added after the last entry",
        "INSERT INTO openings VALUES (12, 'name', zeroblob(32), '1')",
        12,
        "entry 12: a value is stored for its name, which it does not commit to",
    ),
    (
        "a handover's state is edited",
        "UPDATE handovers SET state = 'rejected', reason = 'expired' WHERE sequence = 2",
        7,
        "entry 7: the table of handovers says something else than the entries (state, reason)",
    ),
    (
        "a handover is deleted from the table",
        "DELETE FROM handovers WHERE sequence = 2",
        4,
        "entry 4: the table of handovers lacks its handover",
    ),
    (
        "a handover is added to the table",
        "INSERT INTO handovers (id, partner, direction, state, first_seq) VALUES ('x', 'ofsted', 'out', 'sent', 3)",
        3,
        "entry 3: the table of handovers holds one without any entries",
    ),
    (
        "a message is added",
        "INSERT INTO documents SELECT 'manifest', 'ofsted', handover, X'7B7D', 's' FROM entries WHERE seq = 8",
        8,
        "entry 8: the manifest that is kept for its handover is not the one that was recorded",
    ),
    (
        "a partner has seen more than there is",
        "INSERT INTO partner_seen VALUES ('ofsted', 15)",
        13,
        "entry 13: it is missing: ofsted has seen 15 entries",
    ),
    (
        "a cosignature is made up",
        "INSERT INTO cosignatures VALUES (5, 'ofsted', '— ofsted/witness AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==')",
        0,
        "entry 0: the cosignature of ofsted on 5 entries does not hold: no known key signed the note",
    ),
    (
        "a cosignature is of a size without a checkpoint",
        "INSERT INTO cosignatures VALUES (99, 'ofsted', '— ofsted/witness AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==')",
        0,
        "entry 0: ofsted cosigned 99 entries, of which there is no checkpoint",
    ),
    (
        "a witnessed checkpoint is edited",
        "INSERT INTO witnessed SELECT 'ofsted', 9, zeroblob(32), note, '', 1 FROM checkpoints WHERE size = 4",
        None,
        "the checkpoint of ofsted that was witnessed is not the one that is remembered",
    ),
    (
        "a witnessed checkpoint is no checkpoint",
        "INSERT INTO witnessed VALUES ('ofsted', 9, zeroblob(32), 'x', '', 1)",
        None,
        "the checkpoint of ofsted that was witnessed cannot be read: a note has no signatures",
    ),
    (
        "an index is dropped",
        "DROP INDEX entries_event",
        None,
        "the index entries_event is missing",
    ),
    (
        "a table is added",
        "CREATE TABLE notes (x)",
        None,
        "the table notes does not belong here",
    ),
    (
        "the version is changed",
        "PRAGMA user_version = 0",
        None,
        "the version of the tables is not the one that this program writes",
    ),
]


@pytest.mark.parametrize(("sql", "seq", "finding"), [row[1:] for row in TAMPERED], ids=[row[0] for row in TAMPERED])
def test_what_is_done_to_the_file_is_found_and_placed(path: Path, sql: str, seq: int | None, finding: str) -> None:
    report = hidden(path, sql)
    assert not report.ok
    assert any(text.startswith(finding) for text in texts(report)), texts(report)
    assert report.first_bad_seq == seq


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
