"""Homes for simulated organisations: made once for a process, always on the same day, and copied for every run."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from unittest import mock

from config.agreement import library
from config.authorities import Register
from config.home import Home
from config.sample import Value
from exchange.assembly import assemble
from exchange.landing import Landing
from exchange.partners import add_partner, make_card
from exchange.parts import Effects
from exchange.setup import initialise
from keys.age.hybrid import HybridRecipient
from keys.card import Card
from keys.keyring import Keyring
from ledger import entry
from tests.organisations import NAMES, PASSPHRASE

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
"""The simulated Monday on which every run begins."""

MADE = START - timedelta(days=40)
"""When the homes and their keys were made."""

PARTNER = {"lgsco": "ofsted", "ofsted": "lgsco"}


class Homes:
    """The template of one process."""

    def __init__(self, base: Path) -> None:
        self._base = base
        for organisation, name in NAMES.items():
            values: dict[str, Value] = {
                "landing.host": f"sftp.{organisation}.example",
                "landing.host_keys": [_HOST_KEY],
            }
            initialise(
                base / organisation, organisation, name, PASSPHRASE, values=values, work_factor=1, clock=lambda: MADE
            )
        for organisation in NAMES:
            _introduce(base, organisation)

    def copy(self, folder: Path) -> None:
        """Two introduced homes in `folder`."""
        shutil.copytree(self._base, folder, symlinks=True, dirs_exist_ok=True)


_HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti"


def _introduce(base: Path, organisation: str) -> None:
    """Its partner gets the card of an organisation, and trusts it."""
    card = base / f"{organisation}.toml"
    home, partner = Home.open(base / organisation), Home.open(base / PARTNER[organisation])
    made = make_card(home, Keyring.open(home.keys, lambda: PASSPHRASE, clock=lambda: MADE), card)
    with (parts := assemble(partner, lambda: PASSPHRASE, beside(lambda: MADE))).ledger:
        add_partner(parts, card, made.fingerprint)


def beside(clock: Callable[[], datetime]) -> Effects:
    """The effects of a command that a person runs beside the service; it draws no randomness that matters."""

    def connect(_: Card) -> Landing:
        raise AssertionError("a command connects to nobody")

    return Effects(
        clock=clock, monotonic=lambda: 0.0, random=lambda size: bytes(size), jitter=lambda: 1.0, connect=connect
    )


@contextmanager
def remembered() -> Iterator[None]:
    """What depends on nothing but its arguments, and takes long at every start, is worked out once."""
    register = Register.shipped()
    with (
        mock.patch.object(Register, "shipped", return_value=register),
        mock.patch.object(HybridRecipient, "parse", cache(HybridRecipient.parse)),
        mock.patch.object(library, "shipped", cache(library.shipped)),
        mock.patch("ledger.view.parse", lru_cache(4096)(entry.parse)),
    ):
        yield
