"""Uploads beside OpenSSH's own `sftp`, to the same sshd on this machine. Run: python tests/bench/bench_sftp.py

Prints the best of several rounds each and the ratio; above 1 we are quicker. The rounds of all sides alternate, so that
a busy machine disturbs all alike. The server writes to memory (a tmpfs; needs root), so that no disk is measured; with
`--disk` it writes to disk, where syncing is most of the time: `sftp -f` syncs each file as we do, `sftp` does not.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from exchange.landing import Small
from exchange.sftp import client as sftp
from tests.sshd import Sshd

BIG = 256 * 1024 * 1024
COUNT, SMALL = 500, 20_000
ROUNDS = 3

Work = Callable[[], object]


def main() -> None:
    """Set up one server, and measure."""
    with Sshd() as sshd, tempfile.TemporaryDirectory() as name:
        if "--disk" in sys.argv:
            measure(sshd, Path(name))
            return
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=2g,uid={sshd.uid}", "tmpfs", sshd.zone], check=True)
        try:
            measure(sshd, Path(name))
        finally:
            subprocess.run(["umount", "--lazy", sshd.zone], check=True)


def measure(sshd: Sshd, here: Path) -> None:
    """Both tables."""
    (here / "key").touch(0o600)
    (here / "key").write_bytes(sshd.user_key)
    (here / "known").write_text(f"[127.0.0.1]:{sshd.port} {sshd.host_public}\n")
    (here / "big").write_bytes(os.urandom(BIG))
    for number in range(COUNT):
        (here / f"{number:03}").write_bytes(os.urandom(SMALL))
    landing = sftp.connect(sshd.address(), sshd.user_key, timeout=60, keepalive=30)

    def ours_big() -> None:
        with (here / "big").open("rb") as source:
            landing.put(source, BIG, "big.part")

    def ours_small(*, sync: bool) -> None:
        files = (Small((here / f"{n:03}").read_bytes(), f"{n:03}.part", f"{n:03}.age") for n in range(COUNT))
        landing.put_many(files, sync=sync)

    def theirs(batch: str, *options: str) -> Work:
        command = ["sftp", "-F", "none", "-q", "-b", "-", *options, "-i", str(here / "key"), "-P", str(sshd.port)]
        command += ["-o", f"UserKnownHostsFile={here / 'known'}", f"{sshd.user}@127.0.0.1:{sshd.address().path}"]
        text = f"lcd {here}\n{batch}".encode()
        return lambda: subprocess.run(command, input=text, stdout=subprocess.DEVNULL, check=True)

    many = "".join(f"put {n:03} {n:03}.part\nrename {n:03}.part {n:03}.age\n" for n in range(COUNT))
    one = "put big big.part\n"
    print(f"on {os.cpu_count()} cores; best of {ROUNDS}")
    compare(
        "one file of 256 MiB, MiB/s",
        BIG / 2**20,
        {
            "handover": ours_big,
            "sftp": theirs(one),
            "sftp -c aes128-gcm": theirs(one, "-c", "aes128-gcm@openssh.com"),
            "sftp -f": theirs(one, "-f"),
        },
    )
    compare(
        f"{COUNT} files of {SMALL} bytes, each put and renamed, files/s",
        COUNT,
        {"handover, no sync": partial(ours_small, sync=False), "sftp -b": theirs(many)},
    )
    compare(
        f"{COUNT} files of {SMALL} bytes, each put, synced and renamed, files/s",
        COUNT,
        {"handover": partial(ours_small, sync=True), "sftp -b -f": theirs(many, "-f")},
    )
    landing.close()


def compare(title: str, amount: float, sides: dict[str, Work]) -> None:
    """The best rate of each side, and ours (the first) beside it."""
    best = dict.fromkeys(sides, 0.0)
    for _ in range(ROUNDS):
        for label, work in sides.items():
            began = time.perf_counter()
            work()
            best[label] = max(best[label], amount / (time.perf_counter() - began))
    mine = next(iter(best.values()))
    print(title)
    for label, rate in best.items():
        print(f"  {label:<20} {rate:8.0f}   ratio {mine / rate:.2f}")


if __name__ == "__main__":
    main()
