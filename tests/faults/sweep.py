"""`make faults`: the program dies, or a call fails, at every point in turn; prints what was lost, doubled or left over.

    python -m tests.faults.sweep [--seconds N] [--workers N] [--results FILE] [--only TEXT] [--again] [--whole]
                                 [--topology T]

Deaths come first, then errors, each spread over the whole way of the files, so that an unfinished sweep has looked
everywhere. Results are kept in FILE, and the next sweep goes on behind them as long as the program is the same; every
point with a problem is named below the table. Ends with 1 if there is any. A point that leaves the same state as one
before it, but for chance, is not played out to its end again.
"""

import argparse
import hashlib
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.faults.attempt import Point, attempt, points
from tests.faults.invariant import KINDS
from tests.faults.scene import AGAIN, MOMENTS, Scene, scene
from tests.faults.trace import KILL
from tests.organisations import TOPOLOGIES

ROOT = Path(__file__).parents[2]
ALL = (*MOMENTS, *(moment + AGAIN for moment in MOMENTS))
COLUMNS = (*KINDS, "unclear", "stuck")


def main() -> int:
    """The sweep, or one of its workers."""
    options = _options()
    results = options.results or ROOT / "build" / f"faults-{options.topology}-{_version()}.jsonl"
    results.parent.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.worker is not None:
        # an interrupt, too, ends the servers and removes the folders
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: sys.exit(1))
        _work(options, results)
        return 0
    workers = [
        subprocess.Popen([sys.executable, "-m", "tests.faults.sweep", *sys.argv[1:], "--worker", str(number)], cwd=ROOT)
        for number in range(options.workers)
    ]
    try:
        failed = max(worker.wait() for worker in workers)
    except KeyboardInterrupt:
        failed = 1
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait()
    return max(_report(_read(results), results), failed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no new point after so long")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--only", default="", help="only points whose text contains this")
    parser.add_argument("--again", action="store_true", help="try points with a problem once more")
    parser.add_argument("--whole", action="store_true", help="play out every point to its end")
    parser.add_argument("--topology", choices=list(TOPOLOGIES), default="push", help="who has an SFTP server")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def _version() -> str:
    """Of the program: results of another one say nothing about this."""
    digest = hashlib.sha256()
    for room in ("config", "ledger", "keys", "exchange"):
        for path in sorted((ROOT / room).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _work(options: argparse.Namespace, results: Path) -> None:
    end = time.monotonic() + options.seconds
    known: set[str] | None = None if options.whole else set()
    done = {name for name, said in _read(results).items() if not (options.again and said["problems"])}
    with scene(topology=options.topology) as made, results.open("a", encoding="utf-8", buffering=1) as file:
        for point in _points(made, options.only):
            if str(point) in done or int(point.order[1], 16) % options.workers != options.worker:
                continue
            if time.monotonic() > end:
                return
            file.write(json.dumps(attempt(made, point, known).to_json()) + "\n")


def _points(made: Scene, only: str) -> list[Point]:
    found = [point for moment in ALL for point in points(made, moment) if only in str(point)]
    return sorted(found, key=lambda point: point.order)


def _read(results: Path) -> dict[str, dict[str, object]]:
    """The newest outcome of each point."""
    if not results.exists():
        return {}
    lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    return {line["point"]: line for line in lines}


def _report(outcomes: dict[str, dict[str, object]], results: Path) -> int:
    rows: dict[tuple[str, str], Counter[str]] = {}
    for name, said in outcomes.items():
        moment, call, _, kind = name.split()
        row = rows.setdefault((moment, f"{call} {'killed' if kind == KILL else 'error'}"), Counter())
        row["points"] += 1
        row["met"] += bool(said["hit"])
        row["played out"] += bool(said["played"])
        problems = said["problems"]
        assert isinstance(problems, list)
        row.update({problem for problem, _ in problems})
    headings = ("points", "met", "played out", *COLUMNS)
    print(f"{'moment':14} {'fault':20}" + "".join(f"{heading:>13}" for heading in headings))
    for (moment, what), row in sorted(rows.items()):
        print(f"{moment:14} {what:20}" + "".join(f"{row[heading]:13}" for heading in headings))
    total = sum(rows.values(), Counter())
    print(f"{'':14} {'all':20}" + "".join(f"{total[heading]:13}" for heading in headings))
    bad = {name: said["problems"] for name, said in outcomes.items() if said["problems"]}
    for name, problems in sorted(bad.items()):
        print(f"{name}: {problems}")
    print(f"results: {results}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
