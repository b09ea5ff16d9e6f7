"""Who ends a ledger key is not accused of a false ledger, whatever comes late; who goes on with one is noticed."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config.errors import Misuse, Refused, Tampered
from config.home import Home
from exchange import key_desk, rounds
from exchange.partners import add_partner, make_card
from exchange.parts import Parts
from ledger import witness
from ledger.statement import Statement
from ledger.store import Ledger
from ledger.witness import Outcome
from tests.exchange.test_key_expired import give_card
from tests.exchange.test_key_revocation import first, persist, revoke
from tests.exchange.test_key_rotation import chained, exchange_files, rotate
from tests.exchange.test_quarantine import kept, order, quarantined
from tests.organisations import CASE, Organisation, Pair, restart, start


def conflicts(one: Organisation) -> int:
    return one.events().count("witness.conflict")


def send_files(one: Organisation, *names: str) -> None:
    """Only files: announcements are late."""
    for name in names:
        one.drop(name.encode(), f"{CASE} {name}.pdf")
    one.take()
    rounds.send_files(one.parts, one.connection)


def on_its_way(pair: Pair) -> tuple[Path, bytes]:
    """A file that LGSCO has sent, and that has not landed yet: where it will, and as what."""
    send_files(pair.lgsco, "late")
    (late,) = pair.ofsted.landing().iterdir()
    data = late.read_bytes()
    late.unlink()
    return late, data


def goes_on(pair: Pair) -> None:
    """Witnessing, too."""
    before = pair.ofsted.parts.ledger.witnessed("lgsco")
    pair.clock.advance(hours=7)
    for name in ("later", "and later"):
        exchange_files(pair, name)
    now = pair.ofsted.parts.ledger.witnessed("lgsco")
    assert now is not None
    assert before is None or now.size > before.size
    for one in (pair.lgsco, pair.ofsted):
        assert not {"witness.conflict", "rejected", "quarantined", "receipt.refused"} & set(one.events())


@pytest.mark.topologies("push", only=True)
@pytest.mark.parametrize("accepts", [True, False], ids=["chain", "confirm"])
@pytest.mark.parametrize("first_come", ["files", "announcements"])
def test_files_that_were_on_their_way(pair: Pair, accepts: bool, first_come: str) -> None:
    if accepts:
        chained(pair)
    exchange_files(pair, "at first")
    pair.clock.advance(hours=1)
    send_files(pair.lgsco, "sealed before 1", "sealed before 2")
    revoke(pair.lgsco, "ledger")
    send_files(pair.lgsco, "sealed after 1", "sealed after 2")
    came = {path: path.read_bytes() for path in pair.ofsted.landing().iterdir()}
    assert len(came) == 4
    if first_come == "announcements":
        for path in came:
            path.unlink()
        pair.lgsco.send()
        pair.ofsted.receive()
        for path, content in came.items():
            path.write_bytes(content)
    pair.ofsted.receive()
    persist(pair)
    assert conflicts(pair.ofsted) == 0
    if not accepts:
        key_desk.accept(pair.ofsted.parts, "lgsco", first(pair.lgsco, "ledger"), "root")
        persist(pair)
    goes_on(pair)
    assert set(pair.lgsco.states()) == {"acknowledged"}


def revoked(pair: Pair) -> None:
    revoke(pair.lgsco, "ledger")


def left_behind(pair: Pair) -> None:
    rotate(pair.lgsco, "ledger", timedelta(0))
    pair.clock.advance(days=1)
    key_desk.retire(pair.lgsco.parts, "ledger", "root", ("ofsted",))


@pytest.mark.parametrize("end", [revoked, left_behind])
def test_a_key_that_ends_before_the_first_message(pair: Pair, end: Callable[[Pair], None]) -> None:
    pair.clock.advance(hours=1)
    end(pair)
    pair.lgsco.drop(b"x", f"{CASE} x.pdf")
    persist(pair)
    assert conflicts(pair.ofsted) == 0
    key_desk.accept(pair.ofsted.parts, "lgsco", first(pair.lgsco, "ledger"), "root")
    persist(pair)
    goes_on(pair)


def test_a_key_that_ends_while_the_first_receipt_is_on_its_way(pair: Pair) -> None:
    send_files(pair.lgsco, "x")
    pair.ofsted.receive()
    assert pair.ofsted.parts.ledger.witnessed("lgsco") is not None
    pair.clock.advance(hours=1)
    revoke(pair.lgsco, "ledger")
    send_files(pair.lgsco, "y")
    pair.ofsted.receive()
    assert conflicts(pair.ofsted) == 0


@pytest.mark.topologies("push", only=True)
def test_a_key_that_the_partner_knows_only_from_a_card(pair: Pair, tmp_path: Path) -> None:
    left_behind(pair)
    give_card(pair.lgsco, pair.ofsted, tmp_path / "new.toml")
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)

    def deliver(name: str) -> None:
        send_files(pair.lgsco, name)
        pair.ofsted.receive()
        pair.ofsted.send()
        pair.lgsco.receive()

    deliver("one")
    assert pair.lgsco.parts.ledger.partner_seen("ofsted") > 0
    pair.clock.advance(hours=1)
    revoke(pair.lgsco, "ledger")
    deliver("two")
    assert conflicts(pair.ofsted) == 0


@pytest.mark.topologies("push", only=True)
@pytest.mark.parametrize("witnessed", [True, False])
def test_a_file_sealed_before_a_card_that_names_only_the_next_key(pair: Pair, tmp_path: Path, witnessed: bool) -> None:
    chained(pair)
    if witnessed:
        exchange_files(pair, "before")
    pair.clock.advance(hours=1)
    late, data = on_its_way(pair)
    if witnessed:
        # it is no other ledger: its next key was announced
        rotate(pair.lgsco, "ledger")
        pair.lgsco.send()
        pair.ofsted.receive()
    key_desk.revoke(pair.lgsco.parts, first(pair.lgsco, "ledger"), None, "root")
    give_card(pair.lgsco, pair.ofsted, tmp_path / "new.toml")
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    chained(pair)
    late.write_bytes(data)
    pair.ofsted.receive()
    assert conflicts(pair.ofsted) == 0
    persist(pair)
    goes_on(pair)


def test_a_key_that_is_revoked_while_a_message_is_being_made(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange_files(pair, "before")
    pair.clock.advance(hours=1)
    pair.lgsco.drop(b"x", f"{CASE} x.pdf")
    pair.lgsco.take()
    compose, done = witness.compose, list[object]()

    def revoking(ledger: Ledger, partner: str, until: int | None = None) -> Statement:
        if not done:
            # by another process, at this very moment
            done.append(revoke(pair.lgsco, "ledger"))
        return compose(ledger, partner, until)

    with monkeypatch.context() as patch:
        patch.setattr(witness, "compose", revoking)
        rounds.send_files(pair.lgsco.parts, pair.lgsco.connection)
    assert done
    pair.ofsted.receive()
    persist(pair)
    assert conflicts(pair.ofsted) == 0


@pytest.mark.topologies("push", only=True)
@pytest.mark.parametrize("spoilt", [True, False])
def test_what_was_sealed_before_and_is_opened_days_later(pair: Pair, spoilt: bool) -> None:
    chained(pair)
    exchange_files(pair, "before")
    pair.clock.advance(hours=1)
    late, whole = on_its_way(pair)
    if spoilt:
        late.write_bytes(whole[:-1])
        pair.ofsted.receive()
    revoke(pair.lgsco, "ledger")
    persist(pair)
    pair.clock.advance(days=3)
    if spoilt:
        # a person has mended what kept it from being believed
        (path,) = kept(pair)
        path.write_bytes(whole)
        order(pair, "release", *quarantined(pair))
    else:
        late.write_bytes(whole)
        pair.ofsted.receive()
    assert pair.ofsted.parts.ledger.find_one("in", late.stem).state == "delivered"
    assert conflicts(pair.ofsted) == 0


@pytest.mark.topologies("push", only=True)
def test_a_key_that_a_person_accepts_while_its_message_is_judged(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange_files(pair, "before")
    pair.clock.advance(hours=1)
    revoke(pair.lgsco, "ledger")
    persist(pair)
    pair.lgsco.drop(b"x", f"{CASE} x.pdf")
    pair.lgsco.take()
    with saying(pair.lgsco, witness.compose(pair.lgsco.parts.ledger, "ofsted")):
        rounds.send_files(pair.lgsco.parts, pair.lgsco.connection)
    receive, accepted = witness.receive, list[object]()

    def accepting(*arguments: Any, **named: Any) -> Outcome:
        if not accepted:
            accepted.append(key_desk.accept(pair.ofsted.parts, "lgsco", first(pair.lgsco, "ledger"), "root"))
        return receive(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(witness, "receive", accepting)
        pair.ofsted.receive()
    assert accepted
    assert conflicts(pair.ofsted) == 0


# --- a thief of all keys, of whom the owner knows nothing -------------------------------------------------------------


@contextmanager
def saying(one: Organisation, statement: Statement) -> Iterator[None]:
    """Whoever has the keys says what it likes of the ledger."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Parts, "statement", lambda *_: statement)
        yield


@contextmanager
def thief_of(pair: Pair) -> Iterator[Organisation]:
    """Somebody with a copy of all that LGSCO has."""
    shutil.copytree(pair.lgsco.home.root, pair.base / "thief")
    thief = start(Home.open(pair.base / "thief"), pair.ofsted.home, pair.clock)
    try:
        yield thief
    finally:
        thief.parts.ledger.close()


def go_on(pair: Pair, every: timedelta, meanwhile: Callable[[], None] = lambda: None) -> list[int]:
    """LGSCO goes on as if nothing had happened; returns how many conflicts are recorded after each of eight files."""
    told = []
    for number in range(8):
        pair.clock.advance(seconds=int(every.total_seconds()))
        meanwhile()
        send_files(pair.lgsco, f"goes on {number}")
        pair.ofsted.receive()
        told.append(conflicts(pair.ofsted))
    return told


@pytest.mark.topologies("push", only=True)
@pytest.mark.parametrize("ahead", [False, True])
def test_who_goes_on_with_a_key_that_somebody_else_has_ended_is_noticed(pair: Pair, ahead: bool) -> None:
    chained(pair)
    exchange_files(pair, "at first")
    exchange_files(pair, "once more")
    pair.clock.advance(hours=1)
    with thief_of(pair) as thief:
        revoke(thief, "ledger")
        thief.send()
    successor, _ = sorted(pair.ofsted.landing().iterdir())
    successor.unlink()
    now = pair.clock.now
    if ahead:
        # the clock is wrong while it is heard
        pair.clock.advance(days=14)
    pair.ofsted.receive()
    pair.clock.now = now
    told = go_on(pair, timedelta(hours=9))
    # for a day it may be what comes late
    assert ahead or told[:2] == [0, 0]
    assert told[-1] > 0


@pytest.mark.topologies("push", only=True)
def test_a_thief_whose_ledger_was_cosigned_is_noticed_by_the_owner(pair: Pair) -> None:
    chained(pair)
    exchange_files(pair, "at first")
    exchange_files(pair, "once more")
    pair.clock.advance(hours=1)
    with thief_of(pair) as thief:
        revoke(thief, "ledger")
        thief.send()
    pair.ofsted.receive()
    pair.lgsco.drop(b"x", f"{CASE} x.pdf")
    with pytest.raises(Tampered, match="another tree"):
        persist(pair)


@pytest.mark.topologies("push", only=True)
def test_a_thief_that_changes_keys_every_day_hides_nothing(pair: Pair) -> None:
    chained(pair)
    exchange_files(pair, "at first")
    exchange_files(pair, "once more")
    pair.clock.advance(hours=1)
    honest = pair.lgsco.parts.statement("ofsted")
    with thief_of(pair) as thief:

        def tell() -> None:
            with saying(thief, honest):
                thief.send()
            pair.ofsted.receive()

        def change() -> None:
            key_desk.rotate(thief.parts, "ledger", timedelta(0), None, "root")
            tell()
            key_desk.retire(thief.parts, "ledger", "root", ("ofsted",))
            tell()

        revoke(thief, "ledger")
        tell()
        assert go_on(pair, timedelta(hours=12), change)[-1] > 0


def two_waiting(pair: Pair, thief: Organisation) -> tuple[str, str]:
    """At Ofsted: a key that the thief has announced, and a newer one of the owner; their fingerprints."""
    honest = pair.lgsco.parts.statement("ofsted")
    rotate(thief, "ledger", timedelta(0))
    with saying(thief, honest):
        thief.send()
    pair.ofsted.receive()
    rotate(pair.lgsco, "ledger")
    persist(pair)
    assert len(key_desk.waiting(pair.ofsted.parts.ledger)) == 2
    forged, true = (one.parts.own.usable("ledger")[-1].fingerprint for one in (thief, pair.lgsco))
    return forged, true


@pytest.mark.topologies("push", only=True)
def test_an_announcement_that_nobody_can_accept_any_more_waits_no_longer(pair: Pair) -> None:
    """A person has had the true key read out, and accepted that: the thief's, which came before, excuses nothing."""
    exchange_files(pair, "at first")
    exchange_files(pair, "once more")
    pair.clock.advance(hours=1)
    honest = pair.lgsco.parts.statement("ofsted")
    with thief_of(pair) as thief:
        forged, true = two_waiting(pair, thief)
        key_desk.accept(pair.ofsted.parts, "lgsco", true, "root")
        persist(pair)
        assert key_desk.waiting(pair.ofsted.parts.ledger) == []
        with pytest.raises(Misuse):
            key_desk.accept(pair.ofsted.parts, "lgsco", forged, "root")
        # nor does it when its sender says it once more
        pair.clock.advance(days=1)
        with saying(thief, honest):
            thief.send()
        pair.ofsted.receive()
        assert "partner.key-refused" in pair.ofsted.events()
        pair.clock.advance(days=10)
        key_desk.retire(thief.parts, "ledger", "root", ("ofsted",))
        with saying(thief, witness.compose(thief.parts.ledger, "ofsted")):
            send_files(thief, "forged")
    pair.ofsted.receive()
    assert conflicts(pair.ofsted) == 1


@pytest.mark.topologies("push", only=True)
def test_the_same_card_once_more_lets_nothing_wait_again(pair: Pair, tmp_path: Path) -> None:
    made = make_card(pair.lgsco.home, pair.lgsco.parts.keyring, tmp_path / "card.toml")
    add_partner(pair.ofsted.parts, tmp_path / "card.toml", made.fingerprint)
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    exchange_files(pair, "at first")
    pair.clock.advance(hours=1)
    with thief_of(pair) as thief:
        _, true = two_waiting(pair, thief)
    key_desk.accept(pair.ofsted.parts, "lgsco", true, "root")
    add_partner(pair.ofsted.parts, tmp_path / "card.toml", made.fingerprint)
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    assert key_desk.waiting(pair.ofsted.parts.ledger) == []


def somebody_is_quicker(monkeypatch: pytest.MonkeyPatch, fingerprint: str) -> None:
    """Between the choice and the decision of one person, another one accepts the key of that fingerprint."""
    chosen = key_desk.chosen
    quicker = iter([fingerprint])

    def slow(parts: Parts, partner: str, wanted: str) -> key_desk.Waiting:
        found = chosen(parts, partner, wanted)
        for other in quicker:
            key_desk.accept(parts, partner, other, "somebody else")
        return found

    monkeypatch.setattr(key_desk, "chosen", slow)


@pytest.mark.topologies("push", only=True)
def test_nobody_is_told_that_a_key_was_accepted_although_a_newer_one_was_quicker(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange_files(pair, "at first")
    pair.clock.advance(hours=1)
    with thief_of(pair) as thief:
        forged, true = two_waiting(pair, thief)
    somebody_is_quicker(monkeypatch, true)
    with pytest.raises(Refused) as refused:
        key_desk.accept(pair.ofsted.parts, "lgsco", forged, "root")
    assert refused.value.reason == "superseded"
    assert pair.ofsted.events().count("partner.key-accepted") == 1


@pytest.mark.topologies("push", only=True)
def test_two_people_who_accept_the_same_key_at_once_are_both_told_that_it_is_accepted(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange_files(pair, "at first")
    pair.clock.advance(hours=1)
    rotate(pair.lgsco, "ledger")
    exchange_files(pair, "and then")
    (one,) = key_desk.waiting(pair.ofsted.parts.ledger)
    fingerprint = one.announcement.fingerprint
    somebody_is_quicker(monkeypatch, fingerprint)
    assert key_desk.accept(pair.ofsted.parts, "lgsco", fingerprint, "root").fingerprint == fingerprint
    assert pair.ofsted.events().count("partner.key-accepted") == 1
    assert key_desk.waiting(pair.ofsted.parts.ledger) == []
