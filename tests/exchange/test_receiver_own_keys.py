"""What is wrong with our own keys is no fault of a partner: its message waits, and is delivered once that is mended."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keys.key_errors import KeyExpired, KeyNotYetValid
from keys.keyring import Keyring, Purpose
from tests.organisations import PASSPHRASE, ManualClock, Pair


@pytest.mark.parametrize(
    ("purpose", "days", "error"),
    # what is sealed to an encryption key that has ended is still opened: it was sealed before, and no other opens it
    [("encryption", -2, KeyNotYetValid), ("witness", -2, KeyNotYetValid), ("witness", 2, KeyExpired)],
)
def test_an_honest_message_waits_for_our_own_keys(
    pair: Pair, purpose: Purpose, days: int, error: type[Exception]
) -> None:
    pair.lgsco.drop(b"honest")
    pair.lgsco.take()
    pair.lgsco.send()
    clock = ManualClock(datetime.now(UTC))
    keyring = Keyring.open(pair.ofsted.home.keys, lambda: PASSPHRASE, clock=clock)
    keyring.end(keyring.current(purpose).fingerprint, clock() + timedelta(days=1))
    pair.ofsted.parts = replace(pair.ofsted.parts, keyring=keyring)
    clock.advance(days=days)
    for _ in range(2):
        with pytest.raises(error):
            pair.ofsted.receive()
        assert "quarantined" not in pair.ofsted.events()
        assert len(pair.ofsted.spooled()) == 1
    clock.advance(days=-days)
    pair.settle()
    assert pair.ofsted.states("in") == ["delivered"]
    assert pair.lgsco.states() == ["acknowledged"]
