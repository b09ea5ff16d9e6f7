"""The real program with something exchanged in it: a known bug that must be found, or keys that take no time to open.

python -m tests.powerloss.planted NAME ...
"""

import contextlib
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import BinaryIO
from unittest.mock import patch

from exchange import delivery, files, setup
from exchange.landed import Arrival
from exchange.parts import Parts
from exchange.sftp.ending import Ending
from keys.keyring import Keyring
from tests.faults.program import serve


def no_directory_sync() -> None:
    """A rename is not made durable."""

    def careless(directories: Iterable[Path]) -> None:
        """Nothing."""

    patch.object(files, "sync_directories", careless).start()


def no_content_sync() -> None:
    """A file gets its name before its content is on the disk."""

    def careless(file: BinaryIO) -> None:
        file.flush()

    patch.object(files, "sync_file", careless).start()


def removed_before_recorded() -> None:
    """An envelope is removed before the ledger says that its content was delivered."""
    record = delivery._record_delivered

    def careless(parts: Parts, arrival: Arrival, target: Path, envelope: str, manifest: str) -> None:
        parts.spool.finish_incoming(arrival.path)
        record(parts, arrival, target, envelope, manifest)

    patch.object(delivery, "_record_delivered", careless).start()


def no_sync_at_the_partner() -> None:
    """The partner's server cannot sync what is uploaded."""
    post = Ending.post

    def careless(self: Ending, *, sync: bool = True) -> None:
        post(self, sync=False)

    patch.object(Ending, "post", careless).start()


def quick_keys() -> None:
    """A passphrase is tried out at once."""
    patch.object(setup, "initialise", partial(setup.initialise, work_factor=1)).start()
    patch.object(Keyring, "open", partial(Keyring.open, work_factor=1)).start()


PLANTS: dict[str, Callable[[], None]] = {
    plant.__name__: plant
    for plant in (
        no_directory_sync,
        no_content_sync,
        removed_before_recorded,
        no_sync_at_the_partner,
        quick_keys,
    )
}

if __name__ == "__main__":
    for name in sys.argv[1:]:
        PLANTS[name]()
    with contextlib.suppress(BrokenPipeError):
        serve()
