"""The share on which people drop files goes away for a while, and what lies below the mount point shows."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.node import Node

FOREIGN = b"This file lay below the mount point and is nobody's to send."


class Share:
    """The outbound folder of one organisation, as a share that is mounted."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._mounted = node.root / "outbound"
        self._aside = node.root.parent / f"share-{node.name}"

    def take_away(self, seconds: float) -> None:
        """Unmounted; it comes back after so long."""
        if self._node.share is not None:
            return
        self._node.share = self
        self._node.world.count("share away")
        with self._node.world.calls.by(None):
            self._node.machine.disk.settle()
            self._mounted.rename(self._aside)
            for folder in ("ofsted/upheld-decision/Leeds", "lgsco/unimplemented-recommendation/Leeds"):
                (self._mounted / folder).mkdir(parents=True)
                (self._mounted / folder / "24 015 493 foreign.pdf").write_bytes(FOREIGN)
            # it has lain there for a long time
            self._node.machine.disk.settle()
        self._node.world.after(seconds, self.bring_back)

    def bring_back(self) -> None:
        """Mounted again."""
        if self._node.share is None:
            return
        self._node.share = None
        with self._node.world.calls.by(None):
            for path in sorted(self._mounted.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            self._mounted.rmdir()
            self._aside.rename(self._mounted)
            self._node.machine.disk.settle()
