"""The real program with a clock that may be wrong: `python -m tests.soak.clock FILE ARGUMENTS…`.

FILE holds how many seconds the clock is fast; it may be changed at any time.
"""

import contextlib
import sys
from datetime import datetime, timedelta
from pathlib import Path

from config import times


def main() -> None:
    """Put the other clock in its place before anything has taken it, then go on as the command does."""
    offset = Path(sys.argv.pop(1))
    right = times.system_clock

    known = timedelta(0)

    def fast() -> datetime:
        nonlocal known
        with contextlib.suppress(OSError, ValueError):  # a fault of the soak, or just being written
            known = timedelta(seconds=float(offset.read_text()))
        return right() + known

    times.system_clock = fast
    from exchange.cli import main as command

    command()


if __name__ == "__main__":
    main()
