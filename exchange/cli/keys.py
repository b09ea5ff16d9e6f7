"""`handover keys …`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exchange.cli import show
from exchange.cli.context import HomeContext, ask, json_option, with_home

if TYPE_CHECKING:
    from keys.key_info import Purpose

_MANY = 1_000_000_000
_NONE_IN_TIME = "no handover was protected by this key in that time"

a_purpose = click.Choice(["signing", "encryption", "transport", "ledger", "witness", "signing-pq", "witness-pq"])


@click.group("keys")
def keys_() -> None:
    """This organisation's keys, and the new keys of partners."""


@keys_.command("list", epilog="Example: handover keys list --json")
@json_option
@with_home
def list_(context: HomeContext, as_json: bool) -> None:
    """Purpose, fingerprint, state and validity of every key. Needs no passphrase."""
    from exchange.key_list import key_rows

    rows = key_rows(context.keyring, context.ledger, context.trust.partners)
    if as_json:
        show.as_json(rows)
        return
    about = ("purpose", "algorithm", "state", "fingerprint", "valid_from", "valid_until", "leaves_from")
    columns = (*about, "in_use_by", "handovers", "kept_in")
    show.table(columns, [show.cells(row, columns) for row in rows], empty="no key yet")


@keys_.command("history", epilog="Example: handover keys history --json")
@json_option
@with_home
def history_(context: HomeContext, as_json: bool) -> None:
    """Everything that happened to keys, ours and partners', oldest first. Needs no passphrase."""
    from exchange.key_list import history

    rows = history(context.ledger)
    if as_json:
        show.as_json(rows)
        return
    columns = ("seq", "at", "event", "partner", "announced", "purpose", "fingerprint", "reason")
    show.table(columns, [[row[c] for c in columns] for row in rows], empty="nothing yet")


@keys_.command("inventory", epilog="Example: handover keys inventory --pq --json")
@click.option("--pq", is_flag=True, help="What resists quantum computers instead, by partner and by handover.")
@click.option(
    "--limit", default=100, show_default=True, type=click.IntRange(1, _MANY), help="How many handovers, with --pq."
)
@json_option
@with_home
def inventory_(context: HomeContext, pq: bool, limit: int, as_json: bool) -> None:
    """Every key that counts now, ours and our partners', how strong it is, and how much it has protected."""
    from exchange.key_list import inventory

    if pq:
        _inventory_pq(context, limit, as_json)
        return
    rows = inventory(context.home, context.keyring, context.ledger, context.trust)
    if as_json:
        show.as_json(rows)
        return
    about = ("owner", "purpose", "algorithm", "post_quantum", "fingerprint", "kept_in")
    columns = (*about, "handovers", "first_at", "last_at")
    show.table(columns, [show.cells(row, columns) for row in rows], empty="no key yet")


def _inventory_pq(context: HomeContext, limit: int, as_json: bool) -> None:
    from exchange.pq_inventory import inventory_pq

    found = inventory_pq(context.home.settings, context.ledger, context.trust, limit)
    if as_json:
        show.as_json(found)
        return
    agreed = ("recipient", "key_exchange", "cipher")
    about = ("partner", *agreed, "we_sign", "they_sign", "required", "weak", "refused")
    show.table(about, [show.cells(row, about) for row in found["partners"]], empty="no partner yet")
    click.echo()
    columns = ("id", "partner", "direction", *agreed, "signature", "weak")
    show.table(columns, [show.cells(row, columns) for row in found["handovers"]], empty="no handover yet")


@keys_.command("rotate", epilog="Example: handover keys rotate signing --overlap 30d")
@click.argument("purpose", type=a_purpose, metavar="PURPOSE")
@click.option("--overlap", default="30d", show_default=True, help="How long the old key is kept beside the new one.")
@click.option("--at", metavar="TIME", help="Use the new key from then on, like 2026-12-01T09:00:00Z (default: now).")
@click.option("--token/--file", "in_token", default=None, help="Make it in the token, or in a file (default: as now).")
@json_option
@with_home
def rotate_(
    context: HomeContext, purpose: "Purpose", overlap: str, at: str | None, in_token: bool | None, as_json: bool
) -> None:
    """Make a new key and announce it to every partner; the running service takes it up by itself.

    PURPOSE is signing, encryption, transport, ledger or witness; or signing-pq or witness-pq, of which the first key is
    made the same way.
    """
    from exchange.approval_desk import rotate

    show.told(rotate(context.parts, purpose, overlap, at, context.person, in_token), as_json)


@keys_.command("accept", epilog="Example: handover keys accept ofsted --fingerprint SHA256:…")
@click.argument("partner", metavar="P")
@click.option("--fingerprint", metavar="F", help="What the partner read out; asked for if not given.")
@with_home
def accept_(context: HomeContext, partner: str, fingerprint: str | None) -> None:
    """Accept a new key of partner P whose fingerprint somebody there has read out."""
    from exchange.approval_desk import accept

    confirmed = fingerprint or ask("fingerprint that the partner read out", instead="--fingerprint")
    one = accept(context.parts, partner, confirmed, context.person)
    if "order" in one:
        show.pairs(one)
    else:
        click.echo(f"accepted the {one['purpose']} key {one['accepted']} of {partner}")


@keys_.command("retire", epilog="Example: handover keys retire signing")
@click.argument("purpose", type=a_purpose, metavar="PURPOSE")
@click.option("--without", multiple=True, metavar="P", help="Leave partner P behind, which never accepted the new key.")
@with_home
def retire_(context: HomeContext, purpose: "Purpose", without: tuple[str, ...]) -> None:
    """Destroy the private half of a key that was replaced, before its overlap is over.

    PURPOSE is as for 'keys rotate'.
    """
    from exchange.key_desk import retire

    key = retire(context.parts, purpose, context.person, without)
    click.echo(f"retired {key.purpose} key {key.serial} ({key.fingerprint})")
    for partner in without:
        click.echo(f"{partner} does not know the new one: give it a new card ('handover partner card')", err=True)


@keys_.command("revoke", epilog="Example: handover keys revoke SHA256:… --since 2026-12-01T09:00:00Z")
@click.argument("fingerprint", metavar="FINGERPRINT")
@click.option("--since", metavar="TIME", help="From when on somebody else may have had it (default: now).")
@click.option("--lost", is_flag=True, help="It is gone, with its token: partners then need your new card.")
@json_option
@with_home
def revoke_(context: HomeContext, fingerprint: str, since: str | None, lost: bool, as_json: bool) -> None:
    """End a key of ours that somebody else may have: at once here, and partners are told."""
    from exchange.approval_desk import revoke

    show.told(revoke(context.parts, fingerprint, since, context.person, lost=lost), as_json)


@keys_.command("announce", epilog="Example: handover keys announce")
@with_home
def announce_(context: HomeContext) -> None:
    """Announce new host keys of handover.toml, and once more whatever partners have not accepted."""
    from exchange.key_desk import announce

    number = announce(context.parts, context.person)
    click.echo("1 announcement is on its way" if number == 1 else f"{number} announcements are on their way")


@keys_.command("export", epilog="Example: handover keys export -o public-keys")
@click.option("-o", "--output", metavar="DIR", help="Write every public key into a new folder, for stock tools.")
@with_home
def export_(context: HomeContext, output: str | None) -> None:
    """Who signs, as an allowed_signers file for 'ssh-keygen -Y verify'; with -o, every public key.

    Needs no passphrase.
    """
    from exchange.key_export import allowed_signers, export

    if output is None:
        sys.stdout.write(allowed_signers(context.home, context.keyring, context.ledger, context.trust))
        return
    for name in export(context.home, context.keyring, context.ledger, context.trust, Path(output)):
        click.echo(name)


@keys_.command("incident", epilog="Example: handover keys incident SHA256:… --from 2026-12-01 -o incident")
@click.argument("fingerprint", metavar="FINGERPRINT")
@click.option("--from", "since", metavar="D", help="Only what the key protected from that day or time (UTC) on.")
@click.option("--to", "until", metavar="D", help="Only what it protected until then; a day is meant with all of it.")
@click.option("-o", "--output", metavar="DIR", help="Write the pack into a new folder: text, JSON, CSV, checkpoint.")
@click.option("--proofs", is_flag=True, help="With -o: a proof for every handover, which anybody can check.")
@json_option
@with_home
def incident_(
    context: HomeContext,
    fingerprint: str,
    since: str | None,
    until: str | None,
    output: str | None,
    proofs: bool,
    as_json: bool,
) -> None:
    """Everything that a key protected, ours or a partner's, for the data protection officer, without case content.

    Needs no passphrase.
    """
    from exchange.incident_pack import SHOWN, pack

    found = pack(context.home, context.ledger, context.trust, fingerprint, since, until, output, proofs=proofs)
    if as_json:
        show.as_json(found.to_json())
        return
    show.pairs(found.summary())
    if output is None:
        click.echo()
        rows = [[getattr(one, column) for column in SHOWN] for one in found.handovers]
        show.table(SHOWN, rows, empty=_NONE_IN_TIME if since or until else "no handover was protected by this key")
