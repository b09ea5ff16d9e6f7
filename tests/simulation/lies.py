"""A partner that lies about what it has delivered: with its own keys, and as well as anybody can."""

import random
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from exchange import control, receipts
from exchange.control import Due
from exchange.sender import ENDING
from keys.key_errors import KeyExpired
from ledger.copies import place_text
from ledger.entry import Draft
from ledger.handover import Handover
from ledger.store import Transaction

if TYPE_CHECKING:
    from tests.simulation.node import Node
    from tests.simulation.world import World


def tell(world: "World", chance: random.Random, patience: int = 40) -> None:
    """One lie, as soon as there is something to lie about, if that is soon."""
    if patience and not _lie(world, chance):
        world.after(chance.uniform(0.1, 2), partial(tell, world, chance, patience - 1))


def _lie(world: "World", chance: random.Random) -> bool:
    liar = world.nodes[chance.choice(world.plan.troubled)]
    victim = world.nodes[chance.choice(world.setting.partners(liar.name))]
    if liar.daemon is None or victim.daemon is None:
        return False
    theirs = liar.daemon.parts.ledger
    waiting = [
        handover
        for handover in victim.daemon.parts.ledger.handovers(partner=liar.name, direction="out")
        if handover.state in ("sealed", "sent") and theirs.handover(victim.name, "in", handover.id) is None
    ]
    if not waiting or not _can_sign(liar, victim.name):
        return False
    about = chance.choice(waiting)
    delivered = theirs.handovers(partner=victim.name, direction="in", states=("delivered",))
    with world.calls.by(None):
        if delivered and chance.random() < 0.5:
            world.say(liar.name, f"lies: #{world.number(about.id)} was delivered, proven by another's entry")
            _prove_by_another(world, liar, about, chance.choice(delivered))
        else:
            world.say(liar.name, f"lies: #{world.number(about.id)} was delivered, with another digest")
            world.lied_about.add(about.id)
            _record_another(liar, victim.name, about)
    world.count("lie")
    liar.look()
    return True


def _can_sign(liar: "Node", victim: str) -> bool:
    assert liar.daemon is not None
    try:
        liar.daemon.parts.signer(victim)
    except KeyExpired:
        return False
    return True


def _record_another(liar: "Node", victim: str, about: Handover) -> None:
    """The liar's ledger says that something else was delivered under this id; its service will send the receipt."""
    assert liar.daemon is not None
    detail = {"manifest_sha256": "0" * 64}
    said = Draft(event="received", actor="daemon", handover=about.id, partner=victim, direction="in", detail=detail)

    def record(tx: Transaction) -> None:
        tx.append(said)
        # as a true one says where the file was put; else it could be any
        place = {"place": place_text((victim, "nowhere"))}
        tx.append(said.replace(event="delivered", envelope_sha256="1" * 64, private=place))

    liar.daemon.parts.ledger.write(record)
    for worker in liar.daemon.workers.values():
        worker.wake()
    liar.hint(lambda daemon: None)


def _prove_by_another(world: "World", liar: "Node", about: Handover, proven: Handover) -> None:
    """A receipt with the right digests, and the proof of an entry about another handover."""
    assert liar.daemon is not None
    parts = liar.daemon.parts
    honest = receipts.receipt_for(parts, proven)
    receipt = replace(
        honest,
        handover=about.id,
        manifest_sha256=about.manifest_sha256 or "",
        envelope_sha256=about.envelope_sha256 or "",
    )
    due = Due(receipts.KIND, lambda: receipt, Draft(event="receipted", actor="daemon"))
    name, path, _ = control._seal(parts, proven.partner, due, 0)
    world.zones.put(world.link(liar.name, proven.partner), f"{name}{ENDING}", path.read_bytes())
    path.unlink()
