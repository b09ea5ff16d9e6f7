"""The command line: one thin file per group of commands, loaded only when used.

A command parses its arguments, calls one function of the packages, and prints one result through `show`.
"""

import importlib
import sys
from typing import Never

import click

COMMANDS = {
    "demo": "service",
    "init": "setup",
    "run": "service",
    "status": "service",
    "metrics": "metrics",
    "submit": "handovers",
    "list": "handovers",
    "show": "handovers",
    "retry": "orders",
    "release": "orders",
    "withdraw": "orders",
    "destroy": "retention",
    "retention": "retention",
    "hold": "retention",
    "holds": "retention",
    "unhold": "retention",
    "seal": "envelopes",
    "open": "envelopes",
    "partner": "partner",
    "keys": "keys",
    "approval": "approval",
    "ledger": "ledger",
    "agreement": "reference",
    "authority": "reference",
    "config": "reference",
}
"""Which file of this folder holds which command."""


class LazyGroup(click.Group):
    """Loads the file of a command when that command, or the list of all, is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them, in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of them; raises Misuse, with the nearest names, when there is none of that name."""
        if cmd_name not in COMMANDS:
            raise _no_such_command(cmd_name)
        module = importlib.import_module(f"exchange.cli.{COMMANDS[cmd_name]}")
        command = getattr(module, f"{cmd_name}_")
        return command if isinstance(command, click.Command) else None


def _no_such_command(name: str) -> Exception:
    import difflib

    from config.errors import Misuse

    near = " or ".join(f"'{command}'" for command in difflib.get_close_matches(name, COMMANDS))
    return Misuse(
        f"there is no command '{name}'", hint=f"did you mean {near}? " * bool(near) + "'handover --help' lists them all"
    )


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with 'handover demo'. Every command has --help with an example.",
)
@click.version_option(package_name="handover", message="handover %(version)s")
@click.option("--home", metavar="DIR", help="The home to work on (or HANDOVER_HOME; else found upward from here).")
@click.pass_context
def handover(ctx: click.Context, home: str | None) -> None:
    """Hand concern files over to a partner organisation, with proof."""
    ctx.obj = {"home": home}


def main() -> Never:
    """Run the program; every error becomes one line, a hint and an exit code (0 done, 1 no, 2 wrong use,
    3 not possible now, 4 evidence of tampering)."""
    from exchange.cli.failure import tell

    try:
        code = handover.main(standalone_mode=False, prog_name="handover")
    except SystemExit as stop:
        code = stop.code
    except BaseException as problem:
        code = tell(problem)
    sys.exit(code if isinstance(code, int) else 0)
