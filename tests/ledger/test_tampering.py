"""ledger/verify.py: each way of touching a ledger with Debian's own sqlite3 program is found, and placed."""

from pathlib import Path

import pytest

from tests.ledger.tampering import EDIT, hidden, texts, thirteen

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
        "INSERT INTO witnessed SELECT 'ofsted', 9, zeroblob(32), note, '', 1, 1 FROM checkpoints WHERE size = 4",
        None,
        "the checkpoint of ofsted that was witnessed is not the one that is remembered",
    ),
    (
        "a witnessed checkpoint is no checkpoint",
        "INSERT INTO witnessed VALUES ('ofsted', 9, zeroblob(32), 'x', '', 1, 1)",
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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return thirteen(tmp_path)


@pytest.mark.parametrize(("sql", "seq", "finding"), [row[1:] for row in TAMPERED], ids=[row[0] for row in TAMPERED])
def test_what_is_done_to_the_file_is_found_and_placed(path: Path, sql: str, seq: int | None, finding: str) -> None:
    report = hidden(path, sql)
    assert not report.ok
    assert any(text.startswith(finding) for text in texts(report)), texts(report)
    assert report.first_bad_seq == seq
