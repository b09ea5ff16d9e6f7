"""When two states of both organisations are the same but for chance: ids, times, signatures and encryption.

What is left to do from a moment on is the same for both, so it is played out only once. Everything is compared that the
program could go by: every path below both homes and zones with its kind, mode and content; and every row of every table
of both ledgers. An envelope is told apart by whether it is, byte for byte, one that a ledger knows, or how long it is.
"""

import hashlib
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from tests.faults.scene import Scene

_CHANCE = re.compile(
    rb"(?P<id>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    rb"|(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?)|(?P<digest>\b[0-9a-f]{64}\b)|(?P<seen>\b\d+:\d+:\d{19}\b)"
    rb"|(?P<base64>[A-Za-z0-9+/]{40,}=*(?:\n[A-Za-z0-9+/]+=*)*)|\d\d:\d\d:\d\d"
    rb"|(?P<inode>(?<=\"inode\": )\d+|(?<=\"modified_ns\": )\d+)"
)
_OF_SQLITE = ("-wal", "-shm", "-journal", ".pid", ".log")


class _Chance:
    """Gives every id and digest a number in the order in which it is first met."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def without(self, text: bytes) -> bytes:
        """The text with numbers for ids and digests, and nothing for times and signatures."""
        return _CHANCE.sub(self._instead, text)

    def _instead(self, found: re.Match[bytes]) -> bytes:
        if found["id"] or found["digest"]:
            return b"#%d" % self._numbers.setdefault(found[0], len(self._numbers))
        return b"#"

    def knows(self, digest: str) -> bytes | None:
        """The number of a digest that was met before."""
        number = self._numbers.get(digest.encode())
        return None if number is None else b"#%d" % number


def likeness(scene: Scene) -> str:
    """A digest that is equal for states that differ by chance alone."""
    chance = _Chance()
    told = hashlib.sha256()
    for one in scene.both.values():
        entries, others = _rows(one.home.ledger)
        told.update(b"\n".join(chance.without(row) for row in entries))
        told.update(b"\n".join(sorted(chance.without(row) for row in others)))
    found = []
    for top in (scene.homes, *scene.zones()):
        for path in top.rglob("*"):
            if not path.name.endswith(_OF_SQLITE) and path.name != "ledger.db":
                found.append(
                    (path.lstat().st_mode, chance.without(bytes(path.relative_to(top))), _content(path, chance))
                )
    for mode, name, content in sorted(found, key=lambda one: (one[1], one[2])):
        told.update(b"%o %s %s\n" % (mode, name, content))
    return told.hexdigest()


def _rows(ledger: Path) -> tuple[list[bytes], list[bytes]]:
    """The entries, which give ids and digests their numbers, and the rows of every other table."""
    with tempfile.TemporaryDirectory(dir=ledger.parents[2]) as folder:
        # of a copy: whoever looks first after a death clears up, and that is for the program to do
        for path in ledger.parent.glob(f"{ledger.name}*"):
            shutil.copy(path, folder)
        with closing(sqlite3.connect(Path(folder, ledger.name))) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            rows = {
                table: [
                    b"|".join([table.encode(), *map(_cell, row)]) for row in database.execute(f"SELECT * FROM {table}")
                ]
                for table in sorted(tables)
            }
    return rows.pop("entries"), [row for found in rows.values() for row in found]


def _cell(value: object) -> bytes:
    if isinstance(value, bytes):
        return value if value.isascii() else b"%d bytes" % len(value)
    return str(value).encode()


def _content(path: Path, chance: _Chance) -> bytes:
    if not path.is_file():
        return b""
    content = path.read_bytes()
    known = chance.knows(hashlib.sha256(content).hexdigest())
    if known is not None:
        return known
    if content.startswith(b"age-encryption.org/"):
        return b"%d bytes of an envelope" % len(content)
    return hashlib.sha256(chance.without(content)).hexdigest().encode()
