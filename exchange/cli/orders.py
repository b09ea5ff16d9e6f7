"""`handover retry`, `release` and `withdraw`: what a person orders for one handover."""

import click

from exchange.cli import show
from exchange.cli.context import HomeContext, json_option, with_home


@click.command("retry", epilog="Example: handover retry 019aae33")
@click.argument("identifier", metavar="ID")
@json_option
@with_home
def retry_(context: HomeContext, identifier: str, as_json: bool) -> None:
    """Send a file once more now, or answer a received one once more."""
    _order(context, identifier, "retry", as_json)


@click.command("release", epilog="Example: handover release 019aae33")
@click.argument("identifier", metavar="ID")
@json_option
@with_home
def release_(context: HomeContext, identifier: str, as_json: bool) -> None:
    """Let a held file, or a quarantined envelope, be judged again after its cause was mended."""
    _order(context, identifier, "release", as_json)


@click.command("withdraw", epilog="Example: handover withdraw 019aae33")
@click.argument("identifier", metavar="ID")
@json_option
@with_home
def withdraw_(context: HomeContext, identifier: str, as_json: bool) -> None:
    """Take back a file that has not been sent yet (it is put aside in held/); throw a quarantined envelope away."""
    _order(context, identifier, "withdraw", as_json)


def _order(context: HomeContext, identifier: str, what: str, as_json: bool) -> None:
    from exchange.orders import order_by_id

    show.ordered(order_by_id(context.parts.ledger, identifier, what, context.person), as_json)
