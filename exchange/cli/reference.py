"""`handover agreement`, `authority` and `config`: what is agreed, who is known, how this home is set."""

import datetime
from typing import TYPE_CHECKING

import click

from exchange.cli import show
from exchange.cli.context import HomeContext, json_option, with_home

if TYPE_CHECKING:
    from config.authorities import Authority


@click.group("agreement")
def agreement_() -> None:
    """The sharing agreements."""


@agreement_.command("show", epilog="Example: handover agreement show ofsted-lgsco")
@click.argument("identifier", metavar="[ID]", required=False)
@json_option
@with_home
def agreement_show(context: HomeContext, identifier: str | None, as_json: bool) -> None:
    """What may be sent to whom, with which details, under which powers."""
    from config.agreement import describe, load_all

    described = describe(load_all(context.agreement_files), identifier)
    if as_json:
        show.as_json(described.to_json())
    else:
        click.echo(described.to_text(), nl=False)


@click.group("authority")
def authority_() -> None:
    """The register of councils."""


@authority_.command("find", epilog="Example: handover authority find 'north yorks'")
@click.argument("text")
@click.option("--at", metavar="DATE", help="As at this day (default: today).")
@json_option
def authority_find(text: str, at: str | None, as_json: bool) -> None:
    """Councils by name, GSS, DfE or Ofsted code, or part of a name."""
    found = _councils(text, at)
    if as_json:
        show.as_json([authority.to_json() for authority in found])
        return
    show.table(
        ("gss", "name", "type", "region", "from", "until", "replaced_by"),
        [(a.gss, a.name, a.type, a.region, _day(a.start), _day(a.end), ", ".join(a.replaced_by)) for a in found],
        empty="",
    )


def _councils(text: str, at: str | None) -> "list[Authority]":
    """The councils that match, as at a day; raises Misuse for a day that is none, Refused if nothing matches."""
    from config.authorities import Register
    from config.errors import Misuse, Refused

    try:
        day = datetime.date.fromisoformat(at) if at else datetime.datetime.now(datetime.UTC).date()
    except ValueError:
        raise Misuse(f"{at} is not a date", hint="write it like 2026-11-23") from None
    found = Register.shipped().find(text, day)
    if not found:
        raise Refused(f"no council matches {text!r}", hint="try a shorter part of its name")
    return found


def _day(day: datetime.date | None) -> str | None:
    return day.isoformat() if day else None


@click.group("config")
def config_() -> None:
    """This home's configuration."""


@config_.command("check", epilog="Example: handover config check")
@json_option
@with_home
def config_check(context: HomeContext, as_json: bool) -> None:
    """Read handover.toml, the agreements and the permissions; name every mistake at once."""
    from exchange.status import check_home

    checked = check_home(context.home)
    if as_json:
        show.as_json(checked)
    else:
        show.pairs(checked)


@config_.command("show", epilog="Example: handover config show --json")
@json_option
@with_home
def config_show(context: HomeContext, as_json: bool) -> None:
    """Every setting in force, defaults included."""
    settings = context.home.settings
    if as_json:
        show.as_json(settings.to_json())
    else:
        click.echo(settings.to_toml(), nl=False)


@config_.command("schema", epilog="Example: handover config schema > handover.schema.json")
def config_schema() -> None:
    """The JSON Schema of handover.toml."""
    from config.settings import schema

    show.as_json(schema())
