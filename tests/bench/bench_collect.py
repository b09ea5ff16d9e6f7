"""Collecting beside OpenSSH's own `sftp`, from the same sshd on this machine. Run: python tests/bench/bench_collect.py

500 envelopes are fetched into the spool, made durable, and removed from the server, by `exchange.collect` and by
`sftp -b` with `get` and `rm` of each (`-f` syncs each file as we do). Prints the best of several rounds and the ratio;
above 1 we are quicker. With a folder as argument, the files are written below that (a tmpfs measures no disk).
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from exchange.collect import PickUp, collect
from exchange.sftp import client as sftp
from ledger.identifier import new_id
from tests.organisations import ManualClock, Pair, Template
from tests.sshd import Sshd

COUNT, SMALL = 500, 20_000
ROUNDS = 3


@contextmanager
def collecting(base: Path) -> Iterator[Pair]:
    """Two organisations, of which Ofsted collects."""
    base.joinpath("template").mkdir()
    with Template(base / "template", "lgsco-hosts").pair(base / "pair") as pair:
        yield pair


def main() -> None:
    """Set up server and collector, and measure."""
    with Sshd() as sshd, tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as name:
        here = Path(name)
        names = [f"{new_id(ManualClock()(), os.urandom)}.age" for _ in range(COUNT)]
        (here / "key").touch(0o600)
        (here / "key").write_bytes(sshd.user_key)
        (here / "known").write_text(f"[127.0.0.1]:{sshd.port} {sshd.host_public}\n")
        (here / "down").mkdir()

        def theirs(*options: str) -> Callable[[], object]:
            command = ["sftp", "-F", "none", "-q", "-b", "-", *options, "-i", str(here / "key"), "-P", str(sshd.port)]
            command += ["-o", f"UserKnownHostsFile={here / 'known'}", f"{sshd.user}@127.0.0.1:{sshd.address().path}"]
            text = f"lcd {here / 'down'}\n" + "".join(f"get {name}\nrm {name}\n" for name in names)
            return lambda: subprocess.run(command, input=text.encode(), stdout=subprocess.DEVNULL, check=True)

        with collecting(here) as pair:
            landing = sftp.connect(sshd.address(), sshd.user_key, timeout=60, keepalive=30)
            pair.ofsted.pickup = PickUp("lgsco", landing)
            spool = pair.ofsted.home.spool / "in" / "lgsco"

            def ours() -> None:
                assert collect(pair.ofsted.parts, pair.ofsted.pickup) == COUNT

            best: dict[str, float] = {}
            for _ in range(ROUNDS):
                for label, work in {"handover": ours, "sftp -b": theirs(), "sftp -b -f": theirs("-f")}.items():
                    for file in names:
                        (sshd.zone / file).write_bytes(os.urandom(SMALL))
                        (sshd.zone / file).chmod(0o644)
                    began = time.perf_counter()
                    work()
                    best[label] = max(best.get(label, 0.0), COUNT / (time.perf_counter() - began))
                    assert list(sshd.zone.iterdir()) == []
                    for folder in (here / "down", spool):
                        for path in folder.iterdir() if folder.is_dir() else ():
                            path.unlink()
            landing.close()
    print(f"{COUNT} files of {SMALL} bytes, each fetched and removed, files/s; on {os.cpu_count()} cores")
    for label, rate in best.items():
        print(f"  {label:<20} {rate:8.0f}   ratio {best['handover'] / rate:.2f}")


if __name__ == "__main__":
    main()
