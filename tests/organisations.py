"""Two organisations for tests: real homes, keys, ledgers and pipelines; files travel by `FolderLanding` or real SFTP.

Everything is real but the network: a landing zone is the partner's folder, written to directly.
"""

import io
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from config.home import Home
from config.sample import Value
from exchange import retention, rounds
from exchange.assembly import assemble
from exchange.collect import PickUp, collect
from exchange.drop import Completeness
from exchange.landing import LandingError, Small, TooLong
from exchange.partners import add_partner, make_card
from exchange.parts import Effects, Parts
from exchange.pickup import PickupFolder
from exchange.rounds import Connection
from exchange.setup import initialise
from keys.keyring import KeyInfo, Keyring, Secret
from keys.private_keys import Encryption
from ledger.canonical import Json
from ledger.entry import Draft
from ledger.handover import Handover

PASSPHRASE = Secret("correct horse battery staple")
NAMES = {"lgsco": "Local Government and Social Care Ombudsman", "ofsted": "Ofsted"}
CASE = "24 015 493"
TOPOLOGIES = {"push": "", "ofsted-hosts": "lgsco", "lgsco-hosts": "ofsted"}
"""Each way of exchanging, and who has no SFTP server in it: that one uploads and collects."""

DECISION = ("ofsted", "upheld-decision", "Birmingham")
"""Folders of a file that may go from LGSCO to Ofsted."""


@dataclass
class ManualClock:
    """A clock that the test moves."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **amount: float) -> None:
        self.now += timedelta(**amount)


class FolderLanding:
    """A landing zone that is a folder on this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(
        self, source: BinaryIO, size: int, name: str, *, offset: int = 0, progress: Callable[[int], None] | None = None
    ) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        content = source.read()
        assert len(content) == size
        (self._folder / name).write_bytes(content)

    def put_many(
        self, files: Iterable[Small], done: Callable[[Small], None] | None = None, *, sync: bool = True
    ) -> None:
        for file in files:
            self.put(io.BytesIO(file.data), len(file.data), file.name)
            self.rename(file.name, file.final)
            if done is not None:
                done(file)

    def resume_offset(self, source: BinaryIO, size: int, name: str) -> int:
        return 0

    def rename(self, old: str, new: str) -> None:
        (self._folder / old).replace(self._folder / new)

    def list(self) -> list[tuple[str, int]]:
        return [(path.name, path.stat().st_size) for path in self._folder.iterdir() if path.is_file()]

    def size(self, name: str) -> int | None:
        path = self._folder / name
        return path.stat().st_size if path.exists() else None

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    def get(
        self, name: str, dst: BinaryIO, *, most: int | None = None, progress: Callable[[int], None] | None = None
    ) -> int:
        dst.truncate(0)
        if most is not None and (self._folder / name).stat().st_size > most:
            # a little more than is taken has come when that is noticed
            dst.truncate(most + 1)
            raise TooLong(str(self._folder))
        return dst.write((self._folder / name).read_bytes())

    def get_many(self, listed: Sequence[tuple[str, int]], done: Callable[[str, bytes], None]) -> None:
        for name, size in listed:
            content = io.BytesIO()
            try:
                self.get(name, content)
            except LandingError as problem:
                if not problem.of_one_file:
                    raise
            else:
                if content.tell() == size:
                    done(name, content.getvalue())

    def remove_many(self, names: Collection[str], done: Callable[[str], None]) -> None:
        for name in names:
            try:
                self.remove(name)
            except LandingError as problem:
                if not problem.of_one_file:
                    raise
            else:
                done(name)

    def close(self) -> None:
        pass


def make_home(
    base: Path,
    organisation: str,
    values: dict[str, Value] | None = None,
    *,
    server: bool = True,
    encryption: Encryption = "pq",
) -> Home:
    """A home with quick keys; its card offers a landing zone if it has a `server`."""
    settings: dict[str, Value] = {"landing.port": 2222, **(values or {})}
    if server:
        settings["landing.host"] = "127.0.0.1"
        settings.setdefault("landing.host_keys", ["ssh-ed25519 " + _SOME_KEY])
    return initialise(
        base / organisation, organisation, NAMES[organisation], PASSPHRASE, encryption, settings, work_factor=1
    )


_SOME_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti"


def introduce(homes: dict[str, Home], base: Path) -> None:
    """Exchange cards, fingerprints confirmed."""
    for mine, theirs in (("lgsco", "ofsted"), ("ofsted", "lgsco")):
        card = base / f"{theirs}.toml"
        made = make_card(homes[theirs], Keyring.open(homes[theirs].keys, lambda: PASSPHRASE), card)
        parts = assemble(homes[mine], lambda: PASSPHRASE)
        with parts.ledger:
            add_partner(parts, card, made.fingerprint)


def record_key(parts: Parts, info: KeyInfo) -> KeyInfo:
    """Let the ledger know a key that was put into the folder by hand, as if it had been there from the beginning."""
    detail: dict[str, Json] = {"purpose": info.purpose, "serial": info.serial, "public": info.public}
    draft = Draft(event="key.created", actor="operator", key=info.fingerprint, detail=detail)
    parts.ledger.write(lambda tx: tx.append(draft))
    return info


@dataclass
class Organisation:
    """One running organisation, without threads."""

    parts: Parts
    partner: str
    connection: Connection
    completeness: Completeness
    pickup: PickUp
    elsewhere: Path | None
    """The folder on the partner's server in which its messages wait, if we collect."""

    @property
    def home(self) -> Home:
        return self.parts.home

    def drop(self, content: bytes, name: str = f"{CASE} decision.pdf", folders: tuple[str, ...] = DECISION) -> Path:
        """Put a file into an outbound folder."""
        folder = self.home.outbound.joinpath(*folders)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        return folder / name

    def take(self) -> int:
        return rounds.take_dropped(self.parts, self.completeness)

    def send(self) -> int:
        return rounds.seal_and_send(self.parts, self.connection)

    def receive(self) -> int:
        collect(self.parts, self.pickup)
        return rounds.receive_landed(self.parts, self.partner)

    def retain(self) -> int:
        return retention.retain(self.parts)

    def handovers(self) -> list[Handover]:
        return self.parts.ledger.handovers()

    def states(self, direction: str = "out") -> list[str]:
        return [h.state for h in self.handovers() if h.direction == direction]

    def events(self) -> list[str]:
        return [entry.event for entry in self.parts.ledger.entries(0, self.parts.ledger.size)]

    def landing(self) -> Path:
        """The folder into which the partner's messages come: our landing zone, or our pick-up folder on its server."""
        return self.elsewhere or self.home.landing / self.partner

    def spooled(self) -> list[Path]:
        """Every file that the spool holds."""
        return [path for path in self.home.spool.rglob("*") if path.is_file()]

    def inbound(self) -> list[Path]:
        return [path for path in self.home.inbound.rglob("*") if path.is_file()]


@dataclass
class Pair:
    """Both organisations and their clock."""

    lgsco: Organisation
    ofsted: Organisation
    clock: ManualClock
    base: Path

    def settle(self) -> None:
        """Let everything that can happen happen."""
        for _ in range(20):
            moved = 0
            for organisation in (self.lgsco, self.ofsted):
                moved += organisation.take() + organisation.send() + organisation.receive()
            if not moved:
                return
        raise AssertionError("the two organisations never come to rest")

    def close(self) -> None:
        for organisation in (self.lgsco, self.ofsted):
            organisation.parts.ledger.close()


def start(home: Home, partner: Home, clock: ManualClock) -> Organisation:
    """Assemble one organisation: its uploads go into the partner's landing folder, or wait in a pick-up folder."""
    me, other = home.settings.organisation.id, partner.settings.organisation.id
    hosts, partner_hosts = (one.settings.landing.host is not None for one in (home, partner))
    effects = Effects(
        clock=clock,
        monotonic=lambda: clock.now.timestamp(),
        random=_random,
        jitter=lambda: 1.0,
        connect=lambda _: (
            FolderLanding(partner.landing / me) if partner_hosts else PickupFolder(home.collect / other, other)
        ),
        collect=lambda _: FolderLanding(partner.collect / me),
    )
    parts = assemble(home, lambda: PASSPHRASE, effects, work_factor=1)
    rounds.recover(parts)
    elsewhere = None if hosts else partner.collect / me
    completeness = Completeness(0.0, effects.monotonic)
    return Organisation(parts, other, Connection(other), completeness, PickUp(other), elsewhere)


def _random(size: int) -> bytes:
    import os

    return os.urandom(size)


class Template:
    """Two introduced homes, made once and copied for every test."""

    def __init__(self, base: Path, topology: str = "push") -> None:
        self._base = base
        homes = {name: make_home(base, name, server=name != TOPOLOGIES[topology]) for name in NAMES}
        introduce(homes, base)

    @contextmanager
    def pair(self, folder: Path) -> Iterator[Pair]:
        """A fresh copy, running."""
        shutil.copytree(self._base, folder, dirs_exist_ok=True, symlinks=True)
        homes = {organisation: Home.open(folder / organisation) for organisation in NAMES}
        clock = ManualClock()
        pair = Pair(
            start(homes["lgsco"], homes["ofsted"], clock), start(homes["ofsted"], homes["lgsco"], clock), clock, folder
        )
        try:
            yield pair
        finally:
            pair.close()


def restart_with(pair: Pair, settings: str) -> None:
    """Start LGSCO again with more lines in its handover.toml."""
    config = pair.lgsco.home.config_file
    config.write_text(f"{config.read_text()}\n{settings}\n")
    pair.lgsco.parts.ledger.close()
    pair.lgsco = start(Home.open(pair.lgsco.home.root), pair.ofsted.home, pair.clock)


def restart(organisation: Organisation, partner: Organisation, clock: ManualClock) -> Organisation:
    """Close and open again, as after a crash."""
    organisation.parts.ledger.close()
    fresh = start(organisation.home, partner.home, clock)
    return replace(fresh)
