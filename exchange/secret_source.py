"""One line that is a secret, from a file, a descriptor or a credential: refused where others could have read it.

    file         ours or root's; nobody else reads or writes it; a link is followed only where a person named the file
    credential   $CREDENTIALS_DIRECTORY/NAME, as systemd makes it: no link, a regular file, in a folder that nobody else
                 writes. The file is ours, or it is root's and an access list lets us in (its mask shows as group bits)
    descriptor   whatever the caller has opened

The secret is the first line, without its end; what follows it is left alone. `what` in a message is `passphrase` or
`PIN`: never a path, never anything of what was read.
"""

import os
import stat
from pathlib import Path
from typing import Literal

from config import durable
from config.errors import Misuse, NotNow
from keys.secret import Secret

MAX_SECRET = 4096
"""Longer input, in bytes, is not a passphrase but a mistaken file."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MASK = stat.S_IRGRP
"""What an access list shows in place of the group's rights: systemd lets the service's user in by one."""

Trust = Literal["file", "settings", "credential"]
"""Who says where it lies: a person, here and now; handover.toml; systemd."""


def read_file(path: Path, what: str, trust: Trust = "file") -> Secret:
    """The secret that a file holds; raises Misuse if it is open to others or holds none, NotNow if it is not there."""
    source = f"the credential with the {what}" if trust == "credential" else f"the {what} file"
    # a person may name a pipe (`<(…)` in a shell is a link to one); nothing else may hang us, or lead elsewhere
    extra = 0 if trust == "file" else os.O_NOFOLLOW | os.O_NONBLOCK
    if trust != "file" and path.is_symlink():
        raise Misuse(f"{source} is a link, which is not followed", hint="put the file itself there")
    try:
        if trust == "credential":
            _check_folder(path.parent, source)
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | extra)
    except OSError as problem:
        raise NotNow(f"{source} cannot be read: {problem.strerror}", hint="check its path and owner") from None
    try:
        status = os.fstat(handle)
        if stat.S_ISREG(status.st_mode):
            _check_access(status, source, _MASK if trust == "credential" and status.st_uid == 0 else 0)
        elif trust != "file" or stat.S_ISDIR(status.st_mode):
            raise Misuse(f"{source} is not a regular file", hint="put the file itself there")
        with os.fdopen(handle, "rb", closefd=False) as opened:
            return first_line(opened.read(MAX_SECRET + 1), source, what)
    finally:
        os.close(handle)


_LARGEST = 2**31 - 1
"""What a descriptor can be."""


def read_descriptor(descriptor: int, what: str) -> Secret:
    """The secret that comes out of an open descriptor, which is left open; raises Misuse."""
    source = f"descriptor {descriptor}"
    if not 0 <= descriptor <= _LARGEST:
        raise Misuse(f"{source} cannot be read: there is none of that number")
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as opened:
            data = opened.read(MAX_SECRET + 1)
    except OSError as problem:
        raise Misuse(f"{source} cannot be read: {problem.strerror}") from None
    return first_line(data, source, what)


def configured(what: str, file: Path | None, credentials: str | None, name: str) -> Secret | None:
    """The secret from the file that handover.toml names, else from systemd's credential `name`; None without either.

    `credentials` is the folder that systemd has made for this service. Raises Misuse or NotNow.
    """
    if file is not None:
        return read_file(file, what, "settings")
    given = credential(credentials, name)
    return None if given is None else read_file(given, what, "credential")


def credential(directory: str | None, name: str) -> Path | None:
    """Where systemd has put the credential of that name; None where it has given none."""
    if directory is None:
        return None
    path = Path(directory) / name
    # whatever lies there is looked at and refused if it is not as it should be: never passed over for another source
    return path if durable.is_there(path) else None


def first_line(data: bytes, source: str, what: str) -> Secret:
    """The secret in what was read from `source`; raises Misuse."""
    if len(data) > MAX_SECRET:
        raise Misuse(f"{source} holds more than {MAX_SECRET} bytes: not a {what}")
    line = data.split(b"\n", 1)[0].rstrip(b"\r")
    if not line:
        raise Misuse(f"{source} holds no {what}")
    try:
        return Secret(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise Misuse(f"{source} is not UTF-8 text") from None


def _check_folder(folder: Path, source: str) -> None:
    status = folder.stat()
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Misuse(
            f"others may exchange {source}", hint="CREDENTIALS_DIRECTORY is set by systemd, and by nobody else"
        )


def _check_access(status: os.stat_result, source: str, allowed: int) -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise Misuse(
            f"{source} belongs to user {status.st_uid}, but this is user {os.geteuid()}",
            hint="give it to the user of the service with chown",
        )
    if status.st_mode & _OTHERS & ~allowed:
        raise Misuse(
            f"{source} may be read by others (mode {stat.S_IMODE(status.st_mode):o})",
            hint="chmod 600 it, and change what it holds if anybody else was on this machine",
        )
