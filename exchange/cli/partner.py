"""`handover partner …`."""

from pathlib import Path

import click

from exchange.cli import show
from exchange.cli.context import HomeContext, ask, json_option, with_home


@click.group("partner")
def partner_() -> None:
    """Partners and their cards."""


@partner_.command("card", epilog="Example: handover partner card -o lgsco.toml")
@click.option("-o", "--output", metavar="FILE", help="Write the card to FILE and its signature to FILE.sig.")
@json_option
@with_home
def card_(context: HomeContext, output: str | None, as_json: bool) -> None:
    """My public card, to give to partners; its fingerprint is read out over the telephone."""
    from exchange.partners import make_card

    made = make_card(context.home, context.keyring, Path(output) if output else None)
    if as_json:
        show.as_json(made.to_json())
        return
    if output is None:
        click.echo(made.text, nl=False)
    click.echo(f"fingerprint: {made.fingerprint}", err=output is None)


@partner_.command("add", epilog="Example: handover partner add ofsted.toml --fingerprint '5f1c 02aa …'")
@click.argument("card", metavar="CARD")
@click.option("--fingerprint", metavar="F", help="What the partner read out; asked for if not given.")
@click.option("--weaker", is_flag=True, help="Take the card although post-quantum keys of the one before are gone.")
@click.option("--older", is_flag=True, help="Take the card although it was made before what is known of their keys.")
@click.option("--new-ledger", is_flag=True, help="The partner has a new home: close the ledger of its old one.")
@json_option
@with_home
def add_(
    context: HomeContext,
    card: str,
    fingerprint: str | None,
    weaker: bool,
    older: bool,
    new_ledger: bool,
    as_json: bool,
) -> None:
    """Trust a partner: CARD (with CARD.sig beside it) and the fingerprint that the partner read out."""
    from exchange.approval_desk import add_partner
    from exchange.partners import named_in

    confirmed = fingerprint or ask("fingerprint that the partner read out", instead="--fingerprint")
    parts = context.parts_replacing(named_in(Path(card)))
    said = {"weaker": weaker, "older": older, "new_ledger": new_ledger}
    added = add_partner(parts, Path(card), confirmed, context.person, **said)
    if as_json or "order" in added:
        show.told(added, as_json)
    else:
        click.echo(f"added {added['organisation']}")
        if "closed" in added:
            click.echo(added["closed"])


@partner_.command("list", epilog="Example: handover partner list --json")
@json_option
@with_home
def list_(context: HomeContext, as_json: bool) -> None:
    """The partners that are trusted, and how they are reached."""
    from exchange.partners import list_partners

    rows = list_partners(context.home, context.trust)
    if as_json:
        show.as_json(rows)
        return
    columns = ("organisation", "name", "agreement", "encryption", "landing", "topology", "fingerprint")
    show.table(columns, [[str(row[c] or "") for c in columns] for row in rows], empty="no partner yet")


@partner_.command("landing", epilog="Example: handover partner landing ofsted > 50-handover.conf")
@click.argument("partner", metavar="P", required=False)
@click.option("--user", metavar="USER", help="Only the authorized keys of one user: for sshd's AuthorizedKeysCommand.")
@with_home
def landing_(context: HomeContext, partner: str | None, user: str | None) -> None:
    """The sshd configuration and the authorized keys of P's landing zone. Needs no passphrase."""
    from config.times import system_clock
    from exchange.landing_zone import authorized_keys, configuration

    if (partner is None) == (user is None):
        raise click.UsageError("give a partner, or --user", click.get_current_context())
    if user is not None:
        click.echo(
            "".join(f"{line}\n" for line in authorized_keys(context.home, context.trust, user, system_clock())),
            nl=False,
        )
    else:
        click.echo(configuration(context.home, context.trust, str(partner), system_clock()), nl=False)
