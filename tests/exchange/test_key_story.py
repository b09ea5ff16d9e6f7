"""What the ledger still knows of a partner's key when no card names it any more: when in doubt more, and never less."""

from dataclasses import replace
from datetime import timedelta

import pytest

from config.errors import Misuse
from config.times import to_text
from exchange import key_desk, key_messages
from exchange.incident import Incident
from exchange.key_traces import traces
from exchange.partners import add_partner, make_card
from keys.announcement import Announcement, fingerprint, sign
from keys.key_info import PURPOSES, Purpose
from ledger.canonical import Json
from ledger.entry import Entry
from tests.exchange.test_incident import RECIPIENT, SENDER, hosts, of
from tests.exchange.test_key_expired import give_card, restart_both
from tests.exchange.test_key_revocation import first, persist, revoke
from tests.exchange.test_key_rotation import begin, chained, exchange_files, rotate
from tests.organisations import Organisation, Pair

BY_TIME: tuple[Purpose, ...] = ("transport", "ledger", "witness", "witness-pq")
"""What was protected with these is told by the time in which they counted."""

FRESH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM"
"""A transport key of which nobody has heard."""


def owner(pair: Pair, purpose: Purpose) -> tuple[Organisation, Organisation]:
    """Whose key of that purpose protects a file from LGSCO, and who has to find out what."""
    if purpose == "transport":
        # LGSCO logs in to upload; or Ofsted does, to collect
        return (pair.lgsco, pair.ofsted) if hosts(pair.ofsted) else (pair.ofsted, pair.lgsco)
    return (
        (pair.lgsco, pair.ofsted) if SENDER.get(purpose) and not RECIPIENT.get(purpose) else (pair.ofsted, pair.lgsco)
    )


def next_card(
    pair: Pair, giver: Organisation, taker: Organisation, name: str = "next", *, new_ledger: bool = False
) -> None:
    pair.clock.advance(hours=7)
    give_card(giver, taker, pair.base / f"{name}.toml", new_ledger=new_ledger)
    restart_both(pair)


def entries(one: Organisation, event: str) -> list[Entry]:
    ledger = one.parts.ledger
    return [entry for entry in ledger.entries(0, ledger.size) if entry.event == event]


def told(found: Incident) -> tuple[object, ...]:
    return (found.key.state, found.key.begins, found.key.ended_at, found.key.since, found.handovers)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_new_card_changes_nothing_of_what_is_said_of_a_revoked_key(pair: Pair, purpose: Purpose) -> None:
    chained(pair)
    begin(pair, purpose)
    exchange_files(pair, "one")
    exchange_files(pair, "two")
    pair.clock.advance(days=1)
    giver, taker = owner(pair, purpose)
    stolen = first(giver, purpose)
    revoke(giver, purpose)
    persist(pair)
    before = of(taker, stolen)
    assert (before.key.state, len(before.handovers)) == ("revoked", 2)
    next_card(pair, giver, taker)
    giver, taker = owner(pair, purpose)
    assert told(of(taker, stolen)) == told(before)


@pytest.mark.parametrize("purpose", BY_TIME)
def test_a_key_that_was_announced_counts_from_then_on_whatever_card_comes(pair: Pair, purpose: Purpose) -> None:
    chained(pair)
    begin(pair, purpose)
    exchange_files(pair, "under the first")
    pair.clock.advance(hours=1)
    giver, _ = owner(pair, purpose)
    second = rotate(giver, purpose, timedelta(0)).fingerprint
    pair.settle()
    pair.clock.advance(days=32)
    key_desk.tend(giver.parts)
    pair.settle()
    exchange_files(pair, "under the second")
    for name in ("one", "two"):
        next_card(pair, *owner(pair, purpose), name)
        giver, taker = owner(pair, purpose)
        [accepted] = [
            e for e in entries(taker, "partner.key-accepted") if (e.key, e.detail["action"]) == (second, "rotate")
        ]
        found = of(taker, second)
        assert (found.key.state, found.key.begins, len(found.handovers)) == ("current", accepted.at, 1)
        # so that the next card is another one
        rotate(giver, "encryption")
        persist(pair)
        pair.clock.advance(days=32)
        key_desk.tend(giver.parts)


@pytest.mark.parametrize("whole", [True, False], ids=["", "as an earlier version recorded it"])
@pytest.mark.parametrize("purpose", ["transport", "ledger", "witness"])
def test_a_revocation_that_comes_after_the_new_card_is_no_less_of_one(
    pair: Pair, purpose: Purpose, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not whole:
        monkeypatch.setattr(key_messages, "_revokes", lambda *_: False)
    chained(pair)
    exchange_files(pair, "one")
    pair.clock.advance(days=1)
    giver, taker = owner(pair, purpose)
    stolen = first(giver, purpose)
    revoke(giver, purpose)
    next_card(pair, giver, taker, new_ledger=purpose == "ledger")
    giver, taker = owner(pair, purpose)
    if purpose != "witness":
        # the former witness keys are in the card's entry; of others nothing is left until they are spoken of
        with pytest.raises(Misuse, match="no key of ours or of a partner has this fingerprint"):
            of(taker, stolen)
    persist(pair)
    [accepted] = [entry for entry in entries(taker, "partner.key-accepted") if entry.key == stolen]
    assert ("announcement" in accepted.detail) is whole
    found = of(taker, stolen)
    [added, _] = entries(taker, "partner.added")
    assert (found.key.purpose, found.key.state) == (purpose, "revoked")
    assert (found.key.public is None) == (not whole and purpose != "witness")
    assert (found.key.begins, found.key.ended_at, found.key.ended_entry) == (added.at, accepted.at, accepted.seq)
    # where nothing says since when it is in doubt, all is
    assert [one.doubtful for one in found.handovers] == [not whole]


def test_a_key_that_a_new_card_no_longer_names_ended_with_it(pair: Pair) -> None:
    chained(pair)
    exchange_files(pair, "one")
    pair.clock.advance(hours=1)
    giver, taker = owner(pair, "transport")
    old = first(giver, "transport")
    rotate(giver, "transport", timedelta(0))
    pair.settle()
    assert of(taker, old).key.state == "current"
    pair.clock.advance(hours=1)
    key_desk.tend(giver.parts)
    # the card is quicker than the announcement that the key was retired
    next_card(pair, giver, taker)
    giver, taker = owner(pair, "transport")
    found, card = of(taker, old), entries(taker, "partner.added")[-1]
    assert (found.key.state, found.key.ended_at, found.key.ended_entry) == ("retired", card.at, card.seq)
    assert len(found.handovers) == 1
    persist(pair)
    found = of(taker, old)
    [accepted] = [e for e in entries(taker, "partner.key-accepted") if (e.key, e.detail["action"]) == (old, "retire")]
    assert (found.key.state, found.key.ended_at, found.key.ended_entry) == ("retired", accepted.at, accepted.seq)
    assert len(found.handovers) == 1


def test_an_older_card_that_brings_a_retired_key_back_lets_it_count_again(pair: Pair) -> None:
    chained(pair)
    giver, taker = owner(pair, "transport")
    before = pair.base / "before.toml"
    rotate(giver, "witness")
    pair.settle()
    made = make_card(giver.home, giver.parts.keyring, before)
    exchange_files(pair, "one")
    pair.clock.advance(hours=1)
    old = first(giver, "transport")
    rotate(giver, "transport", timedelta(0))
    pair.settle()
    pair.clock.advance(hours=1)
    key_desk.tend(giver.parts)
    pair.settle()
    assert of(taker, old).key.state == "retired"
    pair.clock.advance(hours=1)
    add_partner(taker.parts, before, made.fingerprint, older=True)
    restart_both(pair)
    giver, taker = owner(pair, "transport")
    exchange_files(pair, "two")
    assert (of(taker, old).key.state, len(of(taker, old).handovers)) == ("current", 2)


def test_a_key_that_is_announced_although_it_was_known_looks_no_newer(pair: Pair) -> None:
    taker, giver = pair.ofsted, pair.lgsco
    card, cards = taker.parts.trust.confirmed("lgsco"), entries(taker, "partner.added")
    [known] = card.transport_keys
    at = to_text(pair.clock() + timedelta(hours=1))

    def accepted(number: int, key: str, replaces: str) -> Entry:
        one = Announcement("lgsco", number, at, "rotate", "transport", key, replaces, at)
        signed = sign(one, giver.parts.keyring.signer("signing")).to_json()
        detail: dict[str, Json] = {"action": "rotate", "purpose": "transport", "announcement": signed}
        event = "partner.key-accepted"
        return Entry(100 + number, at, event, "daemon", partner="lgsco", key=one.fingerprint, detail=detail)

    def came(told: list[Entry], key: str) -> Entry | None:
        found = traces(card, told, fingerprint("transport", key))
        assert found is not None
        return found.came

    first_time, again = accepted(1, FRESH, known), accepted(2, known, FRESH)
    assert came([*cards, first_time], FRESH) == first_time
    # it stands in the card that was confirmed before, or was what another one replaced
    assert came([*cards, again], known) is None
    assert came([first_time, again], known) is None
    # or in a card that was made after the announcement, and is no more
    newer = replace(cards[0], detail={**cards[0].detail, "issued": at})
    assert came([newer, first_time, *cards], FRESH) is None
    assert traces(card, cards, fingerprint("transport", FRESH)) is None
