"""How messages travel between us and one partner: who has an SFTP server, and where on it each direction goes.

    both have one        we upload, it uploads
    only the partner     we upload, we collect      what it has for us waits in a pick-up folder on its server
    only we              it collects, it uploads    the same, on ours

Whose card names a landing zone has a server; `[partners.X]` and `[partners.X.collect]` can say otherwise. Receipts go
the way of every message.
"""

from dataclasses import dataclass
from typing import Self

from config.errors import Misuse, NotNow
from config.home import Home
from config.settings import Settings
from exchange.landing import Address
from keys.card import Card, Landing


@dataclass(frozen=True, slots=True)
class Topology:
    """The ways that are open; a direction without any is a problem."""

    uploads: bool
    """What we send goes into the partner's landing zone."""
    places: bool
    """What we send waits on our own server until the partner collects it."""
    lands: bool
    """What the partner sends lands on our own server."""
    collects: bool
    """What the partner sends waits on its server until we collect it."""

    @classmethod
    def of(cls, home: Home, card: Card) -> Self:
        """Between us and the organisation whose card this is."""
        settings = home.settings.partner(card.organisation)
        ours, theirs = home.settings.landing.host is not None, card.landing is not None
        elsewhere = settings.collect.host is not None
        places = settings.collects or (ours and not theirs)
        wanted = settings.collect.enabled if settings.collect.enabled is not None else not ours
        return cls(uploads=theirs and not places, places=places, lands=ours, collects=wanted and (theirs or elsewhere))

    @property
    def problem(self) -> str | None:
        """Why nothing can be exchanged, or only in one direction; `{partner}` stands for who it is."""
        if not (self.uploads or self.places):
            return "neither we nor {partner} offer a landing zone, so nothing can be sent"
        if not (self.lands or self.collects):
            return "nothing that {partner} sends can reach us: we offer no landing zone and do not collect"
        return None

    @property
    def said(self) -> str:
        """In a few words, for tables."""
        ways = {
            "we upload": self.uploads,
            "it collects": self.places,
            "it uploads": self.lands,
            "we collect": self.collects,
        }
        return ", ".join(way for way, is_open in ways.items() if is_open) or "no way"


def own_landing(settings: Settings) -> Landing | None:
    """Our landing zone as partners are told of it; None where we have none.

    Raises Misuse where handover.toml names a server, and not how partners are to know it.
    """
    said = settings.landing
    if said.host is None:
        return None
    if not said.host_keys:
        raise Misuse(
            "handover.toml sets landing.host, and no landing.host_keys: no partner could tell our server from another",
            hint="put the server's public key there, as in /etc/ssh/ssh_host_ed25519_key.pub",
        )
    return Landing(said.host, said.port, said.user, said.path, said.host_keys)


def landing_address(home: Home, card: Card) -> Address:
    """Where to upload for a partner: its card, overridden by what handover.toml says of it."""
    settings, landing = home.settings.partner(card.organisation), card.landing
    if landing is None:
        raise NotNow(
            f"the card of {card.organisation} names no landing zone",
            hint=f"ask {card.organisation} for a card with one, or set landing.host so that it can collect from us",
        )
    return Address(
        host=settings.host or landing.host,
        port=settings.port or landing.port,
        user=(settings.user or landing.user).replace("{partner}", _me(home)),
        path=(settings.path or landing.path).replace("{partner}", _me(home)),
        host_keys=landing.host_keys,
    )


def pickup_address(home: Home, card: Card) -> Address:
    """Where to collect from a partner: where we upload, overridden by what `[partners.X.collect]` says."""
    partner = home.settings.partner(card.organisation)
    settings, landing = partner.collect, card.landing
    host = settings.host or partner.host or (landing.host if landing else None)
    user = settings.user or partner.user or (landing.user if landing else None)
    host_keys = settings.host_keys or (landing.host_keys if landing else ())
    if host is None or user is None or not host_keys:
        raise NotNow(
            f"nothing says where to collect from {card.organisation}",
            hint=f"set host, user and host_keys under [partners.{card.organisation}.collect] in handover.toml",
        )
    return Address(
        host=host,
        port=settings.port or partner.port or (landing.port if landing else 22),
        user=user.replace("{partner}", _me(home)),
        path=settings.path.replace("{partner}", _me(home)),
        host_keys=host_keys,
    )


def _me(home: Home) -> str:
    return home.settings.organisation.id
