"""`assemble`: builds every part of a running organisation, in the order in which they depend on each other.

Reads like the program's table of contents. Tests call the same function with effects of their own.
"""

import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from config import agreement as agreement_files
from config.agreement import Agreement
from config.authorities import Register
from config.errors import Misuse, Tampered
from config.home import Home
from config.times import system_clock
from exchange import card_folder, key_book
from exchange.key_book import KeyBook
from exchange.landing import Address, Landing
from exchange.parts import Effects, Parts
from exchange.pickup import PickupFolder
from exchange.spool import Spool
from exchange.token_access import token_of
from exchange.topology import Topology, landing_address, pickup_address
from keys import key_info
from keys.at_rest import WORK_FACTOR
from keys.card import Card
from keys.keyring import Keyring, Secret
from keys.private_keys import ledger_origin
from keys.trust import Trust
from ledger import key_events, note
from ledger.query import confirmed_cards
from ledger.store import Ledger
from ledger.view import View


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


@dataclass(frozen=True, slots=True)
class RecordedKeys:
    """Our ledger keys: those sign that the ledger has recorded as in use, whatever else lies in the key folder."""

    keyring: Keyring
    origin: str

    def verifiers(self) -> Sequence[note.Verifier]:
        """See LedgerKeys."""
        self.keyring.reload()
        return ledger_verifiers(self.keyring)

    def signers(self, view: View) -> Sequence[note.Signer]:
        """See LedgerKeys."""
        recorded = key_events.ledger_keys(view)
        if not recorded:
            raise Tampered(
                "the ledger records no ledger key of its own", hint="restore the newest backup of the ledger"
            )
        return [self.keyring.note_signer_of(key_info.fingerprint_of("ledger", key), self.origin) for key in recorded]


def trusted(home: Home, ledger: Ledger | None) -> Trust:
    """The partners whose cards lie in the home, with the keys that they announced since; raises Refused or NotNow.

    Without the ledger, where that itself is in question, only what the cards say.
    """
    cards = confirmed_cards_of(home, ledger)
    return cards if ledger is None else key_book.carried_forward(cards, ledger)


def confirmed_cards_of(home: Home, ledger: Ledger | None, *, replacing: str | None = None) -> Trust:
    """The partners whose cards lie in the home, each checked against its signature; raises Refused or NotNow.

    With the ledger, also against what was confirmed. A card that is about to be replaced is left out: it may be the one
    that is broken.
    """
    confirmed = None if ledger is None else partial(confirmed_cards, ledger)
    return card_folder.read_all(home.cards, confirmed, but=() if replacing is None else (replacing,))


def ledger_verifiers(keyring: Keyring) -> tuple[note.Verifier, ...]:
    """The public halves of all our ledger keys, old ones included: needs no passphrase."""
    return tuple(note.parse_vkey(info.public) for info in keyring.infos() if info.purpose == "ledger")


def agreements_with(home: Home, trust: Trust) -> dict[str, Agreement]:
    """The agreement with each partner: the one its settings name, else the only one that both are party to."""
    me = home.settings.organisation.id
    known = agreement_files.load_all(home.agreement_files())
    found: dict[str, Agreement] = {}
    for partner in trust.partners:
        named = home.settings.partner(partner).agreement
        both = [a for a in known if {me, partner} <= set(a.parties) and named in (None, a.id)]
        if len(both) == 1:
            found[partner] = both[0]
        elif named is not None or both:
            raise Misuse(
                f"no single agreement can be chosen for partner {partner}",
                hint=f"set partners.{partner}.agreement in handover.toml to one of"
                f" {', '.join(sorted(a.id for a in both or known))}",
            )
    return found


def system_effects(home: Home, keyring: Keyring, book: KeyBook) -> Effects:
    """The real clock, randomness and network."""

    def log_in(address: Address, partner: str) -> Landing:
        from exchange.sftp import client  # paramiko takes long to import, and most commands only read

        # the newest key that the partner has accepted, then the older ones still in use
        own = book.own()
        # and a revoked one last, until the partner has been told
        keys = keyring.transport_keys(own.fingerprints("transport", partner) | own.leaving("transport"))
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
