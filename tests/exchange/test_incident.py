"""What a key protected, for whoever has to judge what its loss means: all of it, nothing else, and no case content."""

import csv
import io
import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from config.errors import Misuse
from config.times import from_text, to_text
from exchange import key_desk
from exchange.audit import check_proof
from exchange.incident import COLUMNS, Incident, incident
from exchange.incident_pack import pack
from exchange.key_list import inventory
from keys import announcement
from keys.key_info import OPTIONAL, PURPOSES, Purpose
from ledger.canonical import Json
from ledger.entry import Draft
from ledger.identifier import new_id
from ledger.key_events import ledger_keys
from ledger.store import Transaction
from tests.exchange.test_key_revocation import first, persist, revoke
from tests.exchange.test_key_rotation import begin, chained, exchange_files, rotate
from tests.organisations import CASE, Organisation, Pair

SENDER = {"signing": "signed", "signing-pq": "signed", "transport": "transported", "ledger": "ledger-signed"}
"""What a key of LGSCO, which sends, does for a file."""
RECIPIENT = {
    "signing": "receipt-signed",
    "signing-pq": "receipt-signed",
    "encryption": "sealed-to",
    "ledger": "ledger-signed",
    "witness": "witnessed",
    "witness-pq": "witnessed",
}
"""What a key of Ofsted, which receives, does."""


def of(one: Organisation, fingerprint: str, since: datetime | None = None, until: datetime | None = None) -> Incident:
    ledger, trust, now = one.parts.ledger, one.parts.trust, one.parts.effects.clock()
    return incident(one.home, ledger, trust, fingerprint, since, until, now)


def hosts(one: Organisation) -> bool:
    """Whether it has an SFTP server."""
    return bool(one.home.settings.landing.host_keys)


def replaced(pair: Pair, one: Organisation, purpose: Purpose) -> tuple[str, str]:
    """A file before, and one after the key was exchanged; the old key and the new one."""
    chained(pair)
    begin(pair, purpose)
    exchange_files(pair, "before")
    old = first(one, purpose)
    pair.clock.advance(hours=1)
    rotate(one, purpose, timedelta(0))
    pair.settle()
    pair.clock.advance(days=32)
    key_desk.tend(one.parts)
    pair.settle()
    pair.clock.advance(hours=1)
    exchange_files(pair, "after")
    return old, first(one, purpose)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_both_sides_know_what_a_senders_key_protected(pair: Pair, purpose: Purpose) -> None:
    old, new = replaced(pair, pair.lgsco, purpose)
    before, after = (one.id for one in pair.lgsco.handovers())
    for one in (pair.lgsco, pair.ofsted):
        # by time, a partner's ledger key counts for what that partner answered, and this one only sends
        how = SENDER.get(purpose) if one is pair.lgsco or purpose != "ledger" else None
        if purpose == "transport" and not hosts(pair.ofsted):
            # it logs in nowhere: its files wait on its own server
            how = None
        for fingerprint, handover, state in ((old, before, "retired"), (new, after, "current")):
            found = of(one, fingerprint)
            assert [(row.handover, row.how) for row in found.handovers] == ([(handover, how)] if how else [])
            assert (found.key.owner, found.key.purpose, found.key.state) == ("lgsco", purpose, state)
            assert found.key.ours == (one is pair.lgsco)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_both_sides_know_what_a_recipients_key_protected(pair: Pair, purpose: Purpose) -> None:
    old, new = replaced(pair, pair.ofsted, purpose)
    before, after = (one.id for one in pair.lgsco.handovers())
    # where it has a server of its own, it logs in to bring receipts, and no file
    how = RECIPIENT.get(purpose, None if hosts(pair.ofsted) else "transported")
    for one in (pair.lgsco, pair.ofsted):
        for fingerprint, handover in ((old, before), (new, after)):
            found = of(one, fingerprint)
            direction = "in" if one is pair.ofsted else "out"
            expected = [(handover, how, direction)] if how else []
            assert [(row.handover, row.how, row.direction) for row in found.handovers] == expected


def test_a_host_key_served_what_was_uploaded_to_it_or_collected_from_it(pair: Pair) -> None:
    exchange_files(pair, "one")
    host, guest = (pair.ofsted, pair.lgsco) if hosts(pair.ofsted) else (pair.lgsco, pair.ofsted)
    [line] = host.home.settings.landing.host_keys
    fingerprint = announcement.fingerprint("host", line)
    key_desk.announce(host.parts, "root")
    [carried] = of(guest, fingerprint).handovers
    assert (carried.direction, carried.how) == ("out" if guest is pair.lgsco else "in", "transported")
    assert of(host, fingerprint).key.ours


def test_after_a_revocation_it_is_said_when_by_whom_since_when_what_is_in_doubt_and_who_knows(pair: Pair) -> None:
    chained(pair)
    exchange_files(pair, "certain")
    pair.clock.advance(hours=2)
    since = to_text(pair.clock())
    exchange_files(pair, "doubtful")
    pair.clock.advance(hours=2)
    stolen = first(pair.lgsco, "signing")
    key_desk.revoke(pair.lgsco.parts, stolen, since, "an administrator")
    persist(pair)
    ours, theirs = of(pair.lgsco, stolen), of(pair.ofsted, stolen)
    for found in (ours, theirs):
        assert [row.doubtful for row in found.handovers] == [False, True]
        assert (found.key.state, found.key.since) == ("revoked", since)
        assert found.summary()["in doubt"] == 1
        assert found.notify_by == to_text(from_text(found.key.ended_at or "") + timedelta(hours=72))
    assert (ours.key.ended_by, theirs.key.ended_by) == ("an administrator", "daemon")
    assert ours.key.told == ("ofsted",)
    assert pair.lgsco.parts.ledger.entry(ours.key.ended_entry or 0).event == "key.revoked"
    assert of(pair.lgsco, first(pair.lgsco, "signing")).notify_by is None


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_revocation_says_the_same_number_as_the_pack(pair: Pair, purpose: Purpose) -> None:
    chained(pair)
    begin(pair, purpose)
    exchange_files(pair, "one")
    exchange_files(pair, "two")
    pair.clock.advance(hours=1)
    logs_in = pair.lgsco if hosts(pair.ofsted) else pair.ofsted
    for one, does in ((pair.lgsco, SENDER), (pair.ofsted, RECIPIENT)):
        done = revoke(one, purpose)
        used = one is logs_in if purpose == "transport" else purpose in does
        assert done["handovers"] == len(of(one, str(done["revoked"])).handovers) == (2 if used else 0)
        persist(pair)
        pair.clock.advance(hours=7)
        persist(pair)


def test_a_ledger_key_that_is_for_later_signs_at_once_and_is_counted_from_then_on(pair: Pair) -> None:
    chained(pair)
    parts = pair.lgsco.parts
    new = key_desk.rotate(parts, "ledger", timedelta(days=30), pair.clock() + timedelta(days=10), "root")
    assert new.public in ledger_keys(parts.ledger)
    pair.clock.advance(hours=1)
    exchange_files(pair, "one")
    found = of(pair.lgsco, new.fingerprint)
    assert (found.key.begins, len(found.handovers)) == (new.made_at, 1)


def test_only_what_falls_between_two_times_is_listed(pair: Pair) -> None:
    exchange_files(pair, "one")
    pair.clock.advance(days=2)
    middle = pair.clock()
    pair.clock.advance(days=2)
    exchange_files(pair, "two")
    key = first(pair.lgsco, "signing")
    one, two = (handover.id for handover in pair.lgsco.handovers())
    assert [row.handover for row in of(pair.lgsco, key, since=middle).handovers] == [two]
    assert [row.handover for row in of(pair.lgsco, key, until=middle).handovers] == [one]
    assert of(pair.lgsco, key, since=middle, until=middle).handovers == ()


def test_the_pack_holds_no_case_content_and_its_proofs_hold(pair: Pair, tmp_path: Path) -> None:
    exchange_files(pair, "Jane")
    parts = pair.ofsted.parts
    key, folder = first(pair.ofsted, "encryption"), tmp_path / "pack"
    found = pack(pair.ofsted.home, parts.ledger, parts.trust, key, None, None, str(folder), proofs=True)
    written = {path.relative_to(folder): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert {str(path.parent / path.suffix) for path in written} == {".txt", ".json", ".csv", "proofs/.tlog-proof"}
    assert all("Jane" not in text and CASE not in text for text in written.values())
    assert all(path.stat().st_mode & 0o077 == 0 for path in (folder, *folder.rglob("*")))
    [row] = csv.DictReader(io.StringIO(written[Path("handovers.csv")], newline=""))
    assert tuple(row) == COLUMNS
    assert row["handover"] == json.loads(written[Path("incident.json")])["handovers"][0]["handover"]
    # nobody has revoked it: no clock runs
    assert "notify by" not in written[Path("summary.txt")]
    [proof] = (folder / "proofs").iterdir()
    vkey = parts.own.usable("ledger")[0].public
    checked = check_proof(proof.read_bytes(), (vkey,))
    assert (checked["handover"], checked["event"]) == (row["handover"], "delivered")
    assert str(found.ledger["size"]) in written[Path("checkpoint.txt")].splitlines()
    with pytest.raises(Misuse, match="is not a new folder"):
        pack(pair.ofsted.home, parts.ledger, parts.trust, key, None, None, str(folder))


def test_after_a_ledger_key_was_revoked_the_proofs_are_signed_by_its_successor(pair: Pair, tmp_path: Path) -> None:
    chained(pair)
    exchange_files(pair, "one")
    pair.clock.advance(hours=1)
    old = first(pair.ofsted, "ledger")
    revoke(pair.ofsted, "ledger")
    parts = pair.ofsted.parts
    pack(pair.ofsted.home, parts.ledger, parts.trust, old, None, None, str(tmp_path / "p"), proofs=True)
    [proof] = (tmp_path / "p" / "proofs").iterdir()
    assert check_proof(proof.read_bytes(), (parts.own.usable("ledger")[0].public,))["ok"]


def test_the_inventory_says_how_much_each_key_has_protected(pair: Pair) -> None:
    _, new = replaced(pair, pair.lgsco, "signing")
    for one in (pair.lgsco, pair.ofsted):
        parts = one.parts
        listed = inventory(one.home, parts.keyring, parts.ledger, parts.trust, parts.effects.clock)
        rows = {row["fingerprint"]: row for row in listed}
        for fingerprint, row in rows.items():
            found = of(one, str(fingerprint))
            assert row["handovers"] == len(found.handovers)
            assert row["first_at"] == (found.handovers[0].first_at if found.handovers else None)
        assert rows[new]["handovers"] == 1
        assert rows[new]["first_at"] == rows[new]["last_at"]


@pytest.mark.parametrize("purpose", OPTIONAL)
def test_a_partners_first_key_of_an_optional_purpose_counts_from_its_announcement_on(
    pair: Pair, purpose: Purpose
) -> None:
    chained(pair)
    exchange_files(pair, "before")
    pair.clock.advance(hours=1)
    begin(pair, purpose)
    exchange_files(pair, "after")
    for one, other in ((pair.lgsco, pair.ofsted), (pair.ofsted, pair.lgsco)):
        theirs, parts = first(other, purpose), one.parts
        key = of(one, theirs).key
        [came] = [e for e in parts.ledger.entries(0, parts.ledger.size) if e.event == "partner.key-accepted"]
        assert (key.owner, key.purpose, key.state) == (other.parts.me, purpose, "current")
        assert (key.begins, key.ended_at, key.ended_entry) == (came.at, None, None)
        rows = inventory(one.home, parts.keyring, parts.ledger, parts.trust, parts.effects.clock)
        [listed] = [row for row in rows if row["fingerprint"] == theirs]
        assert listed["handovers"] == len(of(one, theirs).handovers)


def test_what_cannot_be_answered_is_said(pair: Pair, tmp_path: Path) -> None:
    parts = pair.lgsco.parts
    known = first(pair.lgsco, "signing")
    assert of(pair.lgsco, known).handovers == ()
    for fingerprint, since, output, proofs, words in (
        ("SHA256:unknown", None, None, False, "no key of ours or of a partner has this fingerprint"),
        ("", None, None, False, "no key of ours or of a partner has this fingerprint"),
        (known, "yesterday", None, False, "yesterday is neither a day nor a time"),
        (known, None, None, True, "--proofs are files"),
    ):
        with pytest.raises(Misuse, match=words):
            pack(pair.lgsco.home, parts.ledger, parts.trust, fingerprint, since, None, output, proofs=proofs)


def test_ten_thousand_handovers_are_listed(pair: Pair, tmp_path: Path) -> None:
    parts, number = pair.lgsco.parts, 10_000
    key = first(pair.lgsco, "signing")
    now = pair.clock()

    def fill(tx: Transaction) -> None:
        for place in range(number):
            draft = Draft(
                event="accepted",
                actor="daemon",
                handover=new_id(now + timedelta(milliseconds=place), parts.effects.random),
                partner="ofsted",
                direction="out",
                authority="E08000025",
                category="upheld-decision",
                detail={"sequence": place + 1},
            )
            tx.append(draft)
            sealed: dict[str, Json] = {"manifest_sha256": "0" * 64, "signed_by": key}
            tx.append(draft.replace(event="sealed", envelope_sha256="1" * 64, detail=sealed))

    parts.ledger.write(fill)
    found = pack(pair.lgsco.home, parts.ledger, parts.trust, key, None, None, str(tmp_path / "pack"))
    assert found.summary()["handovers"] == found.summary()["not finished"] == number
    assert len((tmp_path / "pack" / "handovers.csv").read_text().splitlines()) == number + 1


def test_a_range_that_ends_before_it_begins_is_no_answer(pair: Pair) -> None:
    parts = pair.lgsco.parts
    key = parts.own.usable("signing")[0].fingerprint
    with pytest.raises(Misuse, match="--from is later than --to"):
        pack(pair.lgsco.home, parts.ledger, parts.trust, key, "2026-12-02", "2026-12-01", None, proofs=False)
