"""What lies between sshd's landing zone and the folder that a daemon reads: messages are late, out of order, or twice.

    zone/     uploads get their final names here; the partner's daemon sees no more of them
    aside/    where the courier keeps them a while
    desk/     where this daemon looks

Nothing is ever lost, and nothing changed: that is what the network underneath must not do.
"""

import shutil
import threading
from pathlib import Path
from random import Random

from tests.system.daemons import Running

TICK = 0.05
"""Seconds between two looks."""

WAITS = (0, 0, 0, 1, 4, 15, 40)
"""Looks that a message waits before it goes on; drawn for each."""

TWICE = 0.2
"""How likely a message comes once more."""


class Courier(threading.Thread):
    """Brings one organisation its messages."""

    def __init__(self, one: Running, partner: str, random: Random) -> None:
        super().__init__()
        self.zone = one.sshd.zone
        self.aside = one.sshd.new_folder("aside")
        self.desk = one.sshd.new_folder("desk")
        self.late = 0
        self.doubled = 0
        self.first: list[tuple[str, bytes]] = []
        """The first messages that came, for somebody who keeps copies."""
        self._random = random
        self._waits: dict[str, int] = {}
        self._calm = threading.Event()
        self._over = threading.Event()
        link = one.home.landing / partner
        link.unlink()
        link.symlink_to(self.desk)

    def run(self) -> None:
        """Go on until `close`."""
        while not self._over.wait(TICK):
            self._take()
            self._give()

    def calm(self) -> None:
        """From now on bring everything at once."""
        self._calm.set()

    def close(self) -> None:
        """Stop."""
        self._over.set()
        self.join()

    def held(self) -> set[str]:
        """The names of all messages between the sender's upload and the daemon's look.

        What was cut short after its file had arrived stays unfinished in the zone until it is removed for its age.
        """
        found = (path.name for folder in self.folders() for path in folder.glob("*.age*"))
        return {name.partition(".")[0] for name in found if not name.endswith(".part")}

    def names_of_first(self) -> set[str]:
        """The ids of the first messages."""
        return {name.partition(".")[0] for name, _ in self.first}

    def folders(self) -> tuple[Path, Path, Path]:
        """In the order of the way."""
        return self.zone, self.aside, self.desk

    def _take(self) -> None:
        for path in sorted(self.zone.glob("*.age")):
            kept = path.rename(self.aside / path.name)
            self._waits[kept.name] = self._random.choice(WAITS)
            self.late += self._waits[kept.name] > 0
            if len(self.first) < 20:
                self.first.append((kept.name, kept.read_bytes()))
            if self._random.random() < TWICE and not self._calm.is_set():
                again = kept.with_name(f"{kept.name}.again")
                shutil.copy2(kept, again)
                shutil.copystat(kept, again)
                self._waits[again.name] = self._random.choice(WAITS) + 1
                self.doubled += 1

    def _give(self) -> None:
        due = [name for name, wait in self._waits.items() if wait <= 0 or self._calm.is_set()]
        self._random.shuffle(due)
        for name in due:
            (self.aside / name).rename(self.desk / name.removesuffix(".again"))
        self._waits = {name: wait - 1 for name, wait in self._waits.items() if name not in due}
