"""Homes for simulated organisations: made once for a process, always on the same day, and copied for every run."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from unittest import mock

from config.agreement import file as agreement_file
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
from tests.organisations import PASSPHRASE
from tests.simulation.setting import HUB, NAMES, SETTINGS, THIRD, Setting

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
"""The simulated Monday on which every run begins."""

MADE = START - timedelta(days=40)
"""When the homes and their keys were made."""


class Homes:
    """The templates of one process, one for each setting."""

    def __init__(self, base: Path) -> None:
        self._base = base

    def make_all(self) -> None:
        """Before several processes use them."""
        for setting in SETTINGS:
            if not (self._base / setting.name).exists():
                _make(self._base / setting.name, setting)

    def copy(self, setting: Setting, folder: Path) -> None:
        """Introduced homes in `folder`."""
        template = self._base / setting.name
        if not template.exists():
            _make(template, setting)
        for organisation in setting.organisations:
            shutil.copytree(template / organisation, folder / organisation, symlinks=True)


def _make(base: Path, setting: Setting) -> None:
    base.mkdir(parents=True)
    values: dict[str, Value] = {}
    if THIRD in setting.organisations:
        agreement = base / f"{THIRD}-{HUB}.toml"
        agreement.write_text(_SHIPPED.read_text("utf-8").replace("ofsted", THIRD), "utf-8")
        values["agreements.files"] = [str(agreement)]
    for organisation in setting.organisations:
        server: dict[str, Value] = {
            "landing.host": f"sftp.{organisation}.example",
            "landing.host_keys": [_HOST_KEY],
        }
        initialise(
            base / organisation,
            organisation,
            NAMES[organisation],
            PASSPHRASE,
            values=values | ({} if organisation in setting.without_server else server),
            work_factor=1,
            clock=lambda: MADE,
        )
    for organisation, partner in setting.ways:
        _introduce(base, organisation, partner)


_SHIPPED = Path(__file__).parents[2] / "config" / "data" / "ofsted-lgsco.toml"
_HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti"


def _introduce(base: Path, organisation: str, partner: str) -> None:
    """Its partner gets the card of an organisation, and trusts it."""
    card = base / f"card-of-{organisation}-for-{partner}.toml"
    home, knows = Home.open(base / organisation), Home.open(base / partner)
    made = make_card(home, Keyring.open(home.keys, lambda: PASSPHRASE, clock=lambda: MADE), card)
    with (parts := assemble(knows, lambda: PASSPHRASE, beside(lambda: MADE))).ledger:
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
        mock.patch("config.agreement.library.parse", cache(agreement_file.parse)),
    ):
        yield
