"""Whom a home trusts: the partners' cards, each with the keys announced since, and the agreement with each.

Light to import: the commands that only read need this, and not the parts of a running organisation.
"""

from functools import partial

from config import agreement as agreement_files
from config.agreement import Agreement
from config.errors import Misuse
from config.home import Home
from exchange import card_folder, key_book
from keys.trust import Trust
from ledger.query import confirmed_cards
from ledger.store import Ledger


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
