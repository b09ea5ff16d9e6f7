"""What goes wrong in a run, and how all of it ends."""

import random
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from exchange.sender import ENDING
from ledger.identifier import new_id
from tests.simulation import lies
from tests.simulation.keeping import Keeping
from tests.simulation.key_life import KeyLife
from tests.simulation.network import DAY, HOUR, MINUTE, Link
from tests.simulation.plan import Trouble, dice
from tests.simulation.share import Share

if TYPE_CHECKING:
    from tests.simulation.node import Node
    from tests.simulation.world import World


def arrange(world: "World") -> None:
    """Put everything that the plan foresees into the queue of events."""
    plan = world.plan
    for drop in plan.drops:
        world.after(drop.at, partial(world.people.drop, world.nodes[drop.sender], drop.receiver))
    for link in _links(world):
        link.breaking = _rate(world, link, "breaking", 0.02, 0.1, 0.3)
        link.refusing = _rate(world, link, "refusing", 0.05, 0.3)
        link.hazard = _rate(world, link, "hazard", 0.1, 0.5)

    def some(trouble: Trouble, most: int, act: Callable[[random.Random], None]) -> None:
        chance = dice(world.seed, trouble)
        for _ in range(chance.randint(1, most) if trouble in plan.troubles else 0):
            world.after(plan.moment(chance), partial(act, chance))

    some("away", 2, partial(_keep_out, world, "away"))
    some("host key", 2, partial(_keep_out, world, "host key"))
    some("login", 2, partial(_keep_out, world, "login"))
    some("full zone", 2, partial(_keep_out, world, "full"))
    some("stops", 8, partial(_stop, world))
    some("full disk", 2, partial(_fill, world))
    some("disk errors", 4, partial(_break_disk, world))
    some("clock", 3, partial(_turn_clock, world))
    some("orders", 6, lambda chance: world.people.order(_node(world, chance)))
    some("share away", 1, lambda chance: Share(_node(world, chance)).take_away(chance.uniform(MINUTE, DAY)))
    some("liar", 6, partial(lies.tell, world))
    some("rubbish", 6, partial(_litter, world))
    if world.keeping is not None:
        _keep(world, world.keeping, dice(world.seed, "keeping"))
    if "keys" in plan.troubles:
        world.key_life = KeyLife(world, dice(world.seed, "keys"))
        world.key_life.begin()


def _rate(world: "World", link: Link, trouble: Trouble, *rates: float) -> float:
    return link.chance.choice(rates) if trouble in world.plan.troubles else 0.0


def end(world: "World") -> None:
    """Nothing goes wrong any more: what failed is mended, what is under way arrives, whoever is down starts."""
    world.say("world", "all troubles end")
    for link in world.links.values():
        link.heal()
    for node in world.nodes.values():
        node.machine.full, node.machine.stop_at, node.machine.fail_at = False, None, None
        node.offset = timedelta()
        if node.share is not None:
            node.share.bring_back()
        node.start()
    world.zones.settle()


def _keep(world: "World", keeping: Keeping, chance: random.Random) -> None:
    """What people do about what is kept."""
    for act, most in ((keeping.hold, 3), (keeping.destroy, 3), (keeping.change, 1)):
        for _ in range(chance.randint(0, most)):
            moment = chance.choice((world.plan.moment(chance), chance.uniform(0, world.plan.days * DAY)))
            world.after(moment, partial(act, _node(world, chance)))
    if "clock" in world.plan.troubles:
        # by such a clock every original's time is over
        hours = chance.choice((24 * 8, 24 * 35))
        world.after(chance.uniform(0, world.plan.days * DAY), partial(_turn, world, _node(world, chance), hours))


def _node(world: "World", chance: random.Random) -> "Node":
    return world.nodes[chance.choice(world.plan.troubled)]


def _links(world: "World") -> list[Link]:
    """Those on which something may happen."""
    spared = world.plan.spared
    return [link for _, link in sorted(world.links.items()) if spared not in (link.sender, link.receiver)]


def _keep_out(world: "World", what: str, chance: random.Random) -> None:
    link = chance.choice(_links(world))
    seconds = chance.choice((MINUTE, HOUR, 6 * HOUR, 2 * DAY)) * chance.random()
    link.until[what] = max(link.until.get(what, 0.0), world.now + seconds)
    world.say("network", f"{link.sender} to {link.receiver}: {what} for {seconds:.0f} s")


def _stop(world: "World", chance: random.Random) -> None:
    machine = _node(world, chance).machine
    machine.stop_at = machine.steps + chance.randint(1, 70)
    machine.stop_after = chance.random() < 0.5


def _fill(world: "World", chance: random.Random) -> None:
    node = _node(world, chance)
    node.machine.full = True
    world.say(node.name, "disk full")

    def room() -> None:
        node.machine.full = False
        world.say(node.name, "room on the disk again")

    world.after(chance.choice((MINUTE, HOUR, 6 * HOUR)) * chance.random(), room)


def _break_disk(world: "World", chance: random.Random) -> None:
    machine = _node(world, chance).machine
    machine.fail_at = machine.steps + chance.randint(1, 60)


def _litter(world: "World", chance: random.Random) -> None:
    """Somebody puts something else than an envelope where a partner's messages go."""
    link = chance.choice(_links(world))
    name = f"{new_id(world.date, chance.randbytes)}{ENDING}"
    if link.server == link.receiver:
        name = chance.choice((name, "notes.txt", "-rf", "1.age"))
    world.count("rubbish")
    world.zones.put(link, name, chance.randbytes(chance.choice((0, 40, 5000))))


def _turn_clock(world: "World", chance: random.Random) -> None:
    hours = chance.choice((0, 1, 20, 24, 36, 24 * 8, 24 * 35)) * chance.choice((-1, 1))
    _turn(world, _node(world, chance), hours)


def _turn(world: "World", node: "Node", hours: int) -> None:
    node.turn_clock(timedelta(hours=hours))
    world.faults["clock wrong"] += 1
    world.say(node.name, f"the clock is {hours} hours off")
