"""Keyrings for the tests, with a work factor that costs nothing."""

from datetime import UTC, datetime
from pathlib import Path

from keys.keyring import Keyring
from keys.private_keys import Encryption
from keys.secret import Secret

NOW = datetime(2026, 11, 24, 9, 30, 0, 123456, tzinfo=UTC)
TEXT = "correct horse battery staple"
PASSPHRASE = Secret(TEXT)


class Asked:
    """A source of passphrases that counts; gives the answers in turn, the last one for ever."""

    def __init__(self, *answers: str) -> None:
        self.answers = answers or (TEXT,)
        self.times = 0

    def __call__(self) -> Secret:
        self.times += 1
        return Secret(self.answers[min(self.times, len(self.answers)) - 1])


def create(folder: Path, encryption: Encryption = "x25519", organisation: str = "lgsco") -> Keyring:
    return Keyring.create(
        folder, organisation, PASSPHRASE, NOW, encryption=encryption, work_factor=1, clock=lambda: NOW
    )


def reopen(folder: Path, asked: Asked | None = None, at: datetime = NOW) -> Keyring:
    return Keyring.open(folder, asked or Asked(), work_factor=1, clock=lambda: at)
