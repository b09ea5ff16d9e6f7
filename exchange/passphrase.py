"""Where the passphrase of the private keys comes from: never an argument, never the environment.

In order: the file or descriptor that the command was given, the file that handover.toml names, systemd's
credential, and at last a prompt on a terminal.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from config.errors import Misuse, NotNow
from config.home import Home
from keys.keyring import Secret

MAX_PASSPHRASE = 4096
"""Longer input is not a passphrase but a mistaken file."""


def find_passphrase(
    *,
    file: Path | None,
    descriptor: int | None,
    home: Home,
    credentials: str | None,
    prompt: Callable[[], str] | None,
) -> Secret:
    """The passphrase from the first source there is; raises Misuse or NotNow with what to do."""
    if file is not None:
        return read_passphrase_file(file)
    if descriptor is not None:
        return _first_line(_read_descriptor(descriptor), f"descriptor {descriptor}")
    settings = home.settings.keys
    if settings.passphrase_file is not None:
        return read_passphrase_file(home.root / settings.passphrase_file)
    if credentials is not None and (Path(credentials) / settings.passphrase_credential).exists():
        return read_passphrase_file(Path(credentials) / settings.passphrase_credential, private=False)
    if prompt is not None:
        return Secret(prompt())
    raise NotNow(
        "the passphrase of the private keys is needed and there is nobody to ask",
        hint="give --passphrase-file or --passphrase-fd, set keys.passphrase_file, or use a systemd credential",
    )


def read_passphrase_file(path: Path, *, private: bool = True) -> Secret:
    """The first line of a file; with `private`, a file that others may read is refused."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as problem:
        raise NotNow(
            f"the passphrase file cannot be read: {problem.strerror}", hint="check its path and owner"
        ) from None
    with os.fdopen(handle, "rb") as opened:
        mode = os.fstat(opened.fileno()).st_mode
        if private and stat.S_ISREG(mode) and mode & 0o077:
            raise Misuse("the passphrase file may be read by others", hint="chmod 600 it")
        return _first_line(opened.read(MAX_PASSPHRASE + 1), "the passphrase file")


def _read_descriptor(descriptor: int) -> bytes:
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as opened:
            return opened.read(MAX_PASSPHRASE + 1)
    except OSError as problem:
        raise Misuse(f"descriptor {descriptor} cannot be read: {problem.strerror}") from None


def _first_line(data: bytes, source: str) -> Secret:
    line = data.split(b"\n", 1)[0].rstrip(b"\r")
    if not line:
        raise Misuse(f"{source} holds no passphrase")
    if len(line) > MAX_PASSPHRASE:
        raise Misuse(f"{source} holds more than {MAX_PASSPHRASE} bytes: not a passphrase")
    try:
        return Secret(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise Misuse(f"{source} is not UTF-8 text") from None
