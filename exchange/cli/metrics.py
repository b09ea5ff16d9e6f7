"""`handover metrics`."""

import sys
from pathlib import Path

import click

from config.errors import Misuse
from exchange.cli.context import HomeContext, with_home


@click.command("metrics", epilog="Example: handover metrics -o /var/lib/prometheus/node-exporter/handover.prom")
@click.option("-o", "--output", metavar="FILE", help="Exchange FILE in one step, for the textfile collector.")
@with_home
def metrics_(context: HomeContext, output: str | None) -> None:
    """Counts, ages and expiry dates in the text format of Prometheus. Needs no passphrase."""
    from exchange.files import write_new
    from exchange.metrics import page

    text, failure = page(context.home, context.keyring, lambda: context.ledger, lambda: context.trust)
    if output is None:
        sys.stdout.write(text.decode())
    else:
        path = Path(output)
        if not path.parent.is_dir():
            raise Misuse(f"{output} cannot be written: there is no such folder")
        write_new(path, text, 0o644)
    if failure is not None:
        raise failure
