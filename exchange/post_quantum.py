"""What towards one partner must resist quantum computers: `partners.X.require_pq`. Weaker is refused, never used.

    encryption     we seal to hybrid recipients only, and take nothing that was sealed to another
    key-exchange   we log in only where the server agrees on a hybrid key exchange (exchange/sftp/login.py)
    signature      every message, both ways, carries a composite signature beside the Ed25519 one (keys/composite.py)

What is not required is used all the same where both sides can, and a composite signature that comes is always checked:
it must hold, and be of a key of that partner once the partner has shown one. A key of ours signs for a partner from the
moment at which that partner has accepted it.
"""

from datetime import datetime

from config.errors import NotNow, Refused
from config.settings import Settings
from exchange.envelope.sealing import Opened
from exchange.parts import Parts
from keys import age
from keys.composite import CompositeSigner
from keys.key_errors import KeyNotYetValid
from keys.openssh import Signer
from keys.trust import Trust
from ledger.canonical import Json

ENCRYPTION, KEY_EXCHANGE, SIGNATURE = "encryption", "key-exchange", "signature"


class TooWeak(Refused):
    """A message that somebody with a quantum computer could have made."""

    reason = "no-composite-signature"


def composite_signer(
    parts: Parts, partner: str, *, announcing: bool = False, before: frozenset[str] = frozenset()
) -> CompositeSigner | None:
    """Signs once more what goes to a partner; None where no composite key of ours is known there.

    Raises NotNow where one is required; not for announcements (`announcing`), with which the first key comes, and which
    a key that was revoked may still sign, as the partner knows no other; one that signed it `before` takes turns.
    """
    own = parts.own
    known = own.fingerprints("signing-pq", partner)
    if announcing and not known and own.leaving("signing-pq"):
        known = own.taking_turns("signing-pq", partner, before)
    try:
        signer = parts.keyring.composite_signer(known) if known else None
    except KeyNotYetValid:
        signer = None
    if signer is None and not announcing and SIGNATURE in parts.home.settings.partner(partner).require_pq:
        raise NotNow(
            f"{partner} has accepted no composite signing key of ours, and require_pq asks for its signature",
            hint="make one with 'handover keys rotate signing-pq', and have it accepted there",
        )
    return signer


def signers(signer: Signer, composite: CompositeSigner | None) -> dict[str, Json]:
    """Which keys signed a message, for the ledger."""
    facts: dict[str, Json] = {"signed_by": signer.public.fingerprint}
    return facts if composite is None else {**facts, "signed_pq": composite.public.fingerprint}


def recipient(parts: Parts, partner: str) -> age.Recipient:
    """Whom to encrypt to; raises NotNow where that is weaker than required."""
    found = parts.recipient(partner)
    if found.kind != "pq" and ENCRYPTION in parts.home.settings.partner(partner).require_pq:
        raise NotNow(
            f"{partner} has no post-quantum encryption key, and require_pq asks for one",
            hint=f"ask {partner} to rotate its encryption key, or take 'encryption' out of require_pq",
        )
    return found


def check_signature(
    settings: Settings, trust: Trust, partner: str, opened: Opened, at: datetime, *, recorded: bool = False
) -> str | None:
    """The fingerprint of the composite key that counts for a message whose signatures hold; None without one.

    `recorded` as for `Trust.signing_key`: the partner may have shown the key on a card before the present one.
    Raises UntrustedKey for a key that is not the partner's, TooWeak where one is required and none counts.
    """
    key = opened.composite
    # a partner that has never shown a composite key is known by its Ed25519 key alone
    if key is not None and (trust.composite(partner) or (recorded and trust.once_signed(partner, key))):
        trust.signing_key(partner, key, at, recorded=recorded)
        return key.fingerprint
    if SIGNATURE in settings.partner(partner).require_pq:
        raise TooWeak("a message carries no composite signature of a known key, and require_pq asks for one")
    return None


def check_recipient(settings: Settings, partner: str, opened: Opened) -> bool:
    """Whether a message was sealed as strongly as required."""
    return opened.identity.recipient().kind == "pq" or ENCRYPTION not in settings.partner(partner).require_pq
