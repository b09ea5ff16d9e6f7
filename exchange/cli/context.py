"""What the commands share: the options every command has, and opening a home with no more than is needed."""

import functools
import os
import sys
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from config.home import Home
    from exchange.parts import Parts
    from keys.keyring import Keyring, Secret
    from keys.trust import Trust
    from ledger.store import Ledger


class HomeContext:
    """One command's view of its home; opens each thing when it is first asked for."""

    def __init__(self, home: str | None, passphrase_file: str | None, passphrase_fd: int | None) -> None:
        self._explicit = home
        self._passphrase_file = passphrase_file
        self._passphrase_fd = passphrase_fd

    @cached_property
    def home(self) -> "Home":
        """The home that the command works on; raises Misuse when there is none."""
        from config.home import Home

        return Home.find(Path(self._explicit) if self._explicit else None, os.environ.get("HANDOVER_HOME"), Path.cwd())

    @property
    def agreement_files(self) -> tuple[Path, ...]:
        """Agreement files beside the shipped ones; none where there is no home."""
        from config.errors import Misuse

        try:
            return self.home.agreement_files()
        except Misuse:
            if self._explicit:
                raise
            return ()

    @property
    def person(self) -> str:
        """The account that gives the command: committed to in the ledger, never spelled out there."""
        import pwd

        try:
            return pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            return f"uid {os.getuid()}"

    def passphrase(self) -> "Secret":
        """From the file or descriptor given, else as handover.toml says, else systemd's, else asked for."""
        from exchange.passphrase import find_passphrase

        return find_passphrase(
            file=Path(self._passphrase_file) if self._passphrase_file else None,
            descriptor=self._passphrase_fd,
            home=self.home,
            credentials=os.environ.get("CREDENTIALS_DIRECTORY"),
            prompt=(lambda: ask("passphrase", hidden=True)) if sys.stdin.isatty() else None,
        )

    def pin(self) -> "Secret":
        """The token's, as handover.toml says, else systemd's, else asked for."""
        from exchange.token_access import find_pin

        prompt = (lambda: ask("PIN of the token", hidden=True)) if sys.stdin.isatty() else None
        return find_pin(self.home, os.environ.get("CREDENTIALS_DIRECTORY"), prompt)

    @cached_property
    def keyring(self) -> "Keyring":
        """Our keys; the passphrase is asked for only if a private one is used."""
        from exchange.token_access import token_of
        from keys.keyring import Keyring

        return Keyring.open(self.home.keys, self.passphrase, token=token_of(self.home, self.pin))

    @cached_property
    def trust(self) -> "Trust":
        """The partners' cards."""
        from exchange.partner_trust import trusted

        return trusted(self.home, self.ledger)

    @cached_property
    def ledger(self) -> "Ledger":
        """The ledger, for reading only: needs no passphrase."""
        from config.times import system_clock
        from exchange.ledger_keys import ledger_verifiers
        from ledger.store import Ledger

        return Ledger.open(
            self.home.ledger,
            verifiers=ledger_verifiers(self.keyring),
            clock=system_clock,
            random=os.urandom,
        )

    @cached_property
    def parts(self) -> "Parts":
        """Everything, with our private keys unlocked."""
        from exchange.assembly import assemble

        return assemble(self.home, self.passphrase, pin=self.pin)

    def parts_replacing(self, partner: str) -> "Parts":
        """The same for a command that replaces the card of `partner`, which may be broken."""
        from exchange.assembly import assemble

        return assemble(self.home, self.passphrase, replacing=partner, pin=self.pin)


def ask(question: str, *, hidden: bool = False, twice: bool = False, instead: str = "") -> str:
    """Ask the person at the terminal; raises NotNow, naming what to give `instead`, when there is nobody to ask."""
    if not sys.stdin.isatty():
        from config.errors import NotNow

        raise NotNow(f"there is nobody to ask for the {question}", hint=f"give {instead}" if instead else "")
    return str(click.prompt(question, hide_input=hidden, confirmation_prompt=twice, err=True))


def with_home(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --home and the passphrase options, and a HomeContext as its first argument."""

    @functools.wraps(function)
    def command(*, home: str | None, passphrase_file: str | None, passphrase_fd: int | None, **rest: object) -> object:
        outer = (click.get_current_context().find_root().obj or {}).get("home")
        return function(HomeContext(home or outer, passphrase_file, passphrase_fd), **rest)

    options: tuple[Callable[[Callable[..., Any]], Callable[..., Any]], ...] = (
        click.option("--passphrase-fd", metavar="N", type=int, help="Read the passphrase from this open descriptor."),
        click.option("--passphrase-file", metavar="FILE", help="Read the passphrase from this file."),
        click.option("--home", metavar="DIR", help="The home (else HANDOVER_HOME, or found upward from here)."),
    )
    decorated: Callable[..., Any] = command
    for option in options:
        decorated = option(decorated)
    return decorated


Check = Callable[[click.Context, click.Parameter, str | None], str | None]


def _one_of(names: Callable[[], Iterable[str]]) -> Check:
    """Refuses a value that is no known name; the names are looked up only when a value is given."""

    def check(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
        if value is not None and value not in (known := sorted(names())):
            raise click.BadParameter(f"{value!r} is not one of {', '.join(known)}", ctx, parameter)
        return value

    return check


def _states() -> set[str]:
    from ledger.handover import TRANSITIONS

    return {*TRANSITIONS.values(), "overdue"}


def _events() -> Iterable[str]:
    from ledger.handover import EVENTS

    return EVENTS


def _statuses() -> Iterable[str]:
    from exchange.custody import STATUSES

    return STATUSES


a_state, an_event, a_status = _one_of(_states), _one_of(_events), _one_of(_statuses)
"""Callbacks of options that take the name of a state, of an event, or of what becomes of a copy."""

a_file = click.Path(exists=True, dir_okay=False)
"""The type of an argument that names a file to read."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
