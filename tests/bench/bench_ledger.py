"""How fast the ledger appends and verifies: `python -m tests.bench.bench_ledger [ENTRIES]` prints a table.

A commit of its own for each entry, eight threads that append at once, many entries in one commit; then the
verification of a ledger of ENTRIES entries (default 100,000), four to a handover, as a busy daemon writes them.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ledger.store import Ledger, Transaction
from ledger.verify import verify
from tests.ledger.ledgers import LGSCO, add, fresh_id, outgoing

HANDOVERS_IN_A_COMMIT = 25


def life(tx: Transaction) -> None:
    """One handover: four entries."""
    for draft in outgoing(fresh_id(), tx.next_sequence("ofsted")):
        tx.append(draft)


def lives(tx: Transaction) -> None:
    """A hundred entries."""
    for _ in range(HANDOVERS_IN_A_COMMIT):
        life(tx)


def one_by_one(ledger: Ledger, number: int) -> None:
    """Each entry in a commit of its own."""
    for _ in range(number // 4):
        identifier = fresh_id()
        sequence = ledger.write(lambda tx: tx.next_sequence("ofsted"))
        add(ledger, *outgoing(identifier, sequence))


def eight_threads(ledger: Ledger, number: int) -> None:
    """Each entry in a `write` of its own, from eight threads: commits are shared."""
    threads = [threading.Thread(target=one_by_one, args=(ledger, number // 8)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def hundreds(ledger: Ledger, number: int) -> None:
    """A hundred entries in a commit."""
    for _ in range(number // (4 * HANDOVERS_IN_A_COMMIT)):
        ledger.write(lives)


def measure(name: str, number: int, work: Callable[[], object]) -> None:
    """Run and print entries, seconds, entries a second."""
    begun, used = time.perf_counter(), time.process_time()
    work()
    seconds, used = time.perf_counter() - begun, time.process_time() - used
    print(f"{name:<34} {number:>9,} {seconds:>8.2f} s {used:>8.2f} s cpu {number / seconds:>10,.0f}/s", flush=True)


def main() -> None:
    """Measure in a temporary folder."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        for name, work, count in (
            ("commit per entry", one_by_one, 2_000),
            ("eight threads, shared commits", eight_threads, 4_000),
            ("a hundred in a commit", hundreds, number),
        ):
            path.unlink(missing_ok=True)
            with LGSCO.create(path) as ledger:
                measure(name, count, partial(work, ledger, count))
        measure("verify everything", number, partial(report, path))


def report(path: Path) -> None:
    """Verify; a benchmark of a ledger that does not verify would be worth nothing."""
    found = verify(path, [LGSCO.verifier])
    if not found.ok:
        raise SystemExit(f"the ledger does not verify: {found.problems}")


if __name__ == "__main__":
    main()
