"""Where the passphrase of the private keys comes from: never an argument, never the environment.

The first of these that there is, and what is wrong with it is said: no other one is tried in its place.

    1  --passphrase-file, --passphrase-fd    what the command was given
    2  keys.passphrase_file                  the file that handover.toml names
    3  keys.passphrase_credential            systemd's credential of that name (`handover-passphrase`)
    4  a prompt                              where there is a terminal
"""

from collections.abc import Callable
from pathlib import Path

from config.errors import NotNow
from config.home import Home
from exchange import secret_source
from keys.secret import Secret

WHAT = "passphrase"


def find_passphrase(
    *,
    file: Path | None,
    descriptor: int | None,
    home: Home,
    credentials: str | None,
    prompt: Callable[[], str] | None,
) -> Secret:
    """The passphrase from the first source there is; raises Misuse or NotNow with what to do.

    `credentials` is the folder that systemd has made for this service.
    """
    if file is not None:
        return secret_source.read_file(file, WHAT)
    if descriptor is not None:
        return secret_source.read_descriptor(descriptor, WHAT)
    name = home.settings.keys.passphrase_credential
    if (said := secret_source.configured(WHAT, home.passphrase_file, credentials, name)) is not None:
        return said
    if prompt is not None:
        return Secret(prompt())
    raise NotNow(
        "the passphrase of the private keys is needed and there is nobody to ask",
        hint="give --passphrase-file or --passphrase-fd, set keys.passphrase_file, or use a systemd credential",
    )
