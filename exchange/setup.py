"""Makes a new home: folders, keys, ledger and, last of all, the configuration, without which it is none."""

import os
from collections.abc import Mapping
from pathlib import Path

from config import home as homes
from config.errors import Misuse
from config.home import Home
from config.sample import Value
from config.times import Clock, system_clock
from keys.at_rest import WORK_FACTOR
from keys.keyring import Keyring, Secret
from keys.private_keys import Encryption, ledger_origin
from ledger.entry import Draft
from ledger.store import Ledger

MIN_PASSPHRASE = 8
"""Shorter passphrases are refused: they only look like protection."""


def initialise(
    directory: Path,
    organisation: str,
    name: str,
    passphrase: Secret,
    encryption: Encryption = "pq",
    values: Mapping[str, Value] | None = None,
    work_factor: int = WORK_FACTOR,
    clock: Clock = system_clock,
) -> Home:
    """Make a home in `directory` (new or empty), with more `values` for handover.toml; raises Misuse or NotNow."""
    if len(passphrase.reveal()) < MIN_PASSPHRASE:
        raise Misuse(f"the passphrase has fewer than {MIN_PASSPHRASE} characters", hint="choose several random words")

    def fill(home: Home) -> None:
        if any(home.keys.iterdir()):
            raise Misuse(
                f"an earlier 'handover init' in {home.root} did not come to its end",
                hint="remove what it has left there, then try again",
            )
        keyring = Keyring.create(
            home.keys, organisation, passphrase, clock(), encryption=encryption, work_factor=work_factor, clock=clock
        )
        _begin_ledger(home, organisation, keyring, clock)

    return homes.initialise(directory, organisation, name, {"keys.encryption": encryption, **(values or {})}, fill)


def _begin_ledger(home: Home, organisation: str, keyring: Keyring, clock: Clock) -> None:
    """A ledger whose first entries say with which keys it began."""
    ledger = Ledger.create(
        home.ledger, keyring.note_signer("ledger", ledger_origin(organisation)), clock=clock, random=os.urandom
    )
    with ledger:
        ledger.write(
            lambda tx: [
                tx.append(Draft(event="ledger.created", actor="operator")),
                *(
                    tx.append(
                        Draft(
                            event="key.created",
                            actor="operator",
                            key=info.fingerprint,
                            detail={
                                "purpose": info.purpose,
                                "algorithm": info.algorithm,
                                "serial": info.serial,
                                "public": info.public,
                            },
                        )
                    )
                    for info in keyring.infos()
                ),
            ]
        )
