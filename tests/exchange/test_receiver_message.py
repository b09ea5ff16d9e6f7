"""Steps 5 to 9 of the receiver: the sender is known, and a message is refused with an answer, or is an incident."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from config.errors import Tampered
from config.times import to_text
from exchange.audit import read_ledger
from exchange.envelope.manifest import AgreementRef, Concern
from keys import age
from ledger import note
from ledger.checkpoint import Checkpoint, cosign
from ledger.gaps import sequence_gaps
from ledger.identifier import new_id
from tests.exchange.hostile import (
    CONCERN,
    CONTENT,
    described,
    envelope,
    land,
    manifest,
    receive,
    refusal,
    silence,
)
from tests.organisations import Pair, record_key, restart

ATLANTIS = "E06999999"


def concern(**changes: Any) -> Concern:
    return dataclasses.replace(CONCERN, **changes)


# --- step 5: the address ------------------------------------------------------------------------------------------


def test_step_5_a_message_for_another_organisation_is_refused_although_we_can_open_it(pair: Pair) -> None:
    said = manifest(pair, recipient="dfe")
    land(pair, envelope(pair, said), f"{said.id}.age")
    assert receive(pair) == refusal("wrong-recipient", learnt=False)


def test_step_5_a_signed_message_that_was_encrypted_anew_to_another_key_of_ours_is_refused(pair: Pair) -> None:
    then = pair.clock() - timedelta(days=1)
    ofsted = pair.ofsted.parts
    other = record_key(ofsted, ofsted.keyring.add("encryption", "ofsted", then, valid_from=then))
    said = manifest(pair)
    land(pair, envelope(pair, said, recipients=[age.parse_recipient(other.public)]), f"{said.id}.age")
    assert receive(pair) == refusal("wrong-recipient-key", learnt=False)


def test_step_5_a_message_under_the_id_of_another_is_quarantined(pair: Pair) -> None:
    said, other = manifest(pair), manifest(pair)
    data = envelope(pair, said)
    land(pair, data, f"{other.id}.age")
    assert receive(pair) == silence(data, "other-name")
    assert pair.ofsted.parts.ledger.handover("lgsco", "in", said.id) is None


# --- step 6: the witness ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [{}, {"old": 0}, {"seen": -1}, {"consistency": ["AA=="]}, {"cosigned": "— x y\n"}])
def test_step_6_a_malformed_witness_block_is_quarantined(pair: Pair, block: dict[str, Any]) -> None:
    honest = dict(manifest(pair).witness)
    said = manifest(pair, witness={**honest, **block} if block not in ({}, {"old": 0}) else block)
    data = envelope(pair, said)
    land(pair, data, f"{said.id}.age")
    assert receive(pair) == silence(data, "bad-witness")


def test_step_6_a_partner_that_only_says_that_it_has_seen_more_of_our_ledger_is_an_incident(pair: Pair) -> None:
    honest = manifest(pair)
    said = dataclasses.replace(honest, witness={**honest.witness, "seen": 10**9, "cosigned": "— x AAAAAAAA\n"})
    land(pair, envelope(pair, said), f"{said.id}.age")
    outcome = receive(pair)
    assert outcome.events == ["witness.conflict", "received", "delivered"]
    assert (outcome.reason, outcome.learnt) == ("bad-note", False)


def test_step_6_a_partner_that_proves_that_it_has_seen_more_of_our_ledger_stops_everything(pair: Pair) -> None:
    honest = manifest(pair)
    lost = Checkpoint("ofsted/handover", 10_000, bytes(32)).encode()
    signed = note.sign_note(lost, [pair.ofsted.parts.keyring.note_signer("ledger", "ofsted/handover")])
    line = cosign(signed, pair.lgsco.parts.keyring.cosigner("witness", "lgsco/witness"))
    cosigned = note.add_signatures(signed, [line]).decode()
    said = dataclasses.replace(honest, witness={**honest.witness, "seen": 10_000, "cosigned": cosigned})
    land(pair, envelope(pair, said), f"{said.id}.age")
    with pytest.raises(Tampered, match="10000 entries"):
        pair.ofsted.receive()
    for _ in range(2):
        with pytest.raises(Tampered, match="10000 entries"):
            restart(pair.ofsted, pair.lgsco, pair.clock).receive()
    with read_ledger(pair.ofsted.home) as ledger:
        assert ledger.entry(ledger.size - 1).event == "witness.rolled-back"
        assert len(ledger.rows("SELECT 1 FROM entries WHERE event = 'witness.rolled-back'")) == 1
        assert ledger.handovers() == []
    assert pair.ofsted.inbound() == []


def test_step_6_a_running_number_that_comes_twice_is_an_incident_and_cosigned_by_nobody(pair: Pair) -> None:
    first, second = manifest(pair), manifest(pair)
    land(pair, envelope(pair, first), f"{first.id}.age")
    receive(pair)
    before = pair.ofsted.parts.ledger.witnessed("lgsco")
    land(pair, envelope(pair, second), f"{second.id}.age")
    outcome = receive(pair)
    assert outcome.events == ["witness.conflict", "received", "delivered"]
    assert outcome.reason == "sequence-reused"
    assert pair.ofsted.parts.ledger.witnessed("lgsco") == before


# --- step 7: once -------------------------------------------------------------------------------------------------


def test_step_7_the_same_envelope_again_is_not_delivered_again_and_gets_the_same_receipt(pair: Pair) -> None:
    said = manifest(pair)
    data = envelope(pair, said)
    land(pair, data, f"{said.id}.age")
    assert receive(pair).answers == 1
    for number in (2, 3):
        pair.clock.advance(hours=6)
        land(pair, data, f"{said.id}.age")
        outcome = receive(pair)
        assert (outcome.events, outcome.delivered, outcome.answers) == (["repeated"], [CONTENT], number)
    pair.lgsco.receive()
    refused = [e.detail for e in pair.lgsco.parts.ledger.entries(0, 99) if e.event == "receipt.refused"]
    assert [detail["about"] for detail in refused] == [said.id]


def test_step_7_a_repetition_without_need_is_answered_ever_more_seldom_and_one_that_waits_for_its_answer_once(
    pair: Pair,
) -> None:
    said = manifest(pair)
    data = envelope(pair, said)
    answered = []
    for hour in range(48):
        for _ in range(2 if hour < 2 else 1):
            land(pair, data, f"{said.id}.age")
            pair.ofsted.receive()
        if pair.ofsted.send():
            answered.append(hour)
        pair.clock.advance(hours=1)
    assert answered == [0, 1, 4, 10, 22, 46]
    assert pair.ofsted.events().count("repeated") == len(answered) - 1
    assert [path.read_bytes() for path in pair.ofsted.inbound()] == [CONTENT]


def test_step_7_the_same_message_encrypted_anew_is_not_delivered_again(pair: Pair) -> None:
    said = manifest(pair)
    for _ in range(2):
        land(pair, envelope(pair, said), f"{said.id}.age")
        outcome = receive(pair)
    assert (outcome.events, outcome.delivered) == (["repeated"], [CONTENT])


@pytest.mark.parametrize("decided", ["delivered", "rejected"])
def test_step_7_an_id_under_which_another_message_was_decided_is_an_incident(pair: Pair, decided: str) -> None:
    first = manifest(pair, **({} if decided == "delivered" else {"concern": concern(authority=ATLANTIS)}))
    land(pair, envelope(pair, first), f"{first.id}.age")
    before = receive(pair)
    state = pair.ofsted.parts.ledger.handover("lgsco", "in", first.id)
    second = manifest(pair, id=first.id, sequence=2, payload=described(b"another"))
    data = envelope(pair, second, content=b"another")
    land(pair, data, f"{first.id}.age")
    outcome = receive(pair)
    assert outcome.events == ["quarantined"]
    assert (outcome.reason, outcome.kept, outcome.delivered) == ("id-reused", [data], before.delivered)
    assert outcome.answers == before.answers
    assert pair.ofsted.parts.ledger.handover("lgsco", "in", first.id) == state


def test_step_7_a_replay_after_the_expiry_is_still_only_a_repetition(pair: Pair) -> None:
    said = manifest(pair)
    data = envelope(pair, said)
    land(pair, data, f"{said.id}.age")
    receive(pair)
    pair.clock.advance(days=400)
    land(pair, data, f"{said.id}.age")
    outcome = receive(pair)
    assert (outcome.events, outcome.delivered) == (["repeated"], [CONTENT])


# --- step 8: the time ---------------------------------------------------------------------------------------------


def test_step_8_an_expired_message_is_refused(pair: Pair) -> None:
    said = manifest(pair)
    pair.clock.advance(days=30)
    land(pair, envelope(pair, said), f"{said.id}.age")
    assert receive(pair) == refusal("expired", learnt=True)


def test_step_8_an_expired_message_that_came_damaged_before_is_refused_and_answered(pair: Pair) -> None:
    said = manifest(pair)
    pair.clock.advance(days=30)
    whole = envelope(pair, said)
    land(pair, whole[:-50], f"{said.id}.age")
    assert receive(pair).events == ["quarantined"]
    land(pair, whole, f"{said.id}.age")
    outcome = receive(pair)
    assert (outcome.events, outcome.answers) == (["rejected", "quarantined"], 1)
    assert pair.ofsted.parts.ledger.find_one("in", said.id).reason == "expired"


def test_step_8_a_message_from_the_future_is_refused_beyond_a_day(pair: Pair) -> None:
    for hours, events in ((23, ["clock.disagrees", "received", "delivered"]), (25, ["rejected"])):
        created, expires = (to_text(pair.clock() + timedelta(hours=h)) for h in (hours, hours + 1))
        said = manifest(pair, created=created, expires=expires, sequence=hours)
        land(pair, envelope(pair, said), f"{said.id}.age")
        outcome = receive(pair)
        assert outcome.events == events
    assert outcome.reason == "not-yet-valid"


def test_step_8_a_running_number_far_above_all_before_it_is_refused_and_not_believed(pair: Pair) -> None:
    for number, reason in ((2**53 - 1, "sequence-jump"), (1_000_000, None), (2_000_001, "sequence-jump")):
        said = manifest(pair, sequence=number)
        land(pair, envelope(pair, said), f"{said.id}.age")
        outcome = receive(pair)
        assert (outcome.events[-1], outcome.reason) == ("rejected" if reason else "delivered", reason)
    ledger = pair.ofsted.parts.ledger
    assert ledger.highest_sequence("lgsco", "in") == 1_000_000
    assert sequence_gaps(ledger, "lgsco") == list(range(1, 101))


def test_step_8_a_message_that_is_refused_for_another_reason_is_not_believed_its_number_either(pair: Pair) -> None:
    said = manifest(pair, sequence=2**53 - 1, recipient="dfe")
    land(pair, envelope(pair, said), f"{said.id}.age")
    assert receive(pair).reason == "wrong-recipient"
    assert pair.ofsted.parts.ledger.highest_sequence("lgsco", "in") == 0


# --- step 9: the agreement ----------------------------------------------------------------------------------------


def named(pair: Pair, **changes: str) -> AgreementRef:
    agreement = pair.lgsco.parts.agreements["ofsted"]
    return dataclasses.replace(AgreementRef(agreement.id, agreement.version, agreement.sha256), **changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": "ofsted-dfe"}, "other-agreement"),
        ({"version": "2020-01"}, "other-agreement-version"),
        ({"sha256": "0" * 64}, "other-agreement-version"),
    ],
)
def test_step_9_another_agreement_than_ours_is_refused(pair: Pair, changes: dict[str, str], reason: str) -> None:
    said = manifest(pair, agreement=named(pair, **changes))
    land(pair, envelope(pair, said), f"{said.id}.age")
    assert receive(pair) == refusal(reason, learnt=True)


@pytest.mark.parametrize(
    ("changes", "name", "reason"),
    [
        ({"category": "unimplemented-recommendation"}, "x.json", "wrong-direction"),
        ({"category": "gossip"}, "x.pdf", "unknown-category"),
        ({"authority": ATLANTIS}, "x.pdf", "unknown-authority"),
        ({"reference": None}, "x.pdf", "missing-reference"),
        ({"reference": "24015493"}, "x.pdf", "bad-reference"),
        ({"gateways": ("EIA2006_s136",)}, "x.pdf", "gateway-not-allowed"),
        ({"gateways": ()}, "x.pdf", "gateway-not-allowed"),
        ({"authority": "E10000006"}, "x.pdf", "unknown-authority"),
        ({}, "x.exe", "type-not-allowed"),
        ({}, "x.pdf.sh", "type-not-allowed"),
    ],
)
def test_step_9_what_the_agreement_does_not_allow_is_refused(
    pair: Pair, changes: dict[str, Any], name: str, reason: str
) -> None:
    said = manifest(pair, concern=concern(**changes), payload=described(name=name))
    land(pair, envelope(pair, said), f"{said.id}.age")
    assert receive(pair) == refusal(reason, learnt=True)


def test_step_9_a_larger_file_than_is_taken_is_refused(pair: Pair) -> None:
    home = pair.ofsted.parts.home
    settings = home.settings.model_copy(update={"limits": home.settings.limits.model_copy(update={"max_file": 100})})
    pair.ofsted.parts = dataclasses.replace(pair.ofsted.parts, home=dataclasses.replace(home, settings=settings))
    said = manifest(pair)
    land(pair, envelope(pair, said), f"{said.id}.age")
    assert receive(pair) == refusal("too-large", learnt=True)


def test_step_9_an_empty_file_is_refused(pair: Pair) -> None:
    said = manifest(pair, payload=described(b""))
    land(pair, envelope(pair, said, content=b""), f"{said.id}.age")
    assert receive(pair) == refusal("empty-file", learnt=True)


def test_step_9_a_partner_without_an_agreement_any_more_is_refused(pair: Pair) -> None:
    pair.ofsted.parts = dataclasses.replace(pair.ofsted.parts, agreements={})
    said = manifest(pair)
    land(pair, envelope(pair, said), f"{said.id}.age")
    assert receive(pair).reason == "other-agreement"


def test_a_refusal_reaches_the_sender_and_the_id_stays_refused(pair: Pair) -> None:
    said = manifest(pair, id=new_id(pair.clock(), pair.lgsco.parts.effects.random), concern=concern(reference=None))
    data = envelope(pair, said)
    land(pair, data, f"{said.id}.age")
    receive(pair)
    land(pair, data, f"{said.id}.age")
    outcome = receive(pair)
    assert (outcome.events, outcome.answers, outcome.delivered) == (["repeated"], 2, [])
