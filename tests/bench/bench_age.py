"""How quick our age files are beside Debian's `age`, in one run: `python tests/bench/bench_age.py [MIB]`.

Each side reads the same file, which lies in memory by then, and writes to /dev/null, so that no disk is measured. Ours
runs as a program of its own, start included, as `age` does, and once more without its start ("in process"). The best of
some rounds counts; the rounds of both sides alternate, so that a busy machine disturbs both alike.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from keys import age

DEFAULT_MIB = 256
ROUNDS = 5
MIB = 1 << 20

SEAL = "import sys; from keys import age; s, r = sys.argv[1:]; " + (
    "age.encrypt(open(s, 'rb', 0), open('/dev/null', 'wb', 0), [age.parse_recipient(r)])"
)
OPEN = "import sys; from keys import age; s, i = sys.argv[1:]; " + (
    "age.decrypt(open(s, 'rb', 0), open('/dev/null', 'wb', 0), age.parse_identities(open(i).read()))"
)


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def program(*arguments: str) -> Callable[[], object]:
    """Running that program."""
    return lambda: subprocess.run(arguments, check=True)


def measure(mib: int, folder: Path) -> dict[str, dict[str, float]]:
    """MiB/s of each side, by what is measured."""
    identity = age.X25519Identity.generate()
    recipient = str(identity.recipient())
    plain, sealed, armoured, key = (folder / name for name in ("plain", "sealed", "armoured", "key"))
    key.write_text(f"{identity}\n")
    with plain.open("wb") as dst, Path("/dev/urandom").open("rb") as noise:
        for _ in range(mib):
            dst.write(noise.read(MIB))
    program("age", "-r", recipient, "-o", str(sealed), str(plain))()
    program("age", "-a", "-r", recipient, "-o", str(armoured), str(plain))()

    def seal_here() -> None:
        with plain.open("rb", 0) as src, Path("/dev/null").open("wb", 0) as dst:
            age.encrypt(src, dst, [identity.recipient()])

    def open_here(path: Path) -> Callable[[], object]:
        def work() -> None:
            with path.open("rb", 0) as src, Path("/dev/null").open("wb", 0) as dst:
                age.decrypt(src, dst, [identity])

        return work

    cases: dict[str, dict[str, Callable[[], object]]] = {
        "encrypt": {
            "age": program("age", "-r", recipient, "-o", "/dev/null", str(plain)),
            "ours": program(sys.executable, "-c", SEAL, str(plain), recipient),
            "in process": seal_here,
        },
        "decrypt": {
            "age": program("age", "-d", "-i", str(key), "-o", "/dev/null", str(sealed)),
            "ours": program(sys.executable, "-c", OPEN, str(sealed), str(key)),
            "in process": open_here(sealed),
        },
        "decrypt armoured": {
            "age": program("age", "-d", "-i", str(key), "-o", "/dev/null", str(armoured)),
            "ours": program(sys.executable, "-c", OPEN, str(armoured), str(key)),
            "in process": open_here(armoured),
        },
    }
    best: dict[str, dict[str, float]] = {}
    for case, sides in cases.items():
        rounds = [{side: seconds(work) for side, work in sides.items()} for _ in range(ROUNDS)]
        best[case] = {side: mib / min(one[side] for one in rounds) for side in sides}
    return best


def main(mib: int = DEFAULT_MIB) -> None:
    """Print a table of MiB/s and the ratios to `age`."""
    with tempfile.TemporaryDirectory(prefix="bench-age-") as folder:
        results = measure(mib, Path(folder))
    print(f"{mib} MiB, MiB/s, best of {ROUNDS}")
    print(f"{'':18}{'age':>8}{'ours':>8}{'ratio':>8}{'in process':>12}{'ratio':>8}")
    for case, side in results.items():
        ours, here = side["ours"] / side["age"], side["in process"] / side["age"]
        print(f"{case:18}{side['age']:8.0f}{side['ours']:8.0f}{ours:8.2f}{side['in process']:12.0f}{here:8.2f}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
