"""The command line: one thin file per group of commands, loaded only when used."""

import click


@click.group()
@click.version_option(package_name="handover")
def main() -> None:
    """Hand concern files over to a partner organisation, with proof."""
