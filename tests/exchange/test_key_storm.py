"""Every purpose is rotated on both sides while files stream both ways, services die, and messages come late, twice and
in another order: every file arrives once, and nothing is refused that is honest."""

import contextlib
import random
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from config.errors import Misuse, NotNow
from exchange import key_desk, rounds
from exchange.audit import verify_home
from keys.key_info import OPTIONAL, PURPOSES
from tests.exchange.test_key_rotation import begin, chained
from tests.organisations import CASE, DECISION, Organisation, Pair, restart

BACK = ("lgsco", "unimplemented-recommendation", "Birmingham")


@dataclass
class Storm:
    """What happens next is chosen by a seed."""

    pair: Pair
    chance: random.Random
    aside: list[tuple[Path, bytes]] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=lambda: {"lgsco": 0, "ofsted": 0})

    def both(self) -> tuple[Organisation, Organisation]:
        return self.pair.lgsco, self.pair.ofsted

    def step(self) -> None:
        one = self.chance.choice(self.both())
        self.chance.choice(
            [self.drop, self.drop, self.drop, self.send, self.send, self.receive, self.receive, self.rotate,
             self.delay, self.repeat, self.give_back, self.die, self.wait]
        )(one)  # fmt: skip

    def drop(self, one: Organisation) -> None:
        me = one.parts.me
        self.dropped[me] += 1
        one.drop(f"{me} {self.dropped[me]}".encode(), f"{CASE} {me} {self.dropped[me]}.pdf", self.folders(one))
        one.take()

    @staticmethod
    def folders(one: Organisation) -> tuple[str, ...]:
        return DECISION if one.parts.me == "lgsco" else BACK

    def send(self, one: Organisation) -> None:
        one.send()

    def receive(self, one: Organisation) -> None:
        one.receive()

    def rotate(self, one: Organisation) -> None:
        with contextlib.suppress(Misuse):
            key_desk.rotate(one.parts, self.chance.choice(PURPOSES), timedelta(days=30), None, "root")

    def landed(self, one: Organisation) -> list[Path]:
        return sorted(one.landing().glob("*.age"))

    def delay(self, one: Organisation) -> None:
        for path in self.landed(one):
            if self.chance.random() < 0.5:
                self.aside.append((path, path.read_bytes()))
                path.unlink()

    def repeat(self, one: Organisation) -> None:
        self.aside += [(path, path.read_bytes()) for path in self.landed(one)]

    def give_back(self, _one: Organisation) -> None:
        self.chance.shuffle(self.aside)
        for path, data in self.aside:
            path.write_bytes(data)
        self.aside.clear()

    def die(self, one: Organisation) -> None:
        fresh = restart(one, self.both()[one.parts.me == "lgsco"], self.pair.clock)
        if one.parts.me == "lgsco":
            self.pair.lgsco = fresh
        else:
            self.pair.ofsted = fresh
        chained(self.pair)
        rounds.recover(fresh.parts)

    def wait(self, _one: Organisation) -> None:
        self.pair.clock.advance(hours=self.chance.choice([1, 3, 7]))

    def calm(self) -> None:
        """Everything that was kept back comes, and time passes."""
        self.give_back(self.pair.lgsco)
        for _ in range(3):
            self.pair.clock.advance(hours=7)
            with contextlib.suppress(NotNow):
                self.pair.settle()


@pytest.mark.parametrize("seed", [1])
def test_files_stream_both_ways_while_every_key_is_rotated(pair: Pair, seed: int) -> None:
    chained(pair)
    for purpose in OPTIONAL:
        begin(pair, purpose)
    storm = Storm(pair, random.Random(seed))
    for _ in range(100):
        storm.step()
    storm.calm()
    for one in storm.both():
        for purpose in PURPOSES:
            with contextlib.suppress(Misuse):
                key_desk.rotate(one.parts, purpose, timedelta(days=30), None, "root")
    storm.calm()
    pair.clock.advance(days=31)
    for one in storm.both():
        key_desk.tend(one.parts)
    storm.calm()
    for one, other in zip(storm.both(), storm.both()[::-1], strict=True):
        assert one.states() == ["acknowledged"] * storm.dropped[one.parts.me]
        contents = sorted(path.read_bytes() for path in other.inbound())
        assert contents == sorted(f"{one.parts.me} {n + 1}".encode() for n in range(storm.dropped[one.parts.me]))
        assert not {"quarantined", "envelope.quarantined", "rejected", "held"} & set(one.events())
        assert "witness.conflict" not in one.events()
        assert all(len(one.parts.own.usable(purpose)) == 1 for purpose in PURPOSES)
        assert all(one.parts.own.usable(purpose)[0].replaces for purpose in PURPOSES)
        report = verify_home(one.home)
        assert report.ok, report.problems
    assert min(storm.dropped.values()) > 5
