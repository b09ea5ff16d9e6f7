"""What `handover status` says of receipts that cannot go."""

from exchange.status import status
from ledger.entry import Draft
from tests.organisations import Pair


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
