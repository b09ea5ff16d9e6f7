"""`handover demo`, `run` and `status`."""

import os
import sys
from pathlib import Path

import click

from exchange.cli import show
from exchange.cli.context import HomeContext, json_option, with_home


@click.command("demo", epilog="Example: handover demo --keep /tmp/handover-demo")
@click.option("--keep", metavar="DIR", help="Keep both homes in DIR and go on running, to drop files by hand.")
@click.option("--once", is_flag=True, help="With --keep: keep both homes, but end.")
def demo_(keep: str | None, once: bool) -> None:
    """Two organisations on this machine: real files each way over SFTP, receipts, both ledgers verified."""
    from exchange.demo import run_demo

    run_demo(Path(keep) if keep else None, once=once)


@click.command("run", epilog="Example: handover run --home /srv/handover")
@click.option("--once", is_flag=True, help="Empty all folders, then end.")
@with_home
def run_(context: HomeContext, once: bool) -> None:
    """Run the service: watch the folders, send, receive, record."""
    from exchange.service.run import serve

    serve(context.home, lambda: context.parts, sys.stdout, os.environ, once)


@click.command("status", epilog="Example: handover status --check && echo all is well")
@click.option("--check", is_flag=True, help="Exit with 1 when something needs a person.")
@json_option
@with_home
def status_(context: HomeContext, check: bool, as_json: bool) -> None:
    """Queues, the oldest file, overdue receipts, partners, keys and the ledger at a glance."""
    from exchange.status import answer

    state, failure = answer(context.home, context.keyring, lambda: context.ledger, lambda: context.trust)
    if as_json:
        show.as_json(state.to_json())
    else:
        show.pairs(state.to_lines())
    if failure is not None:
        raise failure
    if check and state.problems:
        sys.exit(1)
