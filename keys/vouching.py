"""Which of our keys have to sign an announcement, so that partners believe it.

    a key that signs comes      the key that it replaces, and itself; a first one: a signing key and the ledger key
    a key that signs goes       those of its purpose that stay; when it is revoked, itself, too
    any other key               a signing key and the ledger key

And a composite key, where there is one. A key that is lost signs nothing: what it should have vouched for is believed
by nobody who has not confirmed our new card.
"""

import contextlib

from config.errors import HandoverError
from keys.announcement import MAX_SIGNATURES, Announcement, Signed, can_sign, sign
from keys.keyring import Keyring
from keys.own_keys import OwnKey, OwnKeys


def prepare(keyring: Keyring, own: OwnKeys) -> None:
    """Unlock every key that may have to vouch: that takes seconds, in which the ledger must not be locked by us.

    What cannot be unlocked is told where it has to sign.
    """
    for purpose in ("signing", "signing-pq", "ledger", "witness"):
        for key in own.usable(purpose):
            with contextlib.suppress(HandoverError):
                keyring.voucher_of(key.fingerprint)


def vouched(keyring: Keyring, own: OwnKeys, one: Announcement, about: OwnKey | None, lost: str | None) -> Signed:
    """The announcement, signed by everybody who has to but the key that is `lost`; `about` is there already."""
    # two of each while they are being replaced themselves: every partner knows one of them
    composite = [key.fingerprint for key in own.usable("signing-pq")]
    if about is None or not can_sign(one.purpose):
        keys = [key.fingerprint for key in (*own.usable("signing"), *own.usable("ledger"))]
        if about is None and can_sign(one.purpose):
            keys.append(one.fingerprint)
    elif one.action == "rotate":
        keys = [about.fingerprint, one.fingerprint]
    else:
        keys = [key.fingerprint for key in own.usable(one.purpose) if key.fingerprint != about.fingerprint]
        if one.action == "revoke":
            # a partner that does not know the successor yet takes the key's own word that it counts no more
            keys.append(about.fingerprint)
    both = [key for key in dict.fromkeys([*keys, *composite]) if key != lost]
    return sign(one, *(keyring.voucher_of(fingerprint) for fingerprint in both[-MAX_SIGNATURES:]))
