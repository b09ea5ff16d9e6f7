"""A private key at rest: opened by the exact passphrase, and told apart from a damaged one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import Misuse
from keys import at_rest
from keys.key_errors import DamagedKey, WrongPassphrase
from keys.secret import Secret

LOCKED = at_rest.lock(b"native", Secret("é correct"), work_factor=1)


def test_only_the_exact_passphrase_opens_it() -> None:
    assert at_rest.unlock(LOCKED, Secret("é correct"), "it") == b"native"
    for wrong in ("e\u0301 correct", "é correct ", "", "\ud800"):
        with pytest.raises(WrongPassphrase, match="the passphrase does not open it"):
            at_rest.unlock(LOCKED, Secret(wrong), "it")


@pytest.mark.parametrize("text", ["", "\ud800"])
def test_a_passphrase_that_cannot_be_one_locks_nothing(text: str) -> None:
    with pytest.raises(Misuse, match="cannot be locked"):
        at_rest.lock(b"native", Secret(text), work_factor=1)


@given(st.integers(0, len(LOCKED) - 1), st.integers(1, 255))
def test_any_changed_byte_is_found(at: int, flip: int) -> None:
    changed = bytearray(LOCKED)
    changed[at] ^= flip
    # a changed digit of the work factor may ask for up to 2^9, which is still quick
    with pytest.raises((WrongPassphrase, DamagedKey)):
        at_rest.unlock(bytes(changed), Secret("é correct"), "it")
