"""`handover seal` and `open`: one envelope by hand, for an emergency or an audit."""

from pathlib import Path

import click

from exchange.cli import show
from exchange.cli.context import HomeContext, a_file, json_option, with_home


@click.command(
    "seal",
    epilog="Example: handover seal '24 015 493 decision.pdf' --to ofsted --authority Birmingham -o envelope.age",
)
@click.argument("file", metavar="FILE", type=a_file)
@click.option("--to", "partner", required=True, metavar="P", help="The partner's id.")
@click.option("-o", "--output", required=True, metavar="ENVELOPE", help="Where to write the envelope.")
@click.option("--category", metavar="C", help="What kind of concern, where more than one goes to P.")
@click.option("--authority", metavar="NAME|CODE", help="The council it is about (default: England as a whole).")
@click.option("--reference", metavar="R", help="The complaint reference, if the file's name does not hold it.")
@json_option
@with_home
def seal_(
    context: HomeContext,
    file: str,
    partner: str,
    output: str,
    category: str | None,
    authority: str | None,
    reference: str | None,
    as_json: bool,
) -> None:
    """Make one envelope by hand; the ledger records it like any other handover."""
    from exchange.by_hand import seal_by_hand

    sealed = seal_by_hand(context.parts, Path(file), Path(output), partner, category, authority, reference)
    if as_json:
        show.as_json(sealed)
    else:
        show.pairs(sealed)


@click.command("open", epilog="Example: handover open 019aae33-3800-7000-8000-000000000000.age -o opened/")
@click.argument("envelope", metavar="ENVELOPE", type=a_file)
@click.option("-o", "--output", metavar="DIR", help="Write the content into DIR; without it, only verify.")
@json_option
@with_home
def open_(context: HomeContext, envelope: str, output: str | None, as_json: bool) -> None:
    """Verify and open one envelope by hand. Nothing is delivered or acknowledged."""
    from exchange.by_hand import open_by_hand

    opened = open_by_hand(
        context.home, context.keyring, context.trust, context.ledger, Path(envelope), Path(output) if output else None
    )
    if as_json:
        show.as_json(opened)
    else:
        show.pairs(opened)
