"""The real program, started quickly many times: everything is imported once, then each command runs in a fork of that.

    with Program() as program:
        run = program.start(["--home", "lgsco", "run", "--once"], folder)
        …                          the command waits: strace may attach itself here
        code = run.finish()        goes; the exit code, or minus the number of the signal that ended it

Nothing is left out: a fork calls the same `exchange.cli.main` as the installed command, in a process of its own.
`python -m tests.faults.program` is the process that forks.
"""

import contextlib
import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

GO = signal.SIGUSR1
"""What a command waits for before it begins."""

PATIENCE = 60.0
"""Seconds after which a command that does not end is killed."""

MODULES = (
    "exchange.cli.service", "exchange.cli.failure", "exchange.service.daemon", "exchange.service.once",
    "exchange.assembly", "exchange.sftp.client", "exchange.passphrase", "exchange.service.log",
    "exchange.secret_source", "ledger.verify", "tarfile", "unittest.mock",
)  # fmt: skip

_ANY_TRACER = -1
_PR_SET_PTRACER = 0x59616D61


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str
    hung: bool = False


class Started:
    """A command that has not begun yet."""

    def __init__(self, program: "Program", pid: int, out: Path, err: Path) -> None:
        self.pid = pid
        self._program = program
        self._out, self._err = out, err

    def finish(self, patience: float = PATIENCE) -> Ended:
        """Let it go, and wait for its end."""
        hung = threading.Event()

        def give_up() -> None:
            hung.set()
            os.kill(self.pid, signal.SIGKILL)

        timer = threading.Timer(patience, give_up)
        timer.start()
        try:
            os.kill(self.pid, GO)
            code = int(self._program.hear()["code"])
        finally:
            timer.cancel()
        return Ended(code, self._out.read_text(), self._err.read_text(), hung.is_set())


class Program:
    """The process that has imported everything; one command at a time."""

    def __init__(self, *module: str) -> None:
        """`module` is another one to run, with its arguments, which then calls `serve`."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", *(module or ("tests.faults.program",))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )

    def start(self, arguments: Sequence[str], folder: Path) -> Started:
        """Fork a command that waits; what it says goes into files in `folder`."""
        assert self._process.stdin is not None
        out, err = folder / "out", folder / "err"
        self._process.stdin.write(json.dumps({"arguments": list(arguments), "out": str(out), "err": str(err)}) + "\n")
        self._process.stdin.flush()
        return Started(self, int(self.hear()["pid"]), out, err)

    def run(self, arguments: Sequence[str], folder: Path) -> Ended:
        """A whole command, without a fault."""
        return self.start(arguments, folder).finish()

    def hear(self) -> dict[str, int]:
        """The next line of the process."""
        assert self._process.stdout is not None
        heard: dict[str, int] = json.loads(self._process.stdout.readline())
        return heard

    def close(self) -> None:
        """End it."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve() -> None:
    """Fork a command for each line that comes in."""
    for name in MODULES:
        importlib.import_module(name)
    signal.pthread_sigmask(signal.SIG_BLOCK, [GO])
    for line in sys.stdin:
        request = json.loads(line)
        heard, ready = os.pipe()
        pid = os.fork()
        if pid == 0:
            _command(request["arguments"], request["out"], request["err"], ready)
        os.close(ready)
        # only the command's own calls are to be met by whoever attaches itself now
        os.read(heard, 1)
        os.close(heard)
        print(json.dumps({"pid": pid}), flush=True)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(json.dumps({"code": code}), flush=True)


def _command(arguments: list[str], out: str, err: str, ready: int) -> None:
    from exchange.cli import main

    for number, path in ((0, os.devnull), (1, out), (2, err)):
        handle = os.open(path, os.O_RDWR if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    sys.argv = ["handover", *arguments]
    # strace is no parent of ours: where the machine asks for it, allow it to attach itself
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(_ANY_TRACER), 0, 0, 0)
    os.close(ready)
    signal.sigwait([GO])
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [GO])
    code = 70
    try:
        main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # a sweep that was interrupted no longer listens
        serve()
