"""A key of one organisation ends within the run, and its administrator rotates it: in time, or too late.

The partner takes the new key by the chain of signatures, or a person there confirms it. Where that did not happen
before the end, people do what the manual says: a new card, whose fingerprint is read out.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from config.errors import HandoverError
from config.home import Home
from config.times import from_text
from exchange import key_desk
from exchange.assembly import assemble
from exchange.partners import add_partner, make_card
from exchange.parts import Parts
from keys.key_info import Purpose
from keys.own_keys import OwnKey
from ledger.entry import Entry
from tests.organisations import PASSPHRASE
from tests.simulation.commands import set_for_partner
from tests.simulation.homes import beside
from tests.simulation.network import DAY, HOUR

if TYPE_CHECKING:
    from tests.simulation.node import Node
    from tests.simulation.world import World


class KeyLife:
    """One key that ends, and the people who care for it."""

    def __init__(self, world: "World", chance: random.Random) -> None:
        self._world, self._chance = world, chance
        # of three organisations one of those that have one partner: only that one has to hear of the new key
        spokes = [one for one in world.plan.troubled if len(world.setting.partners(one)) == 1]
        self._node = world.nodes[chance.choice(spokes)]
        self._partner = world.nodes[world.setting.partners(self._node.name)[0]]
        self._purpose: Purpose = chance.choice(("signing", "signing", "encryption"))
        self._ends = world.now + chance.uniform(0.2, 0.9) * world.plan.days * DAY
        self._end = (world.date + timedelta(seconds=self._ends)).replace(microsecond=0)
        self._cards = 0
        self._is_new_known = False

    def begin(self) -> None:
        """The key will end, its card says so, and everybody knows it before anything else happens."""
        if self._chance.random() < 0.5:
            with self._world.calls.by(None):
                set_for_partner(self._partner.root, self._node.name, 'accept_rotation = "chain"')
        with self._commands(self._node) as parts:
            parts.keyring.end(parts.keyring.current(self._purpose).fingerprint, self._end)
        self._give_card()
        for node in (self._node, self._partner):
            node.machine.disk.settle()
        early = self._chance.random() < 0.6
        distance = self._chance.uniform(HOUR, DAY)
        self._world.count("key ends")
        self._world.after(max(0.0, self._ends - distance if early else self._ends + distance), self._rotate)

    def _rotate(self) -> None:
        when = "in time" if self._world.date < self._end else "too late"
        if self._tried(partial(self._order)):
            self._world.say(self._node.name, f"{self._purpose} key rotated {when}")
            self._world.count(f"key rotated {when}")
            self._world.after(self._chance.uniform(60, DAY), self._care)
        else:
            self._world.after(HOUR, self._rotate)

    def _order(self) -> None:
        with self._commands(self._node) as parts:
            key_desk.rotate(parts, self._purpose, timedelta(hours=1), None, "Kim Example")

    def _care(self) -> None:
        """People look until the partner has the new key: confirm it, or give a new card."""
        self._tried(self._look)
        if not self._is_new_known:
            self._world.after(self._chance.uniform(HOUR, 8 * HOUR), self._care)

    def _look(self) -> None:
        with self._commands(self._node) as parts:
            new = parts.own.usable(self._purpose)[-1]
        with self._commands(self._partner) as parts:
            self._is_new_known = self._knows(parts, new)
            waits = [one.announcement.fingerprint for one in key_desk.waiting(parts.ledger)]
            if not self._is_new_known and new.fingerprint in waits and self._world.date < self._end:
                key_desk.accept(parts, self._node.name, new.fingerprint, "Sam Example")
                self._world.say(self._partner.name, "the new key is confirmed")
                self._is_new_known = True
        if not self._is_new_known and self._world.date >= self._end:
            self._give_card()
            self._world.say(self._partner.name, "the new card is confirmed")
            self._world.count("key renewed by card")
            self._is_new_known = True

    def _knows(self, parts: Parts, new: OwnKey) -> bool:
        return new.public in parts.trust.standing(self._node.name).keys(self._purpose, parts.effects.clock())

    def _tried(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except HandoverError as problem:
            self._world.say(self._node.name, f"a command fails: {problem}")
            return False
        return True

    def _give_card(self) -> None:
        self._cards += 1
        path = self._world.folder / f"card-{self._cards}.toml"
        with self._commands(self._node) as parts:
            made = make_card(parts.home, parts.keyring, path)
        with self._commands(self._partner) as parts:
            add_partner(parts, path, made.fingerprint)
        # a service reads cards when it starts
        if self._partner.daemon is not None:
            self._partner.stop()
            self._partner.start()

    @contextmanager
    def _commands(self, node: "Node") -> Iterator[Parts]:
        """What a person may do beside the service."""
        with self._world.calls.by(None):
            parts = assemble(Home.open(node.root), lambda: PASSPHRASE, beside(node.clock), work_factor=1)
            with parts.ledger:
                yield parts

    def of_entry(self, node: "Node", entry: Entry) -> Iterator[str]:
        """What is wrong with a new entry: that it believes a key that has ended."""
        if (
            (node, self._purpose, entry.event) == (self._partner, "signing", "received")
            and entry.partner == self._node.name
            and from_text(entry.at) >= self._end
            and not self._is_new_known
            and node.daemon is not None
            and len(node.daemon.parts.trust.card(self._node.name).signing_keys) < 2
        ):
            yield f"{node.name} entry {entry.seq}: what a key signed that has ended is believed"
