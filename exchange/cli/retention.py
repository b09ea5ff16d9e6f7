"""`handover destroy`, `retention`, `hold`, `holds` and `unhold`: what is kept, until when, and what must not go."""

import click

from exchange.cli import show
from exchange.cli.context import HomeContext, a_status, json_option, with_home

a_reason = click.option(
    "--reason", required=True, metavar="TEXT", help="Why; recorded, and never in clear in an entry."
)


@click.command("destroy", epilog="Example: handover destroy 019aae33 --reason 'sent in error, DPO agreed'")
@click.argument("identifier", metavar="ID")
@a_reason
@click.option("--elsewhere", is_flag=True, help="A person has destroyed it already: only record that.")
@json_option
@with_home
def destroy_(context: HomeContext, identifier: str, reason: str, elsewhere: bool, as_json: bool) -> None:
    """Destroy our copy of a file that was handed over before its time is over, with a certificate."""
    from exchange.retention import order

    show.ordered(order(context.parts, identifier, context.person, reason, elsewhere=elsewhere), as_json)


@click.command("retention", epilog="Example: handover retention --status due")
@click.option("--status", metavar="S", callback=a_status, help="Only copies of which this is true.")
@json_option
@with_home
def retention_(context: HomeContext, status: str | None, as_json: bool) -> None:
    """What is kept until when, what is on hold or could not be destroyed, and what was destroyed."""
    from exchange.custody import listing

    lines = listing(context.home, context.ledger, context.trust, status)
    if as_json:
        show.as_json([line.to_json() for line in lines])
        return
    show.table(
        ("id", "direction", "partner", "status", "until", "why", "name"),
        [(n.id, n.direction, n.partner, n.status, (n.until or "")[:10] or None, n.why, n.name) for n in lines],
        empty="nothing is kept" if status is None else f"nothing is {status}",
    )


@click.command("hold", epilog="Example: handover hold --reference '24 015 493' --reason 'judicial review'")
@click.argument("identifier", metavar="[ID]", required=False)
@click.option("--authority", metavar="A", help="Everything about this council and its predecessors.")
@click.option("--reference", metavar="R", help="Everything about this complaint.")
@click.option("--partner", metavar="P", help="Everything that was exchanged with this partner.")
@click.option("--review", metavar="DATE", help="The day on which somebody is to look at it again.")
@a_reason
@json_option
@with_home
def hold_(context: HomeContext, reason: str, review: str | None, as_json: bool, **scope: str | None) -> None:
    """Place a legal hold: nothing that it covers, now or later, is destroyed until it is lifted."""
    from exchange.legal_holds import Scope, place

    placed = place(context.parts, Scope(**scope), context.person, reason, review)
    if as_json:
        show.as_json(placed)
        return
    now = f"{placed['handovers']} {'handover' if placed['handovers'] == 1 else 'handovers'}"
    click.echo(f"hold {placed['hold']} covers {now}" + (" now, and those to come" if not scope["identifier"] else ""))
    if placed["destroyed_before"]:
        click.echo(f"destroyed before, so it came too late for them: {placed['destroyed_before']}", err=True)


@click.command("holds", epilog="Example: handover holds")
@json_option
@with_home
def holds_(context: HomeContext, as_json: bool) -> None:
    """The legal holds that last."""
    from exchange.legal_holds import in_words, listing

    rows = listing(context.ledger)
    if as_json:
        show.as_json(rows)
        return
    show.table(
        ("hold", "since", "covers", "handovers", "review", "by", "reason"),
        [(r["hold"], str(r["at"])[:10], in_words(r), r["handovers"], r["review"], r["by"], r["reason"]) for r in rows],
        empty="nothing is on hold",
    )


@click.command("unhold", epilog="Example: handover unhold 1204 --reason 'the review has ended'")
@click.argument("number", metavar="NUMBER", type=int)
@a_reason
@json_option
@with_home
def unhold_(context: HomeContext, number: int, reason: str, as_json: bool) -> None:
    """Lift one legal hold, by its number; others on the same handovers stay."""
    from exchange.legal_holds import lift

    lifted = lift(context.parts, number, context.person, reason)
    if as_json:
        show.as_json(lifted)
    else:
        click.echo(f"hold {number} is lifted (entry {lifted['seq']})")
