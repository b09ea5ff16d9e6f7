"""Many threads, many processes and sudden death: one ledger, one tree, nothing lost that was promised."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from ledger.entry import Draft
from ledger.store import Transaction
from ledger.verify import verify
from tests.ledger.ledgers import LGSCO, add, add_handovers, fresh_id, outgoing, sqlite3

ROOT = Path(__file__).parents[2]
NOTE = Draft(event="partner.added", actor="operator", partner="ofsted")

WRITER = """
import os, sys, threading
from pathlib import Path
from tests.ledger.ledgers import LGSCO, outgoing, fresh_id

def work(ledger, number):
    for _ in range(number):
        identifier = fresh_id()
        def accept(tx):
            return tx.append(next(outgoing(identifier, tx.next_sequence("ofsted"))))
        entry = ledger.write(accept)
        os.write(1, f"{entry.seq} {entry.detail['sequence']}\\n".encode())  # one call, one whole line

with LGSCO.open(Path(sys.argv[1])) as ledger:
    threads = [threading.Thread(target=work, args=(ledger, int(sys.argv[3]))) for _ in range(int(sys.argv[2]))]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""


def writer(path: Path, threads: int, each: int) -> "subprocess.Popen[str]":
    """A process that appends; it prints number and sequence of every entry when `write` has returned."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(threads), str(each)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def whole_life(tx: Transaction) -> None:
    """Four entries in one commit."""
    for draft in outgoing(fresh_id(), tx.next_sequence("ofsted")):
        tx.append(draft)


def promised(output: str) -> list[tuple[int, int]]:
    """(number, sequence) of every whole line."""
    lines = output.split("\n")[:-1]
    return [(int(line.split()[0]), int(line.split()[1])) for line in lines]


def test_two_processes_and_many_threads_never_fork_the_tree(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    LGSCO.create(path).close()
    processes = [writer(path, 4, 25) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], [error for _, error in outputs]
    entries = [pair for output, _ in outputs for pair in promised(output)]
    assert sorted(seq for seq, _ in entries) == list(range(200))
    assert sorted(sequence for _, sequence in entries) == list(range(1, 201))
    report = verify(path, [LGSCO.verifier])
    assert (report.ok, report.size) == (True, 200), report.problems


def test_threads_of_one_process_share_commits(tmp_path: Path) -> None:
    with LGSCO.create(tmp_path / "ledger.db") as ledger:
        threads = [threading.Thread(target=add, args=(ledger, *[NOTE] * 20)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ledger.size == 160
        commits = int(sqlite3(ledger.path, "SELECT count(*) FROM checkpoints")) - 1
        assert commits < 160
    assert verify(tmp_path / "ledger.db", [LGSCO.verifier]).ok


def test_readers_see_only_whole_commits_while_others_write(tmp_path: Path) -> None:
    with LGSCO.create(tmp_path / "ledger.db") as ledger:
        stop = threading.Event()
        seen: list[str] = []

        def read() -> None:
            while not stop.is_set():
                size = ledger.size
                if size % 4:
                    seen.append(f"size {size}")
                if size and ledger.checkpoint_of(size) is None:
                    seen.append(f"no checkpoint of {size}")
                seen.extend(known.state for known in ledger.handovers() if known.state != "acknowledged")

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        for _ in range(40):
            ledger.write(whole_life)
        stop.set()
        for reader in readers:
            reader.join()
        assert seen == []


def test_kill_9_in_the_middle_of_appending_loses_nothing_that_was_promised(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    LGSCO.create(path).close()
    for round_ in range(4):
        process = writer(path, 3, 100_000)
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline() for _ in range(15 + 9 * round_)]
        os.kill(process.pid, signal.SIGKILL)
        rest, _ = process.communicate(timeout=30)
        last = max(seq for seq, _ in promised("".join(lines) + rest))
        report = verify(path, [LGSCO.verifier])
        assert report.ok, report.problems
        assert report.size > last
        with LGSCO.open(path) as ledger:
            assert add(ledger, NOTE)[0].seq == report.size


def test_a_process_that_dies_inside_a_commit_leaves_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with LGSCO.create(path) as ledger:
        add_handovers(ledger, 1)
    dying = """
import os, sys
from pathlib import Path
from tests.ledger.ledgers import LGSCO
from tests.ledger.test_concurrency import NOTE
with LGSCO.open(Path(sys.argv[1])) as ledger:
    ledger.write(lambda tx: [tx.append(NOTE) for _ in range(3000)] and os.kill(os.getpid(), 9))
"""
    done = subprocess.run([sys.executable, "-c", dying, str(path)], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    report = verify(path, [LGSCO.verifier])
    assert (report.ok, report.size) == (True, 4)
