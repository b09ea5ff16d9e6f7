"""Real ledgers for tests: keys, a clock that ticks, drafts of a handover's life, and Debian's sqlite3 program."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.checkpoint import CosignatureVerifier, Cosigner
from ledger.entry import Draft, Entry
from ledger.identifier import new_id
from ledger.note import Ed25519Signer, Ed25519Verifier
from ledger.store import Ledger

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


class Ticking:
    """A clock that goes on by a second whenever it is read."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@dataclass(frozen=True)
class Organisation:
    """Keys of one organisation, made from its name, so that any process makes the same."""

    name: str
    clock: Ticking = field(default_factory=Ticking)

    @property
    def ledger_key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(f"{self.name} ledger".encode().ljust(32, b"."))

    @property
    def witness_key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(f"{self.name} witness".encode().ljust(32, b"."))

    @property
    def signer(self) -> Ed25519Signer:
        key = self.ledger_key
        return Ed25519Signer(f"{self.name}/handover", key.public_key().public_bytes_raw(), key.sign)

    @property
    def verifier(self) -> Ed25519Verifier:
        return Ed25519Verifier(self.signer.name, self.signer.public)

    @property
    def cosigner(self) -> Cosigner:
        key = self.witness_key
        return Cosigner(f"{self.name}/witness", key.public_key().public_bytes_raw(), key.sign, 0)

    @property
    def witness_verifier(self) -> CosignatureVerifier:
        return CosignatureVerifier(self.cosigner.name, self.cosigner.public)

    def create(self, path: Path) -> Ledger:
        return Ledger.create(path, self.signer, self.clock, os.urandom)

    def open(self, path: Path) -> Ledger:
        return Ledger.open(path, verifiers=[self.verifier], signer=self.signer, clock=self.clock, random=os.urandom)

    def read(self, path: Path) -> Ledger:
        return Ledger.open(path, verifiers=[self.verifier], clock=self.clock, random=os.urandom)


LGSCO = Organisation("lgsco")
OFSTED = Organisation("ofsted")


def fresh_id() -> str:
    return new_id(START, os.urandom)


def outgoing(identifier: str, sequence: int, partner: str = "ofsted") -> Iterator[Draft]:
    """The four entries of a handover that went well, with private values of its first."""
    common = Draft(event="accepted", actor="daemon", handover=identifier, partner=partner, direction="out")
    yield common.replace(
        authority="E08000025",
        category="upheld-decision",
        bytes=81_234,
        private={"name": f"decision {sequence}.pdf", "reference": f"24 015 {sequence:03d}"},
        detail={"sequence": sequence, "gateways": ["LGA1974_PtIII"]},
    )
    yield common.replace(
        event="sealed", envelope_sha256="ab" * 32, key="SHA256:key", detail={"manifest_sha256": "cd" * 32}
    )
    yield common.replace(event="sent")
    yield common.replace(event="acknowledged", detail={"delivered_at": "2026-11-23T12:00:00.000Z"})


def incoming(identifier: str, sequence: int, partner: str = "ofsted") -> Iterator[Draft]:
    """Received, delivered, receipted."""
    common = Draft(event="received", actor="daemon", handover=identifier, partner=partner, direction="in")
    yield common.replace(
        authority="E08000025",
        category="upheld-decision",
        bytes=81_234,
        private={"name": f"decision {sequence}.pdf"},
        detail={"sequence": sequence, "manifest_sha256": "cd" * 32},
    )
    yield common.replace(event="delivered", envelope_sha256="ab" * 32)
    yield common.replace(event="receipted")


def add(ledger: Ledger, *drafts: Draft) -> list[Entry]:
    """Each draft in a commit of its own."""

    def append(draft: Draft) -> Entry:
        return ledger.write(lambda tx: tx.append(draft))

    return [append(draft) for draft in drafts]


def add_handovers(ledger: Ledger, number: int) -> list[str]:
    """So many outgoing handovers, four commits each; returns their ids."""
    ids = [fresh_id() for _ in range(number)]
    for identifier in ids:
        sequence = ledger.write(lambda tx: tx.next_sequence("ofsted"))
        add(ledger, *outgoing(identifier, sequence))
    return ids


def sqlite3(path: Path, sql: str) -> str:
    """Run Debian's own sqlite3 program on a ledger, as somebody with the file would."""
    program = ["/usr/bin/sqlite3", "-cmd", ".timeout 20000"]
    done = subprocess.run([*program, str(path), sql], capture_output=True, check=True)
    return done.stdout.decode(errors="replace").strip()
