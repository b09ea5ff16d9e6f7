"""`make simulate SEEDS=1000` (or `17-40`): runs of two organisations under faults, and what was found."""

import sys
import time
from collections import Counter

from tests.simulation.runs import Run, parse_seeds, run_all, run_on_all_cores


def main(arguments: list[str]) -> int:
    """`SEEDS`, or `--trace SEED` for the story of one run; 1 if something was violated."""
    if arguments[:1] == ["--trace"]:
        (run,) = run_all([int(arguments[1])])
        print("\n".join(run.trace))
        print(f"violations: {'; '.join(run.violations) or 'none'}")
        return bool(run.violations)
    began = time.monotonic()
    runs: list[Run] = []
    for run in run_on_all_cores(parse_seeds(arguments[0] if arguments else "200")):
        runs.append(run)
        for violation in run.violations:
            print(f"seed {run.seed}: {violation}\n  replay: python -m tests.simulation --trace {run.seed}", flush=True)
    print(summary(runs, time.monotonic() - began))
    return any(run.violations for run in runs)


def summary(runs: list[Run], seconds: float) -> str:
    """What was simulated, in a few lines."""
    faults = sum((run.faults for run in runs), Counter[str]())
    lines = [
        ("seeds", len(runs)),
        ("simulated days", round(sum(run.days for run in runs))),
        ("seconds", round(seconds)),
        ("files", sum(run.files for run in runs)),
        ("handovers", sum(run.handovers for run in runs)),
        ("ledger entries", sum(run.entries for run in runs)),
        *((f"fault: {name}", number) for name, number in sorted(faults.items())),
        ("seeds with violations", sum(bool(run.violations) for run in runs)),
    ]
    return "\n".join(f"{name:26}{number:>10}" for name, number in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
