"""Four files between two organisations, stopped at three moments, to each of which one can return.

    drop      LGSCO has dropped them           its run takes, seals and sends them
    deliver   they lie in Ofsted's zone        its run delivers or refuses them, and answers
    settle    the answers lie in LGSCO's zone  its run puts each file into its last place

Each has a second one, `drop-again` and so on: that run died in the middle, and the next run has to clear up first.

A moment is a copy of both homes and of every folder that OpenSSH serves: two landing zones, or, where one side
collects, the other's landing zone and pick-up folder.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.home import Home
from tests.faults.program import Ended, Program
from tests.faults.trace import CALLS, KILL, Call, Fault, calls, strace
from tests.organisations import CASE
from tests.system.daemons import PICKUP, Running, exchange

SETTINGS = {
    "watch.quiet": "10ms",
    "watch.rescan": "200ms",
    "retry.first": "50ms",
    "retry.max": "200ms",
}
LIMIT = 400_000
"""Ofsted takes no larger files, and LGSCO does not know."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A file and what must become of it."""

    name: str
    size: int
    sidecar: bool
    outcome: str

    @property
    def mark(self) -> bytes:
        """Text that the file is full of, and no other."""
        return f"[personal data of {self.name}]\n".encode()

    @property
    def content(self) -> bytes:
        """All of it."""
        return (self.mark * (self.size // len(self.mark) + 1))[: self.size]


FILES = (
    Dropped(f"{CASE} small.pdf", 1_000, True, "acknowledged"),
    Dropped(f"{CASE} large.pdf", 300_000, False, "acknowledged"),
    Dropped(f"{CASE} held.exe", 500, True, "held"),
    Dropped(f"{CASE} refused.pdf", 500_000, False, "rejected"),
)
MOMENTS = {"drop": "lgsco", "deliver": "ofsted", "settle": "lgsco"}
"""The first three moments, and who acts next."""

_INODE = re.compile(r'(?<="inode": )\d+|(?<=\d:)\d+(?=:\d{19}")')

AGAIN = "-again"
"""Ending of the name of a moment after a death."""


class Scene:
    """Both organisations, and the way back to each moment."""

    def __init__(self, folder: Path, both: dict[str, Running], program: Program) -> None:
        self.both = both
        self.folder = folder
        self.homes = folder / "homes"
        self._program = program
        self._output = folder / "output"
        self._output.mkdir()
        self._inodes: dict[str, dict[int, Path]] = {}
        self.tidy: frozenset[str] = frozenset()
        """Every path below both homes after a run without faults."""
        self.kept = True
        """Both keep what has arrived."""

    def prepare(self, again: bool) -> None:
        """Play everything once without faults, keeping each moment; `again` those after a death, too."""
        config = self.both["ofsted"].home.config_file
        config.write_text(config.read_text().replace('# max_file = "10GiB"', f'max_file = "{LIMIT}B"'))
        for file in FILES:
            self.both["lgsco"].drop(file.content, file.name)
            if file.sidecar:
                folder = next(self.both["lgsco"].home.outbound.rglob(file.name)).parent
                (folder / f"{file.name}.concern.toml").write_text("event_date = 2026-10-01\n")
        for moment, organisation in MOMENTS.items():
            self._keep(moment)
            ended = self.run(organisation)
            assert ended.code == 0, ended.err
        self.settle_servers()
        self.tidy = self.paths()
        for moment, organisation in MOMENTS.items() if again else ():
            self.restore(moment)
            renames = [call.number for call in self.traced(organisation) if call.name == "rename"]
            self.restore(moment)
            ended, _ = self.faulty(organisation, Fault("rename", renames[len(renames) // 2], KILL))
            assert ended.code == -9, ended.err
            self._keep(moment + AGAIN)

    def served(self) -> dict[str, Path]:
        """Every folder outside the homes, by a name of its own."""
        zones = {name: one.sshd.zone for name, one in self.both.items()}
        pickups = {f"{name}-{PICKUP}": one.sshd.base / PICKUP for name, one in self.both.items()}
        return zones | {name: folder for name, folder in pickups.items() if folder.is_dir()}

    def zones(self) -> list[Path]:
        """Landing zones and pick-up folders."""
        return list(self.served().values())

    def home(self, organisation: str) -> Home:
        """The home of one."""
        return self.both[organisation].home

    def paths(self) -> frozenset[str]:
        """Every path below both homes and zones, but for SQLite's own beside the ledger and the lock of a daemon."""
        roots = {"homes": self.homes, **{f"zone of {name}": folder for name, folder in self.served().items()}}
        return frozenset(
            f"{root}/{path.relative_to(top)}"
            for root, top in roots.items()
            for path in top.rglob("*")
            if not path.name.endswith(("-wal", "-shm", "-journal", ".pid", ".log"))
        )

    def restore(self, moment: str) -> None:
        """Back to a moment."""
        self.settle_servers()
        shutil.rmtree(self.homes)
        _copy(self.folder / moment / "homes", self.homes)
        self._renumber(moment)
        for name, folder in self.served().items():
            for path in folder.iterdir():
                path.unlink()
            _copy(self.folder / moment / name, folder)

    def run(self, organisation: str) -> Ended:
        """`run --once` without a fault."""
        return self._program.run(self._arguments(organisation), self._output)

    def traced(self, organisation: str) -> list[Call]:
        """`run --once`, and the calls of interest that it made."""
        started = self._program.start(self._arguments(organisation), self._output)
        log = self._output / "strace"
        with strace(started.pid, log, "-y", f"--trace={','.join(CALLS)}"):
            ended = started.finish()
        assert ended.code == 0, ended.err
        return calls(log.read_text(errors="replace"), str(self.homes))

    def recorded(self, organisation: str, *options: str, fault: Fault | None = None) -> str:
        """`run --once`, with a fault if given; the log of what it and both servers did, as `options` tell strace."""
        started = self._program.start(self._arguments(organisation), self._output)
        log = self._output / "strace"
        servers = [one.sshd.pid for one in self.both.values() if one.sshd.runs]
        faults = () if fault is None else ("-e", fault.injection)
        with strace(started.pid, log, *options, *faults, also=servers):
            ended = started.finish()
            self.settle_servers()
        assert ended.code == (0 if fault is None else -signal.SIGKILL), ended.err
        return log.read_text(errors="replace")

    def faulty(self, organisation: str, fault: Fault) -> tuple[Ended, str]:
        """`run --once` with a fault; also what the fault hit, empty if that call was not reached."""
        started = self._program.start(self._arguments(organisation), self._output)
        log = self._output / "strace"
        with strace(started.pid, log, "-y", f"--trace={fault.call}", "-e", fault.injection):
            ended = started.finish()
        said = log.read_text(errors="replace").splitlines()
        if ended.code == -9 and not ended.hung:
            hit = [line for line in said if fault.call in line][-1:]
        else:
            hit = [_whole(said, number) for number, line in enumerate(said) if "(INJECTED)" in line]
        return ended, hit[0] if hit else ""

    def _arguments(self, organisation: str) -> list[str]:
        return ["--home", str(self.both[organisation].home.root), "run", "--once"]

    def _keep(self, moment: str) -> None:
        self.settle_servers()
        self._inodes[moment] = {path.lstat().st_ino: path for path in self.homes.rglob("*")}
        _copy(self.homes, self.folder / moment / "homes")
        for name, folder in self.served().items():
            _copy(folder, self.folder / moment / name)

    def _renumber(self, moment: str) -> None:
        """A copy has other inodes, which a claim must name: the program knows a file by them."""

        def now(found: re.Match[str]) -> str:
            path = self._inodes[moment].get(int(found[0]))
            return found[0] if path is None or not path.exists() else str(path.lstat().st_ino)

        for claim in self.homes.rglob("claim.json"):
            claim.write_text(_INODE.sub(now, claim.read_text()))

    def settle_servers(self) -> None:
        """Wait until no connection is left that could still write."""
        deadline = time.monotonic() + 20
        while any(one.sshd.sessions() for one in self.both.values()):
            assert time.monotonic() < deadline, "a connection does not end"
            time.sleep(0.01)


@contextmanager
def scene(program: Program | None = None, *, again: bool = True, topology: str = "push") -> Iterator[Scene]:
    """A prepared scene, in memory where there is such a folder; without moments `again` it is there sooner."""
    import tempfile

    memory = Path("/dev/shm")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)))
        (folder / "homes").mkdir()
        both = stack.enter_context(exchange(folder / "homes", dict(SETTINGS), topology))
        made = Scene(folder, both, stack.enter_context(program or Program()))
        made.prepare(again)
        yield made


def _copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", f"{source}{os.sep}.", str(target)], check=True)


def _whole(log: list[str], number: int) -> str:
    """A line of strace with its beginning, which names the file, where another thread came between the two."""
    line = log[number]
    if "resumed>" not in line:
        return line
    thread = line.split(" ", 1)[0]
    begun = [one for one in log[:number] if one.split(" ", 1)[0] == thread and "<unfinished" in one]
    return " ".join([*begun[-1:], line])
