"""What people do: they drop files, right ones and wrong ones, change their minds, and give orders to the service."""

import os
import random
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from config.errors import HandoverError
from config.home import Home
from exchange import held, orders
from exchange.assembly import assemble
from exchange.drop import SIDECAR
from exchange.intake import UNKNOWN_PARTNER
from tests.organisations import PASSPHRASE
from tests.simulation.homes import beside
from tests.simulation.setting import FLOWS

if TYPE_CHECKING:
    from tests.simulation.node import Node
    from tests.simulation.world import World

MAGIC = b"Concern, plainly fictional. "
ORDERS: tuple[orders.What, ...] = ("retry", "release", "withdraw")
COUNCILS = ("Birmingham", "Leeds", "E08000025")
SIDECARS = ('reference = "24 015 493"\n', "event_date = 2026-10-01\n", "reference = 7\n")
PLAIN = "24 015 493 decision {n}.pdf"
ODD_NAMES = (
    "-rf 24 015 493 {n}.docx",
    unicodedata.normalize("NFD", "24 015 493 Zoë {n}.pdf"),
    "24 015 493 " + "x" * 225 + " {n}.pdf",
    "24 015 493 {n} (2).pdf",
    "decision {n}.pdf",
    "24 015 493 {n}.exe",
    "24 015 493 two\nlines {n}.pdf",
)


@dataclass
class Dropped:
    """A file that a person dropped, and what must be somewhere of it."""

    organisation: str
    partner: str
    name: str
    content: bytes
    path: Path
    at: float
    synced: bool


class People:
    """The case officers and operators of all organisations."""

    def __init__(self, world: "World", chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self._number = 0
        self.dropped: list[Dropped] = []

    def drop(self, node: "Node", receiver: str) -> None:
        """A person puts a file for a receiver into an outbound folder."""
        if node.share is not None:
            return
        chance = self._chance
        self._number += 1
        name = (chance.choice(ODD_NAMES) if chance.random() < 0.2 else PLAIN).format(n=self._number)
        content = self._content(node)
        sidecar = chance.choice(SIDECARS) if chance.random() < 0.2 else None
        partner = receiver if chance.random() < 0.95 else "nobody"
        folder = (
            node.root
            / "outbound"
            / partner
            / FLOWS[node.name]
            / (chance.choice(COUNCILS) if chance.random() < 0.95 else "Nowhere")
        )
        synced = chance.random() < 0.6
        with self._world.calls.by(None):
            folder.mkdir(parents=True, exist_ok=True)
            if sidecar is not None:
                self._write(folder / f"{name[:200]}{SIDECAR}", sidecar.encode(), True)
            path = folder / name
            if sidecar is not None:
                path = folder / name[:200]
            self._write(path, content, synced)
        file = Dropped(node.name, partner, path.name, content, path, self._world.now, synced)
        self.dropped.append(file)
        self._world.files += 1
        self._world.say(node.name, f"file {self._number} dropped, {len(content)} bytes")
        if chance.random() < 0.1:
            self._world.after(chance.uniform(0.5, 6), lambda: self._change(file))
        if chance.random() < 0.8:
            node.hint(lambda daemon: daemon.dropped(path if chance.random() < 0.9 else None))

    def _content(self, node: "Node") -> bytes:
        chance = self._chance
        known = [one.content for one in self.dropped if one.organisation == node.name and one.content]
        if known and chance.random() < 0.1:
            return chance.choice(known)
        size = chance.choice((0, 1, 100, 3000, 3000, 70_000, 300_000)) if chance.random() < 0.5 else 500
        return MAGIC + chance.randbytes(16).hex().encode() + chance.randbytes(1) * size if size else b""

    def _change(self, file: Dropped) -> None:
        """The person goes on writing, if the file is still there."""
        with self._world.calls.by(None):
            if (
                file.path.exists()
                and file.content.startswith(MAGIC)
                and self._world.nodes[file.organisation].share is None
            ):
                file.content += b" changed"
                self._write(file.path, file.content, file.synced)
                file.at = self._world.now

    def _write(self, path: Path, content: bytes, synced: bool) -> None:
        with path.open("wb") as file:
            file.write(content)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        stamp = self._world.date.timestamp()
        os.utime(path, (stamp, stamp))
        for folder in list(path.parents)[:4] if synced else ():
            handle = os.open(folder, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)

    def order(self, node: "Node") -> None:
        """An operator orders something for a handover, with a command beside the service."""
        with self._world.calls.by(None):
            try:
                parts = assemble(Home.open(node.root), lambda: PASSPHRASE, beside(node.clock))
            except HandoverError:
                return
            with parts.ledger as ledger:
                handovers = ledger.handovers()
                if not handovers:
                    return
                handover = self._chance.choice(handovers[-6:])
                allowed = [
                    what for what in ORDERS
                    if handover.state in orders.ALLOWED.get((what, handover.direction), ())
                ]  # fmt: skip
                if not allowed:
                    return
                what = self._chance.choice(allowed)
                orders.place(ledger, handover, what, "Kim Example")
        self._world.say(node.name, f"somebody orders: {what}")
        self._world.orders += 1
        self._world.after(self._chance.uniform(0, 1), node.look)

    def take_back(self, node: "Node") -> bool:
        """Somebody mends all that is held, and moves it back as its explanation says; whether there was any."""
        assert node.daemon is not None
        done = 0
        with self._world.calls.by(None):
            for handover in node.daemon.parts.ledger.handovers(direction="out", states=("held",)):
                _, path = held.find(node.root / "held", handover.id)
                if path is None or handover.partner == UNKNOWN_PARTNER:
                    continue
                self._number += 1
                folder = node.root / "outbound" / handover.partner / FLOWS[node.name] / COUNCILS[0]
                folder.mkdir(parents=True, exist_ok=True)
                path.rename(folder / PLAIN.format(n=self._number))
                stamp = self._world.date.timestamp()
                os.utime(path.parent, (stamp, stamp))
                done += 1
        self._world.say(node.name, f"somebody takes back {done} held files")
        return done > 0

    def lost_power(self, node: "Node", recorded: frozenset[str]) -> None:
        """What a person copied a moment ago, and no ledger knows yet, is whatever the power cut left of it."""
        for file in list(self.dropped):
            if file.organisation != node.name or file.synced or self._world.now - file.at > 60:
                continue
            if unicodedata.normalize("NFC", file.name) in recorded:
                continue
            left = [path for path in (file.path, *node.claimed(file.name)) if path.exists()]
            if left:
                file.content = left[0].read_bytes()
            else:
                self.dropped.remove(file)
