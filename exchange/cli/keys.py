"""`handover keys …`."""

import click

from exchange.cli import show
from exchange.cli.context import HomeContext, json_option, with_home


@click.group("keys")
def keys_() -> None:
    """This organisation's keys."""


@keys_.command("list", epilog="Example: handover keys list --json")
@json_option
@with_home
def list_(context: HomeContext, as_json: bool) -> None:
    """Purpose, fingerprint, state and validity of every key. Needs no passphrase."""
    from exchange.status import key_rows

    rows = key_rows(context.keyring, context.ledger)
    if as_json:
        show.as_json(rows)
        return
    columns = ("purpose", "algorithm", "state", "fingerprint", "valid_from", "valid_until", "handovers")
    show.table(columns, [[row[c] for c in columns] for row in rows], empty="no key yet")
