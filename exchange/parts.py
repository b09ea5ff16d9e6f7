"""The parts of a running organisation, built in one place and passed to every pipeline.

`exchange/daemon.py: assemble` builds them for real; tests and the simulation build the same with effects of
their own. Nothing below this reads a clock, draws a random number or opens a connection on its own account.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from config.agreement import Agreement
from config.authorities import Register
from config.errors import NotNow
from config.home import Home
from config.times import Clock
from exchange.landing import Landing
from exchange.spool import Spool
from keys.card import Card
from keys.keyring import Keyring
from keys.trust import Trust
from ledger.identifier import Random
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
    trust: Trust
    agreements: Mapping[str, Agreement]
    """The agreement with each partner, by the partner's id."""
    register: Register
    spool: Spool
    effects: Effects

    @property
    def me(self) -> str:
        """The id of this organisation."""
        return self.home.settings.organisation.id
