"""`handover ledger …`: the questions of compliance staff and auditors."""

import sys
from pathlib import Path

import click

from exchange.cli import show
from exchange.cli.context import HomeContext, a_file, a_state, an_event, json_option, with_home

FORMS = ("table", "csv", "json", "jsonl", "xlsx")


@click.group("ledger")
def ledger_() -> None:
    """What happened, and the proof of it."""


@ledger_.command("query", epilog="Example: handover ledger query --authority Birmingham --from 2026-01-01 --format csv")
@click.option("--authority", metavar="A", help="Council, by name or code; its predecessors are included.")
@click.option("--partner", metavar="P", help="Partner's id.")
@click.option("--category", metavar="C", help="Kind of concern.")
@click.option("--event", metavar="E", callback=an_event, help="Handovers in whose life this event happened.")
@click.option("--state", metavar="S", callback=a_state, help="State now.")
@click.option("--direction", type=click.Choice(["in", "out"]), help="Received or sent.")
@click.option("--from", "since", metavar="D", help="First day or time (UTC).")
@click.option("--to", "until", metavar="D", help="Last day or time (UTC).")
@click.option("--reference", metavar="R", help="Complaint reference.")
@click.option("--text", metavar="T", help="Part of the file's name, the reference or an id.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N handovers.")
@click.option("--format", "form", type=click.Choice(FORMS), help="Else by the ending of FILE; a table without one.")
@click.option("-o", "--output", metavar="FILE", help="Write to FILE instead of stdout.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@with_home
def query_(
    context: HomeContext, form: str | None, output: str | None, as_json: bool, **filters: str | int | None
) -> None:
    """Handovers that match, newest first."""
    from exchange.questions import ask

    rows = [row.to_json() for row in ask(context.home, context.ledger, context.trust, **filters)]
    show.rows(rows, "json" if as_json else form, output, empty="no handover matches")


@ledger_.command("show", epilog="Example: handover ledger show 019aae33")
@click.argument("identifier", metavar="ID")
@json_option
@with_home
def show_(context: HomeContext, identifier: str, as_json: bool) -> None:
    """The life of one handover; ID may be shortened as long as it is clear."""
    show_life(context, identifier, as_json)


def show_life(context: HomeContext, identifier: str, as_json: bool) -> None:
    """Print one handover and its events."""
    from exchange.questions import life

    story = life(context.home, context.ledger, context.trust, identifier)
    if as_json:
        show.as_json(story.to_json())
        return
    show.pairs(story.facts())
    click.echo()
    show.table(("seq", "at", "event", "detail"), story.lines(), empty="no events")
    if story.hint is not None:
        click.echo(f"hint: {story.hint}", err=True)


@ledger_.command("verify", epilog="Example: handover ledger verify --since last-month.checkpoint")
@click.option("--since", metavar="CHECKPOINT", help="A checkpoint kept elsewhere that the ledger must continue.")
@json_option
@with_home
def verify_(context: HomeContext, since: str | None, as_json: bool) -> None:
    """Recompute everything from the stored bytes. Exit code 4 when anything disagrees."""
    from exchange.audit import verify_ledger
    from exchange.partner_trust import trusted

    report = verify_ledger(context.home, context.keyring, trusted(context.home, None), Path(since) if since else None)
    if as_json:
        show.as_json(report.to_json())
    else:
        show.pairs(report.to_lines())
        for problem in report.problems:
            click.echo(f"problem: {problem.text}", err=True)
    if not report.ok:
        sys.exit(4)


@ledger_.command("prove", epilog="Example: handover ledger prove 17 -o 17.tlog-proof")
@click.argument("what", metavar="SEQ|ID")
@click.option("-o", "--output", metavar="FILE", help="Write the proof to FILE instead of stdout.")
@with_home
def prove_(context: HomeContext, what: str, output: str | None) -> None:
    """A proof that one entry (or the deciding entry of one handover) is in this ledger."""
    from exchange.audit import prove

    proof = prove(context.ledger, what)
    if output is None:
        click.echo(proof.decode(), nl=False)
    else:
        Path(output).write_bytes(proof)


@ledger_.command("check", epilog="Example: handover ledger check 17.tlog-proof --key 'ofsted/handover+c74f20a3+AQ…'")
@click.argument("proof", metavar="PROOF", type=a_file)
@click.option("--key", "vkeys", multiple=True, required=True, metavar="VKEY", help="Ledger key of who made the proof.")
@json_option
def check_(proof: str, vkeys: tuple[str, ...], as_json: bool) -> None:
    """Check a proof file; needs no home and no ledger."""
    from exchange.audit import check_proof

    checked = check_proof(Path(proof).read_bytes(), vkeys)
    if as_json:
        show.as_json(checked)
    else:
        show.pairs({key: value for key, value in checked.items() if isinstance(value, (str, int))})


@ledger_.command("checkpoint", epilog="Example: handover ledger checkpoint > today.checkpoint")
@json_option
@with_home
def checkpoint_(context: HomeContext, as_json: bool) -> None:
    """The newest checkpoint, with the cosignatures of partners: keep it elsewhere."""
    from exchange.audit import newest_checkpoint

    note = newest_checkpoint(context.ledger)
    if as_json:
        show.as_json(note.to_json())
    else:
        click.echo(note.text, nl=False)
