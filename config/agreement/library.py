"""Where agreements lie: the ones that come with Handover, and the files that an administrator added.

>>> [agreement.id for agreement in shipped()]
['ofsted-lgsco']
"""

import functools
from collections.abc import Sequence
from pathlib import Path

from config import toml
from config.agreement.file import parse
from config.agreement.model import Agreement
from config.errors import Misuse

_DATA = Path(__file__).parent.parent / "data"


@functools.cache
def shipped() -> tuple[Agreement, ...]:
    """The agreements that come with Handover: never changed, so they are read once."""
    return (_read(_DATA / "ofsted-lgsco.toml"),)


def load_all(files: Sequence[Path] = ()) -> tuple[Agreement, ...]:
    """The shipped agreements and those in `files`; a file with the id of a shipped one takes its place.

    Raises Misuse where a file cannot be used, or where two files have the same id.
    """
    added: dict[str, Agreement] = {}
    for path in files:
        agreement = _read(path)
        if agreement.id in added:
            raise Misuse(f"two agreement files have the id {agreement.id}", hint="keep one of them in agreements.files")
        added[agreement.id] = agreement
    return (*(a for a in shipped() if a.id not in added), *added.values())


def load(identifier: str, files: Sequence[Path] = ()) -> Agreement:
    """One agreement by its id; raises Misuse."""
    known = {agreement.id: agreement for agreement in load_all(files)}
    if identifier not in known:
        raise Misuse(
            f"there is no agreement {identifier}{toml.did_you_mean(identifier, known)}",
            hint=f"known are {', '.join(sorted(known))}; add files to agreements.files in handover.toml",
        )
    return known[identifier]


def _read(path: Path) -> Agreement:
    try:
        with path.open("rb") as file:
            content = file.read(toml.MAX_FILE + 1)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise Misuse(f"the agreement {path} cannot be read: {reason}", hint="see agreements.files") from None
    return parse(content, path.name)
