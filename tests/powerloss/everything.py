"""Everything that is recorded, each when it is asked for: the way of files, and whatever people order."""

from collections.abc import Iterator

from tests.faults.program import Program
from tests.powerloss import commands, destroyed, handover, key_changes, ordered
from tests.powerloss.desk import Case, recorded
from tests.powerloss.scenario import Scenario


def all_cases() -> list[Case]:
    """What is done on one machine."""
    return [*commands.cases(), *ordered.cases(), *destroyed.cases(), *key_changes.cases()]


def all_commands() -> Iterator[Scenario]:
    """Each of these, recorded."""
    with Program("tests.powerloss.planted", "quick_keys") as program:
        for case in all_cases():
            yield recorded(program, case)


def all_scenarios() -> Iterator[Scenario]:
    """What `make powerloss` tries: the short recordings first."""
    yield from all_commands()
    yield from handover.all_ways()
