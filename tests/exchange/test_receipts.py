"""Receipts: only the right one, from the right organisation, with its proof, decides a handover, and only once."""

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from config.times import to_text
from exchange import receipts
from exchange.envelope.receipt import Receipt
from exchange.partners import make_card
from exchange.setup import initialise
from keys import card as cards
from keys.keyring import Keyring
from keys.trust import Trust
from ledger import head, merkle, tlogproof
from ledger.entry import Draft, Entry
from ledger.handover import Handover
from ledger.identifier import new_id
from tests.exchange.envelopes import member
from tests.exchange.hostile import encrypted, signed
from tests.exchange.receipts import honest, land, message, take
from tests.ledger.trees import stored
from tests.organisations import CASE, PASSPHRASE, Pair

ANOTHER = "01a205b3-cfff-7000-8000-000000000000"

Spoil = Callable[[Pair, Receipt], Receipt]


@pytest.fixture
def delivered(pair: Pair) -> Handover:
    """A handover that Ofsted has delivered and that it has not answered; as LGSCO sees it."""
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.ofsted.receive()
    return pair.lgsco.handovers()[0]


def entry_of(pair: Pair, handover: Handover) -> Receipt:
    """A receipt with a true proof of an entry in Ofsted's ledger that says something else."""
    ledger = pair.ofsted.parts.ledger
    draft = Draft(
        event="partner.noted",
        actor="daemon",
        handover=handover.id,
        partner="lgsco",
        direction="in",
        envelope_sha256=handover.envelope_sha256,
        detail={"manifest_sha256": handover.manifest_sha256 or ""},
    )
    entry: Entry = ledger.write(lambda tx: tx.append(draft))
    return dataclasses.replace(honest(pair), entry=entry.seq, at=entry.at, proof=ledger.prove(entry.seq).decode())


def with_broken_proof(pair: Pair, receipt: Receipt) -> Receipt:
    proof = tlogproof.parse(receipt.proof.encode())
    hashes = (bytes(32), *proof.hashes[1:]) if proof.hashes else (bytes(32),)
    return dataclasses.replace(receipt, proof=dataclasses.replace(proof, hashes=hashes).encode().decode())


def without_its_entry(pair: Pair, receipt: Receipt) -> Receipt:
    proof = tlogproof.parse(receipt.proof.encode())
    return dataclasses.replace(receipt, proof=dataclasses.replace(proof, extra=None).encode().decode())


def with_the_proof_of_another_entry(pair: Pair, receipt: Receipt) -> Receipt:
    return dataclasses.replace(receipt, proof=pair.ofsted.parts.ledger.prove(0).decode())


def proved_by_the_senders_own_ledger(pair: Pair, receipt: Receipt) -> Receipt:
    ledger = pair.lgsco.parts.ledger
    return dataclasses.replace(receipt, entry=0, proof=ledger.prove(0).decode())


def proved_by_a_fork(pair: Pair, receipt: Receipt) -> Receipt:
    """Proven, truly, by a ledger that has the same key and size, but other entries."""
    ledger, proof = pair.ofsted.parts.ledger, tlogproof.parse(receipt.proof.encode())
    leaves = [b"other", *(ledger.entry_bytes(seq) for seq in range(1, ledger.size))]
    read = stored([merkle.leaf_hash(data) for data in leaves])
    root, hashes = merkle.root(len(leaves), read), merkle.inclusion_proof(receipt.entry, len(leaves), read)
    signer = pair.ofsted.parts.keyring.note_signer("ledger", "ofsted/handover")
    fork = dataclasses.replace(proof, hashes=hashes, checkpoint=head.sign(len(leaves), root, [signer]))
    return dataclasses.replace(receipt, proof=fork.encode().decode())


def changed(**fields: Any) -> Spoil:
    return lambda pair, receipt: dataclasses.replace(receipt, **fields)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (changed(handover=ANOTHER), "unknown-handover"),
        (changed(manifest_sha256="0" * 64), "other-manifest"),
        (changed(envelope_sha256="0" * 64), "other-envelope"),
        (changed(entry=0), "other-entry"),
        (changed(proof="c2sp.org/tlog-proof@v1\n"), "bad-proof"),
        (changed(proof="delivered, Ofsted"), "bad-proof"),
        (without_its_entry, "other-entry"),
        (with_the_proof_of_another_entry, "other-entry"),
        (with_broken_proof, "bad-proof"),
        (proved_by_the_senders_own_ledger, "unknown-key"),
        (changed(at="2020-01-01T00:00:00Z"), "entry-disagrees"),
        (changed(outcome="rejected", reason="expired"), "entry-disagrees"),
    ],
)
def test_a_receipt_that_is_not_exactly_right_is_refused_with_its_reason(
    pair: Pair, delivered: Handover, spoil: Spoil, reason: str
) -> None:
    land(pair, message(pair, spoil(pair, honest(pair))))
    assert take(pair) == [("receipt.refused", reason)]
    assert pair.lgsco.handovers() == [delivered]
    assert pair.lgsco.parts.ledger.document("receipt", "ofsted", delivered.id) is None
    assert list(pair.lgsco.home.sent.rglob("*.*")) == []
    assert pair.lgsco.parts.spool.payload(delivered.id).exists()


def test_a_true_proof_of_an_entry_of_another_kind_is_refused(pair: Pair, delivered: Handover) -> None:
    land(pair, message(pair, entry_of(pair, delivered)))
    assert take(pair) == [("receipt.refused", "entry-disagrees")]
    assert pair.lgsco.states() == ["sent"]


def test_a_receipt_that_is_proved_by_a_fork_is_refused_and_the_fork_is_an_incident(
    pair: Pair, delivered: Handover
) -> None:
    land(pair, message(pair, proved_by_a_fork(pair, honest(pair))))
    assert take(pair) == [("witness.conflict", "other-root"), ("receipt.refused", "other-root")]
    assert pair.lgsco.states() == ["sent"]


def test_the_true_proof_of_another_delivery_is_refused(pair: Pair, delivered: Handover) -> None:
    first = honest(pair)
    pair.lgsco.drop(b"another", f"{CASE} another.pdf")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.ofsted.receive()
    second = receipts.receipt_for(pair.ofsted.parts, pair.ofsted.handovers()[1])
    land(pair, message(pair, dataclasses.replace(first, entry=second.entry, at=second.at, proof=second.proof)))
    assert take(pair) == [("receipt.refused", "entry-disagrees")]
    assert pair.lgsco.states() == ["sent", "sent"]


@pytest.mark.parametrize("changes", [{"handover": ANOTHER}, {"partner": "dfe"}])
def test_the_true_proof_of_a_delivery_of_something_else_with_the_same_digests_is_refused(
    pair: Pair, delivered: Handover, changes: dict[str, str]
) -> None:
    ledger = pair.ofsted.parts.ledger
    (true,) = pair.ofsted.handovers()
    draft = Draft(event="received", actor="daemon", handover=true.id, partner="lgsco", direction="in")
    draft = draft.replace(**changes)
    ledger.write(lambda tx: tx.append(draft))
    second = draft.replace(
        event="delivered", envelope_sha256=true.envelope_sha256, detail={"manifest_sha256": true.manifest_sha256 or ""}
    )
    entry = ledger.write(lambda tx: tx.append(second))
    receipt = receipts.receipt_for(pair.ofsted.parts, true)
    proof = ledger.prove(entry.seq).decode()
    land(pair, message(pair, dataclasses.replace(receipt, entry=entry.seq, at=entry.at, proof=proof)))
    assert take(pair) == [("receipt.refused", "entry-disagrees")]
    assert pair.lgsco.handovers() == [delivered]


def test_a_refusal_for_another_reason_than_the_ledger_names_is_refused(pair: Pair) -> None:
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.clock.advance(days=31)
    pair.ofsted.receive()
    assert pair.ofsted.states("in") == ["rejected"]
    land(pair, message(pair, dataclasses.replace(honest(pair), reason="type-not-allowed")))
    assert take(pair) == [("receipt.refused", "entry-disagrees")]
    pair.settle()
    assert [(h.state, h.reason) for h in pair.lgsco.handovers()] == [("rejected", "expired")]


def test_an_expired_receipt_is_refused(pair: Pair, delivered: Handover) -> None:
    land(pair, message(pair, honest(pair), expires=to_text(pair.clock() + timedelta(hours=1))))
    pair.clock.advance(hours=1)
    assert take(pair) == [("receipt.refused", "expired")]
    assert pair.lgsco.handovers() == [delivered]


def test_an_unsigned_receipt_is_quarantined(pair: Pair, delivered: Handover) -> None:
    said = message(pair, honest(pair))
    text = said.encode()
    members = member("manifest.json", text) + member("manifest.json.sig", b"")
    data = encrypted(
        members + bytes(1024), pair.ofsted.parts.trust.recipients("lgsco", pair.ofsted.parts.effects.clock())
    )
    (pair.lgsco.landing() / f"{said.id}.age").write_bytes(data)
    assert take(pair) == [("quarantined", "not-a-signature")]
    assert pair.lgsco.handovers()[0] == delivered


def test_a_receipt_that_was_signed_for_another_purpose_is_quarantined(pair: Pair, delivered: Handover) -> None:
    said = message(pair, honest(pair))
    text = said.encode()
    members = member("manifest.json", text) + member("manifest.json.sig", signed(pair.ofsted, text))
    data = encrypted(
        members + bytes(1024), pair.ofsted.parts.trust.recipients("lgsco", pair.ofsted.parts.effects.clock())
    )
    (pair.lgsco.landing() / f"{said.id}.age").write_bytes(data)
    assert take(pair) == [("quarantined", "wrong-namespace")]
    assert pair.lgsco.handovers()[0] == delivered


def test_a_receipt_by_the_key_of_somebody_else_is_quarantined(pair: Pair, delivered: Handover) -> None:
    land(pair, message(pair, honest(pair)), pair.lgsco.parts.keyring)
    assert take(pair) == [("quarantined", "unknown-key")]
    assert pair.lgsco.handovers()[0] == delivered


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sender": "dfe"}, "wrong-sender"),
        ({"recipient": "dfe"}, "wrong-recipient"),
        ({"id": "01a205b3-d000-7000-8000-000000000000"}, "other-name"),
    ],
)
def test_a_receipt_for_somebody_else_is_quarantined(
    pair: Pair, delivered: Handover, changes: dict[str, str], reason: str
) -> None:
    said = message(pair, honest(pair), **changes)
    land(pair, said)
    if "id" in changes:
        path = pair.lgsco.landing() / f"{said.id}.age"
        path.rename(path.with_name(f"{message(pair, honest(pair)).id}.age"))
    assert take(pair) == [("quarantined", reason)]
    assert pair.lgsco.handovers()[0] == delivered


@pytest.mark.topologies("push", only=True)
def test_another_partner_cannot_acknowledge_what_was_not_sent_to_it(pair: Pair, delivered: Handover) -> None:
    home = initialise(pair.base / "dfe", "dfe", "Department for Education", PASSPHRASE, values={}, work_factor=1)
    # its keys are valid from when they were made, which the pair's clock has not reached
    pair.clock.advance(minutes=5)
    keyring = Keyring.open(home.keys, lambda: PASSPHRASE)
    parts = pair.lgsco.parts
    third = cards.parse(make_card(home, keyring, None).text.encode())
    pair.lgsco.parts = dataclasses.replace(parts, cards=Trust([parts.trust.card("ofsted"), third]))
    pair.lgsco.partner = "dfe"
    pair.clock.advance(minutes=1)  # the new key is younger than the pair's clock, which stands still
    land(pair, message(pair, honest(pair), sender="dfe"), keyring)
    assert ("receipt.refused", "unknown-handover") in take(pair)
    assert pair.lgsco.handovers() == [delivered]


@pytest.mark.topologies("push", only=True)
def test_the_same_receipt_twice_and_a_second_receipt_are_refused_and_change_nothing(
    pair: Pair, delivered: Handover
) -> None:
    said = message(pair, honest(pair))
    data = land(pair, said)
    assert [event for event, _ in take(pair)] == ["acknowledged", "original.kept"]
    decided = pair.lgsco.handovers()
    (pair.lgsco.landing() / f"{said.id}.age").write_bytes(data)
    assert take(pair) == [("receipt.refused", "already-decided")]
    for again in ([], [("receipt.refused", "already-decided")]):
        # however often it comes, that is written down once an hour
        land(pair, message(pair, honest(pair)))
        assert take(pair) == again
        pair.clock.advance(hours=1)
    assert pair.lgsco.handovers() == decided


def test_receipts_for_handovers_that_never_were_are_written_down_once_an_hour(pair: Pair, delivered: Handover) -> None:
    for again in ([("receipt.refused", "unknown-handover")], [], []):
        identifier = new_id(pair.clock(), pair.ofsted.parts.effects.random)
        land(pair, message(pair, dataclasses.replace(honest(pair), handover=identifier)))
        assert take(pair) == again
        pair.clock.advance(minutes=20)


def test_a_refused_receipt_does_not_keep_the_right_one_from_counting(pair: Pair, delivered: Handover) -> None:
    land(pair, message(pair, dataclasses.replace(honest(pair), manifest_sha256="0" * 64)))
    take(pair)
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]
    assert len(list(pair.lgsco.home.sent.rglob("*.receipt.txt"))) == 1


def test_a_receipt_is_the_same_however_often_it_is_made(pair: Pair, delivered: Handover) -> None:
    first = honest(pair)
    pair.ofsted.parts.ledger.write(lambda tx: tx.append(Draft(event="partner.noted", actor="daemon")))
    pair.ofsted.send()
    pair.clock.advance(days=1)
    assert honest(pair) == first


def test_a_receipt_that_was_sent_leaves_nothing_in_the_spool(pair: Pair, delivered: Handover) -> None:
    assert len(pair.ofsted.spooled()) == 0
    pair.ofsted.send()
    assert pair.ofsted.spooled() == []
