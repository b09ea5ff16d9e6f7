"""What people do beside the service of an organisation: commands, and lines in its configuration."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from config.errors import HandoverError
from config.home import Home
from exchange.assembly import assemble
from exchange.parts import Parts
from tests.organisations import PASSPHRASE
from tests.simulation.homes import beside

if TYPE_CHECKING:
    from tests.simulation.node import Node
    from tests.simulation.world import World


@contextmanager
def beside_service(world: "World", node: "Node") -> Iterator[Parts | None]:
    """The parts that a command has; None where it can do nothing now."""
    with world.calls.by(None):
        try:
            parts = assemble(Home.open(node.root), lambda: PASSPHRASE, beside(node.clock), work_factor=1)
        except HandoverError:
            yield None
            return
        with parts.ledger:
            yield parts


def set_for_partner(root: Path, partner: str, line: str) -> None:
    """Write a setting of one partner into handover.toml, in the place of an earlier one."""
    config, title = root / "handover.toml", f"\n[partners.{partner}]\n"
    text = config.read_text("utf-8")
    if title not in text:
        text += title
    head, section = text.split(title)
    lines, end = section.partition("\n[")[::2]
    kept = "".join(f"{one}\n" for one in lines.splitlines() if one.partition(" ")[0] != line.partition(" ")[0])
    with config.open("w", encoding="utf-8") as file:
        file.write(f"{head}{title}{line}\n{kept}" + (f"\n[{end}" if end else ""))
        file.flush()
        os.fsync(file.fileno())
