"""An incident pack as files in a new folder, closed to others; each can be read without Handover.

summary.txt                the key, the clock, and how many handovers, in words
incident.json              everything
handovers.csv              one line a handover, for a spreadsheet
checkpoint.txt             the newest head of our ledger, with the partners' cosignatures: it covers every entry
proofs/<id>-<direction>.tlog-proof    where asked for: that the entry which decided a handover is in the ledger;
                           `handover ledger check` reads it anywhere
"""

import json
from dataclasses import asdict
from pathlib import Path

from config.errors import Misuse
from config.home import Home
from config.times import system_clock
from exchange import files
from exchange.incident import COLUMNS, Incident, incident
from exchange.questions import moment
from keys.rotation import of_ledger
from keys.trust import Trust
from ledger.export import encode
from ledger.store import Ledger
from ledger.view import View

SHOWN = ("handover", "direction", "partner", "how", "first_at", "doubtful", "state", "authority", "category", "entry")
"""Columns on a terminal."""


def pack(
    home: Home,
    ledger: Ledger,
    trust: Trust,
    fingerprint: str,
    since: str | None,
    until: str | None,
    output: str | None,
    *,
    proofs: bool = False,
) -> Incident:
    """The incident of a key, with the words of a person; written into the folder `output` if there is one.

    Raises Misuse for a key or a time that says nothing, or a folder that is not new.
    """
    if proofs and output is None:
        raise Misuse("--proofs are files", hint="give a new folder with -o")
    low, high = moment(since, end=False), moment(until, end=True)
    if low is not None and high is not None and low > high:
        raise Misuse("--from is later than --to, so nothing lies between them")
    found = incident(home, ledger, trust, fingerprint, low, high, system_clock())
    if output is not None:
        write(found, Path(output), ledger if proofs else None)
    return found


def write(found: Incident, folder: Path, ledger: View | None = None) -> None:
    """Write the pack into a new or empty folder; with the `ledger`, a proof for each handover. Raises Misuse where
    something lies there already."""
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise Misuse(f"{folder} is not a new folder", hint="give one that is not there yet: nothing is overwritten")
    said = found.to_json()
    contents = {
        "summary.txt": _words(found).encode(),
        "incident.json": (json.dumps(said, indent=2, ensure_ascii=False) + "\n").encode(),
        "handovers.csv": encode([asdict(one) for one in found.handovers], COLUMNS, "csv"),
        "checkpoint.txt": str(found.ledger["note"]).encode(),
    }
    files.make_directory(folder, 0o700)
    files.write_all_new({folder / name: content for name, content in contents.items()})
    if ledger is not None:
        files.make_directory(folder / "proofs", 0o700)
        # a checkpoint that a revoked ledger key signed proves nothing
        least = of_ledger(ledger).prove_from
        proofs = {
            f"{one.handover}-{one.direction}.tlog-proof": ledger.prove(one.entry, at_least=least)
            for one in found.handovers
        }
        files.write_all_new({folder / "proofs" / name: proof for name, proof in proofs.items()})


def _words(found: Incident) -> str:
    told = {label: value for label, value in found.summary().items() if value is not None}
    width = max(map(len, told))
    return "".join(f"{label:<{width}}  {value}\n" for label, value in told.items())
