"""Transcripts: text files that read like a terminal, and the runner that holds the program to them.

    ## a comment for the reader
    [start two-homes]                        what lies in the folder before the first command (see scenes.py)
    $ handover --home lgsco list             a command, run by bash in that folder
    nothing much                             what it prints on stdout
    2> error: what it says on stderr
    tty> passphrase: correct horse           what the terminal asks, and what a person types there
    [exit 2]                                 its exit code, if not 0
    [file lgsco/held/*/why.txt]              after it, this exists
    [no file lgsco/daemon.pid]               and this does not
    [wait lgsco.log daemon.ready]            after it, until these words are in that file

In what is expected, `…` stands for any part of a line, a line `[...]` for any number of lines, and `‹name›` for a word
that is remembered: it must be the same wherever it comes again, and can be used in commands.

After every command the runner demands on its own account: no traceback; and if the command failed, that it left no new
file but those that the transcript names. At the end, no daemon's log tells of a fault in the program.

    python -m tests.system.transcript FILE        runs it and prints what really happened, in the same form

>>> [step] = parse('$ handover shw\\n2> error: no such command …\\n[exit 2]\\n').steps
>>> step.command, step.exit, step.out, step.err
('handover shw', 2, [], ['error: no such command …'])
"""

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.system import terminal
from tests.system.scenes import Scenes

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds for one command or one wait."""

_DIRECTIVE = re.compile(r"\[(exit|file|no file|wait|start) (.+)\]")
_COMES_AND_GOES = re.compile(r".*\.db-(wal|shm)$|.*/daemon\.pid$|bin/.*")
"""Files that a command may leave without having produced anything."""


class Mismatch(AssertionError):
    """The program did not do what the transcript says."""


@dataclass
class Step:
    """One command and everything expected of it."""

    line: int
    command: str
    exit: int = 0
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    typed: list[tuple[str, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    no_files: list[str] = field(default_factory=list)
    waits: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Transcript:
    """A scene and the commands in it."""

    scene: str
    steps: list[Step]


@dataclass(frozen=True, slots=True)
class Done:
    """What a command did."""

    exit: int
    out: str
    err: str


def parse(text: str) -> Transcript:
    """Read a transcript; raises ValueError for a line that belongs to no command."""
    transcript = Transcript("nothing", [])
    for number, line in enumerate(text.splitlines(), 1):
        directive = _DIRECTIVE.fullmatch(line)
        if line.startswith("## "):
            continue
        if line.startswith("$ "):
            transcript.steps.append(Step(number, line[2:]))
        elif directive and directive[1] == "start":
            transcript.scene = directive[2]
        elif transcript.steps:
            _expect(transcript.steps[-1], line, directive)
        elif line:
            raise ValueError(f"line {number} comes before the first command")
    return transcript


def _expect(step: Step, line: str, directive: re.Match[str] | None) -> None:
    if line.startswith("2>"):
        step.err.append(line[3:])
    elif line.startswith("tty> "):
        prompt, _, answer = line[5:].rpartition(": ")
        step.typed.append((prompt + ":", answer))
    elif directive is None:
        step.out.append(line)
    elif directive[1] == "exit":
        step.exit = int(directive[2])
    elif directive[1] == "wait":
        path, _, words = directive[2].partition(" ")
        step.waits.append((path, words))
    else:
        (step.files if directive[1] == "file" else step.no_files).append(directive[2])


class Runner:
    """Runs commands in one folder, with the words remembered so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.words: dict[str, str] = {}
        self._groups: list[int] = []
        programs = folder / "bin"
        programs.mkdir(exist_ok=True)
        program = programs / "handover"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m exchange "$@"\n')
        program.chmod(0o755)
        self._environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
        }

    def close(self) -> None:
        """End what was started in the background."""
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGTERM)

    def act(self, step: Step) -> Done:
        """Run one command and look at everything that the step expects; raises Mismatch."""
        before = self._files()
        done = self.run(self._filled(step.command), [(prompt, self._filled(answer)) for prompt, answer in step.typed])
        self._compare(step, done)
        for path, words in step.waits:
            self._wait(step, self._filled(path), words)
        new = self._files() - before
        if done.exit != 0:
            named = {path for pattern in step.files for path in self._glob(pattern)}
            if left := sorted(new - named):
                raise Mismatch(f"line {step.line}: the command failed and left {', '.join(left)}")
        for pattern in step.files:
            if not self._glob(pattern):
                raise Mismatch(f"line {step.line}: there is no file {pattern}")
        for pattern in step.no_files:
            if found := self._glob(pattern):
                raise Mismatch(f"line {step.line}: there is {found[0]}")
        return done

    def run(self, command: str, typed: list[tuple[str, str]]) -> Done:
        """Run a command by bash; what is typed goes to a terminal of its own."""
        if typed:
            return Done(*terminal.run(command, typed, self.folder, self._environment, PATIENCE))
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            # files, not pipes: a daemon that the command leaves behind would keep a pipe open
            process = subprocess.Popen(
                ["bash", "-c", command],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            self._groups.append(process.pid)
            try:
                code = process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.close()
                process.wait()
                raise Mismatch(f"after {PATIENCE} seconds this had not ended: {command}") from None
            out.seek(0), err.seek(0)
            return Done(code, out.read().decode("utf-8", "replace"), err.read().decode("utf-8", "replace"))

    def _compare(self, step: Step, done: Done) -> None:
        shown = f"line {step.line}: $ {step.command}\n{show(done)}"
        if "Traceback (most recent call last)" in done.out + done.err:
            raise Mismatch(f"a person saw a traceback\n{shown}")
        for name, expected, found in (("stdout", step.out, done.out), ("stderr", step.err, done.err)):
            matched = self._pattern(expected).fullmatch(_tidy(found.splitlines()))
            if matched is None:
                raise Mismatch(f"{name} is not as expected\n{shown}")
            self.words.update(matched.groupdict())
        if done.exit != step.exit:
            raise Mismatch(f"exit code {done.exit} instead of {step.exit}\n{shown}")

    def _pattern(self, lines: list[str]) -> re.Pattern[str]:
        fresh: set[str] = set()

        def piece(part: str) -> str:
            if part == "…":
                return ".*?"
            if not part.startswith("‹"):
                return re.escape(part)
            name = part[1:-1]
            if name in self.words:
                return re.escape(self.words[name])
            if name in fresh:
                return f"(?P={name})"
            fresh.add(name)
            return rf"(?P<{name}>.+?)"

        tidy = _tidy(lines).splitlines()
        written = (
            r"(?:.*\n)*?" if line == "[...]" else "".join(map(piece, re.split(r"(…|‹\w+›)", line))) + r"\n"
            for line in tidy
        )
        return re.compile("".join(written))

    def _filled(self, text: str) -> str:
        return re.sub(r"‹(\w+)›", lambda found: self.words[found[1]], text)

    def _wait(self, step: Step, path: str, words: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not any(words in (self.folder / found).read_text("utf-8", "replace") for found in self._glob(path)):
            if time.monotonic() > deadline:
                raise Mismatch(f"line {step.line}: {path} never held {words!r}")
            select.select([], [], [], 0.05)

    def _glob(self, pattern: str) -> list[str]:
        return [str(path.relative_to(self.folder)) for path in sorted(self.folder.glob(self._filled(pattern)))]

    def _files(self) -> set[str]:
        found = (str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if not path.is_dir())
        return {path for path in found if not _COMES_AND_GOES.fullmatch(path)}


def _tidy(lines: list[str]) -> str:
    """Without blanks at the ends of lines, or empty lines at the end."""
    text = "\n".join(line.rstrip() for line in lines).rstrip("\n")
    return text + "\n" if text else ""


def show(done: Done) -> str:
    """What happened, in the form of a transcript."""
    lines = [*done.out.splitlines(), *(f"2> {line}" for line in done.err.splitlines())]
    return "\n".join(lines + ([f"[exit {done.exit}]"] if done.exit else []))


def play(transcript: Transcript, folder: Path, scenes: Scenes) -> Iterator[tuple[Step, Done]]:
    """Run a whole transcript in `folder`; raises Mismatch at the first difference."""
    scenes.set(transcript.scene, folder)
    runner = Runner(folder)
    try:
        for step in transcript.steps:
            yield step, runner.act(step)
        for log in folder.rglob("*.log"):
            if '"round.broken"' in (said := log.read_text("utf-8", "replace")):
                raise Mismatch(f"a daemon met a fault of its own\n{said}")
    finally:
        runner.close()


def main(arguments: list[str]) -> int:
    """Play one file and print what really happened."""
    with tempfile.TemporaryDirectory() as base:
        scenes = Scenes(Path(base) / "scenes")
        folder = Path(base) / "folder"
        folder.mkdir()
        try:
            for step, done in play(parse(Path(arguments[0]).read_text("utf-8")), folder, scenes):
                print(f"$ {step.command}\n{show(done)}")
        except Mismatch as problem:
            print(f"--- {problem}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
