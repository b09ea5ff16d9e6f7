"""How fast and in how much memory an envelope is sealed and opened, beside `age` and `sha256sum` on the same file.

    python tests/bench/bench_envelope.py [--size MIB] [--rounds N] [--dir DIR] [--profile]

Each measured step is a process of its own, so its peak resident memory is its own. The stock way does what an envelope
does: digest of the source, encryption, digest of the result; and back. Sealing reads the source twice, as sending does.
"""

import argparse
import cProfile
import dataclasses
import json
import os
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange.envelope.sealing import open_envelope, seal
from keys import age
from tests.exchange.messages import TO_SEAL

MIB = 1024 * 1024
LIMIT_MIB = 120


def seal_step(folder: Path) -> None:
    identity = age.parse_identities((folder / "identity").read_text())[0]
    manifest = dataclasses.replace(TO_SEAL, recipient_key=age.fingerprint(identity.recipient()))
    with (folder / "source").open("rb") as source, (folder / "envelope").open("wb") as target:
        signer = Ed25519PrivateKey.generate()
        seal(source, manifest, name="source", signer=signer, recipients=[identity.recipient()], dst=target)


def open_step(folder: Path) -> None:
    identity = age.parse_identities((folder / "identity").read_text())[0]
    with (folder / "envelope").open("rb") as source, (folder / "content").open("wb") as target:
        opened = open_envelope(source, [identity])
        opened.verify_signature()
        opened.copy_payload(target, 1 << 40)


STEPS = {"seal": seal_step, "open": open_step}


def child(step: str, folder: Path, profile: bool) -> None:
    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    begin, used = time.perf_counter(), time.process_time()
    STEPS[step](folder)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - used
    if profile:
        profiler.disable()
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(12)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mib": peak}))


def measured(step: str, folder: Path, profile: bool) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", step, "--dir", str(folder), *(["--profile"] if profile else [])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def stock(folder: Path, *commands: str) -> float:
    begin = time.perf_counter()
    for command in commands:
        subprocess.run(["sh", "-ec", command], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def fill(path: Path, size_mib: int) -> None:
    with path.open("wb") as target:
        for _ in range(size_mib):
            target.write(os.urandom(MIB))


def compare(folder: Path, size_mib: int, rounds: int, profile: bool) -> bool:
    identity = age.X25519Identity.generate()
    (folder / "identity").write_text(f"{identity}\n")
    (folder / "recipient").write_text(f"{identity.recipient()}\n")
    fill(folder / "source", size_mib)
    good = True
    print(f"{size_mib} MiB, {rounds} rounds, best of each; {os.cpu_count()} processors")
    for step, commands in {
        "seal": ("sha256sum source", "age -R recipient -o stock.age source", "sha256sum stock.age"),
        "open": ("sha256sum stock.age", "age -d -i identity -o stock.out stock.age", "sha256sum stock.out"),
    }.items():
        theirs = min(stock(folder, *commands) for _ in range(rounds))
        ours = [measured(step, folder, profile) for _ in range(rounds)]
        best = min(run["seconds"] for run in ours)
        peak = max(run["peak_mib"] for run in ours)
        good = good and peak < LIMIT_MIB
        cpu = min(run["cpu"] for run in ours)
        print(
            f"{step}: {size_mib / best:6.0f} MiB/s ({best:.2f} s, {cpu:.2f} s of processor), "
            f"peak {peak:.0f} MiB (limit {LIMIT_MIB}); age + sha256sum {size_mib / theirs:6.0f} MiB/s; "
            f"ratio {theirs / best:.2f}"
        )
    subprocess.run(["cmp", "source", "content"], cwd=folder, check=True)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", type=int, default=2048, help="size of the file in MiB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", type=Path, help="where to work; a temporary folder if absent")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--child", choices=sorted(STEPS), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        child(chosen.child, chosen.dir, chosen.profile)
        return 0
    with tempfile.TemporaryDirectory(dir=chosen.dir) as folder:
        return 0 if compare(Path(folder), chosen.size, chosen.rounds, chosen.profile) else 1


if __name__ == "__main__":
    sys.exit(main())
