"""The token that handover.toml names, and where its PIN comes from: never an argument, never the environment.

The first of these that there is, and what is wrong with it is said: no other one is tried in its place.

    1  token.pin_file          the file that handover.toml names
    2  token.pin_credential    systemd's credential of that name (`handover-token-pin`)
    3  a prompt                where there is a terminal
"""

import os
from collections.abc import Callable

from config.errors import NotNow
from config.home import Home
from exchange import secret_source
from keys.secret import Secret
from keys.token import Token

WHAT = "PIN"


def token_of(home: Home, pin: Callable[[], Secret] | None = None) -> Token | None:
    """The token of a home, not looked for yet; None where the settings name no module."""
    said = home.settings.token
    if said.module is None:
        return None

    def without_people() -> Secret:
        return find_pin(home, os.environ.get("CREDENTIALS_DIRECTORY"), None)

    return Token(home.root / said.module, said.label, pin or without_people)


def find_pin(home: Home, credentials: str | None, prompt: Callable[[], str] | None) -> Secret:
    """The PIN from the first source there is; raises Misuse or NotNow with what to do."""
    name = home.settings.token.pin_credential
    if (said := secret_source.configured(WHAT, home.pin_file, credentials, name)) is not None:
        return said
    if prompt is not None:
        return Secret(prompt())
    raise NotNow(
        "the token's PIN is needed and there is nobody to ask",
        hint="set token.pin_file, or use a systemd credential",
    )
