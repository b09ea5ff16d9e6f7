"""A key that somebody else may have: ended at once here, told to partners, and nothing recorded before is lost."""

import contextlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from config.errors import Misuse, NotNow, Refused
from config.times import from_text, to_text
from exchange import approval_desk, key_desk
from exchange.audit import verify_home
from exchange.former_keys import former_witnesses
from exchange.incident import incident
from exchange.key_export import allowed_signers
from exchange.key_list import problems
from keys import ending
from keys.key_info import PURPOSES, Purpose
from keys.keyring import Keyring
from keys.openssh import PublicKey
from keys.trust import UntrustedKey
from ledger.key_events import key_entries
from tests.deep import TREES, nested
from tests.exchange.administrators import Board
from tests.exchange.hostile import envelope, manifest
from tests.exchange.test_key_expired import give_card, restart_both
from tests.exchange.test_key_rotation import begin, chained, exchange_files, quiet, rotate, signed_by
from tests.organisations import CASE, Organisation, Pair, restart


def first(one: Organisation, purpose: Purpose) -> str:
    return one.parts.own.usable(purpose)[0].fingerprint


def revoke(one: Organisation, purpose: Purpose, since: str | None = None) -> dict[str, key_desk.Cell]:
    return key_desk.revoke(one.parts, first(one, purpose), since, "root")


def stamp(moment: datetime) -> str:
    """The last second before the moment, as allowed_signers writes it."""
    return f"{moment.replace(microsecond=0) - timedelta(seconds=1):%Y%m%d%H%M%S}Z"


def persist(pair: Pair) -> None:
    """As the service does: what cannot be done now is tried again."""
    for _ in range(6):
        for one in (pair.lgsco, pair.ofsted):
            for act in (one.take, one.send, one.receive):
                with contextlib.suppress(NotNow):
                    act()


@pytest.mark.parametrize("purpose", PURPOSES)
def test_files_go_on_after_a_key_of_any_purpose_was_revoked(pair: Pair, purpose: Purpose) -> None:
    chained(pair)
    begin(pair, purpose)
    exchange_files(pair, "before")
    pair.lgsco.drop(b"during", f"{CASE} during.pdf")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.clock.advance(hours=1)
    done = revoke(pair.ofsted, purpose)
    assert done["successor"] == first(pair.ofsted, purpose)
    persist(pair)
    pair.clock.advance(hours=7)
    exchange_files(pair, "after")
    key_desk.tend(pair.ofsted.parts)
    assert pair.lgsco.states() == ["acknowledged"] * 3
    assert not (pair.ofsted.home.keys / f"{purpose}-1.age").exists()
    assert (pair.ofsted.home.keys / f"{purpose}-1.json").exists()
    for one in (pair.lgsco, pair.ofsted):
        # not even for a moment: who revokes a key is not to be accused of a false ledger
        assert "witness.conflict" not in one.events()
        report = verify_home(one.home)
        assert report.ok, report.problems


def test_nothing_signed_with_a_revoked_key_counts_any_more_and_what_was_recorded_before_does(pair: Pair) -> None:
    chained(pair)
    exchange_files(pair, "before")
    pair.clock.advance(days=1)
    stolen, said = pair.lgsco.parts.keyring.signer("signing"), manifest(pair)
    forged = envelope(pair, said.encode())
    done = revoke(pair.lgsco, "signing")
    assert done["handovers"] == 1
    persist(pair)
    quiet(pair.ofsted)
    trust = pair.ofsted.parts.trust
    key = PublicKey.parse(stolen.public.line)
    [received] = [h for h in pair.ofsted.handovers() if h.direction == "in"]
    trust.signing_key("lgsco", key, from_text(received.received_at or ""))
    with pytest.raises(UntrustedKey, match="was revoked"):
        trust.signing_key("lgsco", key, pair.clock())
    # the thief's message, made before the revocation and signed with the key that counted then
    (pair.ofsted.landing() / f"{said.id}.age").write_bytes(forged)
    pair.ofsted.receive()
    last = pair.ofsted.parts.ledger.entry(pair.ofsted.parts.ledger.size - 1)
    assert (last.event, last.detail["reason"]) == ("quarantined", "key-revoked")
    exchange_files(pair, "after")
    assert signed_by(pair.lgsco) == done["successor"]


def test_what_was_signed_since_the_theft_does_not_count_even_if_it_was_recorded(pair: Pair) -> None:
    chained(pair)
    theft = to_text(pair.clock() + timedelta(hours=1))
    pair.clock.advance(hours=2)
    exchange_files(pair, "doubtful")
    key = PublicKey.parse(pair.lgsco.parts.keyring.signer("signing").public.line)
    pair.clock.advance(hours=1)
    revoke(pair.lgsco, "signing", theft)
    persist(pair)
    [doubtful] = [h for h in pair.ofsted.handovers() if h.direction == "in"]
    with pytest.raises(UntrustedKey) as refused:
        pair.ofsted.parts.trust.signing_key("lgsco", key, from_text(doubtful.received_at or ""))
    assert refused.value.reason == "key-revoked"


@pytest.mark.parametrize("purpose", ["signing", "signing-pq"])
def test_a_revocation_that_names_a_later_time_counts_from_the_moment_it_was_recorded(
    pair: Pair, purpose: Purpose
) -> None:
    chained(pair)
    begin(pair, purpose)
    exchange_files(pair, "before")
    pair.clock.advance(days=1)
    said = manifest(pair)
    forged = envelope(pair, said.encode())
    rotate(pair.lgsco, purpose)
    pair.settle()
    [stolen, _] = pair.lgsco.parts.own.usable(purpose)
    # as an earlier version wrote it, or whoever has the key
    ending.revoke(pair.lgsco.parts.office, stolen, pair.clock() + timedelta(days=365), "root")
    persist(pair)
    [*_, taken] = [entry for entry in key_entries(pair.ofsted.parts.ledger) if entry.detail.get("action") == "revoke"]
    card = pair.ofsted.parts.trust.card("lgsco")
    [end] = [key.valid_until for key in (*card.signing_keys, *card.signing_pq) if key.line == stolen.public]
    assert from_text(end or "") <= from_text(taken.at)
    for one in (pair.lgsco, pair.ofsted):
        parts = one.parts
        told = incident(parts.home, parts.ledger, parts.trust, stolen.fingerprint, None, None, pair.clock())
        assert (told.key.state, told.key.since) == ("revoked", told.key.ended_at)
    pair.clock.advance(hours=1)
    if purpose == "signing":
        (pair.ofsted.landing() / f"{said.id}.age").write_bytes(forged)
        pair.ofsted.receive()
        last = pair.ofsted.parts.ledger.entry(pair.ofsted.parts.ledger.size - 1)
        assert (last.event, last.detail["reason"]) == ("quarantined", "key-revoked")
        mine = pair.lgsco.parts
        signers = allowed_signers(mine.home, mine.keyring, mine.ledger, mine.trust).splitlines()
        [line] = [line for line in signers if stolen.public in line]
        assert f'valid-before="{stamp(from_text(told.key.ended_at or ""))}"' in line


@pytest.mark.parametrize("purpose", ["signing", "signing-pq"])
def test_a_theft_that_is_found_after_the_key_was_retired_counts_from_the_theft_on(pair: Pair, purpose: Purpose) -> None:
    chained(pair)
    begin(pair, purpose)
    exchange_files(pair, "before")
    pair.clock.advance(hours=1)
    theft = to_text(pair.clock())
    pair.clock.advance(hours=1)
    exchange_files(pair, "doubtful")
    stolen, fingerprint = pair.lgsco.parts.own.usable(purpose)[0], first(pair.lgsco, purpose)
    rotate(pair.lgsco, purpose, overlap=timedelta(0))
    pair.settle()
    pair.clock.advance(days=1)
    key_desk.tend(pair.lgsco.parts)
    pair.settle()
    assert [key.ended for key in pair.lgsco.parts.own.keys if key.fingerprint == fingerprint] == ["retired"]
    with pytest.raises(Misuse, match="was retired at"):
        key_desk.revoke(pair.lgsco.parts, fingerprint, None, "root")
    done = key_desk.revoke(pair.lgsco.parts, fingerprint, theft, "root")
    assert (done["revoked"], done["handovers"], done["successor"]) == (fingerprint, 2, first(pair.lgsco, purpose))
    with pytest.raises(Misuse, match="has ended already"):
        key_desk.revoke(pair.lgsco.parts, fingerprint, theft, "root")
    pair.settle()
    assert stolen.public in pair.ofsted.parts.trust.standing("lgsco").revoked
    before, doubtful = [h for h in pair.ofsted.handovers() if h.direction == "in"]
    if purpose == "signing":
        key = PublicKey.parse(stolen.public)
        pair.ofsted.parts.trust.signing_key("lgsco", key, from_text(before.received_at or ""))
        with pytest.raises(UntrustedKey) as refused:
            pair.ofsted.parts.trust.signing_key("lgsco", key, from_text(doubtful.received_at or ""))
        assert refused.value.reason == "key-revoked"
    parts = pair.lgsco.parts
    found = incident(parts.home, parts.ledger, parts.trust, fingerprint, None, None, pair.clock())
    assert found.key.state == "revoked"
    assert found.key.since == theft
    assert {one.handover: one.doubtful for one in found.handovers} == {before.id: False, doubtful.id: True}
    exchange_files(pair, "after")
    for one in (pair.lgsco, pair.ofsted):
        quiet(one)
        assert verify_home(one.home).ok


def test_a_partner_that_is_away_or_asks_a_person_gets_nothing_until_it_knows_the_new_key(pair: Pair) -> None:
    exchange_files(pair, "before")
    pair.clock.advance(days=1)
    done = revoke(pair.lgsco, "signing")
    pair.lgsco.drop(b"waits", f"{CASE} waits.pdf")
    pair.lgsco.take()
    for _ in range(2):
        with pytest.raises(
            NotNow, match="ofsted has not accepted the signing key that took the place of a revoked one"
        ):
            pair.lgsco.send()
    assert pair.lgsco.states() == ["acknowledged", "accepted"]
    # the partner comes back: it takes the revocation at once, and asks a person about the new key
    pair.ofsted.receive()
    [waiting] = key_desk.waiting(pair.ofsted.parts.ledger)
    assert waiting.announcement.fingerprint == done["successor"]
    assert pair.ofsted.parts.trust.standing("lgsco").revoked
    pair.ofsted.send()
    pair.lgsco.receive()
    key_desk.accept(pair.ofsted.parts, "lgsco", str(done["successor"]), "root")
    persist(pair)
    assert pair.lgsco.states() == ["acknowledged", "acknowledged"]
    key_desk.tend(pair.lgsco.parts)
    assert not (pair.lgsco.home.keys / "signing-1.age").exists()
    quiet(pair.ofsted)


def repeated(pair: Pair, days: int) -> int:
    """Announcements that LGSCO sends, days after everything was said."""
    before = pair.lgsco.events().count("key.announced")
    for _ in range(days):
        pair.clock.advance(days=1)
        persist(pair)
    return pair.lgsco.events().count("key.announced") - before


@pytest.mark.parametrize("purpose", ["signing", "encryption", "transport"])
def test_a_new_key_that_waits_for_a_person_and_is_revoked_waits_no_more(pair: Pair, purpose: Purpose) -> None:
    new = rotate(pair.lgsco, purpose)
    pair.settle()
    assert [one.announcement.fingerprint for one in key_desk.waiting(pair.ofsted.parts.ledger)] == [new.fingerprint]
    pair.clock.advance(hours=1)
    key_desk.revoke(pair.lgsco.parts, new.fingerprint, None, "root")
    persist(pair)
    parts = pair.ofsted.parts
    assert key_desk.waiting(parts.ledger) == []
    asked = problems(parts.keyring, parts.ledger, parts.trust, ("lgsco",), parts.home.settings)
    assert not [one for one in asked if "keys accept" in one]
    with pytest.raises(Misuse, match="no key of lgsco waits to be accepted"):
        key_desk.accept(parts, "lgsco", new.fingerprint, "root")
    assert repeated(pair, days=2) == 0
    assert key_desk.announce(pair.lgsco.parts, "root") == 0
    exchange_files(pair, "with the key before")


def test_what_an_earlier_version_repeats_of_a_revoked_key_is_refused(pair: Pair) -> None:
    new = rotate(pair.lgsco, "signing")
    pair.lgsco.send()
    [path] = pair.ofsted.landing().glob("*.age")
    kept = path.read_bytes()
    persist(pair)
    key_desk.revoke(pair.lgsco.parts, new.fingerprint, None, "root")
    persist(pair)
    for _ in range(3):
        pair.clock.advance(minutes=1)
        path.write_bytes(kept)
        pair.ofsted.receive()
    ledger = pair.ofsted.parts.ledger
    refused = [one.detail["reason"] for one in ledger.entries(0, ledger.size) if one.event == "partner.key-refused"]
    assert refused == ["key-ended"]
    assert key_desk.waiting(ledger) == []


@pytest.mark.topologies("push", only=True)
@pytest.mark.parametrize("by_itself", [False, True])
def test_a_successor_whose_news_is_overtaken_by_the_revocation_counts_by_a_new_card(
    pair: Pair, tmp_path: Path, by_itself: bool
) -> None:
    """It was lost on its way, or came second: then no key that counts vouches for it any more."""
    if by_itself:
        chained(pair)
    exchange_files(pair, "before")
    revoke(pair.lgsco, "signing")
    pair.lgsco.send()
    min(pair.ofsted.landing().glob("*.age"), key=lambda path: path.stat().st_mtime_ns).unlink()
    pair.lgsco.drop(b"waits", f"{CASE} waits.pdf")
    for _ in range(5):
        persist(pair)
        pair.clock.advance(hours=7)
    assert pair.lgsco.states()[-1] == "accepted"
    refused = [one for one in pair.ofsted.handovers() if one.direction == "in" and one.state == "quarantined"]
    assert {one.reason for one in refused} == {"unknown-key"}
    assert key_desk.waiting(pair.ofsted.parts.ledger) == []
    parts = pair.lgsco.parts
    [said] = problems(parts.keyring, parts.ledger, parts.trust, ("ofsted",), parts.home.settings, pair.clock)
    assert "if nothing waits there, give it a new card" in said
    give_card(pair.lgsco, pair.ofsted, tmp_path / "new.toml")
    restart_both(pair)
    for _ in range(3):
        persist(pair)
        pair.clock.advance(hours=7)
    exchange_files(pair, "after")
    assert set(pair.lgsco.states()) == {"acknowledged"}
    for one in (pair.lgsco, pair.ofsted):
        assert verify_home(one.home).ok


def test_a_key_that_was_revoked_while_a_person_accepted_it_is_not_called_accepted(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = rotate(pair.lgsco, "signing")
    pair.settle()
    stale = key_desk.waiting(pair.ofsted.parts.ledger)[0]
    key_desk.revoke(pair.lgsco.parts, new.fingerprint, None, "root")
    persist(pair)
    monkeypatch.setattr(key_desk, "chosen", lambda *_: stale)
    size = pair.ofsted.parts.ledger.size
    with pytest.raises(Refused, match="has ended meanwhile"):
        key_desk.accept(pair.ofsted.parts, "lgsco", new.fingerprint, "root")
    assert pair.ofsted.parts.ledger.size == size


def test_nobody_encrypts_to_a_revoked_key_while_no_other_is_accepted(pair: Pair) -> None:
    done = revoke(pair.ofsted, "encryption")
    pair.ofsted.send()
    pair.lgsco.receive()
    pair.lgsco.drop(b"waits", f"{CASE} waits.pdf")
    pair.lgsco.take()
    with pytest.raises(NotNow, match="ofsted has revoked its encryption key"):
        pair.lgsco.send()
    key_desk.accept(pair.lgsco.parts, "ofsted", str(done["successor"]), "root")
    persist(pair)
    assert pair.lgsco.states() == ["acknowledged"]
    assert pair.lgsco.handovers()[0].key == done["successor"]


def test_what_cannot_be_revoked_is_told(pair: Pair) -> None:
    with pytest.raises(Misuse, match="none of our keys has this fingerprint"):
        key_desk.revoke(pair.lgsco.parts, "SHA256:unknown", None, "root")
    with pytest.raises(Misuse, match="--since is not a time"):
        revoke(pair.lgsco, "transport", "yesterday")
    size = pair.lgsco.parts.ledger.size
    with pytest.raises(Misuse, match="--since lies in the future") as later:
        revoke(pair.lgsco, "transport", to_text(pair.clock() + timedelta(seconds=1)))
    assert "leave it out" in (later.value.hint or "")
    assert (pair.lgsco.parts.ledger.size, len(pair.lgsco.parts.own.usable("transport"))) == (size, 1)
    fingerprint = first(pair.lgsco, "transport")
    revoke(pair.lgsco, "transport")
    with pytest.raises(Misuse, match="transport key 1 has ended already"):
        key_desk.revoke(pair.lgsco.parts, fingerprint, None, "root")


@pytest.mark.parametrize("purpose", ["witness", "witness-pq"])
def test_what_a_revoked_witness_key_cosigned_verifies_after_any_number_of_new_cards(
    pair: Pair, purpose: Purpose, tmp_path: Path
) -> None:
    chained(pair)
    begin(pair, purpose)
    for number in range(3):
        exchange_files(pair, f"file {number}")
        pair.clock.advance(hours=1)
        revoke(pair.ofsted, purpose)
        persist(pair)
        pair.clock.advance(hours=7)
        give_card(pair.ofsted, pair.lgsco, tmp_path / f"ofsted-{number}.toml")
        restart_both(pair)
        exchange_files(pair, f"file {number} again")
        report = verify_home(pair.lgsco.home)
        assert report.ok, report.problems
    assert report.cosignatures > 3
    # known for what it did, and for nothing else
    trust, former = pair.lgsco.parts.trust, former_witnesses(pair.lgsco.parts.ledger)["ofsted"]
    assert not {one.key_id for one in former} & {one.key_id for one in trust.witness_verifiers("ofsted")}


@pytest.mark.parametrize("purpose", ["witness", "encryption", "transport"])
def test_a_key_whose_file_is_gone_is_revoked_without_its_word(pair: Pair, purpose: Purpose, tmp_path: Path) -> None:
    chained(pair)
    exchange_files(pair, "before")
    fingerprint = first(pair.lgsco, purpose)
    pair.ofsted.drop(b"{}", f"{CASE} concern.json", ("lgsco", "unimplemented-recommendation", "Leeds"))
    pair.ofsted.take()
    pair.ofsted.send()
    (pair.lgsco.home.keys / f"{purpose}-1.age").unlink()
    pair.clock.advance(days=1)
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    chained(pair)
    done = key_desk.revoke(pair.lgsco.parts, fingerprint, None, "root", lost=True)
    assert done["to_open"] is None
    key_desk.tend(pair.lgsco.parts)
    persist(pair)
    if purpose != "encryption":
        # nobody but the lost key could have said that another one takes its place
        assert pair.ofsted.events().count("partner.key-refused") == 2
        give_card(pair.lgsco, pair.ofsted, tmp_path / "new.toml")
        restart_both(pair)
        persist(pair)
        pair.clock.advance(hours=7)
    exchange_files(pair, "after")
    assert [key.fingerprint for key in pair.lgsco.parts.own.usable(purpose)] == [done["successor"]]
    now = pair.ofsted.parts.trust.standing("lgsco").keys(purpose, pair.clock())
    assert now == tuple(key.public for key in pair.lgsco.parts.own.usable(purpose))
    for one in (pair.lgsco, pair.ofsted):
        assert not {"rejected", "witness.conflict"} & set(one.events())
        assert verify_home(one.home).ok
    # what was on its way, sealed to a key that is gone, could not be opened, and was sealed anew: then the first copy
    # has an id of its own, for a person to throw it away
    assert pair.lgsco.events().count("quarantined") == (2 if purpose == "encryption" else 0)
    pair.clock.advance(days=1)
    persist(pair)
    assert pair.ofsted.states() == ["acknowledged"]


def test_a_key_with_a_successor_is_revoked_although_a_key_of_another_purpose_cannot_be_made(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    chained(pair)
    rotate(pair.lgsco, "signing")
    pair.settle()
    stolen = first(pair.lgsco, "signing")

    def no_room(*_args: object, **_named: object) -> NoReturn:
        raise NotNow("there is no room for another key")

    with monkeypatch.context() as patch:
        patch.setattr(Keyring, "add", no_room)
        with pytest.raises(NotNow, match="no room"):
            rotate(pair.lgsco, "ledger")
        # the end is recorded; what is due besides is tried again
        with pytest.raises(NotNow, match="no room"):
            key_desk.revoke(pair.lgsco.parts, stolen, None, "root")
    assert [key.ended for key in pair.lgsco.parts.own.keys if key.fingerprint == stolen] == ["revoked"]
    key_desk.tend(pair.lgsco.parts)
    persist(pair)
    pair.clock.advance(hours=7)
    exchange_files(pair, "after")


def test_two_administrators_revoke_a_key_that_was_retired(pair: Pair, tmp_path: Path) -> None:
    chained(pair)
    theft = to_text(pair.clock())
    pair.clock.advance(hours=1)
    stolen = first(pair.lgsco, "signing")
    rotate(pair.lgsco, "signing")
    pair.settle()
    key_desk.retire(pair.lgsco.parts, "signing", "root")
    pair.settle()
    board = Board.new(tmp_path / "administrators")
    board.rule(pair.lgsco, revoke="wait")
    order = approval_desk.revoke(pair.lgsco.parts, stolen, theft, "root")["order"]
    board.second.approves(pair.lgsco, order)
    assert board.third.approves(pair.lgsco, order)["state"] == "done"
    assert [key.ended for key in pair.lgsco.parts.own.keys if key.fingerprint == stolen] == ["revoked"]
    pair.settle()
    assert all(sent.taken == {"ofsted"} for sent in pair.lgsco.parts.own.announcements)


@pytest.mark.parametrize(("levels", "name"), TREES)
def test_folders_in_a_landing_zone_that_nest_without_end_keep_no_key_from_ending(
    pair: Pair, levels: int, name: str
) -> None:
    chained(pair)
    rotate(pair.ofsted, "encryption")
    exchange_files(pair, "after")
    pair.clock.advance(days=31)
    zone = pair.ofsted.home.landing / "lgsco"
    zone.mkdir(parents=True, exist_ok=True)
    with nested(zone, levels, name):
        # its successor is there, and no envelope needs it
        key_desk.tend(pair.ofsted.parts)
        assert [key.ended for key in pair.ofsted.parts.own.keys if key.purpose == "encryption"] == ["retired", None]
        assert revoke(pair.ofsted, "encryption")["to_open"] == 0
        persist(pair)
        exchange_files(pair, "with another key")
