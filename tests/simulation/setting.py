"""Who exchanges with whom in a run, and who of them has an SFTP server: drawn from the seed.

push                            both upload to each other
ofsted-hosts, lgsco-hosts       one has no server, so it uploads and collects
three-push, three-collect       LGSCO shares with Ofsted and with the Department for Education, which may collect
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests import organisations

HUB = "lgsco"
"""Who shares with everybody else."""

THIRD = "dfe"

NAMES = {**organisations.NAMES, THIRD: "Department for Education"}
FLOWS = {HUB: "upheld-decision", "ofsted": "unimplemented-recommendation", THIRD: "unimplemented-recommendation"}
"""What each may send, and under which name."""


@dataclass(frozen=True)
class Setting:
    """The organisations of a run."""

    name: str
    spokes: tuple[str, ...]
    """Those with whom the hub shares; they do not know of each other."""
    without_server: frozenset[str]

    @property
    def organisations(self) -> tuple[str, ...]:
        """All of them, in alphabetical order."""
        return tuple(sorted((HUB, *self.spokes)))

    @property
    def ways(self) -> Iterator[tuple[str, str]]:
        """(sender, receiver) of every direction."""
        for spoke in self.spokes:
            yield HUB, spoke
            yield spoke, HUB

    def partners(self, organisation: str) -> tuple[str, ...]:
        """With whom it shares."""
        return self.spokes if organisation == HUB else (HUB,)

    def server(self, sender: str, receiver: str) -> str:
        """On whose server lies what is on its way: the receiver's, or the sender's if the receiver collects."""
        return sender if receiver in self.without_server else receiver


def _two(topology: str, without: str) -> Setting:
    return Setting(topology, ("ofsted",), frozenset({without} - {""}))


SETTINGS = (
    *(_two(topology, without) for topology, without in organisations.TOPOLOGIES.items()),
    Setting("three-push", ("ofsted", THIRD), frozenset()),
    Setting("three-collect", ("ofsted", THIRD), frozenset({THIRD})),
)
WEIGHTS = (40, 15, 20, 10, 15)


def setting(seed: int) -> Setting:
    """Drawn from a seed."""
    return random.Random(f"{seed} setting").choices(SETTINGS, WEIGHTS)[0]
