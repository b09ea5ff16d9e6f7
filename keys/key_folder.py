"""What lies in the key folder: the public halves, checked against their names, their permissions and each other.

<purpose>-<serial>.json    read                  <purpose>-<serial>.age, .token    permissions checked, not read
anything else              left alone; names that begin with a dot are writes that did not finish

A file may go while it is looked at: another process of ours destroys a key that has ended.
"""

import re
from pathlib import Path

from keys import key_files, key_info
from keys.key_errors import DamagedKey, MissingKey, SwappedKey
from keys.key_info import PURPOSES, KeyInfo, Purpose

_NAME = re.compile(rf"({'|'.join(PURPOSES)})-([1-9][0-9]{{0,8}})\.(json|age|token)")


def read_infos(folder: Path) -> tuple[KeyInfo, ...]:
    """All public halves of `folder`, checked against their names and each other."""
    key_files.check_folder(folder)
    infos: list[KeyInfo] = []
    for name in key_files.names(folder):
        match = _NAME.fullmatch(name)
        if match is None:
            continue
        label = f"{match[1]} key {match[2]}"
        try:
            if match[3] != "json":
                key_files.check_file(folder / name, f"the private half of {label}")
                continue
            info = key_info.parse(key_files.read(folder / name, f"the public half of {label}"))
        except MissingKey:
            continue
        except key_info.InfoError as error:
            raise DamagedKey(
                f"the public half of {label} is damaged: {error.message}", hint="restore it from the backup of the keys"
            ) from None
        if info.label != label:
            raise SwappedKey(
                f"the public half of {label} is that of {info.label}", hint="restore both from the backup of the keys"
            )
        if any(info.fingerprint == other.fingerprint for other in infos):
            raise SwappedKey(f"{label} is the same key as another one", hint="restore both from the backup of the keys")
        infos.append(info)
    return tuple(sorted(infos, key=lambda info: (PURPOSES.index(info.purpose), info.serial)))


def next_serial(folder: Path, purpose: Purpose) -> int:
    """One more than any file has, finished or left over."""
    matches = [_NAME.fullmatch(name) for name in key_files.names(folder)]
    return 1 + max((int(match[2]) for match in matches if match and match[1] == purpose), default=0)


def halves(folder: Path) -> tuple[str, ...]:
    """Which keys have a private half and no public one, like `signing key 7`: being made, or cut off, or damaged."""
    matches = [match for name in key_files.names(folder) if (match := _NAME.fullmatch(name))]
    public = {(match[1], match[2]) for match in matches if match[3] == "json"}
    alone = {(match[1], match[2]) for match in matches} - public
    return tuple(f"{purpose} key {serial}" for purpose, serial in sorted(alone))
