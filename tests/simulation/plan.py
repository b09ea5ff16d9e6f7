"""What a seed stands for: how long a run is, how much is sent, and what goes wrong, and when.

Each run has some kinds of trouble and lacks others, chosen at random: everything at once would hide what only two of
them do together.
"""

import random
from dataclasses import dataclass
from typing import Literal

from tests.simulation.setting import HUB, THIRD, Setting
from tests.simulation.setting import setting as setting_of

DAY = 86400.0

Trouble = Literal[
    "breaking", "refusing", "hazard", "away", "host key", "login", "full zone", "stops", "full disk", "disk errors",
    "clock", "orders", "share away", "liar", "keys", "keeping", "rubbish",
]  # fmt: skip

LIKELY: dict[Trouble, float] = {
    "breaking": 0.5, "refusing": 0.25, "hazard": 0.45, "away": 0.4, "host key": 0.2, "login": 0.4, "full zone": 0.2,
    "stops": 0.7, "full disk": 0.25, "disk errors": 0.3, "clock": 0.25, "orders": 0.4, "share away": 0.2,
    "liar": 0.25, "keys": 0.3, "keeping": 0.5, "rubbish": 0.2,
}  # fmt: skip


@dataclass(frozen=True)
class Drop:
    """A file that a person will drop."""

    at: float
    sender: str
    receiver: str


@dataclass(frozen=True)
class Plan:
    """What a run will be like."""

    setting: Setting
    days: float
    drops: tuple[Drop, ...]
    troubles: frozenset[Trouble]
    spared: str | None = None
    """Of three organisations, the partner to which nothing happens while everything happens to the other."""

    @property
    def troubled(self) -> tuple[str, ...]:
        """The organisations to which something may happen."""
        if self.spared is None:
            return self.setting.organisations
        return tuple(spoke for spoke in self.setting.spokes if spoke != self.spared)

    def moment(self, chance: random.Random) -> float:
        """When something goes wrong: mostly while something is going on."""
        if self.drops and chance.random() < 0.75:
            return chance.choice(self.drops).at + chance.expovariate(1 / 20)
        return chance.uniform(0, self.days * DAY)


def dice(seed: int, trouble: Trouble) -> random.Random:
    """Of one kind of trouble in one run."""
    return random.Random(f"{seed} {trouble}")


def plan(seed: int) -> Plan:
    """Drawn from a seed. Each kind of trouble has dice of its own: a new kind leaves the others as they were."""
    chance = random.Random(f"{seed} plan")
    days = chance.choice((1, 3, 7, 14, 21))
    when = [chance.uniform(0, days * DAY) for _ in range(chance.randint(1, 4))]
    drops = []
    for moment in when:
        for _ in range(chance.choice((1, 1, 2, 4))):
            at, sender = moment + chance.choice((0.0, 0.0, 1.0, 30.0)), chance.choice((HUB, HUB, "ofsted"))
            drops.append(Drop(at, *((sender, "ofsted") if sender == HUB else (sender, HUB))))
    troubles = frozenset(trouble for trouble, likely in LIKELY.items() if dice(seed, trouble).random() < likely)
    if "clock" in troubles:
        # a key that was made by a wrong clock may begin to count only weeks after all is at rest
        troubles -= {"keys"}
    setting = setting_of(seed)
    spared = None
    if THIRD in setting.spokes:
        third = random.Random(f"{seed} third")
        drops += [_for_the_third(third, drop) for drop in drops]
        spared = third.choice((None, *setting.spokes))
    return Plan(setting, float(days), tuple(sorted(drops, key=lambda drop: drop.at)), troubles, spared)


def _for_the_third(chance: random.Random, like: Drop) -> Drop:
    """A file to or from the third organisation, at about the time of another."""
    at = like.at + chance.choice((0.0, 0.5, 10.0))
    return Drop(at, HUB, THIRD) if like.sender == HUB else Drop(at, THIRD, HUB)
