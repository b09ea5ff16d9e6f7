"""What was fetched in part from a partner's server, so that a lost connection or a restart costs only the rest.

    spool/in/<partner>/.<id>.age.fetched    what came
    spool/in/<partner>/.<id>.age.synced     how many bytes of that are surely on the disk, as a decimal number

The note is written after the bytes are synced, and removed before they are written anew. So after a crash, also one of
the machine, the first part of the file is cut to the noted length and gone on behind; without a note it goes.

Going on needs no trust: whether the file on the server begins with what is here is looked at (`exchange.sftp.resume`),
and whatever that misses, opening the envelope finds, which is authenticated as a whole. A beginning that is wrong after
all is put aside as any damaged envelope is, and its sender, who gets no receipt, sends the file again.
"""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from exchange import files

SYNC_EVERY = 64 * 1024 * 1024
"""Bytes that come between two notes: what a crash costs at most."""

_ENDING = ".fetched"
_NOTE = ".synced"


@dataclass(slots=True)
class Part:
    """What came of one envelope."""

    path: Path
    synced: int = field(default=0, init=False)
    """Bytes that the note speaks of."""

    @property
    def note(self) -> Path:
        """Where the length is noted."""
        return self.path.with_suffix(_NOTE)

    def size(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.exists() else 0

    def grows(self, file: BinaryIO, size: int) -> None:
        """`file`, which lies at `path`, has `size` bytes by now; the first time, that is what was gone on behind."""
        if size < self.synced:
            files.remove(self.note)
            self.synced = 0
        if size >= self.synced + SYNC_EVERY:
            self.keep(file)

    def keep(self, file: BinaryIO) -> None:
        """Make durable what came, and note how much that is."""
        files.sync_file(file)
        self.synced = os.fstat(file.fileno()).st_size
        files.write_new(self.note, b"%d" % self.synced)

    def read_note(self) -> int | None:
        """The length that is noted; None if there is no note, or it cannot be read."""
        try:
            said = self.note.read_bytes()
        except FileNotFoundError:
            return None
        return int(said) if said.isdigit() else None

    def remove(self) -> None:
        """It is not wanted any more."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Fetched:
    """Everything that was fetched in part from one partner's server."""

    folder: Path

    def part(self, name: str) -> Part:
        """Where an envelope lies until it is whole, for somebody who fetches it."""
        files.make_directory(self.folder, 0o700)
        part = Part(self.folder / f".{name}{_ENDING}")
        part.synced = part.read_note() or 0
        return part

    def has(self, name: str) -> bool:
        """Whether some of it is here."""
        return (self.folder / f".{name}{_ENDING}").exists()

    def forget_but(self, names: Collection[str]) -> None:
        """Remove what is not offered any more."""
        for part in self._parts():
            if part.path.name[1:].removesuffix(_ENDING) not in names:
                part.remove()

    def keep_longest(self) -> None:
        """Keep only one of them: a server that breaks off each one cannot fill the disk."""
        for part in sorted(self._parts(), key=Part.size)[:-1]:
            part.remove()

    def recover(self) -> None:
        """After a restart: keep the one of which most is surely on the disk, and of that no more than is noted."""
        for part in self._parts():
            noted = part.read_note()
            if noted is None or part.size() < noted:
                part.remove()
            else:
                os.truncate(part.path, noted)
        for note in self.folder.glob(f".*{_NOTE}"):
            if not note.with_suffix(_ENDING).exists():
                note.unlink()
        self.keep_longest()

    def _parts(self) -> Iterator[Part]:
        return map(Part, list(self.folder.glob(f".*{_ENDING}")))
