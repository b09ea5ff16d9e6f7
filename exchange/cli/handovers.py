"""`handover submit`, `list` and `show`."""

from pathlib import Path

import click

from exchange.cli import show
from exchange.cli.context import HomeContext, a_state, json_option, with_home


@click.command(
    "submit",
    epilog="Example: handover submit decision.pdf --to ofsted --category upheld-decision --authority Birmingham"
    " --reference '24 015 493'",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--to", "partner", required=True, metavar="P", help="The partner's id.")
@click.option("--category", required=True, metavar="C", help="What kind of concern (see 'handover agreement show').")
@click.option("--authority", required=True, metavar="NAME|CODE", help="The council it is about.")
@click.option("--reference", metavar="R", help="The complaint reference, if the file's name does not hold it.")
@json_option
@with_home
def submit_(
    context: HomeContext,
    files: tuple[str, ...],
    partner: str,
    category: str,
    authority: str,
    reference: str | None,
    as_json: bool,
) -> None:
    """Hand files to the service: the same as dropping them, with what the folders cannot say."""
    from exchange.submit import submit

    submitted = submit(context.home, context.trust, [Path(f) for f in files], partner, category, authority, reference)
    if as_json:
        show.as_json([{"file": str(path)} for path in submitted])
    else:
        for path in submitted:
            click.echo(f"submitted {path}")


@click.command("list", epilog="Example: handover list --state held")
@click.option("--state", metavar="S", callback=a_state, help="Only handovers in this state.")
@click.option("--partner", metavar="P", help="Only handovers with this partner.")
@click.option("--all", "everything", is_flag=True, help="Also those that are finished.")
@json_option
@with_home
def list_(context: HomeContext, state: str | None, partner: str | None, everything: bool, as_json: bool) -> None:
    """What is in flight or held."""
    from exchange.questions import in_flight

    rows = in_flight(context.home, context.ledger, context.trust, state=state, partner=partner, everything=everything)
    if as_json:
        show.as_json([row.to_json() for row in rows])
        return
    show.table(
        ("id", "direction", "partner", "state", "overdue", "authority", "name"),
        [(r.id, r.direction, r.partner, r.shown_state, r.overdue, r.authority, r.name) for r in rows],
        empty=_nothing(filtered=bool(state or partner), everything=everything),
    )


def _nothing(*, filtered: bool, everything: bool) -> str:
    if filtered:
        return "no handover matches"
    return "no handover yet" if everything else "nothing is in flight or held"


@click.command("show", epilog="Example: handover show 019aae33")
@click.argument("identifier", metavar="ID")
@json_option
@with_home
def show_(context: HomeContext, identifier: str, as_json: bool) -> None:
    """One handover: what it is, where it is, and its whole life."""
    from exchange.cli.ledger import show_life

    show_life(context, identifier, as_json)
