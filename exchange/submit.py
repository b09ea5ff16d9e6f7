"""`submit`: puts files into the outbound folders as a person would, with a sidecar for what folders cannot say."""

import datetime
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from config.authorities import Register
from config.errors import Misuse, Refused
from config.home import Home
from exchange import files
from exchange.assembly import agreements_with
from exchange.concern import FileFacts, judge, sidecar_for
from exchange.drop import SIDECAR
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
        judgement = judge(
            Claim("", (partner, category, authority), path.name, "", sidecar),
            FileFacts(status.st_size, stat.S_IFREG, 1, True),
            me=home.settings.organisation.id,
            partners=agreements,
            register=register,
            today=today,
            max_bytes=home.settings.limits.max_bytes,
        )
        problems += [f"{path.name}: {objection.text}" for objection in judgement.objections]
    if problems:
        raise Refused("not submitted: " + " ".join(problems), reason="not-allowed")
    council = register.resolve(authority, today).short_name
    directory = home.outbound / partner / category / council
    return [_drop(path, directory, sidecar) for path in paths]


def _drop(path: Path, directory: Path, sidecar: str | None) -> Path:
    """The sidecar first, then the file by one rename: the scan never sees the file without it."""
    files.make_directory(directory)
    target = directory / path.name
    taken = Refused(f"a file of that name waits in the outbound folder already: {target}", reason="name-taken")
    if target.exists():
        raise taken
    temporary = directory / f".{path.name[:100]}.part"
    try:
        with path.open("rb") as source, temporary.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
            files.sync_file(copy)
        if sidecar is not None:
            files.write_new(directory / (path.name + SIDECAR), sidecar.encode(), 0o640)
        moved = files.move_new(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if not moved:
        temporary.unlink(missing_ok=True)
        raise taken
    return target
