"""What has been kept long enough is destroyed, exactly that and nothing else, and leaves a certificate."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from config.home import Home
from exchange import custody, locate, receipts, retention
from exchange.audit import verify_home
from exchange.orders import place
from ledger.copies import digest_of
from ledger.entry import Draft, Entry
from ledger.handover import Handover
from tests.exchange.supervised import without_threads
from tests.organisations import CASE, DECISION, Organisation, Pair, restart_with, start

CONTENT = b"what the Ombudsman decided"
NAME = f"{CASE} decision.pdf"
SECOND = {"seconds": 1}


def acknowledged(pair: Pair, content: bytes = CONTENT, name: str = NAME) -> Path:
    """Hand one file over; where its original lies."""
    pair.lgsco.drop(content, name)
    pair.settle()
    return pair.lgsco.home.sent.joinpath(*DECISION, name)


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def copies_of(content: bytes, organisation: Organisation) -> list[Path]:
    found = [path for path in organisation.home.root.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in found if path.stat().st_size == len(content) and path.read_bytes() == content]


def told(organisation: Organisation, event: str) -> list[Entry]:
    ledger = organisation.parts.ledger
    return [entry for entry in ledger.entries(0, ledger.size) if entry.event == event]


def reasons(organisation: Organisation, event: str) -> list[object]:
    return [entry.detail["reason"] for entry in told(organisation, event)]


def statuses(pair: Pair, organisation: Organisation) -> list[str]:
    parts = organisation.parts
    return [line.status for line in custody.listing(parts.home, parts.ledger, parts.trust, now=pair.clock())]


def order(organisation: Organisation, *, elsewhere: bool = False) -> None:
    found = organisation.handovers()[0]
    retention.order(organisation.parts, found.id, "Kim Example", "sent in error", elsewhere=elsewhere)


# --- whose time holds -------------------------------------------------------------------------------------------------


def test_an_original_is_kept_for_the_agreements_time_and_then_destroyed_with_its_receipt(pair: Pair) -> None:
    original = acknowledged(pair)
    pair.clock.advance(days=90, seconds=-1)
    assert pair.lgsco.retain() == 0
    assert original.read_bytes() == CONTENT
    assert statuses(pair, pair.lgsco) == ["kept"]
    pair.clock.advance(**SECOND)
    assert statuses(pair, pair.lgsco) == ["due"]
    assert pair.lgsco.retain() == 1
    assert pair.lgsco.states() == ["destroyed"]
    assert files_below(pair.lgsco.home.sent) == set()
    assert copies_of(CONTENT, pair.lgsco) == []
    assert pair.lgsco.spooled() == []
    assert statuses(pair, pair.lgsco) == ["destroyed"]
    assert pair.lgsco.retain() == 0


@pytest.mark.parametrize("event", ["clock.jumped", "clock.disagrees"])
def test_nothing_is_destroyed_for_its_times_sake_by_a_clock_in_doubt(pair: Pair, event: str) -> None:
    original = acknowledged(pair)
    pair.clock.advance(days=90)
    doubt = Draft(event=event, actor="daemon", partner="ofsted", detail={"seconds": 7776000})
    pair.lgsco.parts.ledger.write(lambda tx: tx.append(doubt))
    assert pair.lgsco.retain() == 0
    assert original.read_bytes() == CONTENT
    pair.clock.advance(hours=23)
    assert pair.lgsco.retain() == 0
    pair.clock.advance(hours=1)
    assert pair.lgsco.retain() == 1
    assert pair.lgsco.states() == ["destroyed"]


def test_a_clock_that_has_just_jumped_destroys_nothing_before_anybody_has_looked_at_it(pair: Pair) -> None:
    original = acknowledged(pair)
    effects = replace(pair.lgsco.parts.effects, monotonic=lambda: 0.0)
    daemon = without_threads(replace(pair.lgsco.parts, effects=effects))
    daemon.begin()
    daemon.workers["machine"].turn()
    pair.clock.advance(days=200)
    daemon.workers["retention"].turn()
    assert original.read_bytes() == CONTENT
    assert [entry.detail for entry in told(pair.lgsco, "clock.jumped")] == [{"seconds": 200 * 24 * 3600}]


def test_nothing_is_destroyed_while_the_ledger_is_ahead_of_the_clock(pair: Pair) -> None:
    acknowledged(pair)
    pair.clock.advance(days=200)
    pair.lgsco.parts.ledger.write(lambda tx: tx.append(Draft(event="clock.right", actor="daemon")))
    pair.clock.advance(days=-100)
    assert pair.lgsco.retain() == 0
    pair.clock.advance(days=100)
    assert pair.lgsco.retain() == 1


def test_the_certificate_says_when_by_which_rule_and_what_was_removed(pair: Pair) -> None:
    acknowledged(pair)
    pair.clock.advance(days=91)
    pair.lgsco.retain()
    ledger = pair.lgsco.parts.ledger
    (begun,), (certificate,) = told(pair.lgsco, "destruction.begun"), told(pair.lgsco, "destroyed")
    (handover,) = pair.lgsco.handovers()
    assert certificate.detail == {
        "begun": begun.seq,
        "rule": "agreement",
        "agreement": "ofsted-lgsco/2019-12",
        "keep": "90d",
        "until": begun.detail["until"],
        "method": "unlinked",
        "removed": ["payload", "receipt"],
        "links": 0,
    }
    assert certificate.actor == "daemon"
    assert ledger.openings(certificate.seq) == {"payload_sha256": digest_of(ledger, handover)}
    assert handover.decided_seq == told(pair.lgsco, "acknowledged")[0].seq
    assert verify_home(pair.lgsco.home).ok


def test_no_entry_of_a_kept_and_destroyed_file_holds_its_name(pair: Pair) -> None:
    acknowledged(pair, name=f"{CASE} Name of a child.pdf")
    pair.clock.advance(days=91)
    pair.lgsco.retain()
    for organisation in (pair.lgsco, pair.ofsted):
        for entry in organisation.parts.ledger.entries(0, organisation.parts.ledger.size):
            assert b"child" not in entry.encode()
            assert CASE.encode() not in entry.encode()


def test_what_handover_toml_says_of_a_partner_holds_before_the_agreement(pair: Pair) -> None:
    restart_with(pair, '[partners.ofsted]\nkeep_sent = "2d"')
    acknowledged(pair)
    (kept,) = told(pair.lgsco, "original.kept")
    assert (kept.detail["rule"], kept.detail["keep"]) == ("settings", "2d")
    pair.clock.advance(days=2)
    pair.lgsco.retain()
    assert told(pair.lgsco, "destroyed")[0].detail["rule"] == "settings"


@pytest.mark.parametrize(("then", "later", "days"), [("10d", "1d", 10), ("10d", "none", 10), ("10d", "100d", 100)])
def test_of_two_rules_the_longer_holds(pair: Pair, then: str, later: str, days: int) -> None:
    restart_with(pair, f'[partners.ofsted]\nkeep_sent = "{then}"')
    original = acknowledged(pair)
    config = pair.lgsco.home.config_file
    config.write_text(config.read_text().replace(f'keep_sent = "{then}"', f'keep_sent = "{later}"'))
    restart_with(pair, "")
    pair.clock.advance(days=days, seconds=-1)
    pair.lgsco.retain()
    assert original.exists()
    pair.clock.advance(**SECOND)
    pair.lgsco.retain()
    assert not original.exists()


def test_without_any_rule_an_original_is_kept_until_a_person_has_it_destroyed(pair: Pair) -> None:
    for organisation in (pair.lgsco, pair.ofsted):
        agreement = organisation.parts.agreements[organisation.partner]
        assert agreement.flow("upheld-decision") is not None
        silent = replace(agreement, flows=tuple(replace(flow, keep_sent=None) for flow in agreement.flows))
        organisation.parts = replace(organisation.parts, agreements={organisation.partner: silent})
    original = acknowledged(pair)
    pair.clock.advance(days=30_000)
    assert pair.lgsco.retain() == 0
    assert original.exists()
    assert [entry.detail for entry in told(pair.lgsco, "original.kept")] == [{"rule": "none"}]
    order(pair.lgsco)
    pair.lgsco.retain()
    assert told(pair.lgsco, "destroyed")[0].detail["rule"] == "order"
    assert not original.exists()


def test_where_nothing_is_kept_the_receipt_destroys_the_original_with_the_same_certificate(pair: Pair) -> None:
    restart_with(pair, '[partners.ofsted]\nkeep_sent = "none"')
    acknowledged(pair)
    assert pair.lgsco.events()[-3:] == ["acknowledged", "destruction.begun", "destroyed"]
    (certificate,) = told(pair.lgsco, "destroyed")
    assert certificate.detail["removed"] == ["payload", "envelope", "claim"]
    assert (certificate.detail["at_once"], certificate.detail["keep"]) == (True, "none")
    assert copies_of(CONTENT, pair.lgsco) == []
    assert pair.lgsco.spooled() == []
    assert files_below(pair.lgsco.home.sent) == set()


# --- nothing that was not acknowledged --------------------------------------------------------------------------------


def test_what_was_not_acknowledged_is_never_destroyed(pair: Pair) -> None:
    restart_with(pair, '[partners.ofsted]\nkeep_sent = "1d"')
    pair.lgsco.drop(b"program", "a.exe")
    pair.lgsco.drop(b"never answered", f"{CASE} one.pdf")
    pair.lgsco.drop(b"withdrawn", f"{CASE} two.pdf")
    pair.lgsco.take()
    ledger = pair.lgsco.parts.ledger
    (withdrawn,) = [h for h in pair.lgsco.handovers() if ledger.openings(h.first_seq)["name"] == f"{CASE} two.pdf"]
    place(ledger, withdrawn, "withdraw", "Kim Example")
    pair.lgsco.send()
    pair.clock.advance(days=400)
    for _ in range(2):
        assert pair.lgsco.retain() == 0
    assert sorted(pair.lgsco.states()) == ["held", "sent", "withdrawn"]
    for content in (b"program", b"never answered", b"withdrawn"):
        assert len(copies_of(content, pair.lgsco)) == 1
    pair.settle()
    pair.lgsco.retain()
    assert sorted(pair.lgsco.states()) == ["held", "rejected", "withdrawn"]
    assert len(copies_of(b"never answered", pair.lgsco)) == 1


# --- the right file, or none ------------------------------------------------------------------------------------------


def move(original: Path) -> None:
    original.rename(original.with_name("taken away.pdf"))


def replace_by_a_folder(original: Path) -> None:
    move(original)
    original.mkdir()


def replace_by_a_link(original: Path) -> None:
    move(original)
    original.symlink_to(original.with_name("taken away.pdf"))


def replace_by_a_pipe(original: Path) -> None:
    move(original)
    os.mkfifo(original)


def put_a_link_on_the_way(original: Path) -> None:
    elsewhere = original.parents[4] / "elsewhere"
    original.parent.rename(elsewhere)
    original.parent.symlink_to(elsewhere)


@pytest.mark.parametrize(
    "disturb", [move, replace_by_a_folder, replace_by_a_link, replace_by_a_pipe, put_a_link_on_the_way]
)
def test_a_file_that_was_moved_is_not_looked_for_and_no_link_is_followed(
    pair: Pair, disturb: Callable[[Path], None]
) -> None:
    original = acknowledged(pair)
    disturb(original)
    pair.clock.advance(days=91)
    for _ in range(3):
        pair.lgsco.retain()
    assert reasons(pair.lgsco, "destruction.failed") == ["not-found"]
    assert pair.lgsco.states() == ["acknowledged"]
    assert len(copies_of(CONTENT, pair.lgsco)) == 1
    assert statuses(pair, pair.lgsco) == ["failed"]
    assert pair.lgsco.spooled() == []
    assert verify_home(pair.lgsco.home).ok


def test_a_file_that_was_put_back_is_destroyed_when_a_person_orders_it(pair: Pair) -> None:
    original = acknowledged(pair)
    move(original)
    pair.clock.advance(days=91)
    pair.lgsco.retain()
    original.with_name("taken away.pdf").rename(original)
    order(pair.lgsco)
    pair.lgsco.retain()
    assert pair.lgsco.states() == ["destroyed"]
    assert copies_of(CONTENT, pair.lgsco) == []


@pytest.mark.parametrize("content", [CONTENT[::-1], CONTENT[:-1], CONTENT + b"!", b""])
def test_a_file_that_was_changed_stays_with_people(pair: Pair, content: bytes) -> None:
    original = acknowledged(pair)
    original.write_bytes(content)
    pair.clock.advance(days=91)
    for _ in range(2):
        pair.lgsco.retain()
    assert reasons(pair.lgsco, "destruction.failed") == ["changed"]
    assert original.read_bytes() == content
    assert original.with_name(f"{NAME}.receipt.txt").exists()
    assert pair.lgsco.states() == ["acknowledged"]


def test_another_file_of_the_same_name_is_never_taken_for_the_one(pair: Pair) -> None:
    first = acknowledged(pair)
    pair.clock.advance(days=1)
    acknowledged(pair, b"the second", NAME)
    second = first.with_name(f"{CASE} decision (2).pdf")
    assert second.read_bytes() == b"the second"
    pair.clock.advance(days=89)
    pair.lgsco.retain()
    assert not first.exists()
    assert second.read_bytes() == b"the second"
    assert second.with_name(f"{second.name}.receipt.txt").exists()


def exchange_for_another(original: Path) -> None:
    other = original.with_name("other")
    other.write_bytes(b"a report of somebody else")
    other.replace(original)


def exchange_for_a_folder(original: Path) -> None:
    original.unlink()
    original.mkdir()
    (original / "inside").write_bytes(b"a report of somebody else")


def append(original: Path) -> None:
    with original.open("ab") as file:
        file.write(b"a report of somebody else")


@pytest.mark.parametrize("when", ["after it was read", "at the rename"])
@pytest.mark.parametrize("act", [exchange_for_another, exchange_for_a_folder, append])
def test_a_file_that_is_exchanged_while_it_is_looked_at_comes_back(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], None], when: str
) -> None:
    original = acknowledged(pair)
    pair.clock.advance(days=91)
    require, rename = locate.require, os.rename
    if when == "after it was read":

        def read(one: BinaryIO, expected: str) -> os.stat_result:
            seen = require(one, expected)
            act(original)
            return seen

        monkeypatch.setattr(locate, "require", read)
    else:

        def renamed(source: str, target: str | Path, **more: int) -> None:
            if Path(target).name == "payload":
                act(original)
            rename(source, target, **more)

        monkeypatch.setattr(os, "rename", renamed)
    pair.lgsco.retain()
    monkeypatch.undo()
    assert reasons(pair.lgsco, "destruction.failed") == ["changed"]
    there = original / "inside" if original.is_dir() else original
    assert there.read_bytes().endswith(b"a report of somebody else")
    assert pair.lgsco.states() == ["acknowledged"]
    assert pair.lgsco.spooled() == []


def test_a_second_name_of_the_file_is_certified_as_left(pair: Pair) -> None:
    original = acknowledged(pair)
    os.link(original, pair.base / "a copy by hard link")
    pair.clock.advance(days=91)
    pair.lgsco.retain()
    assert told(pair.lgsco, "destroyed")[0].detail["links"] == 1
    assert (pair.base / "a copy by hard link").read_bytes() == CONTENT


def test_a_text_that_is_not_our_receipt_stays(pair: Pair) -> None:
    original = acknowledged(pair)
    note = original.with_name(f"{NAME}.receipt.txt")
    note.write_text("my own notes about this case")
    pair.clock.advance(days=91)
    pair.lgsco.retain()
    assert note.read_text() == "my own notes about this case"
    assert told(pair.lgsco, "destroyed")[0].detail["removed"] == ["payload"]


def test_a_missing_folder_is_waited_for_and_tells_nothing_of_the_files(pair: Pair) -> None:
    original = acknowledged(pair)
    sent = pair.lgsco.home.sent
    sent.rename(pair.base / "unmounted")
    pair.clock.advance(days=91)
    with pytest.raises(Exception, match="a folder of the home is missing"):
        pair.lgsco.retain()
    assert told(pair.lgsco, "destruction.failed") == []
    (pair.base / "unmounted").rename(sent)
    pair.lgsco.retain()
    assert not original.exists()
    assert pair.lgsco.states() == ["destroyed"]


def test_a_name_of_any_bytes_finds_its_way_back(pair: Pair) -> None:
    pair.lgsco.drop(CONTENT, f"{CASE} %2F ä\udcff\n.pdf", ("ofsted", "upheld-decision", "birmingham"))
    pair.settle()
    assert pair.lgsco.states() in (["acknowledged"], ["held"])
    acknowledged(pair, b"another", f"{CASE} %2F é.pdf")
    pair.clock.advance(days=91)
    pair.lgsco.retain()
    assert "acknowledged" not in pair.lgsco.states()
    assert "destroyed" in pair.lgsco.states()


# --- by order ---------------------------------------------------------------------------------------------------------


def test_an_order_destroys_before_the_time_is_over_and_says_who_and_why_in_commitments_only(pair: Pair) -> None:
    original = acknowledged(pair)
    order(pair.lgsco)
    assert pair.lgsco.retain() == 1
    assert not original.exists()
    (certificate,) = told(pair.lgsco, "destroyed")
    (asked,) = told(pair.lgsco, "destroy.asked")
    assert (certificate.detail["rule"], certificate.detail["order"]) == ("order", asked.seq)
    for entry in (asked, certificate):
        openings = pair.lgsco.parts.ledger.openings(entry.seq)
        assert (openings["by"], openings["reason"]) == ("Kim Example", "sent in error")
        assert b"Kim" not in entry.encode()
        assert b"error" not in entry.encode()
    assert pair.lgsco.retain() == 0


# --- what was received ------------------------------------------------------------------------------------------------


def receipt_of(organisation: Organisation, handover: Handover) -> object:
    return receipts.receipt_for(organisation.parts, handover)


def test_a_received_file_is_listed_when_its_time_is_over_and_nothing_destroys_it(pair: Pair) -> None:
    acknowledged(pair)
    pair.clock.advance(days=1826, seconds=-2)
    assert statuses(pair, pair.ofsted) == ["kept"]
    pair.clock.advance(seconds=10)
    assert pair.ofsted.retain() == 0
    assert statuses(pair, pair.ofsted) == ["review"]
    assert [path.read_bytes() for path in pair.ofsted.inbound()] == [CONTENT]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_destroyed_received_file_that_comes_again_is_a_repetition_and_gets_the_same_receipt(
    pair: Pair, restarted: bool
) -> None:
    pair.lgsco.drop(CONTENT)
    pair.lgsco.take()
    pair.lgsco.send()
    (landed,) = pair.ofsted.landing().iterdir()
    envelope = landed.read_bytes()
    pair.settle()
    before = receipt_of(pair.ofsted, pair.ofsted.handovers()[0])
    order(pair.ofsted)
    pair.ofsted.retain()
    assert pair.ofsted.inbound() == []
    assert pair.ofsted.states("in") == ["destroyed"]
    assert copies_of(CONTENT, pair.ofsted) == []
    landed.write_bytes(envelope)
    if restarted:
        pair.ofsted.parts.ledger.close()
        pair.ofsted = start(Home.open(pair.ofsted.home.root), pair.lgsco.home, pair.clock)
    pair.settle()
    assert pair.ofsted.inbound() == []
    assert pair.ofsted.states("in") == ["destroyed"]
    assert pair.ofsted.events().count("repeated") == 1
    assert pair.ofsted.events().count("receipted") == 2
    assert receipt_of(pair.ofsted, pair.ofsted.handovers()[0]) == before
    assert pair.ofsted.events().count("delivered") == 1
    assert verify_home(pair.ofsted.home).ok


def test_a_received_file_can_be_destroyed_before_its_receipt_has_gone(pair: Pair) -> None:
    pair.lgsco.drop(CONTENT)
    pair.lgsco.take()
    pair.lgsco.send()
    pair.ofsted.receive()
    order(pair.ofsted)
    pair.ofsted.retain()
    pair.settle()
    assert pair.ofsted.states("in") == ["destroyed"]
    assert pair.lgsco.states() == ["acknowledged"]


def test_a_received_file_that_people_took_over_is_certified_only_on_a_persons_word(pair: Pair) -> None:
    acknowledged(pair)
    (delivered,) = pair.ofsted.inbound()
    taken = pair.base / "the officer's own folder.pdf"
    order(pair.ofsted, elsewhere=True)
    pair.ofsted.retain()
    assert reasons(pair.ofsted, "order.refused") == ["file-present"]
    delivered.rename(taken)
    order(pair.ofsted)
    pair.ofsted.retain()
    assert reasons(pair.ofsted, "destruction.failed") == ["not-found"]
    assert pair.ofsted.states("in") == ["delivered"]
    order(pair.ofsted, elsewhere=True)
    pair.ofsted.retain()
    (certificate,) = told(pair.ofsted, "destroyed")
    assert (certificate.detail["method"], certificate.detail["removed"]) == ("stated", [])
    assert certificate.actor == "operator"
    assert taken.read_bytes() == CONTENT
