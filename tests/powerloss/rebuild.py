"""From a state to two homes that can be started.

Files get new numbers on the new disk and the homes lie at another path; after a true power cut both are as before. So
the two notes of the spool that hold them are written with the new ones: a claim, which says how the dropped file
looked, and where a file is about to appear.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.powerloss.disk import State
from tests.powerloss.record import Crash, Recording

CLAIM = "claim.json"
_FORGOTTEN = ("-shm", ".pid")
"""Endings of files that the machine forgets: shared memory, and a lock."""


def rebuild(recording: Recording, crash: Crash, homes: Path) -> None:
    """Make both machines' homes below `homes`, in the place of what is there."""
    shutil.rmtree(homes, ignore_errors=True)
    for name, state in crash.states.items():
        _rebuild(recording, name, state, homes / name, homes)


def _rebuild(recording: Recording, name: str, state: State, home: Path, homes: Path) -> None:
    known = recording.known[name]
    home.mkdir(mode=0o700, parents=True)
    now: dict[int, os.stat_result] = {}
    for path, found in state.items():
        if path.endswith(_FORGOTTEN):
            continue
        target = home / path
        if found.data is None:
            target.mkdir()
        else:
            target.write_bytes(found.data.replace(os.fsencode(recording.homes), os.fsencode(homes)))
            if found.number in known:
                was = known[found.number].st_mtime_ns
                os.utime(target, ns=(was, was))
                now[known[found.number].st_ino] = target.lstat()
        target.chmod(found.mode)
    for claim in home.glob(f"**/spool/out/*/{CLAIM}"):
        claim.write_bytes(_with_numbers(claim.read_bytes(), now))


def _with_numbers(claim: bytes, now: Mapping[int, os.stat_result]) -> bytes:
    """A claim whose files are known by their numbers on the new disk; as it is where it cannot be read."""
    try:
        said = json.loads(claim)
    except ValueError:
        return claim
    sighting = said["sighting"]
    if sighting is not None and sighting["inode"] in now:
        status = now[sighting["inode"]]
        sighting.update(inode=status.st_ino, device=status.st_dev)
    if said["sidecar_seen"]:
        _, number, modified = said["sidecar_seen"].split(":")
        if int(number) in now:
            status = now[int(number)]
            said["sidecar_seen"] = f"{status.st_dev}:{status.st_ino}:{modified}"
    return json.dumps(said, ensure_ascii=True).encode("ascii")
