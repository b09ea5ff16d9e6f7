"""A new key that is not fit for use when its turn comes is never skipped silently: what it should sign waits, and each
cause has its own words."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from config.errors import HandoverError, Misuse
from exchange import rounds
from keys import at_rest, rotation
from keys.key_errors import DamagedKey, MissingKey, SwappedKey, WrongPassphrase
from keys.keyring import Secret
from tests.exchange.test_key_rotation import chained, rotate, signed_by
from tests.organisations import CASE, PASSPHRASE, Pair, restart

Spoil = Callable[[Path], object]


def with_another_passphrase(key: Path) -> None:
    native = at_rest.unlock(key.read_bytes(), PASSPHRASE, "key")
    key.write_bytes(at_rest.lock(native, Secret("somebody else's words"), work_factor=1))


def by_the_key_before(key: Path) -> None:
    key.write_bytes(key.with_name("signing-1.age").read_bytes())


def by_one_of_another_purpose(key: Path) -> None:
    key.write_bytes(key.with_name("encryption-1.age").read_bytes())


def by_a_link(key: Path) -> None:
    key.rename(key.with_name("elsewhere"))
    key.symlink_to("elsewhere")


SPOILED: dict[str, tuple[Spoil, type[HandoverError], str]] = {
    "missing": (Path.unlink, MissingKey, "the private half of signing key 2 is not there"),
    "damaged": (lambda key: key.write_bytes(b"age"), DamagedKey, "the private half of signing key 2 is damaged"),
    "wrong passphrase": (with_another_passphrase, WrongPassphrase, "the passphrase does not open signing key 2"),
    "exchanged for the old one": (by_the_key_before, SwappedKey, "does not fit its public half"),
    "exchanged for another purpose's": (by_one_of_another_purpose, SwappedKey, "does not fit its public half"),
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_new_key_that_is_not_fit_when_its_turn_comes_stops_what_it_should_sign(pair: Pair, how: str) -> None:
    spoil, error, words = SPOILED[how]
    chained(pair)
    new = rotate(pair.lgsco, "signing")
    pair.settle()
    key = pair.lgsco.home.keys / "signing-2.age"
    kept = key.read_bytes()
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    pair.lgsco.drop(b"waits", f"{CASE} waits.pdf")
    pair.lgsco.take()
    spoil(key)
    for _ in range(2):
        with pytest.raises(error, match=words) as problem:
            pair.lgsco.send()
        assert problem.value.hint
        assert pair.lgsco.states() == ["accepted"]
    key.unlink(missing_ok=True)
    key.touch(0o600)
    key.write_bytes(kept)
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]
    assert signed_by(pair.lgsco) == new.fingerprint


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
