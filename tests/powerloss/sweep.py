"""`make powerloss`: the power goes after every step of a handover and of the commands; prints what each state led to.

    python -m tests.powerloss.sweep [--only TEXT] [--states N]

For each moment: the steps (operations on the disks), after how many of them the power went, how many different states
that left, and in how many of these something was lost, doubled, unverifiable, left over, or did not go on. Each of
those is named below the lines of its recording, which appear when it is done; ends with 1 if there is any. How far a
long recording is goes to stderr.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial

from tests.powerloss.everything import all_scenarios
from tests.powerloss.record import Crash, crashes
from tests.powerloss.scenario import COLUMNS, Result, Row, run

OFTEN = 500
"""States after which it is said how far a recording is."""


def main() -> int:
    """The sweep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="only states whose text contains this")
    parser.add_argument("--states", type=int, help="at most so many of each recording, spread evenly")
    options = parser.parse_args()
    results = []
    print(heading(), flush=True)
    for scenario in all_scenarios():
        chosen = [crash for crash in crashes(scenario.recording) if options.only in str(crash)]
        some = spread(chosen, options.states)
        results.append(run(scenario, some, tell=partial(_tell, scenario.recording.steps[0].moment, len(some))))
        print(lines(results[-1]), flush=True)
        for crash, found in results[-1].bad:
            print(f"{crash}\n" + "\n".join(f"    {finding.kind}: {finding.what}" for finding in found), flush=True)
    print(total(results))
    return 1 if any(result.bad for result in results) else 0


def _tell(moment: str, all_of_them: int, count: int) -> None:
    """How far a recording is, now and then: the long ones take half an hour."""
    if count % OFTEN == 0:
        print(f"{moment} …: {count} of {all_of_them} states", file=sys.stderr, flush=True)


def spread(crashes: Sequence[Crash], most: int | None) -> Sequence[Crash]:
    """At most so many, at least two, as far from each other as may be: the first and the last are among them."""
    if most is None or len(crashes) <= most:
        return crashes
    return [crashes[number * (len(crashes) - 1) // (most - 1)] for number in range(most)]


def table(results: Sequence[Result]) -> str:
    """One line for each moment, and their sum."""
    return "\n".join([heading(), *map(lines, results), total(results)])


def heading() -> str:
    """What the columns are."""
    return f"{'moment':20}" + "".join(f"{one:>14}" for one in ("steps", "crash points", "states", *COLUMNS))


def lines(result: Result) -> str:
    """One for each moment of a recording."""
    return "\n".join(_line(moment, row) for moment, row in result.rows.items())


def total(results: Sequence[Result]) -> str:
    """The sum of all."""
    rows = [row for result in results for row in result.rows.values()]
    return _line(
        "all",
        Row(
            sum(row.steps for row in rows),
            sum(row.crashes for row in rows),
            sum(row.states for row in rows),
            sum((row.found for row in rows), Counter()),
        ),
    )


def _line(moment: str, row: Row) -> str:
    numbers = (row.steps, row.crashes, row.states, *(row.found[column] for column in COLUMNS))
    return f"{moment:20}" + "".join(f"{number:14}" for number in numbers)


if __name__ == "__main__":
    sys.exit(main())
