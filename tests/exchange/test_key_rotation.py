"""Every key of both organisations is exchanged for a new one while files go both ways: nothing is lost or refused."""

from dataclasses import replace
from datetime import timedelta

import pytest

from config.errors import Misuse, NotNow, Refused
from config.times import from_text, to_text
from exchange import key_desk, key_expiry, key_list, key_messages
from exchange.audit import verify_home
from exchange.key_export import allowed_signers
from exchange.ledger_keys import ledger_verifiers
from exchange.partners import make_card
from exchange.status import status
from keys import rotation, succession
from keys.composite import CompositeKey
from keys.key_info import NEEDED, OPTIONAL, PURPOSES, Purpose
from keys.openssh import PublicKey
from keys.own_keys import OwnKey
from keys.trust import UntrustedKey
from ledger import note, tlogproof
from ledger.entry import Entry, parse
from ledger.verify import verify
from tests.ledger.ledgers import sqlite3
from tests.ledger.tampering import FREE, restored_triggers
from tests.organisations import CASE, Organisation, Pair


def chained(pair: Pair) -> None:
    """Both accept what the chain of signatures vouches for."""
    for one, partner in ((pair.lgsco, "ofsted"), (pair.ofsted, "lgsco")):
        settings = one.home.settings
        said = settings.partner(partner).model_copy(update={"accept_rotation": "chain"})
        changed = settings.model_copy(update={"partners": {partner: said}})
        one.parts = replace(one.parts, home=replace(one.home, settings=changed))


def rotate(one: Organisation, purpose: Purpose, overlap: timedelta = timedelta(days=30)) -> OwnKey:
    return key_desk.rotate(one.parts, purpose, overlap, None, "root")


def begin(pair: Pair, purpose: Purpose) -> None:
    """Both have a key of that purpose, and have accepted the other's."""
    if purpose in OPTIONAL:
        for one in (pair.lgsco, pair.ofsted):
            rotate(one, purpose)
        pair.settle()


def exchange_files(pair: Pair, name: str) -> None:
    """One file from LGSCO, delivered and acknowledged."""
    before = len(pair.lgsco.states())
    pair.lgsco.drop(name.encode(), f"{CASE} {name}.pdf")
    pair.settle()
    assert pair.lgsco.states()[before:] == ["acknowledged"]


def quiet(one: Organisation) -> None:
    """Nothing was refused, quarantined or in conflict."""
    bad = {"quarantined", "rejected", "witness.conflict", "receipt.refused", "message.refused", "partner.key-refused"}
    assert not bad & set(one.events()), [
        (entry.event, entry.detail)
        for entry in one.parts.ledger.entries(0, one.parts.ledger.size)
        if entry.event in bad
    ]


def test_the_list_says_from_when_on_a_key_that_is_being_replaced_may_leave(pair: Pair) -> None:
    chained(pair)
    lgsco = pair.lgsco

    def leaves() -> list[object]:
        rows = key_list.key_rows(lgsco.parts.keyring, lgsco.parts.ledger, ("ofsted",))
        return [row["leaves_from"] for row in rows if row["purpose"] == "signing"]

    assert leaves() == [None]
    new = rotate(lgsco, "signing", timedelta(days=2))
    pair.settle()
    assert leaves() == [to_text(from_text(new.begins) + timedelta(days=2)), None]
    pair.clock.advance(days=3)
    key_desk.tend(lgsco.parts)
    assert leaves() == [None, None]


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_rotation_goes_its_whole_way_while_files_are_exchanged(pair: Pair, purpose: Purpose) -> None:
    chained(pair)
    begin(pair, purpose)
    exchange_files(pair, "before")
    pair.clock.advance(days=1)
    fresh = {}
    for one in (pair.lgsco, pair.ofsted):
        fresh[one.parts.me] = rotate(one, purpose)
        pair.lgsco.drop(b"during", f"{CASE} during {one.parts.me}.pdf")
    pair.settle()
    exchange_files(pair, "both")
    pair.clock.advance(days=31)
    for one in (pair.lgsco, pair.ofsted):
        key_desk.tend(one.parts)
    exchange_files(pair, "after")
    for one, partner in ((pair.lgsco, pair.ofsted), (pair.ofsted, pair.lgsco)):
        new = fresh[one.parts.me]
        [left] = one.parts.own.usable(purpose)
        assert left.fingerprint == new.fingerprint
        assert one.parts.own.fingerprints(purpose, partner.parts.me) == {new.fingerprint}
        old = one.parts.own.find(new.replaces or "")
        assert old is not None
        assert (old.ended, old.destroyed) == ("retired", True)
        names = {path.name for path in one.home.keys.iterdir()}
        assert f"{purpose}-1.json" in names
        assert f"{purpose}-1.age" not in names
        assert all(partner.parts.me in sent.taken for sent in one.parts.own.announcements)
        quiet(one)
        report = verify_home(one.home)
        assert report.ok, report.problems
    assert set(pair.lgsco.states()) == {"acknowledged"}
    assert len(pair.ofsted.inbound()) == 5


def test_tending_reads_no_entry_again_while_nothing_happened_to_keys(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_desk.tend(pair.lgsco.parts)
    read: list[bytes] = []

    def parsed(data: bytes) -> Entry:
        read.append(data)
        return parse(data)

    monkeypatch.setattr("ledger.view.parse", parsed)
    key_desk.tend(pair.lgsco.parts)
    assert read == []
    rotate(pair.lgsco, "signing")
    assert len(read) > 0


def test_without_the_chain_a_new_key_waits_for_a_person_and_the_old_one_goes_on(pair: Pair) -> None:
    new = rotate(pair.lgsco, "signing")
    exchange_files(pair, "waiting")
    [waiting] = key_desk.waiting(pair.ofsted.parts.ledger)
    assert waiting.announcement.fingerprint == new.fingerprint
    assert not pair.lgsco.parts.own.find(new.fingerprint) or not new.partners
    with pytest.raises(Refused, match="no key of lgsco that waits has this fingerprint"):
        key_desk.accept(pair.ofsted.parts, "lgsco", "SHA256:" + "A" * 43, "root")
    with pytest.raises(Misuse, match="no key of dfe waits"):
        key_desk.accept(pair.ofsted.parts, "dfe", new.fingerprint, "root")
    assert signed_by(pair.lgsco) == new.replaces
    pair.clock.advance(days=40)
    key_desk.tend(pair.lgsco.parts)
    exchange_files(pair, "never accepted")
    assert signed_by(pair.lgsco) == new.replaces
    key_desk.accept(pair.ofsted.parts, "lgsco", new.fingerprint, "root")
    assert key_desk.waiting(pair.ofsted.parts.ledger) == []
    pair.settle()
    exchange_files(pair, "accepted")
    assert signed_by(pair.lgsco) == new.fingerprint
    key_desk.tend(pair.lgsco.parts)
    assert pair.lgsco.parts.own.fingerprints("signing") == {new.fingerprint}
    quiet(pair.ofsted)


def signed_by(one: Organisation) -> object:
    """The fingerprint of the key that signed the last envelope."""
    sealed = [entry for entry in one.parts.ledger.entries(0, one.parts.ledger.size) if entry.event == "sealed"]
    return sealed[-1].detail["signed_by"]


def test_a_new_key_for_later_is_used_from_then_on(pair: Pair) -> None:
    chained(pair)
    later = pair.clock() + timedelta(days=7)
    new = key_desk.rotate(pair.ofsted.parts, "encryption", timedelta(days=30), later, "root")
    signing = key_desk.rotate(pair.lgsco.parts, "signing", timedelta(days=30), later, "root")
    exchange_files(pair, "before")
    assert pair.lgsco.handovers()[-1].key == new.replaces
    assert signed_by(pair.lgsco) == signing.replaces
    pair.clock.advance(days=8)
    exchange_files(pair, "after")
    assert pair.lgsco.handovers()[-1].key == new.fingerprint
    assert signed_by(pair.lgsco) == signing.fingerprint


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("1000-01-01T00:00:00Z", "--at lies in the past"),
        (timedelta(seconds=-1), "--at lies in the past"),
        (timedelta(days=732), "a new key is used within 731 days of now, not from"),
        ("9999-12-31T00:00:00Z", "a new key is used within 731 days of now, not from 9999-12-31T00:00:00.000Z on"),
    ],
)
def test_a_key_for_a_time_that_makes_no_sense_is_not_ordered(pair: Pair, at: str | timedelta, words: str) -> None:
    size = pair.lgsco.parts.ledger.size
    text = at if isinstance(at, str) else to_text(pair.clock() + at)
    with pytest.raises(Misuse, match=words) as refused:
        key_desk.rotate_as_asked(pair.lgsco.parts, "signing", "30d", text, "root")
    assert "leave it out" in (refused.value.hint or "")
    assert pair.lgsco.parts.ledger.size == size
    now = to_text(rotation.key_start(pair.clock()))
    assert key_desk.rotate_as_asked(pair.lgsco.parts, "signing", "30d", now, "root").begins == now


def test_an_order_for_a_time_that_makes_no_sense_is_refused_however_it_was_signed(pair: Pair) -> None:
    for begins in (from_text("1000-01-01T00:00:00Z"), from_text("9999-12-31T00:00:00Z")):
        with pytest.raises(Misuse, match="a new key is used within 731 days of now"):
            key_desk.rotate(pair.lgsco.parts, "signing", timedelta(days=30), begins, "root")


@pytest.mark.parametrize("purpose", ["signing", "encryption", "transport", "witness"])
@pytest.mark.parametrize("begins", ["1000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_key_that_an_earlier_version_made_for_any_time_stops_nothing_and_can_be_revoked(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, purpose: Purpose, begins: str
) -> None:
    chained(pair)
    with monkeypatch.context() as patch:
        patch.setattr(rotation, "LONGEST_NOTICE", timedelta.max)
        patch.setattr(succession, "MOST_AHEAD", timedelta.max)
        new = key_desk.rotate(pair.lgsco.parts, purpose, timedelta(days=30), from_text(begins), "root")
        pair.settle()
    accepted = "partner.key-accepted" in pair.ofsted.events()
    assert accepted == (purpose != "signing" or begins > "2")

    def goes_on(name: str) -> None:
        exchange_files(pair, name)
        for one in (pair.lgsco, pair.ofsted):
            parts = one.parts
            key_desk.tend(parts)
            assert key_expiry.tell(parts) == 0 or begins < "2"
            status(one.home, parts.ledger, parts.keyring, parts.trust)
            make_card(one.home, parts.keyring, None)
            assert allowed_signers(one.home, parts.keyring, parts.ledger, parts.trust)

    goes_on("with it")
    left = pair.lgsco.parts.own.usable(purpose)
    key_desk.revoke(pair.lgsco.parts, new.fingerprint, None, "root")
    if begins > "2":
        assert len(left) == 2
    pair.settle()
    pair.clock.advance(hours=7)
    pair.settle()
    goes_on("without it")


def test_a_partners_key_for_a_time_that_is_too_far_away_is_refused(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    chained(pair)
    later = pair.clock() + timedelta(days=3 * 366 + 1)
    with monkeypatch.context() as patch:
        patch.setattr(rotation, "LONGEST_NOTICE", timedelta.max)
        key_desk.rotate(pair.lgsco.parts, "encryption", timedelta(days=30), later, "root")
    exchange_files(pair, "with the old one")
    ledger = pair.ofsted.parts.ledger
    refused = [one.detail["reason"] for one in ledger.entries(0, ledger.size) if one.event == "partner.key-refused"]
    assert refused == ["too-far-ahead"]


def test_messages_lost_repeated_and_out_of_order_change_nothing_twice(pair: Pair) -> None:
    chained(pair)
    for purpose in NEEDED:
        rotate(pair.lgsco, purpose)
    # the partner is away, and all announcements go twice
    pair.lgsco.send()
    pair.clock.advance(hours=7)
    pair.lgsco.send()
    landed = sorted(pair.ofsted.landing().iterdir())
    assert len(landed) == 10
    kept = {path.name: path.read_bytes() for path in landed}
    for path in landed:
        path.unlink()
    for name in sorted(kept, reverse=True):
        (pair.ofsted.landing() / name).write_bytes(kept[name])
        pair.ofsted.receive()
    pair.settle()
    exchange_files(pair, "after")
    accepted = [event for event in pair.ofsted.events() if event == "partner.key-accepted"]
    assert len(accepted) == 5
    before = pair.ofsted.parts.trust.standing("lgsco")
    for name, data in kept.items():
        (pair.ofsted.landing() / name).write_bytes(data)
    pair.ofsted.receive()
    assert pair.ofsted.parts.trust.standing("lgsco") == before
    pair.settle()
    for one in (pair.lgsco, pair.ofsted):
        quiet(one)


def test_an_announcement_is_repeated_until_its_answer_comes(pair: Pair) -> None:
    chained(pair)
    rotate(pair.lgsco, "transport")
    pair.lgsco.send()
    for path in pair.ofsted.landing().iterdir():
        path.unlink()
    pair.settle()
    assert pair.lgsco.parts.own.announcements[0].taken == frozenset()
    pair.clock.advance(hours=7)
    pair.lgsco.send()
    pair.ofsted.receive()
    pair.ofsted.send()
    # the answer is lost as well
    for path in pair.lgsco.landing().iterdir():
        path.unlink()
    pair.clock.advance(hours=7)
    pair.settle()
    assert pair.lgsco.parts.own.announcements[0].taken == {"ofsted"}
    pair.clock.advance(hours=7)
    assert pair.lgsco.send() == 0


def test_what_was_received_while_its_key_counted_stays_verifiable(pair: Pair) -> None:
    chained(pair)
    exchange_files(pair, "old")
    [old] = pair.lgsco.handovers()
    proof = pair.lgsco.parts.ledger.prove(old.decided_seq)
    purposes: tuple[Purpose, ...] = ("signing", "ledger", "witness")
    for purpose in purposes:
        rotate(pair.lgsco, purpose, overlap=timedelta(0))
    pair.settle()
    pair.clock.advance(days=1)
    key_desk.tend(pair.lgsco.parts)
    pair.settle()
    assert tlogproof.parse(proof).verify(
        tlogproof.parse(proof).extra or b"", pair.ofsted.parts.trust.ledger_verifiers("lgsco")
    )
    trust = pair.ofsted.parts.trust
    key = PublicKey.parse(trust.card("lgsco").signing_keys[0].line)
    [received] = [h for h in pair.ofsted.handovers() if h.direction == "in"]
    trust.signing_key("lgsco", key, from_text(received.received_at or ""))
    with pytest.raises(UntrustedKey, match="was valid only until"):
        trust.signing_key("lgsco", key, pair.clock())
    for one in (pair.lgsco, pair.ofsted):
        assert verify_home(one.home).ok


def test_a_key_stays_while_something_needs_it(pair: Pair) -> None:
    chained(pair)
    collects = pair.ofsted.elsewhere is not None
    pair.lgsco.drop(b"on its way", f"{CASE} on its way.pdf")
    pair.lgsco.take()
    pair.lgsco.send()
    new = rotate(pair.ofsted, "encryption", overlap=timedelta(0))
    signing = rotate(pair.lgsco, "signing", overlap=timedelta(0))
    # the announcements are answered before the envelope is opened
    [envelope] = pair.ofsted.landing().glob("*.age")
    aside = envelope.rename(pair.base / envelope.name)
    pair.settle()
    pair.clock.advance(days=1)
    aside.rename(envelope)
    for one in (pair.lgsco, pair.ofsted):
        key_desk.tend(one.parts)
    why = "may wait on the server of lgsco until" if collects else "has not been opened"
    with pytest.raises(NotNow, match=f"an envelope that it opens {why}"):
        key_desk.retire(pair.ofsted.parts, "encryption", "root")
    with pytest.raises(NotNow, match="1 handovers that were sealed with it have no receipt"):
        key_desk.retire(pair.lgsco.parts, "signing", "root")
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]
    if collects:
        pair.clock.advance(days=31)
    for one in (pair.lgsco, pair.ofsted):
        key_desk.tend(one.parts)
    assert pair.ofsted.parts.own.fingerprints("encryption") == {new.fingerprint}
    assert pair.lgsco.parts.own.fingerprints("signing") == {signing.fingerprint}


@pytest.mark.topologies("lgsco-hosts", only=True)
def test_what_was_sealed_for_the_old_key_is_opened_however_late_it_reaches_the_server_that_is_collected_from(
    pair: Pair,
) -> None:
    chained(pair)
    pair.lgsco.drop(b"on its way", f"{CASE} on its way.pdf")
    pair.lgsco.take()
    pair.lgsco.send()
    [envelope] = pair.ofsted.landing().glob("*.age")
    aside = envelope.rename(pair.base / envelope.name)
    rotate(pair.ofsted, "encryption", overlap=timedelta(0))
    pair.settle()
    pair.clock.advance(days=29)
    # collections that found nothing, and a service that retires what it may
    for _ in range(2):
        pair.ofsted.receive()
        key_desk.tend(pair.ofsted.parts)
    with pytest.raises(NotNow, match="may wait on the server of lgsco until"):
        key_desk.retire(pair.ofsted.parts, "encryption", "root")
    aside.rename(envelope)
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]
    assert [path.read_bytes() for path in pair.ofsted.inbound()] == [b"on its way"]


def test_the_signature_of_a_ledger_key_that_nobody_knows_here_is_asked_for_all_the_same(pair: Pair) -> None:
    """Its public file is gone, and the entry that brought it has its public half."""
    rotate(pair.lgsco, "ledger")
    parts, path = pair.lgsco.parts, pair.lgsco.home.ledger
    seq = parts.own.usable("ledger")[1].seq
    old, new = ledger_verifiers(parts.keyring)
    parts.ledger.close()
    assert verify(path, [old]).ok
    triggers = restored_triggers(path)
    text = sqlite3(path, f"SELECT note FROM checkpoints WHERE size = {seq + 1}")
    lines = [line for line in text.splitlines() if line.startswith("\u2014 ")]
    [line] = [line for line in lines if note.Signature.parse(line).key_id == new.key_id]
    cut = f"UPDATE checkpoints SET note = replace(note, '{line}' || char(10), '') WHERE size = {seq + 1}"
    sqlite3(path, f"{FREE}{cut};{triggers}")
    assert [problem.what for problem in verify(path, [old]).problems] == [
        f"the checkpoint of {seq + 1} entries lacks the signature of a key in use"
    ]


def test_a_ledger_key_that_the_old_one_did_not_stand_by_is_found(pair: Pair) -> None:
    rotate(pair.lgsco, "ledger")
    seq = pair.lgsco.parts.own.usable("ledger")[1].seq
    pair.lgsco.parts.ledger.close()
    path = pair.lgsco.home.ledger
    assert verify_home(pair.lgsco.home).ok
    triggers = restored_triggers(path)
    # the old key's line is cut from the checkpoint that brings the new one
    text = sqlite3(path, f"SELECT note FROM checkpoints WHERE size = {seq + 1}")
    lines = [line for line in text.splitlines() if line.startswith("\u2014 ")]
    assert len(lines) == 2
    for line in lines:
        cut = f"UPDATE checkpoints SET note = replace(note, '{line}' || char(10), '') WHERE size = {seq + 1}"
        back = f"UPDATE checkpoints SET note = '{text}' || char(10) WHERE size = {seq + 1}"
        sqlite3(path, f"{FREE}{cut};{triggers}")
        report = verify_home(pair.lgsco.home)
        assert [problem.what for problem in report.problems] == [
            f"the checkpoint of {seq + 1} entries lacks the signature of a key in use"
        ]
        sqlite3(path, f"{FREE}{back};{triggers}")
        assert verify_home(pair.lgsco.home).ok


def test_an_answer_that_crossed_with_a_person_s_acceptance_is_followed_by_the_true_one(pair: Pair) -> None:
    new = rotate(pair.lgsco, "signing")
    pair.lgsco.send()
    pair.ofsted.receive()
    [waits] = key_messages.answers_due(pair.ofsted.parts, "lgsco")
    key_desk.accept(pair.ofsted.parts, "lgsco", new.fingerprint, "root")
    pair.ofsted.parts.ledger.write(lambda tx: tx.append(waits.sent))
    [true] = key_messages.answers_due(pair.ofsted.parts, "lgsco")
    assert (waits.sent.detail["outcome"], true.sent.detail["outcome"]) == ("waiting", "accepted")
    pair.settle()
    assert key_messages.answers_due(pair.ofsted.parts, "lgsco") == []
    assert pair.lgsco.parts.own.fingerprints("signing", "ofsted") >= {new.fingerprint}


def test_a_key_that_vouches_for_what_a_partner_has_not_heard_yet_stays(pair: Pair) -> None:
    chained(pair)
    fresh = rotate(pair.lgsco, "encryption")
    pair.lgsco.send()
    [late] = pair.ofsted.landing().iterdir()
    late.unlink()
    rotate(pair.lgsco, "signing", overlap=timedelta(0))
    pair.lgsco.send()
    pair.settle()
    with pytest.raises(NotNow, match="ofsted has not accepted an announcement that only it vouches for"):
        key_desk.retire(pair.lgsco.parts, "signing", "root")
    pair.clock.advance(hours=1)
    key_desk.tend(pair.lgsco.parts)
    assert len(pair.lgsco.parts.own.usable("signing")) == 2
    pair.clock.advance(hours=7)
    pair.settle()
    assert fresh.public in pair.ofsted.parts.trust.standing("lgsco").keys("encryption", pair.clock())
    key_desk.tend(pair.lgsco.parts)
    assert len(pair.lgsco.parts.own.usable("signing")) == 1
    exchange_files(pair, "after")


def test_a_key_goes_where_its_successor_vouches_for_the_same(pair: Pair) -> None:
    chained(pair)
    rotate(pair.lgsco, "signing")
    pair.settle()
    rotate(pair.lgsco, "encryption")
    pair.lgsco.send()
    for late in pair.ofsted.landing().iterdir():
        late.unlink()
    key_desk.retire(pair.lgsco.parts, "signing", "root")
    pair.clock.advance(hours=7)
    pair.settle()
    quiet(pair.ofsted)
    assert all(sent.taken == {"ofsted"} for sent in pair.lgsco.parts.own.announcements)


def test_a_message_that_is_late_until_its_signing_key_was_retired_is_said_again_with_the_new_one(pair: Pair) -> None:
    chained(pair)
    pair.ofsted.drop(b"{}", f"{CASE} concern.json", ("lgsco", "unimplemented-recommendation", "Leeds"))
    pair.ofsted.take()
    pair.ofsted.send()
    pair.lgsco.receive()
    pair.lgsco.send()
    [receipt] = pair.ofsted.landing().iterdir()
    said = receipt.read_bytes()
    receipt.unlink()
    rotate(pair.lgsco, "signing")
    pair.settle()
    key_desk.retire(pair.lgsco.parts, "signing", "root")
    pair.settle()
    pair.clock.advance(hours=1)
    receipt.write_bytes(said)
    pair.ofsted.receive()
    last = pair.ofsted.parts.ledger.entry(pair.ofsted.parts.ledger.size - 1)
    assert (last.event, last.detail["reason"]) == ("quarantined", "key-expired")
    assert pair.ofsted.states() == ["sent"]
    pair.clock.advance(days=1)
    pair.settle()
    assert pair.ofsted.states() == ["acknowledged"]


@pytest.mark.parametrize("purpose", ["witness-pq", "signing-pq"])
def test_what_the_first_of_many_keys_has_signed_verifies_for_ever(pair: Pair, purpose: Purpose) -> None:
    """A card has room for six of these: of the seventh on, the oldest is in none."""
    chained(pair)
    begin(pair, purpose)
    exchange_files(pair, "first")
    began = pair.clock()
    first = pair.lgsco.parts.own.usable(purpose)[0].public
    for number in range(8):
        pair.clock.advance(days=1)
        for one in (pair.lgsco, pair.ofsted):
            rotate(one, purpose, timedelta(0))
        pair.settle()
        pair.clock.advance(hours=7)
        for one in (pair.lgsco, pair.ofsted):
            key_desk.tend(one.parts)
        pair.settle()
        exchange_files(pair, f"after {number}")
    trust = pair.ofsted.parts.trust
    assert first not in (*trust.card("lgsco").witness_pq, *(key.line for key in trust.card("lgsco").signing_pq))
    for one in (pair.lgsco, pair.ofsted):
        quiet(one)
        report = verify_home(one.home)
        assert report.ok, report.problems
    if purpose == "signing-pq":
        key = CompositeKey.parse(first)
        trust.signing_key("lgsco", key, began, recorded=True)
        with pytest.raises(UntrustedKey):
            trust.signing_key("lgsco", key, pair.clock(), recorded=True)
        with pytest.raises(UntrustedKey):
            trust.signing_key("lgsco", key, began)
