"""`handover init`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from exchange.cli.context import ask

if TYPE_CHECKING:
    from keys.private_keys import Encryption


@click.command("init", epilog="Example: handover init /srv/handover --org lgsco --name 'Local Government Ombudsman'")
@click.argument("directory", metavar="DIR")
@click.option("--org", required=True, metavar="ID", help="Short id of the organisation: lower case, for example lgsco.")
@click.option("--name", required=True, metavar="NAME", help="Its full name.")
@click.option("--passphrase-file", metavar="FILE", help="Read the passphrase from this file instead of asking.")
@click.option(
    "--encryption",
    type=click.Choice(["pq", "x25519"]),
    default="pq",
    show_default=True,
    help="Kind of encryption key; x25519 only for partners with tools older than age 1.3.",
)
def init_(directory: str, org: str, name: str, passphrase_file: str | None, encryption: "Encryption") -> None:
    """Make a home: configuration, keys, ledger and folders."""
    from exchange.secret_source import read_file
    from exchange.setup import initialise
    from keys.keyring import Secret

    if passphrase_file is not None:
        secret = read_file(Path(passphrase_file), "passphrase")
    else:
        secret = Secret(ask("new passphrase", hidden=True, twice=True, instead="--passphrase-file"))
    made = initialise(Path(directory), org, name, secret, encryption)
    click.echo(f"made {made.root}")
    click.echo(f"next: set [landing] in {made.config_file}, then 'handover partner card -o {org}.toml'", err=True)
