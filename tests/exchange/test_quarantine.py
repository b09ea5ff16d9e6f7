"""Quarantine: kept, listed, let out or thrown away by a person; and a flood fills neither disk nor ledger."""

import dataclasses
import errno
from pathlib import Path
from typing import Any

import pytest

from config.times import to_text
from exchange import files, landed, legal_holds, orders, receiver
from exchange.landed import Arrival
from exchange.legal_holds import Scope
from exchange.parts import Parts
from exchange.quarantine import QuarantineFull
from exchange.questions import in_flight
from exchange.service.alerts import EVENTS
from exchange.status import status
from keys.trust import Trust
from ledger.handover import Handover
from ledger.identifier import new_id
from tests.exchange.hostile import CONTENT, envelope, land, manifest
from tests.organisations import Pair


def limited(pair: Pair, **limits: int) -> None:
    """Ofsted keeps no more than that from one partner."""
    home = pair.ofsted.parts.home
    settings = home.settings.model_copy(update={"limits": home.settings.limits.model_copy(update=limits)})
    pair.ofsted.parts = dataclasses.replace(pair.ofsted.parts, home=dataclasses.replace(home, settings=settings))


def junk(pair: Pair, number: int, content: bytes = b"junk") -> None:
    """Files that are no envelopes, each under an id of its own."""
    for _ in range(number):
        land(pair, content, f"{new_id(pair.clock(), pair.lgsco.parts.effects.random)}.age")


def order(pair: Pair, what: orders.What, handover: Handover) -> None:
    orders.place(pair.ofsted.parts.ledger, handover, what, "Kim Example")
    pair.ofsted.receive()


def quarantined(pair: Pair) -> list[Handover]:
    """As `handover list --state quarantined` shows them."""
    parts = pair.ofsted.parts
    ids = [row.id for row in in_flight(parts.home, parts.ledger, parts.trust, state="quarantined")]
    return [parts.ledger.find_one("in", identifier) for identifier in ids]


def kept(pair: Pair) -> list[Path]:
    return sorted(path for path in pair.ofsted.home.quarantine.rglob("*") if path.is_file())


def problems(pair: Pair) -> str:
    parts = pair.ofsted.parts
    return "; ".join(status(parts.home, parts.ledger, parts.keyring, parts.trust).problems)


@pytest.mark.topologies("push", only=True)
@pytest.mark.parametrize("limits", [{"quarantine_files": 3}, {"quarantine": 12}])
def test_a_flood_stops_at_the_limit_is_recorded_once_and_loses_nothing(pair: Pair, limits: dict[str, int]) -> None:
    limited(pair, **limits)
    junk(pair, 5)
    pair.clock.advance(seconds=1)
    true = manifest(pair)
    land(pair, envelope(pair, true), f"{true.id}.age")
    for _ in range(3):
        with pytest.raises(QuarantineFull, match="the quarantine of lgsco is full: 3 files, 12 bytes"):
            pair.ofsted.receive()
    assert (len(kept(pair)), len(quarantined(pair))) == (3, 3)
    assert len(list(pair.ofsted.landing().iterdir())) == 3
    assert pair.ofsted.events().count("quarantine.full") == 1
    assert "quarantine.full" in EVENTS
    assert "the quarantine of lgsco is full: nothing is taken from it" in problems(pair)
    for handover in quarantined(pair):
        orders.place(pair.ofsted.parts.ledger, handover, "withdraw", "Kim Example")
    assert pair.ofsted.receive() == 6
    assert [path.read_bytes() for path in pair.ofsted.inbound()] == [CONTENT]
    assert pair.ofsted.events().count("quarantine.has-room") == 1
    assert "is full" not in problems(pair)


def test_one_partner_s_flood_fills_no_other_s_part(pair: Pair) -> None:
    limited(pair, quarantine_files=3)
    other = pair.ofsted.home.quarantine / "dfe"
    other.mkdir(mode=0o700)
    for number in range(5):
        (other / str(number)).write_bytes(b"x")
    junk(pair, 2)
    assert pair.ofsted.receive() == 2
    assert len(quarantined(pair)) == 2


def test_what_comes_again_with_the_same_bytes_is_kept_once_and_recorded_once(pair: Pair) -> None:
    said = manifest(pair)
    whole = envelope(pair, said)
    for _ in range(3):
        land(pair, whole[:-1], f"{said.id}.age")
        pair.ofsted.receive()
    assert [path.read_bytes() for path in kept(pair)] == [whole[:-1]]
    assert [e for e in pair.ofsted.events() if "quarantined" in e] == ["quarantined"]
    assert pair.ofsted.spooled() == []


def test_another_envelope_under_a_quarantined_id_is_kept_beside_it_and_each_can_be_let_out(pair: Pair) -> None:
    said = manifest(pair)
    land(pair, b"forged", f"{said.id}.age")
    pair.ofsted.receive()
    parts = pair.ofsted.parts
    card = parts.trust.card("lgsco")
    pair.clock.advance(seconds=2)
    ended = dataclasses.replace(card.signing_keys[0], valid_until=to_text(pair.clock().replace(microsecond=0)))
    trust = Trust([dataclasses.replace(card, signing_keys=(ended,))])
    pair.ofsted.parts = dataclasses.replace(parts, cards=trust)
    land(pair, envelope(pair, said), f"{said.id}.age")
    pair.ofsted.receive()
    pair.ofsted.parts = parts
    forged, true = quarantined(pair)
    assert (forged.id, true.reason) == (said.id, "key-expired")
    assert pair.ofsted.parts.ledger.entry(true.first_seq).detail["about"] == said.id
    order(pair, "release", true)
    assert [path.read_bytes() for path in pair.ofsted.inbound()] == [CONTENT]
    delivered, released = (pair.ofsted.parts.ledger.find_one("in", h.id) for h in (forged, true))
    assert (delivered.state, released.state, released.reason) == ("delivered", "withdrawn", "released")
    # under an id of its own, for a person can order nothing for what lies under that of a delivery
    assert [path.read_bytes() for path in kept(pair)] == [b"forged"]
    (left,) = quarantined(pair)
    assert pair.ofsted.parts.ledger.entry(left.first_seq).detail == {"about": said.id, "reason": "overtaken"}
    order(pair, "withdraw", left)
    assert (quarantined(pair), kept(pair)) == ([], [])
    assert pair.ofsted.parts.ledger.find_one("in", said.id).state == "delivered"


def test_what_came_under_the_id_of_a_delivery_is_listed_and_thrown_away_without_touching_it(pair: Pair) -> None:
    said = manifest(pair)
    land(pair, envelope(pair, said), f"{said.id}.age")
    pair.ofsted.receive()
    before = pair.ofsted.parts.ledger.find_one("in", said.id)
    land(pair, b"forged", f"{said.id}.age")
    pair.ofsted.receive()
    (forged,) = quarantined(pair)
    order(pair, "withdraw", forged)
    assert (quarantined(pair), kept(pair)) == ([], [])
    assert pair.ofsted.parts.ledger.find_one("in", forged.id).state == "withdrawn"
    assert pair.ofsted.parts.ledger.find_one("in", said.id) == before


@pytest.mark.parametrize("spoilt", [False, True])
def test_the_true_envelope_still_comes_after_a_forged_one_of_its_id_was_thrown_away(pair: Pair, spoilt: bool) -> None:
    said = manifest(pair)
    land(pair, b"forged", f"{said.id}.age")
    pair.ofsted.receive()
    order(pair, "withdraw", *quarantined(pair))
    if spoilt:
        land(pair, b"forged again", f"{said.id}.age")
        pair.ofsted.receive()
        assert [h.id for h in quarantined(pair)] == [said.id]
    land(pair, envelope(pair, said), f"{said.id}.age")
    pair.ofsted.receive()
    assert pair.ofsted.parts.ledger.find_one("in", said.id).state == "delivered"


def hold_on(pair: Pair, scope: Scope) -> dict[str, object]:
    return dict(legal_holds.place(pair.ofsted.parts, scope, "Kim Example", "court order"))


def refusals(pair: Pair) -> list[object]:
    ledger = pair.ofsted.parts.ledger
    return [e.detail["reason"] for e in ledger.entries(0, ledger.size) if e.event == "order.refused"]


def scopes(handover: Handover) -> dict[str, Scope]:
    return {"this one": Scope(identifier=handover.id), "the partner": Scope(partner="lgsco")}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("which", ["this one", "the partner"])
def test_what_is_on_hold_is_not_thrown_away(pair: Pair, which: str, late: bool) -> None:
    junk(pair, 1)
    pair.ofsted.receive()
    (one,) = quarantined(pair)
    scope = scopes(one)[which]
    if late:
        orders.place(pair.ofsted.parts.ledger, one, "withdraw", "Kim Example")
    placed = hold_on(pair, scope)
    assert (placed["handovers"], placed["destroyed_before"]) == (1, 0)
    if not late:
        orders.place(pair.ofsted.parts.ledger, one, "withdraw", "Kim Example")
    for _ in range(2):
        pair.ofsted.receive()
    assert [path.read_bytes() for path in kept(pair)] == [b"junk"]
    assert [h.state for h in pair.ofsted.handovers()] == ["quarantined"]
    assert refusals(pair) == ["hold"]
    legal_holds.lift(pair.ofsted.parts, int(str(placed["hold"])), "Kim Example", "it has ended")
    order(pair, "withdraw", one)
    assert kept(pair) == []
    assert [h.state for h in pair.ofsted.handovers()] == ["withdrawn"]


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("which", ["this one", "the partner"])
def test_a_hold_on_what_was_thrown_away_is_told_so(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, which: str, committed: bool
) -> None:
    junk(pair, 1)
    pair.ofsted.receive()
    (one,) = quarantined(pair)

    def fails(path: Path) -> None:
        remove(path)
        raise OSError("the disk is full")

    remove = files.remove
    if committed:
        order(pair, "withdraw", one)
    else:
        with monkeypatch.context() as patch:
            patch.setattr(files, "remove", fails)
            with pytest.raises(OSError, match="the disk is full"):
                order(pair, "withdraw", one)
    placed = hold_on(pair, scopes(one)[which])
    assert (placed["handovers"], placed["destroyed_before"]) == (0, 1)
    pair.ofsted.receive()
    assert [h.state for h in pair.ofsted.handovers()] == ["withdrawn"]
    assert refusals(pair) == []
    assert legal_holds.listing(pair.ofsted.parts.ledger)[0]["handovers"] == 0


def expired_in_quarantine(pair: Pair) -> tuple[Handover, bytes]:
    """One whose cause is mended, but that would be refused by now."""
    said = manifest(pair)
    whole = envelope(pair, said)
    land(pair, whole[:-1], f"{said.id}.age")
    pair.ofsted.receive()
    (one,) = quarantined(pair)
    (path,) = kept(pair)
    path.write_bytes(whole)
    pair.clock.advance(days=31)
    return one, whole


def test_what_a_hold_names_is_not_opened_again_as_that_may_be_the_end_of_it(pair: Pair) -> None:
    one, whole = expired_in_quarantine(pair)
    placed = hold_on(pair, Scope(identifier=one.id))
    order(pair, "release", one)
    assert refusals(pair) == ["hold"]
    assert [path.read_bytes() for path in kept(pair)] == [whole]
    legal_holds.lift(pair.ofsted.parts, int(str(placed["hold"])), "Kim Example", "it has ended")
    order(pair, "release", one)
    assert [h.state for h in pair.ofsted.handovers()] == ["rejected"]
    assert kept(pair) == []


def test_an_envelope_that_is_just_being_opened_again_is_there_for_a_hold(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = manifest(pair)
    land(pair, envelope(pair, said)[:-1], f"{said.id}.age")
    pair.ofsted.receive()
    (one,) = quarantined(pair)
    told = []
    receive = receiver.receive

    def holding(parts: Parts, arrival: Arrival) -> None:
        assert kept(pair) == []
        told.append(hold_on(pair, Scope(identifier=one.id)))
        receive(parts, arrival)

    monkeypatch.setattr(receiver, "receive", holding)
    order(pair, "release", one)
    assert [(placed["handovers"], placed["destroyed_before"]) for placed in told] == [(1, 0)]
    assert len(kept(pair)) == 1


def test_who_throws_something_away_is_committed_to(pair: Pair) -> None:
    junk(pair, 1)
    pair.ofsted.receive()
    order(pair, "withdraw", *quarantined(pair))
    (asked,) = [
        e for e in pair.ofsted.parts.ledger.entries(0, pair.ofsted.parts.ledger.size) if e.event == "withdraw.asked"
    ]
    assert pair.ofsted.parts.ledger.openings(asked.seq) == {"by": "Kim Example"}


@pytest.mark.topologies("push", only=True)
def test_of_many_links_one_is_recorded_each_hour_and_the_others_lie_where_they_are(pair: Pair) -> None:
    pair.ofsted.landing().mkdir(exist_ok=True)
    for number in range(5):
        (pair.ofsted.landing() / f"link{number}").symlink_to("/etc/passwd")
    for left in (4, 4, 3):
        pair.ofsted.receive()
        assert len(list(pair.ofsted.landing().iterdir())) == left
        pair.clock.advance(minutes=30)
    assert pair.ofsted.events().count("quarantined") == 2


@pytest.mark.topologies("push", only=True)
def test_of_many_unreadable_files_one_is_recorded_each_hour(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    junk(pair, 5)
    with monkeypatch.context() as patch:
        patch.setattr(files, "bring", forbidden)
        for recorded in (1, 1, 2):
            pair.ofsted.receive()
            assert pair.ofsted.events().count(landed.UNREADABLE) == recorded
            pair.clock.advance(minutes=30)


def test_envelopes_of_somebody_without_a_card_are_listed(pair: Pair) -> None:
    for folder in (pair.ofsted.home.landing / "dfe", pair.ofsted.home.spool / "in" / "dfe"):
        folder.mkdir(parents=True)
        (folder / "x.age").write_bytes(b"x")
    assert "2 envelopes wait for the card of dfe: see 'handover partner add'" in problems(pair)


@pytest.mark.parametrize("which", ["this one", "the partner"])
def test_what_is_on_hold_and_refused_when_it_is_opened_again_goes_back(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    one, whole = expired_in_quarantine(pair)
    receive = receiver.receive
    placed = []

    def holding(parts: Parts, arrival: Arrival) -> None:
        placed.append(hold_on(pair, scopes(one)[which]))
        receive(parts, arrival)

    with monkeypatch.context() as patch:
        patch.setattr(receiver, "receive", holding)
        order(pair, "release", one)
    assert [path.read_bytes() for path in kept(pair)] == [whole]
    assert [h.id for h in quarantined(pair)] == [one.id]
    ledger = pair.ofsted.parts.ledger
    (back,) = [e for e in ledger.entries(0, ledger.size) if e.event == "envelope.quarantined"]
    assert (back.handover, back.detail["reason"]) == (one.id, "expired")
    assert pair.ofsted.spooled() == []
    assert "rejected" not in pair.ofsted.events()
    legal_holds.lift(pair.ofsted.parts, int(str(placed[0]["hold"])), "Kim Example", "it has ended")
    order(pair, "release", one)
    assert [h.state for h in pair.ofsted.handovers()] == ["rejected"]
    assert kept(pair) == []


def test_what_would_go_on_under_another_id_stays_in_quarantine_while_a_hold_is_on_it(pair: Pair) -> None:
    said = manifest(pair)
    for content in (b"forged", b"forged too"):
        land(pair, content, f"{said.id}.age")
        pair.ofsted.receive()
    (other,) = [h for h in quarantined(pair) if h.id != said.id]
    hold_on(pair, Scope(partner="lgsco"))
    order(pair, "release", other)
    assert refusals(pair) == ["hold"]
    assert len(kept(pair)) == 2
