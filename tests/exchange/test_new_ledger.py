"""After a lost passphrase or machine there is a new home: its partners close the old ledger on record, and go on."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from config.errors import Refused
from config.home import Home
from exchange import key_desk, orders, reseal, rounds
from exchange.assembly import assemble
from exchange.audit import verify_home
from exchange.envelope.key_news import Announced
from exchange.failures import Failures
from exchange.partners import add_partner, make_card
from exchange.status import status
from keys.key_info import NEEDED, Purpose
from keys.keyring import Keyring
from ledger import closing, note
from ledger.entry import Entry
from ledger.gaps import sequence_gaps
from ledger.head import open_checkpoint
from ledger.witness import RolledBack
from tests.exchange import said
from tests.exchange.test_incident import of
from tests.exchange.test_key_forgery import by, rotation
from tests.exchange.test_key_revocation import first, persist
from tests.exchange.test_key_rotation import chained, exchange_files, quiet, rotate
from tests.exchange.test_reseal import accepted
from tests.keys.cards import public
from tests.organisations import CASE, PASSPHRASE, Organisation, Pair, make_home, restart, start

CONCERN = ("lgsco", "unimplemented-recommendation", "Leeds")


def from_ofsted(pair: Pair, name: str) -> None:
    pair.ofsted.drop(b"{}", f"{CASE} {name}.json", CONCERN)


def lose(pair: Pair) -> None:
    """LGSCO's home can be used no more: it has a new one, which has taken Ofsted's card."""
    pair.clock.advance(days=1)
    pair.lgsco.parts.ledger.close()
    (pair.base / "new").mkdir()
    home = make_home(pair.base / "new", "lgsco")
    introduce(pair, pair.ofsted, home.root)
    pair.lgsco = start(home, pair.ofsted.home, pair.clock)


def introduce(pair: Pair, whose: Organisation, home: Path, *, ordered: bool = True) -> None:
    """The home takes the card of an organisation, as the command does: without asking about the present one."""
    path = pair.base / f"{whose.parts.me} {pair.clock().timestamp()}.toml"
    made = make_card(whose.home, Keyring.open(whose.home.keys, lambda: PASSPHRASE), path)
    parts = assemble(Home.open(home), lambda: PASSPHRASE, replacing=whose.parts.me)
    with parts.ledger:
        add_partner(parts, path, made.fingerprint, new_ledger=ordered)


def tell(pair: Pair, *, ordered: bool = True) -> None:
    """Ofsted takes LGSCO's card as it is now; whether or not it closes a ledger was `ordered`."""
    pair.ofsted.parts.ledger.close()
    try:
        introduce(pair, pair.lgsco, pair.ofsted.home.root, ordered=ordered)
    finally:
        pair.ofsted = start(pair.ofsted.home, pair.lgsco.home, pair.clock)


def closings(one: Organisation) -> list[Entry]:
    return one.parts.ledger.entries_saying(("witness.closed",))


def numbers(one: Organisation, direction: str) -> list[int | None]:
    return [handover.sequence for handover in one.handovers() if handover.direction == direction]


def problems(one: Organisation) -> list[str]:
    found = status(one.home, one.parts.ledger, one.parts.keyring, one.parts.trust).problems
    # the tests' clock is not that of this machine
    return [problem for problem in found if "of a time that has not come" not in problem]


def test_after_a_lost_passphrase_files_go_both_ways_and_both_ledgers_are_witnessed_anew(pair: Pair) -> None:
    for number in range(3):
        from_ofsted(pair, f"old {number}")
        exchange_files(pair, f"old {number}")
    before = pair.ofsted.parts.ledger.witnessed("lgsco")
    lose(pair)
    tell(pair)
    for number in range(4):
        from_ofsted(pair, f"new {number}")
        exchange_files(pair, f"new {number}")
        pair.clock.advance(hours=3)
    assert before is not None
    for one, partner in ((pair.lgsco, pair.ofsted), (pair.ofsted, pair.lgsco)):
        quiet(one)
        assert not {event for event in one.events() if event.startswith("gap.")}
        assert one.parts.ledger.highest_sequence(partner.parts.me, "in") == 4
        known = one.parts.ledger.witnessed(partner.parts.me)
        assert known is not None
        assert known.root == partner.parts.ledger.root(known.size)
        assert known.size > partner.parts.ledger.size - 12
        assert problems(one) == []
        report = verify_home(one.home)
        assert report.ok, report.problems
    assert numbers(pair.ofsted, "out") == [1, 2, 3, 1, 2, 3, 4]
    [closed] = closings(pair.ofsted)
    assert (closed.detail["size"], closed.detail["root"]) == (before.size, before.root.hex())


def test_what_was_witnessed_of_the_old_ledger_stays_provable(pair: Pair) -> None:
    exchange_files(pair, "old")
    old = pair.lgsco
    lose(pair)
    tell(pair)
    [closed] = closings(pair.ofsted)
    signed = str(closed.detail["checkpoint"]).encode()
    keys = closed.detail["ledger_keys"]
    assert isinstance(keys, list)
    stated = open_checkpoint(signed, [note.parse_vkey(str(key)) for key in keys])
    with assemble(old.home, lambda: PASSPHRASE).ledger as ledger:
        assert stated.root == ledger.root(stated.size)
    card = pair.lgsco.parts.trust.card("ofsted")
    assert len(note.open_note(signed, [note.parse_vkey(key) for key in card.witness_keys]).verified) == 1
    assert pair.ofsted.parts.ledger.prove(closed.seq)


def test_what_was_on_its_way_to_the_old_home_comes_to_the_new_one_under_new_numbers(pair: Pair) -> None:
    for number in range(3):
        from_ofsted(pair, f"delivered {number}")
    pair.settle()
    for name in ("sent", "accepted"):
        from_ofsted(pair, name)
        pair.ofsted.take()
        if name == "sent":
            pair.ofsted.send()
    lose(pair)
    tell(pair)
    assert numbers(pair.ofsted, "out")[3:] == [1, 2]
    from_ofsted(pair, "new")
    pair.settle()
    pair.clock.advance(hours=7)
    pair.settle()
    assert sorted(path.stem for path in pair.lgsco.inbound() if path.suffix == ".json") == [
        f"{CASE} {name}" for name in ("accepted", "new", "sent")
    ]
    assert set(pair.ofsted.states()) == {"acknowledged"}
    assert sorted(h.sequence or 0 for h in pair.lgsco.handovers()) == [1, 2, 3]
    for one in (pair.lgsco, pair.ofsted):
        quiet(one)


def test_an_envelope_with_an_old_number_is_sealed_anew_although_its_keys_still_count(pair: Pair) -> None:
    exchange_files(pair, "old")
    from_ofsted(pair, "sealed")
    pair.ofsted.take()
    rounds.seal_accepted(pair.ofsted.parts, "lgsco")
    [sealed] = [one for one in pair.ofsted.handovers() if one.state == "sealed"]
    parts = pair.ofsted.parts
    assert reseal.void(parts, "lgsco", [sealed]) == []
    parts.ledger.write(lambda tx: closing.close(tx, "lgsco", ()))
    [renumbered] = [one for one in pair.ofsted.handovers() if one.id == sealed.id]
    assert reseal.void(parts, "lgsco", [renumbered]) == [renumbered]
    failures = Failures()
    assert reseal.renew(parts, "lgsco", [renumbered], failures) == set()
    failures.raise_first()
    assert reseal.void(parts, "lgsco", [renumbered]) == []


@pytest.mark.topologies(but="ofsted-hosts")
def test_a_card_that_names_nothing_but_a_revoked_host_key_is_refused_and_nobody_else_suffers(pair: Pair) -> None:
    chained(pair)
    exchange_files(pair, "old")
    landing = pair.ofsted.parts.trust.card("lgsco").landing
    assert landing is not None
    [known] = landing.host_keys
    # somebody has LGSCO's signing and ledger keys
    for forged in (
        rotation(pair, purpose="host", key=public("another host").line, replaces=known),
        rotation(pair, number=2, action="revoke", purpose="host", key=known, replaces=None),
    ):
        signed = by(pair, forged, "signing", "ledger")
        said.land(pair.lgsco, pair.ofsted, said.message(pair.lgsco, "announcement", Announced(signed)))
        said.take(pair.ofsted)
    # the new home has the same server
    lose(pair)
    with pytest.raises(Refused, match="names only keys of one purpose that lgsco has revoked"):
        tell(pair)
    pair.ofsted = start(pair.ofsted.home, pair.lgsco.home, pair.clock)
    assert closings(pair.ofsted) == []
    assert pair.ofsted.parts.trust.standing("lgsco").revoked == {known}


def test_what_the_old_home_was_still_owed_a_receipt_for_accuses_nobody(pair: Pair) -> None:
    exchange_files(pair, "answered")
    pair.lgsco.drop(b"x", f"{CASE} unanswered.pdf")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.ofsted.receive()
    lose(pair)
    tell(pair)
    exchange_files(pair, "new")
    quiet(pair.lgsco)
    assert problems(pair.ofsted) == []


# there Ofsted would have to know where the new home lies
@pytest.mark.topologies(but="lgsco-hosts")
def test_an_envelope_that_came_before_the_new_card_counts_with_the_new_numbers_when_it_is_released(pair: Pair) -> None:
    exchange_files(pair, "old")
    lose(pair)
    pair.lgsco.drop(b"early", f"{CASE} early.pdf")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.ofsted.receive()
    [early] = [h for h in pair.ofsted.handovers() if h.state == "quarantined"]
    tell(pair)
    exchange_files(pair, "late")
    assert sequence_gaps(pair.ofsted.parts.ledger, "lgsco") == [1]
    orders.order_by_id(pair.ofsted.parts.ledger, early.id, "release", "root")
    pair.settle()
    assert sequence_gaps(pair.ofsted.parts.ledger, "lgsco") == []
    assert set(pair.lgsco.states()) == {"acknowledged"}
    assert "witness.conflict" not in pair.ofsted.events()


# --- only a person closes a ledger, and only one that does not go on --------------------------------------------------


def again(pair: Pair) -> None:
    """The card that is in use, once more."""


def ledger_rotated(pair: Pair) -> None:
    rotate(pair.lgsco, "ledger")


def ledger_revoked(pair: Pair) -> None:
    key_desk.revoke(pair.lgsco.parts, pair.lgsco.parts.own.usable("ledger")[0].fingerprint, None, "root")
    pair.settle()


@pytest.mark.parametrize("change", [again, ledger_rotated, ledger_revoked])
@pytest.mark.parametrize("accepts", [True, False], ids=["accepted", "waiting"])
def test_a_card_of_a_ledger_that_goes_on_closes_nothing(
    pair: Pair, change: Callable[[Pair], None], accepts: bool
) -> None:
    if accepts:
        chained(pair)
    exchange_files(pair, "old")
    pair.clock.advance(hours=1)
    change(pair)
    known = pair.ofsted.parts.ledger.witnessed("lgsco")
    conflicts = pair.ofsted.events().count("witness.conflict")
    tell(pair)
    assert closings(pair.ofsted) == []
    assert pair.ofsted.parts.ledger.witnessed("lgsco") == known
    pair.clock.advance(hours=7)
    exchange_files(pair, "new")
    assert pair.ofsted.events().count("witness.conflict") == conflicts


def test_an_older_card_of_a_ledger_whose_key_was_replaced_closes_nothing(pair: Pair) -> None:
    """Nor does it where the newer card is broken, so that nobody can say what it named."""
    chained(pair)
    path = pair.base / "older.toml"
    fingerprint = make_card(pair.lgsco.home, pair.lgsco.parts.keyring, path).fingerprint
    pair.clock.advance(hours=1)
    rotate(pair.lgsco, "ledger", timedelta(0))
    pair.settle()
    pair.clock.advance(hours=1)
    key_desk.tend(pair.lgsco.parts)
    exchange_files(pair, "by the new key alone")
    known = pair.ofsted.parts.ledger.witnessed("lgsco")
    (pair.ofsted.home.cards / "lgsco.toml").write_bytes(b"broken")
    add_partner(pair.ofsted.parts, path, fingerprint, older=True)
    assert closings(pair.ofsted) == []
    assert pair.ofsted.parts.ledger.witnessed("lgsco") == known
    assert known is not None
    assert len(note.split(known.note.encode())[1]) == 1


# there the old home has no way to Ofsted, which collects from the new one
@pytest.mark.topologies(but="lgsco-hosts")
def test_whoever_holds_every_old_key_cannot_make_us_forget_what_we_witnessed(pair: Pair) -> None:
    """The old home goes on, in somebody else's hands; then the same after the new card was taken."""
    exchange_files(pair, "old")
    old_home = pair.lgsco.home
    shutil.copytree(old_home.root, pair.base / "stolen", symlinks=True)
    lose(pair)
    tell(pair)
    exchange_files(pair, "new")
    known = pair.ofsted.parts.ledger.witnessed("lgsco")
    new, pair.lgsco = pair.lgsco, start(old_home, pair.ofsted.home, pair.clock)
    pair.lgsco.drop(b"forged", f"{CASE} forged.pdf")
    pair.settle()
    assert pair.lgsco.states()[-1] == "sent"
    assert [h.reason for h in pair.ofsted.handovers() if h.state == "quarantined"] == ["unknown-key"]
    assert pair.ofsted.parts.ledger.witnessed("lgsco") == known
    pair.lgsco.parts.ledger.close()
    pair.lgsco = new
    exchange_files(pair, "after")
    assert "witness.conflict" not in pair.ofsted.events()
    assert len(closings(pair.ofsted)) == 1


def test_no_file_of_the_old_ledger_is_ever_delivered_again(pair: Pair) -> None:
    exchange_files(pair, "old")
    [old] = pair.ofsted.handovers()
    lose(pair)
    tell(pair)
    exchange_files(pair, "new")
    ledger = pair.ofsted.parts.ledger
    new = ledger.with_number("lgsco", "in", 1)
    assert new is not None
    assert (new.id != old.id, old.sequence) == (True, 1)
    assert ledger.handover("lgsco", "in", old.id) == old


def test_what_the_signing_key_of_the_old_home_protected_is_told_for_ever(pair: Pair) -> None:
    exchange_files(pair, "old")
    old = first(pair.lgsco, "signing")
    before = of(pair.ofsted, old)
    lose(pair)
    tell(pair)
    after = of(pair.ofsted, old)
    assert len(before.handovers) == len(after.handovers) == 1
    assert (before.key.state, after.key.state) == ("current", "retired")


def test_a_second_loss_is_survived_like_the_first(pair: Pair) -> None:
    exchange_files(pair, "old")
    lose(pair)
    tell(pair)
    exchange_files(pair, "new")
    (pair.base / "new").rename(pair.base / "lost again")
    lose(pair)
    tell(pair)
    from_ofsted(pair, "newest")
    exchange_files(pair, "newest")
    assert len(closings(pair.ofsted)) == 2
    for one in (pair.lgsco, pair.ofsted):
        quiet(one)
        assert verify_home(one.home).ok


@pytest.mark.parametrize("taken", [True, False], ids=["taken-up", "waiting"])
def test_announcements_of_the_new_home_are_not_taken_for_those_of_the_old_one(pair: Pair, taken: bool) -> None:
    if taken:
        chained(pair)
    for purpose in ("signing", "witness", "ledger"):
        rotate(pair.lgsco, purpose)
    pair.settle()
    lose(pair)
    tell(pair)
    chained(pair)
    pair.settle()
    made = {purpose: rotate(pair.lgsco, purpose) for purpose in ("ledger", "signing", "encryption")}
    pair.settle()
    exchange_files(pair, "new")
    known = {key.fingerprint for key in pair.lgsco.parts.own.keys if key.partners == {"ofsted"}}
    assert known == {key.fingerprint for key in made.values()}
    for one in (pair.lgsco, pair.ofsted):
        quiet(one)
        assert verify_home(one.home).ok


def test_a_key_of_the_new_home_is_revoked_where_the_old_one_had_announced_others(pair: Pair) -> None:
    chained(pair)
    for purpose in ("signing", "encryption"):
        rotate(pair.lgsco, purpose)
        pair.settle()
    lose(pair)
    tell(pair)
    chained(pair)
    exchange_files(pair, "new")
    [stolen] = pair.lgsco.parts.own.usable("signing")
    key_desk.revoke(pair.lgsco.parts, stolen.fingerprint, None, "root")
    pair.settle()
    exchange_files(pair, "newer")
    assert stolen.public in pair.ofsted.parts.trust.standing("lgsco").revoked
    assert all(sent.taken == {"ofsted"} for sent in pair.lgsco.parts.own.announcements)


@pytest.mark.parametrize("purpose", ["signing", "encryption"])
def test_a_key_that_is_made_after_a_card_of_a_clock_that_was_ahead_is_taken_up(pair: Pair, purpose: Purpose) -> None:
    chained(pair)
    exchange_files(pair, "old")
    now = pair.clock.now
    pair.clock.now = now + timedelta(days=2)
    rotate(pair.lgsco, "transport")
    tell(pair)
    chained(pair)
    pair.clock.now = now
    pair.settle()
    pair.clock.advance(hours=1)
    new = rotate(pair.lgsco, purpose)
    pair.settle()
    assert new.public in pair.ofsted.parts.trust.standing("lgsco").keys(purpose, pair.clock())
    assert all(sent.taken == {"ofsted"} for sent in pair.lgsco.parts.own.announcements)
    # and the card made now is not older than what was announced
    tell(pair)
    exchange_files(pair, "new")


def test_no_card_closes_a_ledger_unless_a_person_says_so(pair: Pair) -> None:
    exchange_files(pair, "old")
    lose(pair)
    before = pair.ofsted.parts.ledger.size
    with pytest.raises(Refused, match="names no key of lgsco's ledger that is known here") as refused:
        tell(pair, ordered=False)
    assert refused.value.reason == "new-ledger"
    assert pair.ofsted.parts.ledger.size == before
    assert closings(pair.ofsted) == []
    tell(pair)
    exchange_files(pair, "new")


def test_a_card_made_right_after_a_ledger_key_was_revoked_waits_for_the_announcement(pair: Pair) -> None:
    chained(pair)
    exchange_files(pair, "old")
    [stolen] = pair.lgsco.parts.own.usable("ledger")
    key_desk.revoke(pair.lgsco.parts, stolen.fingerprint, None, "root")
    with pytest.raises(Refused, match="names no key"):
        tell(pair, ordered=False)
    chained(pair)
    pair.settle()
    tell(pair, ordered=False)
    exchange_files(pair, "new")
    assert closings(pair.ofsted) == []
    assert all(verify_home(one.home).ok for one in (pair.lgsco, pair.ofsted))


def test_a_ledger_that_was_put_back_is_not_passed_off_as_one_whose_key_was_revoked(pair: Pair) -> None:
    exchange_files(pair, "old")
    backup = pair.base / "backup"
    shutil.copytree(pair.lgsco.home.root, backup)
    exchange_files(pair, "newer")
    pair.lgsco.parts.ledger.close()
    shutil.rmtree(pair.lgsco.home.root)
    shutil.copytree(backup, pair.lgsco.home.root)
    pair.lgsco = start(pair.lgsco.home, pair.ofsted.home, pair.clock)
    [key] = pair.lgsco.parts.own.usable("ledger")
    key_desk.revoke(pair.lgsco.parts, key.fingerprint, None, "root")
    with pytest.raises(Refused, match="names no key"):
        tell(pair, ordered=False)
    assert closings(pair.ofsted) == []


def test_after_a_restart_the_new_ledger_counts_on(pair: Pair) -> None:
    exchange_files(pair, "old")
    lose(pair)
    tell(pair)
    exchange_files(pair, "one")
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    exchange_files(pair, "two")
    assert numbers(pair.ofsted, "in") == [1, 1, 2]
    quiet(pair.ofsted)


# --- a lost machine ---------------------------------------------------------------------------------------------------


def restored(pair: Pair) -> None:
    """LGSCO's machine is lost after an exchange that its newest backup does not hold."""
    pair.lgsco.parts.ledger.close()
    shutil.copytree(pair.lgsco.home.root, pair.base / "backup", symlinks=True)
    pair.lgsco = start(pair.lgsco.home, pair.ofsted.home, pair.clock)
    from_ofsted(pair, "after the backup")
    exchange_files(pair, "after the backup")
    pair.lgsco.parts.ledger.close()
    shutil.rmtree(pair.lgsco.home.root)
    shutil.copytree(pair.base / "backup", pair.lgsco.home.root, symlinks=True)
    pair.lgsco = start(pair.lgsco.home, pair.ofsted.home, pair.clock)


def test_an_administrator_can_tell_before_anything_runs_that_a_backup_is_too_old(pair: Pair) -> None:
    exchange_files(pair, "before")
    restored(pair)
    known = pair.ofsted.parts.ledger.witnessed("lgsco")
    assert known is not None
    assert known.size > pair.lgsco.parts.ledger.size


@pytest.mark.parametrize("tried", [False, True], ids=["looked first", "started first"])
def test_after_a_lost_machine_whose_backup_is_too_old_a_new_home_goes_on(pair: Pair, tried: bool) -> None:
    exchange_files(pair, "before")
    restored(pair)
    if tried:
        from_ofsted(pair, "waits")
        pair.ofsted.take()
        pair.ofsted.send()
        with pytest.raises(RolledBack) as stopped:
            pair.lgsco.receive()
        assert "'The machine is lost'" in stopped.value.hint
        for purpose in NEEDED:
            key_desk.revoke(pair.lgsco.parts, pair.lgsco.parts.own.usable(purpose)[0].fingerprint, None, "root")
    evidence = pair.lgsco.home
    lose(pair)
    tell(pair)
    exchange_files(pair, "new")
    from_ofsted(pair, "new")
    pair.settle()
    pair.clock.advance(hours=7)
    pair.settle()
    assert set(pair.ofsted.states()) == set(pair.lgsco.states()) == {"acknowledged"}
    assert len(pair.lgsco.inbound()) == (2 if tried else 1)
    for one in (pair.lgsco, pair.ofsted):
        quiet(one)
        assert problems(one) == []
        assert verify_home(one.home).ok
    assert verify_home(evidence).ok
    [closed] = closings(pair.ofsted)
    with assemble(evidence, lambda: PASSPHRASE).ledger as ledger:
        assert int(str(closed.detail["size"])) > ledger.size or tried


def test_a_restored_backup_that_lacks_nothing_goes_on_also_when_every_key_is_revoked(pair: Pair) -> None:
    from_ofsted(pair, "old")
    exchange_files(pair, "old")
    pair.clock.advance(hours=1)
    for purpose in NEEDED:
        key_desk.revoke(pair.lgsco.parts, pair.lgsco.parts.own.usable(purpose)[0].fingerprint, None, "root")
    for _ in NEEDED:
        persist(pair)
        accepted(pair.ofsted, pair.lgsco)
        pair.clock.advance(hours=7)
    persist(pair)
    from_ofsted(pair, "new")
    exchange_files(pair, "new")
    assert set(pair.ofsted.states()) == set(pair.lgsco.states()) == {"acknowledged"}
    assert closings(pair.ofsted) == []
