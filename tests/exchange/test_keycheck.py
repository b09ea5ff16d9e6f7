"""At the start every private key is tried out: what is wrong with one that is needed keeps the service from starting,
each in its own words; a spare one is told of, and keeps nothing else from its work."""

import io
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from config.errors import HandoverError, Misuse, Tampered
from config.home import Home
from exchange import key_desk, key_list
from exchange.assembly import assemble
from exchange.service.alerts import EVENTS
from exchange.service.daemon import Daemon
from exchange.service.keycheck import UNFIT, check_keys
from exchange.service.once import run_once
from exchange.service.run import serve
from exchange.status import status
from keys import at_rest
from keys.key_errors import DamagedKey, MissingKey, SwappedKey, WrongPassphrase
from keys.key_info import NEEDED, OPTIONAL, PURPOSES, Purpose
from keys.keyring import Keyring, Secret
from tests.exchange.supervised import Logged, own_signals, quick, running
from tests.exchange.test_key_rotation import chained, exchange_files, rotate
from tests.organisations import CASE, PASSPHRASE, Organisation, Pair, restart

Spoil = Callable[[Path], object]


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Those of the process are given back after every test."""
    with own_signals():
        yield


def with_another_passphrase(key: Path) -> None:
    native = at_rest.unlock(key.read_bytes(), PASSPHRASE, "key")
    key.write_bytes(at_rest.lock(native, Secret("somebody else's words"), work_factor=1))


def by_one_of_another_purpose(key: Path) -> None:
    other = "transport" if key.name.startswith("signing-") else "signing"
    key.write_bytes(key.with_name(f"{other}-1.age").read_bytes())


def by_a_link(key: Path) -> None:
    key.rename(key.with_name("elsewhere"))
    key.symlink_to("elsewhere")


WRONG: dict[str, tuple[Spoil, type[HandoverError], str]] = {
    "missing": (Path.unlink, MissingKey, "the private half of {} is not there"),
    "damaged": (lambda key: key.write_bytes(b"age"), DamagedKey, "the private half of {} is damaged: this is not"),
    "wrong passphrase": (with_another_passphrase, WrongPassphrase, "the passphrase does not open {}"),
    "swapped purpose": (by_one_of_another_purpose, SwappedKey, "the private half of {} does not fit its public half"),
}
"""What is found by trying a key out."""

SPOILED: dict[str, tuple[Spoil, type[HandoverError], str]] = {
    **WRONG,
    "world-readable": (lambda key: key.chmod(0o604), Misuse, "can be reached by others (mode 0604, at most 0600)"),
    "foreign owner": (lambda key: os.chown(key, 65534, -1), Misuse, "belongs to another user (number 65534)"),
    "unreadable": (by_a_link, Misuse, "the private half of {} cannot be read"),
}


def begin(one: Organisation, *, once: bool = True) -> None:
    """What `handover run` does."""
    serve(one.home, lambda: assemble(one.home, lambda: PASSPHRASE, one.parts.effects), io.StringIO(), {}, once)


def about_keys(one: Organisation) -> list[str]:
    """What the status says of our own keys, to a person who gives no passphrase."""
    keyring = Keyring.open(one.home.keys, nobody)
    seen = status(one.home, one.parts.ledger, keyring, one.parts.trust)
    return [said for said in seen.problems if " key " in said and "ofsted" not in said]


def nobody() -> Secret:
    raise AssertionError("a passphrase was asked for")


def started(pair: Pair) -> Logged:
    """LGSCO's service has started anew and done its work once; what it logged."""
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    chained(pair)
    logged: Logged = []
    run_once(pair.lgsco.parts, lambda event, **ids: logged.append((event, ids)))
    return logged


def unfit(logged: Logged) -> list[dict[str, object]]:
    return [ids for event, ids in logged if event == UNFIT]


def is_there(pair: Pair, purpose: Purpose) -> None:
    """A key of an optional purpose is in use, too."""
    if purpose in OPTIONAL:
        chained(pair)
        rotate(pair.lgsco, purpose)
        pair.settle()


# --- needed -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", SPOILED)
@pytest.mark.parametrize("purpose", PURPOSES)
def test_no_service_starts_without_a_key_that_it_needs(pair: Pair, purpose: Purpose, how: str) -> None:
    spoil, error, words = SPOILED[how]
    is_there(pair, purpose)
    one, fingerprint = pair.lgsco, pair.lgsco.parts.own.usable(purpose)[0].fingerprint
    dropped = one.drop(b"waits", f"{CASE} waits.pdf")
    size = one.parts.ledger.size
    spoil(one.home.keys / f"{purpose}-1.age")
    with pytest.raises(error) as problem:
        begin(one)
    said = problem.value
    assert words.format(f"{purpose} key 1") in said.message
    assert purpose in said.for_people()
    assert said.exit_code == (4 if error is SwappedKey else 2), "systemd does not start it again"
    if how in WRONG and (purpose, how) != ("ledger", "wrong passphrase"):
        assert "the backup of the keys" in said.hint
        assert "docs/key-management.md" in said.hint
        assert (f"keys revoke {fingerprint} --lost" in said.hint) == (purpose != "ledger")
    assert said.hint
    assert dropped.is_file(), "nothing was taken"
    assert one.parts.ledger.size == size, "nothing was recorded"


@pytest.mark.parametrize("purpose", [purpose for purpose in PURPOSES if purpose != "ledger"])
def test_no_service_starts_without_the_public_half_of_a_key_that_it_needs(pair: Pair, purpose: Purpose) -> None:
    is_there(pair, purpose)
    one = pair.lgsco
    for ending in ("age", "json"):
        (one.home.keys / f"{purpose}-1.{ending}").unlink()
    [said] = about_keys(one)
    assert f"{purpose} key 1 is not there: restore it from the backup of the keys" in said
    with pytest.raises(MissingKey, match=f"the public half of {purpose} key 1 is not there") as problem:
        begin(one)
    assert "the backup of the keys" in problem.value.hint


def test_the_daemon_is_not_ready_before_the_keys_were_tried_out(pair: Pair) -> None:
    (pair.lgsco.home.keys / "signing-1.age").unlink()
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    logged: Logged = []
    daemon = Daemon(pair.lgsco.parts, lambda event, **ids: logged.append((event, ids)), {})
    with pytest.raises(MissingKey):
        daemon.run()
    assert [event for event, _ in logged] == ["daemon.stopped"]
    assert not daemon.workers


def test_a_key_in_the_place_of_another_is_evidence_of_tampering_for_the_daemon(pair: Pair) -> None:
    by_one_of_another_purpose(pair.lgsco.home.keys / "witness-1.age")
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    logged: Logged = []
    with pytest.raises(Tampered):
        Daemon(pair.lgsco.parts, lambda event, **ids: logged.append((event, ids)), {}).run()
    assert [event for event, _ in logged] == ["daemon.tampered", "daemon.stopped"]


@pytest.mark.parametrize("how", WRONG)
@pytest.mark.parametrize("purpose", ["signing", "encryption", "transport", "witness"])
def test_what_the_message_says_lets_the_service_start_without_a_backup(pair: Pair, purpose: Purpose, how: str) -> None:
    chained(pair)
    spoil, error, _ = WRONG[how]
    old = pair.lgsco.parts.own.usable(purpose)[0]
    spoil(pair.lgsco.home.keys / f"{purpose}-1.age")
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    with pytest.raises(error):
        check_keys(pair.lgsco.parts)
    pair.clock.advance(hours=1)
    key_desk.revoke(pair.lgsco.parts, old.fingerprint, None, "root", lost=True)
    assert unfit(started(pair)) == []
    assert about_keys(pair.lgsco) == [] or purpose != "encryption"


# --- spare ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["missing", "damaged", "wrong passphrase"])
@pytest.mark.parametrize("purpose", ["signing", "encryption", "transport", "signing-pq"])
def test_a_replaced_key_in_its_overlap_is_told_of_and_keeps_nothing_from_its_work(
    pair: Pair, purpose: Purpose, how: str
) -> None:
    chained(pair)
    is_there(pair, purpose)
    spoil, error, _ = WRONG[how]
    rotate(pair.lgsco, purpose)
    pair.settle()
    pair.clock.advance(hours=1)
    spoil(pair.lgsco.home.keys / f"{purpose}-1.age")
    told = [{"purpose": purpose, "serial": 1, "error": error.__name__}]
    assert unfit(started(pair)) == told
    pair.ofsted.drop(b"{}", f"{CASE} concern.json", ("lgsco", "unimplemented-recommendation", "Leeds"))
    exchange_files(pair, "goes")
    assert pair.lgsco.states("in") == ["delivered"]
    assert unfit(started(pair)) == told, "with every start"
    assert any(f"{purpose} key 1" in said for said in about_keys(pair.lgsco)) == (how != "wrong passphrase")


def test_people_are_told_of_a_spare_key_that_is_not_fit(pair: Pair, tmp_path: Path) -> None:
    assert UNFIT in EVENTS
    chained(pair)
    rotate(pair.lgsco, "transport")
    pair.settle()
    (pair.lgsco.home.keys / "transport-1.age").unlink()
    hook = tmp_path / "hook"
    hook.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n')
    hook.chmod(0o700)
    config = pair.lgsco.home.config_file
    config.write_text(config.read_text().replace("[alerts]\n", f'[alerts]\ncommand = ["{hook}"]\n'))
    parts = assemble(Home.open(pair.lgsco.home.root), lambda: PASSPHRASE, pair.lgsco.parts.effects)
    with running(pair, [], lambda _: None, quick(parts)):
        pass
    assert f"{UNFIT} - -" in (tmp_path / "told").read_text().splitlines()


def test_an_envelope_for_a_spare_key_that_is_not_fit_waits_and_no_other_does(pair: Pair) -> None:
    chained(pair)
    for number in (1, 2):
        pair.lgsco.drop(b"{}", f"{CASE} {number}.pdf")
        pair.lgsco.take()
        pair.lgsco.send()
        if number == 1:
            [old] = pair.ofsted.landing().glob("*.age")
            held = old.rename(pair.base / old.name)
            rotate(pair.ofsted, "encryption")
            pair.settle()
            pair.lgsco.send()
    key = pair.ofsted.home.keys / "encryption-1.age"
    kept = key.read_bytes()
    key.unlink()
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    assert [one.key.serial for one in check_keys(pair.ofsted.parts)] == [1]
    for path in pair.ofsted.landing().glob(held.name):
        path.unlink()
    held.rename(pair.ofsted.landing() / held.name)
    for _ in range(2):
        with pytest.raises(MissingKey, match="the private half of encryption key 1 is not there"):
            pair.ofsted.receive()
        assert pair.ofsted.states("in") == ["delivered"], "the other one"
    assert "envelope.quarantined" not in pair.ofsted.events()
    key.touch(0o600)
    key.write_bytes(kept)
    pair.ofsted.receive()
    assert pair.ofsted.states("in") == ["delivered", "delivered"]


@pytest.mark.parametrize("purpose", NEEDED)
def test_a_replaced_key_is_needed_until_every_partner_has_accepted_its_successor(pair: Pair, purpose: Purpose) -> None:
    rotate(pair.lgsco, purpose)
    pair.settle()
    (pair.lgsco.home.keys / f"{purpose}-1.age").unlink()
    with pytest.raises(MissingKey, match=f"the private half of {purpose} key 1 is not there"):
        begin(pair.lgsco)


@pytest.mark.parametrize("purpose", ["ledger", "witness", "witness-pq"])
def test_of_keys_that_all_sign_during_a_rotation_all_are_needed(pair: Pair, purpose: Purpose) -> None:
    is_there(pair, purpose)
    chained(pair)
    rotate(pair.lgsco, purpose)
    pair.settle()
    (pair.lgsco.home.keys / f"{purpose}-1.age").unlink()
    with pytest.raises(MissingKey, match=f"the private half of {purpose} key 1 is not there"):
        begin(pair.lgsco)


@pytest.mark.parametrize("purpose", ["signing", "encryption", "transport", "witness"])
def test_a_key_that_begins_later_is_spare_until_then(pair: Pair, purpose: Purpose) -> None:
    chained(pair)
    later = pair.clock() + timedelta(days=2)
    key_desk.rotate(pair.lgsco.parts, purpose, timedelta(days=30), later, "root")
    pair.settle()
    (pair.lgsco.home.keys / f"{purpose}-2.age").unlink()
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    assert [(one.key.purpose, one.key.serial) for one in check_keys(pair.lgsco.parts)] == [(purpose, 2)]
    pair.clock.advance(days=3)
    with pytest.raises(MissingKey, match=f"the private half of {purpose} key 2 is not there"):
        check_keys(pair.lgsco.parts)


def test_a_revoked_encryption_key_that_still_opens_something_is_tried_out_and_spare(pair: Pair) -> None:
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.clock.advance(hours=1)
    old = pair.ofsted.parts.own.usable("encryption")[0]
    key_desk.revoke(pair.ofsted.parts, old.fingerprint, None, "root")
    with_another_passphrase(pair.ofsted.home.keys / "encryption-1.age")
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    [one] = check_keys(pair.ofsted.parts)
    assert one.ids() == {"purpose": "encryption", "serial": 1, "error": "WrongPassphrase"}


@pytest.mark.parametrize("purpose", ["signing", "encryption", "transport"])
def test_a_key_in_the_place_of_a_spare_one_is_evidence_of_tampering_all_the_same(pair: Pair, purpose: Purpose) -> None:
    chained(pair)
    rotate(pair.lgsco, purpose)
    pair.settle()
    key = pair.lgsco.home.keys / f"{purpose}-1.age"
    key.write_bytes(key.with_name("ledger-1.age").read_bytes())
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    with pytest.raises(SwappedKey, match=f"the private half of {purpose} key 1 does not fit"):
        check_keys(pair.lgsco.parts)


# --- what people see without unlocking anything -----------------------------------------------------------------------


@pytest.mark.parametrize("purpose", NEEDED)
def test_the_status_and_the_list_say_that_a_private_half_is_not_there(pair: Pair, purpose: Purpose) -> None:
    parts = pair.lgsco.parts
    assert {row["kept_in"] for row in key_list.key_rows(parts.keyring, parts.ledger, ("ofsted",))} == {"file"}
    assert about_keys(pair.lgsco) == []
    (parts.home.keys / f"{purpose}-1.age").unlink()
    words = f"the private half of {purpose} key 1 is not there: restore it from the backup of the keys"
    assert [words in said for said in about_keys(pair.lgsco)] == [True]
    for rows in (
        key_list.key_rows(parts.keyring, parts.ledger, ("ofsted",)),
        key_list.inventory(parts.home, parts.keyring, parts.ledger, parts.trust)[: len(NEEDED)],
    ):
        assert [row["purpose"] for row in rows if row["kept_in"] == "missing"] == [purpose]
        assert sum(row["kept_in"] == "file" for row in rows) == len(NEEDED) - 1


def test_a_private_half_that_was_destroyed_is_not_missing(pair: Pair) -> None:
    chained(pair)
    rotate(pair.lgsco, "signing", timedelta(0))
    pair.settle()
    key_desk.tend(pair.lgsco.parts)
    parts = pair.lgsco.parts
    kept = [row["kept_in"] for row in key_list.key_rows(parts.keyring, parts.ledger, ()) if row["purpose"] == "signing"]
    assert kept == [None, "file"]
    assert about_keys(pair.lgsco) == []


def test_the_status_says_that_a_private_half_is_no_age_file(pair: Pair) -> None:
    (pair.lgsco.home.keys / "signing-1.age").write_bytes(b"")
    [said] = about_keys(pair.lgsco)
    assert said.startswith("the private half of signing key 1 is damaged: this is not an age file")
