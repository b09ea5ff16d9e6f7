"""`assemble`: builds every part of a running organisation, in the order in which they depend on each other.

Reads like the program's table of contents. Tests call the same function with effects of their own.
"""

import os
import random
import time
from collections.abc import Callable

from config.authorities import Register
from config.home import Home
from config.times import system_clock
from exchange.key_book import KeyBook
from exchange.landing import Address, Landing
from exchange.ledger_keys import RecordedKeys
from exchange.partner_trust import agreements_with, confirmed_cards_of
from exchange.parts import Effects, Parts
from exchange.pickup import PickupFolder
from exchange.spool import Spool
from exchange.token_access import token_of
from exchange.topology import Topology, landing_address, pickup_address
from keys.at_rest import WORK_FACTOR
from keys.card import Card
from keys.keyring import Keyring, Secret
from keys.own_keys import OwnKeys
from keys.private_keys import ledger_origin
from ledger.store import Ledger


def assemble(
    home: Home,
    passphrase: Callable[[], Secret],
    effects: Effects | None = None,
    *,
    replacing: str | None = None,
    work_factor: int = WORK_FACTOR,
    pin: Callable[[], Secret] | None = None,
) -> Parts:
    """Open everything that belongs to `home`; raises a HandoverError that says what is wrong with it.

    Whose card is about to be replaced (`replacing`) is not asked about the present one. `work_factor` is for keys that
    will be made, `pin` for a token that holds some (else it is looked for where nobody has to be asked).
    """
    home.check_permissions()
    keyring = Keyring.open(
        home.keys,
        passphrase,
        work_factor=work_factor,
        clock=effects.clock if effects is not None else system_clock,
        token=token_of(home, pin),
    )
    clock, random_bytes = (system_clock, os.urandom) if effects is None else (effects.clock, effects.random)
    me = home.settings.organisation.id
    keys = RecordedKeys(keyring, ledger_origin(me))
    ledger = Ledger.open_with(home.ledger, keys, clock=clock, random=random_bytes)
    try:
        cards = confirmed_cards_of(home, ledger, replacing=replacing)
        agreements = agreements_with(home, cards)
        book = KeyBook(ledger)
    except BaseException:
        ledger.close()
        raise
    return Parts(
        home=home,
        ledger=ledger,
        keyring=keyring,
        cards=cards,
        agreements=agreements,
        register=Register.shipped(),
        spool=Spool(home.spool),
        effects=effects or system_effects(home, keyring, book),
        book=book,
    )


def login_keys(keyring: Keyring, own: OwnKeys, partner: str) -> list[bytes]:
    """The private keys to offer to a partner's server, in turn.

    The newest that the partner has accepted, then older ones still in use, and a revoked one until the partner has been
    told. Last what it has not accepted as far as we know: its card may say it by now, and what would tell us so, or
    tell the partner of the key, may wait behind this very login.
    """
    known = own.fingerprints("transport", partner) | own.leaving("transport")
    return keyring.transport_keys(known | own.fingerprints("transport"), known)


def system_effects(home: Home, keyring: Keyring, book: KeyBook) -> Effects:
    """The real clock, randomness and network."""

    def log_in(address: Address, partner: str) -> Landing:
        from exchange.sftp import client  # paramiko takes long to import, and most commands only read

        keys = login_keys(keyring, book.own(), partner)
        timeout = home.settings.retry.timeout.total_seconds()
        hybrid = "key-exchange" in home.settings.partner(partner).require_pq
        return client.connect(address, *keys, timeout=timeout, keepalive=timeout, hybrid=hybrid)

    def connect(card: Card) -> Landing:
        if Topology.of(home, card).places:
            return PickupFolder(home.collect / card.organisation, card.organisation)
        return log_in(landing_address(home, card), card.organisation)

    return Effects(
        clock=system_clock,
        monotonic=time.monotonic,
        random=os.urandom,
        jitter=lambda: random.SystemRandom().uniform(0.5, 1.0),
        connect=connect,
        collect=lambda card: log_in(pickup_address(home, card), card.organisation),
    )
