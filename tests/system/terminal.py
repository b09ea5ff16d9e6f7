"""A person at a terminal: types an answer when a program asks for it."""

import os
import pty
import select
import subprocess
import time
from pathlib import Path


def run(
    command: str, typed: list[tuple[str, str]], folder: Path, environment: dict[str, str], patience: float
) -> tuple[int, str, str]:
    """Run `command` with stdin and stderr on a terminal; returns exit code, stdout, and what else the terminal showed.

    `typed` is pairs of a prompt and its answer. The prompts and answers are taken out of what the terminal showed.
    """
    master, slave = pty.openpty()

    # a session of its own, whose terminal is what it reads
    with subprocess.Popen(
        ["setsid", "--ctty", "--fork", "--wait", "bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=slave,
    ) as process:
        os.close(slave)
        try:
            shown = _converse(master, typed, time.monotonic() + patience)
        finally:
            os.close(master)  # whoever still waits for an answer is hung up on
        out = process.stdout.read() if process.stdout else b""
        code = process.wait(patience)
    rest = [line for line in shown.splitlines() if not any(prompt in line for prompt, _ in typed)]
    return code, out.decode("utf-8", "replace"), "\n".join(rest).strip("\n") + "\n"


def _converse(master: int, typed: list[tuple[str, str]], deadline: float) -> str:
    """Answer each prompt once it has been shown; returns everything shown until the programs let go of the terminal."""
    shown, seen = "", 0
    waiting = list(typed)
    while time.monotonic() < deadline:
        if waiting and (at := shown.find(waiting[0][0], seen)) >= 0:
            prompt, answer = waiting.pop(0)
            seen = at + len(prompt)
            time.sleep(0.05)  # a prompt is shown just before the echo is switched off
            os.write(master, answer.encode() + b"\n")
        ready, _, _ = select.select([master], [], [], 0.1)
        if ready:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            shown += data.decode("utf-8", "replace").replace("\r", "")
    if waiting:
        raise AssertionError(f"the terminal never showed {waiting[0][0]!r}, only:\n{shown}")
    return shown
