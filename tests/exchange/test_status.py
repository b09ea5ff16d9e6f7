"""What `handover status` says of receipts that cannot go."""

from datetime import timedelta

import pytest

from config.errors import NotNow
from config.times import system_clock
from exchange import stuck
from exchange.partner_trust import trusted
from exchange.problems import Known, all_of
from exchange.questions import deadlines, in_flight
from exchange.service import pid_file
from exchange.status import status
from ledger.entry import Draft
from ledger.query import Filter, query
from tests.organisations import CASE, DECISION, Organisation, Pair, restart, restart_with


def test_receipts_that_wait_for_a_partner_whose_host_key_changed_are_counted_beside_the_reason(pair: Pair) -> None:
    for number in (1, 2):
        pair.lgsco.drop(b"decision", f"24 015 493 {number}.pdf")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.ofsted.receive()
    parts = pair.ofsted.parts
    changed = Draft(event="partner.unreachable", actor="daemon", partner="lgsco", detail={"cause": "HostKeyChanged"})
    parts.ledger.write(lambda tx: tx.append(changed))
    seen = status(parts.home, parts.ledger, parts.keyring, parts.trust)
    assert seen.to_json()["owed"] == {"lgsco": 2}
    assert seen.to_lines()["receipts to send"] == "2 to lgsco"
    assert any("host key of lgsco" in problem and "nothing is sent to it" in problem for problem in seen.problems)
    pair.ofsted.send()
    seen = status(parts.home, parts.ledger, parts.keyring, parts.trust)
    assert (seen.to_json()["owed"], seen.to_lines()["receipts to send"]) == ({}, None)


def lapse(pair: Pair, *names: str) -> None:
    """Files that the partner refuses, because they came too late."""
    for name in names:
        pair.lgsco.drop(b"decision", f"{CASE} {name}")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.clock.advance(days=31)
    pair.settle()
    assert set(pair.lgsco.states()) == {"rejected"}


def problems(one: Organisation) -> tuple[str, ...]:
    parts = one.parts
    return status(parts.home, parts.ledger, parts.keyring, parts.trust).problems


def test_files_that_the_partner_refused_are_told_as_long_as_they_lie_in_held(pair: Pair) -> None:
    lapse(pair, "one.pdf", "two.pdf")
    one, two = (pair.lgsco.home.held / "ofsted" / f"{CASE} {name}.pdf" for name in ("one", "two"))
    assert "ofsted refused 2 files, which lie in held/: see 'handover list --state rejected'" in problems(pair.lgsco)
    assert not [said for said in problems(pair.ofsted) if "refused" in said]
    one.unlink()
    assert "ofsted refused 1 file, which lies in held/: see 'handover list --state rejected'" in problems(pair.lgsco)
    pair.clock.advance(minutes=2)
    pair.lgsco.take()
    # given a better name first, and not moved yet
    two = two.rename(two.with_name(f"{CASE} letter.pdf"))
    assert "ofsted refused 1 file, which lies in held/: see 'handover list --state rejected'" in problems(pair.lgsco)
    two.rename(pair.lgsco.home.outbound.joinpath(*DECISION, two.name))
    assert not [said for said in problems(pair.lgsco) if "refused" in said]
    pair.settle()
    assert pair.lgsco.states() == ["rejected", "rejected", "acknowledged"]
    pair.clock.advance(minutes=2)
    pair.lgsco.take()
    assert list(one.parent.iterdir()) == []


def test_a_held_folder_that_cannot_be_read_does_not_hide_what_the_partner_refused(pair: Pair) -> None:
    lapse(pair, "one.pdf")
    pair.lgsco.home.held.rename(pair.base / "away")
    assert any("held/ cannot be read: No such file or directory" in said for said in problems(pair.lgsco))


def test_what_is_held_by_us_is_not_counted_as_refused(pair: Pair) -> None:
    lapse(pair, "one.pdf")
    pair.lgsco.drop(b"held", "no reference.pdf")
    pair.lgsco.take()
    said = problems(pair.lgsco)
    assert "1 held: see 'handover list --state held'" in said
    assert "ofsted refused 1 file, which lies in held/: see 'handover list --state rejected'" in said


def test_handovers_without_a_receipt_are_counted_in_whole_sentences(pair: Pair) -> None:
    restart_with(pair, '[partners.ofsted]\nreceipt_deadline = "1ms"')
    for number, said in ((1, "1 handover has"), (2, "2 handovers have")):
        pair.lgsco.drop(b"decision", f"{CASE} {number}.pdf")
        pair.lgsco.take()
        pair.lgsco.send()
        assert f"{said} no receipt after the deadline: see 'handover list --state overdue'" in problems(pair.lgsco)


def test_a_partner_whose_card_has_gone_is_named_and_what_waits_for_it_is_overdue(pair: Pair) -> None:
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.lgsco.send()
    home, ledger, keyring = pair.lgsco.home, pair.lgsco.parts.ledger, pair.lgsco.parts.keyring
    for path in home.cards.iterdir():
        path.unlink()
    trust = trusted(home, ledger)
    said = status(home, ledger, keyring, trust)
    missing = "nothing can be exchanged with ofsted, because its card is missing, and 1 handover waits"
    assert said.problems == (missing,)
    late = pair.clock() + timedelta(days=8)
    found = query(ledger, Filter(state="overdue"), now=late, deadlines=deadlines(home, trust))
    assert [row.id for row in found] == [pair.lgsco.handovers()[0].id]


def test_a_folder_of_cards_that_cannot_be_listed_does_not_mean_that_there_are_none(pair: Pair) -> None:
    home = pair.lgsco.home
    home.cards.rename(home.root / "elsewhere")
    home.cards.write_bytes(b"")
    with pytest.raises(NotNow, match="the folder of the partners' cards cannot be read: Not a directory"):
        trusted(home, pair.lgsco.parts.ledger)


def test_a_service_that_does_not_run_while_files_wait_for_it_is_told_of(pair: Pair) -> None:
    pair.clock.advance(hours=-1)
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    said = "the service does not run, and 1 file waits for it: 'handover run'"
    assert said in problems(pair.lgsco)
    with pid_file.only_one(pair.lgsco.home.pid_file):
        assert said not in problems(pair.lgsco)


def later(one: Organisation, minutes: int = 11) -> list[str]:
    """What is told of files that do not get further, so long after now."""
    now = system_clock() + timedelta(minutes=minutes)
    parts = one.parts
    return list(stuck.problems(one.home, in_flight(parts.home, parts.ledger, parts.trust, everything=True), now))


def test_a_file_that_cannot_be_brought_to_its_last_place_is_told_of_after_a_while(pair: Pair) -> None:
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.lgsco.send()
    assert later(pair.lgsco) == []
    pair.ofsted.receive()
    pair.ofsted.send()
    # in the place of a folder lies a file
    pair.lgsco.home.sent.joinpath("ofsted").write_bytes(b"")
    with pytest.raises(OSError, match="Not a directory"):
        pair.lgsco.receive()
    assert pair.lgsco.states() == ["acknowledged"]
    assert later(pair.lgsco, 9) == []
    assert later(pair.lgsco) == [
        "1 file lies in the spool and cannot be brought further: the service's log says why",
        # its receipt
        "1 envelope has come, and cannot be opened or put aside: the service's log says why",
    ]
    pair.lgsco.home.sent.joinpath("ofsted").unlink()
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    pair.settle()
    assert later(pair.lgsco) == []


def test_a_file_that_came_and_cannot_be_brought_to_inbound_is_told_of_after_a_while(pair: Pair) -> None:
    pair.ofsted.home.inbound.joinpath("lgsco").write_bytes(b"")
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.lgsco.send()
    with pytest.raises(OSError, match="Not a directory"):
        pair.ofsted.receive()
    assert pair.ofsted.states("in") == ["received"]
    assert later(pair.ofsted, 9) == []
    assert later(pair.ofsted) == ["1 file has come, and cannot be brought to inbound/: the service's log says why"]
    pair.ofsted.home.inbound.joinpath("lgsco").unlink()
    pair.settle()
    assert later(pair.ofsted) == []


def test_a_partner_without_an_agreement_is_named_and_nothing_is_said_to_wait_where_nothing_does(pair: Pair) -> None:
    parts = pair.lgsco.parts
    known = Known(parts.home, parts.ledger, parts.trust, [], (), {}, pair.clock())
    said = [sentence for sentence in all_of(known, ()) if "exchanged" in sentence]
    assert said == ["nothing can be exchanged with ofsted, because there is no agreement"]
