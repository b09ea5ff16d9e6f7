"""`handover approval …`."""

import sys
from pathlib import Path

import click

from exchange.cli import show
from exchange.cli.context import HomeContext, json_option, with_home

an_order = click.IntRange(min=0)
"""An order is known by the number of the entry that asked for it."""


@click.group("approval")
def approval_() -> None:
    """Orders that two administrators have to sign."""


@approval_.command("list", epilog="Example: handover approval list --json")
@json_option
@with_home
def list_(context: HomeContext, as_json: bool) -> None:
    """Every order: what it is about, until when it waits, and who has signed it. Needs no passphrase."""
    from exchange.approval_list import rows

    found = rows(context.home.settings, context.ledger)
    if as_json:
        show.as_json(found)
        return
    columns = ("order", "what", "about", "expires", "state", "signed_by")
    show.table(columns, [show.cells(row, columns) for row in found], empty="no order yet")


@approval_.command("show", epilog="Example: handover approval show 45 > order")
@click.argument("order", metavar="N", type=an_order)
@with_home
def show_(context: HomeContext, order: int) -> None:
    """The bytes of an order, for 'ssh-keygen -Y sign -n approve@handover -f KEY order'. Needs no passphrase."""
    from exchange.approval_desk import to_sign

    sys.stdout.buffer.write(to_sign(context.ledger, order))


@approval_.command("sign", epilog="Example: handover approval sign 45 order.sig")
@click.argument("order", metavar="N", type=an_order)
@click.argument("signature", metavar="FILE")
@json_option
@with_home
def sign_(context: HomeContext, order: int, signature: str, as_json: bool) -> None:
    """Record an administrator's signature over an order; with the second one it is carried out."""
    from exchange.approval_desk import sign

    show.told(sign(context.parts, order, Path(signature), context.person), as_json)


@approval_.command("reject", epilog="Example: handover approval reject 45")
@click.argument("order", metavar="N", type=an_order)
@json_option
@with_home
def reject_(context: HomeContext, order: int, as_json: bool) -> None:
    """Give up an order that waits."""
    from exchange.approval_desk import reject

    show.told(reject(context.parts, order, context.person), as_json)


@approval_.command("policy", epilog="Example: handover approval policy --propose")
@click.option("--propose", is_flag=True, help="Ask for what handover.toml says under [approval] to come into force.")
@json_option
@with_home
def policy_(context: HomeContext, propose: bool, as_json: bool) -> None:
    """Which orders need two signatures, and whose: the policy in force."""
    from exchange.approval_desk import propose_policy
    from exchange.approval_list import policy

    if propose:
        show.told(propose_policy(context.parts, context.person), as_json)
    else:
        show.told(policy(context.home.settings, context.ledger), as_json)
