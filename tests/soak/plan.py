"""Which fault comes when: drawn from a seed, so that the same seed breaks the same things in the same order.

Each organisation has its own faults, of which those of one class never overlap: a line that is cut cannot be slow.
"""

from dataclasses import dataclass
from random import Random

SHORT = 300.0
"""Seconds; in a shorter run faults come quicker and last less long."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault: how often among its class, and how long, in seconds."""

    name: str
    weight: int
    lasts: tuple[float, float]
    deadly: bool = False
    """Ends the daemon: there are none in the last third of a long run, so that growth could be seen."""


CLASSES: dict[str, tuple[float, tuple[Kind, ...]]] = {
    "process": (
        35.0,
        (
            Kind("killed", 6, (0, 3), deadly=True),
            Kind("terminated", 3, (0, 3), deadly=True),
            Kind("down", 1, (30, 150), deadly=True),
            Kind("frozen", 2, (1, 10)),
        ),
    ),
    "line": (
        25.0,
        (
            Kind("cut", 4, (0, 0)),
            Kind("reset", 4, (0, 0)),
            Kind("cut-after", 4, (5, 20)),
            Kind("silent", 3, (3, 15)),
            Kind("slow", 3, (5, 20)),
            Kind("late", 3, (5, 30)),
            Kind("refused", 3, (1, 15)),
            Kind("refused-long", 1, (60, 180)),
        ),
    ),
    "server": (
        80.0,
        (
            Kind("server-stopped", 3, (1, 20)),
            Kind("sessions-killed", 3, (0, 0)),
            Kind("login-refused", 2, (2, 15)),
            Kind("zone-full", 3, (3, 20)),
            Kind("zone-read-only", 2, (3, 20)),
        ),
    ),
    "disk": (90.0, (Kind("home-full", 1, (3, 25)),)),
    "calls": (
        45.0,
        (
            Kind("calls-fail", 6, (2, 10)),
            Kind("call-kills", 2, (5, 15), deadly=True),
        ),
    ),
    "clock": (150.0, (Kind("clock-fast", 1, (10, 90)),)),
}
"""Class -> seconds between the end of one fault and the next, on average; and what may happen."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault: when it begins, how long it lasts, what happens to whom; `seed` decides the rest."""

    at: float
    seconds: float
    kind: str
    of: str
    seed: int


def plan(seed: int, seconds: float) -> list[Planned]:
    """Every fault of a run, by the time at which it begins; all are over when the run is.

    >>> plan(7, 100) == plan(7, 100)
    True
    >>> {one.kind for one in plan(7, 1800)} == {kind.name for _, kinds in CLASSES.values() for kind in kinds}
    True
    """
    random = Random(seed)
    scale = min(1.0, max(seconds / SHORT, 0.1))
    found = []
    for of in ("lgsco", "ofsted"):
        for pause, kinds in CLASSES.values():
            at = random.expovariate(1 / (pause * scale))
            while at < seconds:
                (kind,) = random.choices(kinds, [kind.weight for kind in kinds])
                lasts = min(random.uniform(*kind.lasts) * scale, seconds - at)
                one = Planned(at, lasts, kind.name, of, random.getrandbits(32))
                if not (kind.deadly and seconds >= SHORT and at > seconds * 2 / 3):
                    found.append(one)
                at += lasts + random.expovariate(1 / (pause * scale))
    return sorted(found, key=lambda one: one.at)
