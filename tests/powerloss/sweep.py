"""`make powerloss`: the power goes after every step of a handover and of the commands; prints what each state led to.

    python -m tests.powerloss.sweep [--only TEXT] [--states N]

For each moment: the steps (operations on the disks), after how many of them the power went, how many different states
that left, and in how many of these something was lost, doubled, unverifiable, left over, or did not go on. Names each
of those below the table, and ends with 1 if there is any.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

from tests.powerloss import commands, handover
from tests.powerloss.record import Crash, crashes
from tests.powerloss.scenario import COLUMNS, Result, Row, run


def main() -> int:
    """The sweep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="only states whose text contains this")
    parser.add_argument("--states", type=int, help="at most so many of each recording, spread evenly")
    options = parser.parse_args()
    results = []
    for scenario in [*handover.all_ways(), *commands.all_commands()]:
        chosen = [crash for crash in crashes(scenario.recording) if options.only in str(crash)]
        results.append(run(scenario, spread(chosen, options.states)))
    print(table(results))
    bad = [one for result in results for one in result.bad]
    for crash, found in bad:
        print(f"{crash}\n" + "\n".join(f"    {finding.kind}: {finding.what}" for finding in found))
    return 1 if bad else 0


def spread(crashes: Sequence[Crash], most: int | None) -> Sequence[Crash]:
    """At most so many, at least two, as far from each other as may be: the first and the last are among them."""
    if most is None or len(crashes) <= most:
        return crashes
    return [crashes[number * (len(crashes) - 1) // (most - 1)] for number in range(most)]


def table(results: Sequence[Result]) -> str:
    """One line for each moment, and their sum."""
    headings = ("steps", "crash points", "states", *COLUMNS)
    rows = {moment: row for result in results for moment, row in result.rows.items()}
    total = Row(
        sum(row.steps for row in rows.values()),
        sum(row.crashes for row in rows.values()),
        sum(row.states for row in rows.values()),
        sum((row.found for row in rows.values()), Counter()),
    )
    lines = [f"{'moment':12}" + "".join(f"{heading:>14}" for heading in headings)]
    for moment, row in [*rows.items(), ("all", total)]:
        numbers = (row.steps, row.crashes, row.states, *(row.found[column] for column in COLUMNS))
        lines.append(f"{moment:12}" + "".join(f"{number:14}" for number in numbers))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
