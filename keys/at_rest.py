"""A private key at rest: its native format inside an age file that a passphrase opens (`age -d` reads it too).

>>> passphrase = Secret("correct horse battery staple")
>>> unlock(lock(b"native", passphrase, work_factor=1), passphrase, "signing key 1")
b'native'
>>> unlock(lock(b"native", passphrase, work_factor=1), Secret("guess"), "signing key 1")
Traceback (most recent call last):
keys.key_errors.WrongPassphrase: the passphrase does not open signing key 1
"""

import io

from config.errors import Misuse
from keys import age
from keys.age.header import INTRO
from keys.key_errors import DamagedKey, WrongPassphrase
from keys.secret import Secret

WORK_FACTOR = 16
"""2^16: 64 MiB and a fifth of a second for each key at start. A service's passphrase is long and random."""

MAX_WORK_FACTOR = 20
"""A key file that asks for more (beyond 1 GiB) was not written here."""


def lock(native: bytes, passphrase: Secret, *, work_factor: int = WORK_FACTOR) -> bytes:
    """The age file; raises Misuse for a passphrase that cannot be one."""
    sealed = io.BytesIO()
    try:
        age.encrypt(io.BytesIO(native), sealed, [age.ScryptRecipient(passphrase.reveal(), work_factor)])
    except age.InvalidKey as error:
        raise Misuse(f"the private keys cannot be locked: {error.message}") from None
    return sealed.getvalue()


def check(data: bytes, label: str) -> None:
    """Raise DamagedKey if `data` does not even begin as `lock` makes it."""
    if not data.startswith(INTRO):
        raise DamagedKey(
            f"the private half of {label} is damaged: this is not an age file",
            hint="restore it from the backup of the keys",
        )


def unlock(data: bytes, passphrase: Secret, label: str) -> bytes:
    """What `lock` was given; `label` names the key in errors. Raises WrongPassphrase or DamagedKey."""
    opened = io.BytesIO()
    try:
        age.decrypt(io.BytesIO(data), opened, [age.ScryptIdentity(passphrase.reveal(), MAX_WORK_FACTOR)])
    except (age.NoMatch, age.InvalidKey):
        raise WrongPassphrase(
            f"the passphrase does not open {label}",
            hint="give the passphrase that was set when the key was made; it opened nothing, so nothing was changed",
        ) from None
    except age.AgeError as error:
        raise DamagedKey(
            f"the private half of {label} is damaged: {error.message}", hint="restore it from the backup of the keys"
        ) from None
    return opened.getvalue()
