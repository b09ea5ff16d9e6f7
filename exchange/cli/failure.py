"""The one place that turns errors into words on stderr and an exit code."""

import os
import sys

import click

from config.errors import HandoverError


def tell(problem: BaseException) -> int:
    """Say what went wrong; returns the exit code. A person never sees a traceback."""
    if isinstance(problem, HandoverError):
        click.echo(problem.for_people(), err=True)
        return problem.exit_code
    if isinstance(problem, click.exceptions.NoArgsIsHelpError):
        click.echo(problem.ctx.get_help(), err=True)
        return 2
    if isinstance(problem, click.UsageError):
        near = getattr(problem, "possibilities", None) or ()
        path = problem.ctx.command_path if problem.ctx else "handover"
        hint = f"did you mean {' or '.join(near)}? " * bool(near) + f"see '{path} --help'"
        click.echo(f"error: {_lower(problem.message if near else problem.format_message())}\nhint: {hint}", err=True)
        return 2
    if isinstance(problem, click.ClickException):
        click.echo(f"error: {_lower(problem.format_message())}", err=True)
        return 2
    if isinstance(problem, (click.Abort, KeyboardInterrupt)):
        click.echo("error: stopped", err=True)
        return 130
    if isinstance(problem, BrokenPipeError):
        # the reader of our output went away (for example `head`): keep Python from complaining at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(problem, OSError):
        about = f": {problem.filename}" if problem.filename else ""
        click.echo(f"error: {_lower(problem.strerror or type(problem).__name__)}{about}", err=True)
        return 3
    from exchange.service.log import where

    click.echo(
        f"error: a fault in handover itself ({type(problem).__name__} at {where(problem)})\n"
        "hint: nothing was recorded by this command after the fault; please report that line",
        err=True,
    )
    return 3


def _lower(text: str) -> str:
    text = text.strip().rstrip(".")
    return text[:1].lower() + text[1:]
