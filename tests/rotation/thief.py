"""Somebody who has a copy of everything that an organisation had: its keys, their passphrase, its cards and its ledger.

Until the keys are revoked that is the organisation. From then on the copy still makes messages that are right in every
field, with the program itself; what it lacks is a key that counts.
"""

import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from config.home import Home
from config.times import system_clock
from exchange import rounds
from exchange.assembly import assemble
from exchange.landing import Address
from exchange.parts import Effects
from exchange.sftp import login, ssh
from keys.key_info import NEEDED
from keys.keyring import Keyring
from tests.faults.program import Ended, Program
from tests.organisations import CASE, PASSPHRASE, FolderLanding
from tests.system.daemons import Running

FORGED = b"what a thief would have them believe\n"


@dataclass(frozen=True)
class Thief:
    """The copy of a home, and where its output goes."""

    root: Path
    partner: str
    program: Program

    @classmethod
    def of(cls, one: Running, partner: str, base: Path, program: Program) -> "Thief":
        """Copies the home of an organisation whose daemon does not run; what comes for it stays with the owner."""
        root = base / "stolen"
        shutil.copytree(one.home.root, root, symlinks=True)
        for folder in (root / "landing" / partner, root / "outbound" / partner):
            folder.unlink() if folder.is_symlink() else shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        for path in (root / "spool").rglob("*.age*"):
            path.unlink()
        (base / "thief").mkdir()
        return cls(root, partner, program)

    def concern(self) -> dict[str, bytes]:
        """A file about a council, from the organisation as it was: name in the landing zone -> envelope."""
        forged, sealed = self._output / f"{CASE} forged.pdf", self._output / "envelope.age"
        forged.write_bytes(FORGED)
        made = json.loads(
            self._done("seal", str(forged), "--to", self.partner, "--authority", "Leeds", "-o", str(sealed), "--json")
        )
        return {f"{made['id']}.age": sealed.read_bytes()}

    def announcements(self) -> dict[str, bytes]:
        """Every key of the organisation is to be replaced by one that the thief makes; and what else it has to say,
        but for files of the organisation itself, whose ids are known."""
        for purpose in NEEDED:
            self._done("keys", "rotate", purpose)
        sink = self._output / "sink"
        effects = Effects(
            clock=system_clock,
            monotonic=time.monotonic,
            random=os.urandom,
            jitter=lambda: 1.0,
            connect=lambda _: FolderLanding(sink),
            collect=lambda _: FolderLanding(sink),
        )
        parts = assemble(Home.open(self.root), lambda: PASSPHRASE, effects)
        with parts.ledger:
            rounds.seal_and_send(parts, rounds.Connection(self.partner))
            theirs = {f"{one.id}.age" for one in parts.ledger.handovers()}
        return {path.name: path.read_bytes() for path in sink.glob("*.age") if path.name not in theirs}

    def logs_in(self, address: Address) -> None:
        """Raises AuthenticationRefused where the transport key of the copy is not let in."""
        key = Keyring.open(self.root / "keys", lambda: PASSPHRASE).transport_key()
        channel, _ = login.log_in(address, key, timeout=30, keepalive=30)
        ssh.end(channel.get_transport())

    @property
    def _output(self) -> Path:
        return self.root.parent / "thief"

    def _run(self, *arguments: str) -> Ended:
        return self.program.run(["--home", str(self.root), *arguments], self._output)

    def _done(self, *arguments: str) -> str:
        ended = self._run(*arguments)
        assert ended.code == 0, ended.err
        return ended.out


def land(folder: Path, messages: dict[str, bytes], again: Sequence[tuple[str, bytes]] = ()) -> None:
    """As if the thief had found another way in."""
    for name, data in (*messages.items(), *again):
        (folder / f"{name}.part").write_bytes(data)
        (folder / f"{name}.part").rename(folder / name)
