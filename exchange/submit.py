"""`submit`: puts files into the outbound folders as a person would, with a sidecar for what folders cannot say."""

import datetime
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from config.authorities import Register
from config.errors import Misuse, Refused
from config.home import Home
from exchange import files, intake
from exchange.concern import FileFacts, judge, sidecar_for
from exchange.drop import SIDECAR, is_unfinished
from exchange.half_copy import half_copy
from exchange.partner_trust import agreements_with
from exchange.spool import Claim
from keys.trust import Trust


def submit(
    home: Home,
    trust: Trust,
    paths: Sequence[Path],
    partner: str,
    category: str,
    authority: str,
    reference: str | None,
) -> list[Path]:
    """Copy `paths` into the outbound folder; refuses all of them at once if the agreement would not let one go."""
    agreements = agreements_with(home, trust)
    register = Register.shipped()
    today = datetime.datetime.now(datetime.UTC).date()
    sidecar = sidecar_for(reference)
    problems: list[str] = []
    for path in paths:
        try:
            status = path.stat()
        except OSError as problem:
            raise Misuse(f"{path} cannot be read: {problem.strerror}") from None
        if not stat.S_ISREG(status.st_mode):
            raise Misuse(f"{path} is not a file")
        name = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in path.name)
        if is_unfinished(path.name):
            problems.append(f"{name}: A file of this name is never taken, it could be unfinished. Rename it.")
            continue
        judgement = judge(
            Claim("", (partner, category, authority), path.name, "", sidecar),
            FileFacts(status.st_size, stat.S_IFREG, 1, True),
            me=home.settings.organisation.id,
            partners=agreements,
            register=register,
            today=today,
            max_bytes=home.settings.limits.max_bytes,
        )
        problems += [f"{name}: {objection.text}" for objection in judgement.objections]
    if problems:
        raise Refused("not submitted: " + " ".join(problems), reason="not-allowed")
    council = register.resolve(authority, today).short_name
    directory = home.outbound / partner / category / council
    return [_drop(path, directory, sidecar) for path in paths]


def _drop(path: Path, directory: Path, sidecar: str | None) -> Path:
    """The sidecar first, then the file by one rename: the scan never sees the file without it."""
    files.make_directory(directory)
    target, beside = directory / path.name, directory / (path.name + SIDECAR)
    taken = Refused(f"a file of that name waits in the outbound folder already: {target}", reason="name-taken")
    if files.is_there(target):
        raise taken
    with path.open("rb") as source, half_copy(directory) as copy:
        shutil.copyfileobj(source, copy.file, 1 << 20)
        copy.finish()
        with _alone_in(directory):
            if not _has_sidecar(beside, sidecar):
                raise taken
            if not files.move_new(copy.path, target):
                if sidecar is not None:
                    files.remove(beside)
                raise taken
    return target


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """No two of us at a time: a file must not get the sidecar of another."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _has_sidecar(target: Path, text: str | None) -> bool:
    """Whether what lies beside the place of a file is what belongs to it; written now where there is nothing."""
    there, _ = intake.read_sidecar(target)
    if there is not None or text is None:
        # one that says the same was left by a try that was killed
        return there == text
    with half_copy(target.parent, 0o640) as copy:
        copy.file.write(text.encode())
        copy.finish()
        return files.move_new(copy.path, target)
