"""Who signed what came: a key of the partner that counts at the time at which it was, or is about to be, recorded."""

import contextlib
import hmac
from datetime import datetime

from config.errors import NotNow
from config.times import from_text
from exchange import post_quantum
from exchange.envelope.manifest import Manifest
from exchange.envelope.sealing import Opened
from exchange.landed import Arrival, Unauthenticated
from exchange.parts import Parts
from exchange.post_quantum import TooWeak
from exchange.troubles import TOLERANCE
from keys.openssh import PublicKey
from keys.trust import UntrustedKey


def signed(parts: Parts, arrival: Arrival, opened: Opened) -> Manifest:
    """Step 4: raises Refused (quarantine, silence) unless the partner signed this; NotNow where it soon counts."""
    manifest = opened.manifest
    public = opened.verify_signature()
    at = _recorded(parts, arrival, opened)
    try:
        _check_signers(parts, arrival.partner, public, opened, at)
    except UntrustedKey as problem:
        if problem.reason == "key-not-yet-valid":
            _wait_for_it(parts, arrival.partner, public, opened, at)
        raise
    if manifest.sender != arrival.partner:
        raise Unauthenticated("a manifest names another sender than the one who signed it", reason="wrong-sender")
    return manifest


def _check_signers(parts: Parts, partner: str, public: PublicKey, opened: Opened, at: datetime) -> None:
    parts.trust.signing_key(partner, public, at)
    post_quantum.check_signature(parts.home.settings, parts.trust, partner, opened, at)


def _wait_for_it(parts: Parts, partner: str, public: PublicKey, opened: Opened, at: datetime) -> None:
    """Raise NotNow for a new key that counts in a moment: the two clocks may differ so much.

    It is not taken before: what is recorded is recorded at a time at which the key counts, for everybody and for ever.
    """
    with contextlib.suppress(UntrustedKey, TooWeak):
        _check_signers(parts, partner, public, opened, at + TOLERANCE)
        raise NotNow(
            f"a message of {partner} is signed with a key that counts in some minutes: one of the clocks may be wrong",
            hint="it is taken when that time has come",
        )


def _recorded(parts: Parts, arrival: Arrival, opened: Opened) -> datetime:
    """When this very message was received; now, if it is new. Its key may have ended before its answer was lost."""
    known = parts.ledger.handover(arrival.partner, "in", opened.manifest.id)
    if known is None or not known.is_answered or known.received_at is None:
        return parts.effects.clock()
    same = hmac.compare_digest(opened.manifest_sha256, known.manifest_sha256 or "")
    return from_text(known.received_at) if same else parts.effects.clock()
