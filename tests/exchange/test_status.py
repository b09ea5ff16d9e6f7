"""What `handover status` says of receipts that cannot go."""

from exchange.status import status
from ledger.entry import Draft
from tests.organisations import CASE, DECISION, Organisation, Pair, restart_with


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
    assert any("held/ cannot be read (No such file or directory)" in said for said in problems(pair.lgsco))


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
