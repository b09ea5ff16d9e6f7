"""A new key that is not fit for use when its turn comes is never skipped silently: what needs it waits, and each cause
has its own words."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from config.errors import HandoverError, Misuse
from exchange import rounds
from exchange.assembly import system_effects
from keys import rotation
from keys.key_errors import (
    DamagedKey,
    ExposedKey,
    ForeignOwner,
    MissingKey,
    SwappedKey,
    UnreadableKey,
    WrongPassphrase,
)
from keys.key_info import Purpose
from tests.exchange.test_key_rotation import chained, exchange_files, rotate, signed_by
from tests.exchange.test_keycheck import by_a_link, by_one_of_another_purpose, with_another_passphrase
from tests.organisations import CASE, Pair, restart, start

Spoil = Callable[[Path], object]


def by_the_key_before(key: Path) -> None:
    key.write_bytes(key.with_name(key.name.replace("-2", "-1")).read_bytes())


SPOILED: dict[str, tuple[Spoil, type[HandoverError], str]] = {
    "missing": (Path.unlink, MissingKey, "the private half of {} is not there"),
    "damaged": (lambda key: key.write_bytes(b"age"), DamagedKey, "the private half of {} is damaged: this is not"),
    "wrong passphrase": (with_another_passphrase, WrongPassphrase, "the passphrase does not open {}"),
    "exchanged for the old one": (by_the_key_before, SwappedKey, "the private half of {} does not fit its public half"),
    "swapped purpose": (by_one_of_another_purpose, SwappedKey, "the private half of {} does not fit its public half"),
    "world-readable": (
        lambda key: key.chmod(0o604),
        ExposedKey,
        "the private half of {} is open to other users (mode 604, expected 600)",
    ),
    "foreign owner": (
        lambda key: os.chown(key, 65534, -1),
        ForeignOwner,
        "the private half of {} belongs to user 65534, but this is user",
    ),
    "unreadable": (by_a_link, UnreadableKey, "the private half of {} cannot be read"),
}


def seals(pair: Pair) -> None:
    pair.lgsco.send()


def opens(pair: Pair) -> None:
    pair.lgsco.receive()


def logs_in(pair: Pair) -> None:
    parts = pair.lgsco.parts
    system_effects(parts.home, parts.keyring, parts.book).connect(parts.trust.card("ofsted"))


def cosigns(pair: Pair) -> None:
    pair.lgsco.receive()
    pair.lgsco.send()


USES: dict[Purpose, Callable[[Pair], None]] = {
    "signing": seals,
    "encryption": opens,
    "transport": logs_in,
    "witness": cosigns,
}
"""What takes a new key up; for a ledger key, see below."""


@pytest.mark.parametrize("how", SPOILED)
@pytest.mark.parametrize("purpose", [purpose for purpose in USES if purpose != "transport"])
def test_a_new_key_that_is_not_fit_when_its_turn_comes_stops_what_needs_it(
    pair: Pair, purpose: Purpose, how: str
) -> None:
    stops_what_needs_it(pair, purpose, how)


@pytest.mark.parametrize("how", SPOILED)
@pytest.mark.topologies(but="lgsco-hosts")
def test_nor_does_who_logs_in_do_so_with_the_old_one(pair: Pair, how: str) -> None:
    stops_what_needs_it(pair, "transport", how)


def stops_what_needs_it(pair: Pair, purpose: Purpose, how: str) -> None:
    spoil, error, words = SPOILED[how]
    chained(pair)
    new = rotate(pair.lgsco, purpose)
    pair.settle()
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    chained(pair)
    pair.lgsco.drop(b"waits", f"{CASE} waits.pdf")
    pair.lgsco.take()
    pair.ofsted.drop(b"{}", f"{CASE} concern.json", ("lgsco", "unimplemented-recommendation", "Leeds"))
    pair.ofsted.take()
    pair.ofsted.send()
    key = pair.lgsco.home.keys / f"{purpose}-2.age"
    kept = key.read_bytes()
    spoil(key)
    for _ in range(2):
        with pytest.raises(error) as problem:
            USES[purpose](pair)
        assert words.format(f"{purpose} key 2") in problem.value.message
        assert problem.value.hint
        assert pair.lgsco.states("out") == ["accepted"] or purpose == "witness"
        assert pair.ofsted.states("out") == ["sent"], "nothing has come back"
    key.unlink(missing_ok=True)
    key.touch(0o600)
    key.write_bytes(kept)
    pair.settle()
    assert pair.lgsco.states("out") == ["acknowledged"]
    assert pair.ofsted.states("out") == ["acknowledged"]
    assert purpose != "signing" or signed_by(pair.lgsco) == new.fingerprint


@pytest.mark.parametrize("how", SPOILED)
def test_a_new_ledger_key_that_is_not_fit_when_its_turn_comes_lets_nothing_be_recorded(pair: Pair, how: str) -> None:
    spoil, error, words = SPOILED[how]
    chained(pair)
    exchange_files(pair, "before")
    command = start(pair.lgsco.home, pair.ofsted.home, pair.clock)
    rotate(command, "ledger")
    command.parts.ledger.close()
    key = pair.lgsco.home.keys / "ledger-2.age"
    kept = key.read_bytes()
    spoil(key)
    dropped = pair.lgsco.drop(b"waits", f"{CASE} waits.pdf")
    size = pair.lgsco.parts.ledger.size
    for _ in range(2):
        with pytest.raises(error) as problem:
            pair.lgsco.take()
        assert words.format("ledger key 2") in problem.value.message
        assert problem.value.hint
        assert dropped.is_file()
        assert pair.lgsco.parts.ledger.size == size
    key.unlink(missing_ok=True)
    key.touch(0o600)
    key.write_bytes(kept)
    pair.settle()
    assert pair.lgsco.states("out") == ["acknowledged", "acknowledged"]


OPENED: dict[str, tuple[Spoil, str]] = {
    "readable by everybody": (lambda key: key.chmod(0o644), "can be reached by others"),
    "somebody else's": (lambda key: os.chown(key, 65534, -1), "belongs to another user"),
    "a link": (by_a_link, "signing key 2 cannot be read"),
}


@pytest.mark.parametrize("how", OPENED)
def test_at_the_start_a_new_key_that_others_could_reach_stops_everything(pair: Pair, how: str) -> None:
    spoil, words = OPENED[how]
    rotate(pair.lgsco, "signing")
    spoil(pair.lgsco.home.keys / "signing-2.age")
    with pytest.raises(Misuse, match=words) as problem:
        restart(pair.lgsco, pair.ofsted, pair.clock)
    assert problem.value.hint


def test_a_key_that_was_ordered_while_the_service_was_stopped_is_made_when_it_starts(pair: Pair) -> None:
    rotation.order(pair.lgsco.parts.office, "transport", overlap=timedelta(days=1), begins=None, by="root")
    home, partner = pair.lgsco.home, pair.ofsted
    again = restart(pair.lgsco, partner, pair.clock)
    rounds.recover(again.parts)
    assert again.parts.own.making == ()
    assert len(again.parts.own.usable("transport")) == 2
    assert sorted(path.name for path in home.keys.glob("transport-*.age")) == ["transport-1.age", "transport-2.age"]
    pair.lgsco = again
