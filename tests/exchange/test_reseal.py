"""An envelope of which a key has ended is not relied upon: its file comes in another one, once, whatever crossed it."""

import contextlib
from datetime import timedelta
from pathlib import Path

import pytest

from config.errors import NotNow
from exchange import key_desk, orders, reseal, sender
from exchange.audit import verify_home
from exchange.envelope.manifest import parse
from keys.key_info import Purpose
from tests.exchange.hostile import CONTENT, described, envelope, land, manifest
from tests.exchange.test_key_revocation import persist, revoke
from tests.exchange.test_key_rotation import chained, exchange_files, rotate
from tests.organisations import CASE, Organisation, Pair


def drop(pair: Pair) -> None:
    pair.lgsco.drop(CONTENT, f"{CASE} one.pdf")
    pair.lgsco.take()


def taken_away(one: Organisation) -> list[tuple[Path, bytes]]:
    """Everything that waits for an organisation, kept from it."""
    found = [(path, path.read_bytes()) for path in one.landing().glob("*.age")]
    for path, _ in found:
        path.unlink()
    return found


def brought(kept: list[tuple[Path, bytes]]) -> None:
    for path, data in kept:
        path.write_bytes(data)


def accepted(one: Organisation, partner: Organisation) -> None:
    """A person confirms whatever waits."""
    for key in key_desk.waiting(one.parts.ledger):
        key_desk.accept(one.parts, partner.parts.me, key.announcement.fingerprint, "root")


def end(pair: Pair, whose: Organisation, purpose: Purpose) -> None:
    """Revoke a key, and let the partner hear of it and confirm the next."""
    other = pair.ofsted if whose is pair.lgsco else pair.lgsco
    pair.clock.advance(hours=1)
    revoke(whose, purpose)
    persist(pair)
    accepted(other, whose)
    persist(pair)


def once(pair: Pair) -> None:
    """The file has arrived once, both say so, and both ledgers hold."""
    persist(pair)
    assert pair.lgsco.states() == ["acknowledged"]
    assert [path.read_bytes() for path in pair.ofsted.inbound()] == [CONTENT]
    assert pair.ofsted.events().count("delivered") == 1
    assert pair.lgsco.spooled() == []
    for one in (pair.lgsco, pair.ofsted):
        report = verify_home(one.home)
        assert report.ok, report.problems


@pytest.mark.parametrize("purpose", ["signing", "encryption"])
def test_a_file_under_way_when_a_key_of_its_envelope_is_revoked_arrives_in_another(
    pair: Pair, purpose: Purpose
) -> None:
    drop(pair)
    pair.lgsco.send()
    late = taken_away(pair.ofsted)
    end(pair, pair.lgsco if purpose == "signing" else pair.ofsted, purpose)
    once(pair)
    for one in (pair.lgsco, pair.ofsted):
        key_desk.tend(one.parts)
    # what was held up comes after all: nobody believes it, or can open it, and nothing is delivered twice
    brought(late)
    once(pair)
    entries = pair.ofsted.parts.ledger.entries(0, pair.ofsted.parts.ledger.size)
    reason = {"signing": "key-revoked", "encryption": "age-no-match"}[purpose]
    assert [entry.detail["reason"] for entry in entries if entry.event == "quarantined"] == [reason]


def test_what_was_sealed_to_a_key_that_a_thief_may_have_never_goes_up(pair: Pair) -> None:
    drop(pair)
    for handover in pair.lgsco.handovers():
        sender.seal_next(pair.lgsco.parts, handover)
    [sealed] = pair.lgsco.handovers()
    stolen = sealed.key
    revoke(pair.ofsted, "encryption")
    pair.ofsted.send()
    pair.lgsco.receive()
    with pytest.raises(NotNow, match="ofsted has revoked its encryption key"):
        pair.lgsco.send()
    assert not (pair.ofsted.landing() / f"{sealed.id}.age").exists()
    accepted(pair.lgsco, pair.ofsted)
    once(pair)
    assert pair.lgsco.handovers()[0].key != stolen


@pytest.mark.parametrize("lost", [False, True], ids=["the receipt is late", "the receipt is lost"])
def test_a_file_that_had_arrived_is_not_delivered_again_and_its_receipt_counts(pair: Pair, lost: bool) -> None:
    drop(pair)
    pair.lgsco.send()
    pair.ofsted.receive()
    pair.ofsted.send()
    receipt = taken_away(pair.lgsco)
    assert len(receipt) == 1
    pair.clock.advance(hours=1)
    revoke(pair.ofsted, "encryption")
    pair.ofsted.send()
    pair.lgsco.receive()
    accepted(pair.lgsco, pair.ofsted)
    pair.lgsco.send()
    assert pair.lgsco.events().count("sealed") == 2
    if not lost:
        brought(receipt)
        pair.lgsco.receive()
        assert pair.lgsco.states() == ["acknowledged"]
    once(pair)
    assert "quarantined" not in pair.ofsted.events()


def test_a_lost_receipt_is_repeated_for_the_same_bytes_although_the_key_is_gone(pair: Pair) -> None:
    chained(pair)
    drop(pair)
    pair.lgsco.send()
    sent = [(path, path.read_bytes()) for path in pair.ofsted.landing().glob("*.age")]
    pair.ofsted.receive()
    pair.ofsted.send()
    taken_away(pair.lgsco)
    rotate(pair.ofsted, "encryption", timedelta(0))
    persist(pair)
    pair.clock.advance(days=32)
    key_desk.tend(pair.ofsted.parts)
    assert not (pair.ofsted.home.keys / "encryption-1.age").exists()
    brought(sent)
    pair.ofsted.receive()
    assert pair.ofsted.events()[-1] == "repeated"
    [(path, data)] = sent
    path.write_bytes(data + b"!")
    pair.ofsted.receive()
    assert pair.ofsted.events()[-1] == "quarantined"
    once(pair)


def test_another_content_under_a_known_id_is_an_incident_as_ever(pair: Pair) -> None:
    drop(pair)
    pair.settle()
    [known] = pair.lgsco.handovers()
    kept = pair.ofsted.parts.ledger.document("manifest", "lgsco", known.id)
    assert kept is not None
    honest = parse(kept.body)
    for changed in (
        manifest(pair, id=known.id, sequence=known.sequence, payload=described(CONTENT + b"!")),
        manifest(pair, id=known.id, sequence=9, concern=honest.concern, payload=honest.payload),
    ):
        content = CONTENT if changed.sequence == 9 else CONTENT + b"!"
        land(pair, envelope(pair, changed, content=content), f"{known.id}.age")
        pair.ofsted.receive()
        ledger = pair.ofsted.parts.ledger
        assert ledger.entry(ledger.size - 1).detail["reason"] == "id-reused"
    again = manifest(pair, id=known.id, sequence=known.sequence, concern=honest.concern, payload=honest.payload)
    land(pair, envelope(pair, again), f"{known.id}.age")
    pair.ofsted.receive()
    assert pair.ofsted.events()[-1] == "repeated"


def test_a_file_that_may_not_be_sealed_anew_stays_and_its_old_envelope_does_not_go(pair: Pair) -> None:
    drop(pair)
    pair.lgsco.send()
    taken_away(pair.ofsted)
    [sent] = pair.lgsco.handovers()
    pair.lgsco.parts.spool.payload(sent.id).write_bytes(b"changed")
    end(pair, pair.ofsted, "encryption")
    pair.clock.advance(days=2)
    with pytest.raises(NotNow, match="must be sealed anew"):
        pair.lgsco.send()
    orders.place(pair.lgsco.parts.ledger, sent, "retry", "root")
    with contextlib.suppress(NotNow):
        pair.lgsco.send()
    assert not (pair.ofsted.landing() / f"{sent.id}.age").exists()
    assert pair.lgsco.states() == ["sent"]


@pytest.mark.topologies(but="lgsco-hosts")
def test_a_revocation_says_what_is_sealed_anew_and_what_is_still_to_be_opened(pair: Pair) -> None:
    drop(pair)
    pair.lgsco.send()
    assert revoke(pair.lgsco, "signing")["sealed_anew"] == 1
    done = revoke(pair.ofsted, "encryption")
    assert (done["to_open"], done["sealed_anew"]) == (1, None)
    # what lies here is opened before the private half goes
    assert (pair.ofsted.home.keys / "encryption-1.age").exists()


def test_nothing_is_sealed_anew_without_need(pair: Pair) -> None:
    chained(pair)
    drop(pair)
    pair.lgsco.send()
    taken_away(pair.ofsted)
    for one in (pair.lgsco, pair.ofsted):
        rotate(one, "encryption")
        rotate(one, "signing")
    persist(pair)
    [sent] = pair.lgsco.handovers()
    assert reseal.void(pair.lgsco.parts, "ofsted", [sent]) == []
    pair.clock.advance(days=2)
    once(pair)
    exchange_files(pair, "after")
