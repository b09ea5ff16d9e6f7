"""A continuous stream of files in both directions, each unlike every other."""

import threading
from contextlib import ExitStack
from random import Random

from exchange.audit import read_ledger
from ledger.store import Ledger
from tests.organisations import CASE, DECISION
from tests.system.daemons import Running

PAUSE = (0.2, 0.8)
"""Seconds between two files."""

MOST = 8
"""Files of one sender that are under way together: a busy machine gets no more than it can carry."""

CONCERN = ("lgsco", "unimplemented-recommendation", "Leeds")


class Stream(threading.Thread):
    """Drops files until it is told to stop; `dropped` says what: sender -> contents."""

    def __init__(self, both: dict[str, Running], random: Random) -> None:
        super().__init__()
        self.dropped: dict[str, list[bytes]] = {name: [] for name in both}
        self._both = both
        self._random = random
        self._over = threading.Event()

    def run(self) -> None:
        """Go on until `close`."""
        with ExitStack() as stack:
            ledgers = {name: stack.enter_context(read_ledger(one.home)) for name, one in self._both.items()}
            while not self._over.wait(self._random.uniform(*PAUSE)):
                sender = self._random.choice(list(self._both))
                if len(self.dropped[sender]) - _arrived(ledgers[sender]) < MOST:
                    self.drop(sender)

    def drop(self, sender: str) -> None:
        """One file from that organisation; most are small, and some take a while."""
        number = sum(map(len, self.dropped.values()))
        content = f"{sender} {number}\n".encode() * self._random.choice((1, 100, 1000, 40_000))
        folders = DECISION if sender == "lgsco" else CONCERN
        self.dropped[sender].append(content)
        self._both[sender].drop(content, f"{CASE} file {number}.pdf", folders)

    def close(self) -> None:
        """Stop."""
        self._over.set()
        self.join()


def _arrived(ledger: Ledger) -> int:
    return len(ledger.rows("SELECT 1 FROM handovers WHERE (direction, state) = ('out', 'acknowledged')"))
