"""The parts of a running organisation, built in one place and passed to every pipeline.

`exchange/assembly.py: assemble` builds them for real; tests and the simulation build the same with effects of
their own. Nothing below this reads a clock, draws a random number or opens a connection on its own account.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from config.agreement import Agreement
from config.authorities import Register
from config.errors import NotNow
from config.home import Home
from config.times import Clock
from exchange.key_book import KeyBook
from exchange.landing import Landing
from exchange.spool import Spool
from keys import age
from keys.card import Card
from keys.key_errors import KeyExpired, KeyNotYetValid
from keys.keyring import Keyring
from keys.openssh import Signer
from keys.own_keys import OwnKeys
from keys.private_keys import witness_name
from keys.rotation import Office
from keys.trust import Trust
from ledger import witness
from ledger.checkpoint import Cosigner
from ledger.identifier import Random
from ledger.key_events import first_added
from ledger.store import Ledger


def _nowhere(card: Card) -> Landing:
    raise NotNow(f"nothing is collected from {card.organisation}")


@dataclass(frozen=True, slots=True)
class Effects:
    """Everything that comes from outside the process."""

    clock: Clock
    monotonic: Callable[[], float]
    random: Random
    jitter: Callable[[], float]
    connect: Callable[[Card], Landing]
    """Open the place into which goes what a partner is sent; raises NotNow."""
    collect: Callable[[Card], Landing] = _nowhere
    """Open the pick-up folder that a partner keeps for us; raises NotNow."""


@dataclass(frozen=True, slots=True)
class Parts:
    """One organisation: what it was told, what it remembers, who it trusts, and its effects."""

    home: Home
    ledger: Ledger
    keyring: Keyring
    cards: Trust
    """The partners' cards as people confirmed them."""
    agreements: Mapping[str, Agreement]
    """The agreement with each partner, by the partner's id."""
    register: Register
    spool: Spool
    effects: Effects
    book: KeyBook

    @property
    def me(self) -> str:
        """The id of this organisation."""
        return self.home.settings.organisation.id

    def require_ledger(self) -> None:
        """Raise what keeps anything from being recorded: the file, or a token with the key that signs it."""
        self.ledger.check_writable()
        self.keyring.test_tokens(self.own.fingerprints("ledger"))

    def statement(self, partner: str) -> witness.Statement:
        """What a message to a partner says about both ledgers."""
        while True:
            own, until = self.own, None
            if not own.fingerprints("ledger", partner):
                known_since = self.ledger.partner_seen(partner) or first_added(self.ledger, partner)
                until = own.verifiable_until(partner, known_since)
            said = witness.compose(self.ledger, partner, until)
            # an administrator may have revoked a key in between
            if self.own is own:
                return said

    # --- keys: every use of one asks here, so that during a rotation everything knows the old and the new one ------

    @property
    def trust(self) -> Trust:
        """The partners' keys now: their cards, and what they have announced since."""
        return self.book.trust(self.cards)

    @property
    def own(self) -> OwnKeys:
        """Our own keys, as the ledger has them now."""
        return self.book.own()

    @property
    def office(self) -> Office:
        """What is needed to change our own keys."""
        kind = self.home.settings.keys.encryption
        return Office(self.me, self.ledger, self.keyring, self.effects.clock, self.book.own, kind)

    def recipient(self, partner: str) -> age.Recipient:
        """Whom to encrypt to, for a partner."""
        known = self.trust.recipients(partner, self.effects.clock())
        if not known:
            raise NotNow(
                f"{partner} has revoked its encryption key, and no other was accepted here",
                hint=f"'handover status' says what waits; accept it with 'handover keys accept {partner}'",
            )
        return known[0]

    def signer(self, partner: str) -> Signer:
        """Signs what goes to a partner: with the newest key that it has accepted."""
        known = self.own.fingerprints("signing", partner)
        if not known:
            raise NotNow(
                f"{partner} has not accepted the signing key that took the place of a revoked one",
                hint=f"ask {partner} to run 'handover keys accept'; if nothing waits there, give it a new card",
            )
        return self.keyring.signer("signing", among=known)

    def announcer(self, partner: str, before: frozenset[str] = frozenset()) -> Signer:
        """Signs announcements, also with a key that was revoked, as long as the partner knows no other.

        Where every key that the partner has accepted has expired, was retired or is lost, with one that it may know
        from a new card. Such a card may also have come before the announcement of a revocation: if the revoked key
        signed it `before` without an answer, it is the turn of the other.
        """
        own = self.own
        known = own.fingerprints("signing", partner) or own.taking_turns("signing", partner, before)
        try:
            return self.keyring.signer("signing", among=known)
        except (KeyExpired, KeyNotYetValid):
            return self.keyring.signer("signing", among=own.fingerprints("signing"))

    def identities(self) -> list[age.Identity]:
        """Open what comes, whichever of our keys in use it was sealed to."""
        return self.keyring.identities(self.own.opening)

    def cosigners(self) -> list[Cosigner]:
        """Cosign a partner's checkpoints, with every witness key in use."""
        known = self.own.fingerprints("witness") | self.own.fingerprints("witness-pq")
        return self.keyring.cosigners(witness_name(self.me), among=known)
