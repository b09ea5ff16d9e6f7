"""What people drop: files of every kind and size, right and wrong, a few at a time or 200 at once.

A file is remembered with its digest and with what must become of it in the end:

    acknowledged    it is allowed
    held            the sender's agreement or settings do not allow it
    rejected        the receiver does not take so large a file, and the sender does not know
"""

import hashlib
import os
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from config.home import Home

KIB = 1024
MIB = 1024 * KIB

LIMIT = 8 * MIB
"""Ofsted takes no larger files."""

FOLDERS = {
    "lgsco": ("ofsted", "upheld-decision"),
    "ofsted": ("lgsco", "unimplemented-recommendation"),
}
COUNCILS = ("Birmingham", "Leeds", "Cornwall", "Kent", "E09000001")
BURST = 200
GROWING = 0.05
"""Seconds between two pieces of a file that grows: far less than the quiet period."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file: how often, how large, and what is special about it."""

    weight: int
    size: tuple[int, int]
    ending: str = ".pdf"
    outcome: str = "acknowledged"
    council: str | None = None
    named: str = "{reference} file {number}"
    sidecar: bool = False
    grows: bool = False


KINDS = (
    Kind(600, (200, 60 * KIB)),
    Kind(150, (200, 2 * KIB), ".json"),
    Kind(120, (200 * KIB, 2 * MIB), ".docx"),
    Kind(15, (3 * MIB, LIMIT)),
    Kind(30, (200, 20 * KIB), sidecar=True),
    Kind(30, (10 * KIB, 200 * KIB), grows=True),
    Kind(30, (200, 5 * KIB), named="{reference} re\u0301sume\u0301 — ‘n\u00b0 {number}’ & co"),
    Kind(10, (200, KIB), named="-{reference} {number} " + "n" * 180),
    Kind(20, (200, KIB), ".exe", "held"),
    Kind(20, (200, KIB), named="file {number}", outcome="held"),
    Kind(10, (200, KIB), council="Atlantis", outcome="held"),
    Kind(10, (0, 0), outcome="held"),
    Kind(4, (LIMIT + 1, LIMIT + MIB), outcome="rejected"),
)


@dataclass(slots=True)
class Dropped:
    """One file that lay complete in an outbound folder; times are seconds of the monotonic clock."""

    sender: str
    name: str
    size: int
    sha256: str
    outcome: str
    at: float
    answered: float | None = None


@dataclass
class Load:
    """Drops files into both organisations' outbound folders."""

    homes: dict[str, Home]
    random: Random
    files: dict[str, Dropped] = field(default_factory=dict)
    """By name as everybody else is told it, which no other file ever has."""
    refused: int = 0
    """Files that a full disk kept from being dropped at all."""

    def some(self) -> None:
        """Drop one file or a few."""
        sender = self.random.choice(sorted(self.homes))
        for _ in range(self.random.choice((1, 1, 1, 2, 5))):
            (kind,) = self.random.choices(KINDS, [kind.weight for kind in KINDS])
            self.drop(sender, kind)

    def burst(self) -> None:
        """Many small files at once."""
        sender = self.random.choice(sorted(self.homes))
        for _ in range(BURST):
            self.drop(sender, KINDS[1])

    def drop(self, sender: str, kind: Kind) -> None:
        """Drop one file; what the disk does not take was never dropped."""
        number = len(self.files) + self.refused
        reference = f"{24 + number // 10**6:02} {number // 1000 % 1000:03} {number % 1000:03}"
        name = kind.named.format(reference=reference, number=number) + kind.ending
        composed = unicodedata.normalize("NFC", name)
        # it does not send what it would not take
        outcome = "held" if kind.outcome == "rejected" and sender == "ofsted" else kind.outcome
        folder = self.homes[sender].outbound.joinpath(*FOLDERS[sender], kind.council or self.random.choice(COUNCILS))
        # the name in front makes each content one of its kind
        content = (name.encode() + self.random.randbytes(kind.size[1]))[: self.random.randint(*kind.size)]
        at = time.monotonic()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if kind.sidecar:
                _rename_in(folder, f"{name}.concern.toml", b"event_date = 2026-10-01\n")
            if kind.grows:
                content = grow(folder / name, content)
            else:
                _rename_in(folder, name, content)
        except OSError:
            self.refused += 1
            return
        digest = hashlib.sha256(content).hexdigest()
        self.files[composed] = Dropped(sender, composed, len(content), digest, outcome if content else "held", at)

    def unanswered(self) -> Iterator[Dropped]:
        """Files of which nothing final is known yet."""
        return (file for file in list(self.files.values()) if file.answered is None)


def _rename_in(folder: Path, name: str, content: bytes) -> None:
    """As a careful program does."""
    unfinished = folder / f".{hashlib.sha256(name.encode()).hexdigest()[:16]}.part"
    try:
        unfinished.write_bytes(content)
        unfinished.rename(folder / name)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def grow(path: Path, content: bytes) -> bytes:
    """As a careless program does: in place, piece by piece, as far as the disk has room. Returns what was written."""
    written = 0
    with path.open("wb", buffering=0) as file:
        try:
            while written < len(content):
                # a disk that fills up takes a part of it
                written += os.write(file.fileno(), content[written : written + 10 * KIB])
                time.sleep(GROWING)
        except OSError:
            pass
    return content[:written]
