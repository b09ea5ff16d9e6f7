"""One machine on which commands are run, one after the other, by the real program, and looked at after a power cut.

Both homes lie on it, but no server of a partner answers: what is owed to one waits. What has to travel between the two
afterwards travels from folder to folder (`together`).
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from config.home import Home
from config.sample import Value
from exchange.assembly import assemble
from exchange.audit import verify_home
from exchange.partners import make_card
from exchange.parts import Parts
from keys.keyring import Keyring
from tests.faults.invariant import Finding
from tests.faults.program import Program
from tests.faults.trace import strace
from tests.organisations import CASE, NAMES, PASSPHRASE, ManualClock, Organisation, Pair, introduce, make_home, start
from tests.powerloss.calls import OPTIONS
from tests.powerloss.record import record
from tests.powerloss.scenario import Scenario, folder

DESK = "desk"
"""The one machine."""

SETTINGS: dict[str, Value] = {"keys.passphrase_file": "passphrase", "landing.port": 1, "watch.quiet": "10ms"}
"""Nothing listens at the port that the cards name."""

CONTENT = b"the decision, which is long enough to be half there\n" * 40
NAME = f"{CASE} decision.pdf"

UNREACHABLE = 3
"""Exit code of a run that could not reach a partner, after all else was done."""

RUN = ("run", "--once")

Look = Callable[[Path, int], list[Finding]]
"""What is wrong on a desk, given how many of the acts had come to their end."""


@dataclass(frozen=True, slots=True)
class Case:
    """`acts` says by moment which words follow `handover`; `codes` with which exit codes they may end."""

    prepare: Callable[[Path], None]
    acts: Callable[[Path], Mapping[str, list[str]]]
    look: Look
    codes: frozenset[int] = frozenset({0})


def recorded(program: Program, case: Case) -> Scenario:
    """Prepare a desk, and record what the acts do to it."""
    with folder() as base:
        desk = base / DESK
        desk.mkdir()
        case.prepare(desk)
        runs = {moment: partial(_run, program, base, words, case.codes) for moment, words in case.acts(desk).items()}
        recording = record(base, {DESK: {}}, runs)

    def check(homes: Path, done: int) -> list[Finding]:
        return case.look(homes / DESK, done)

    return Scenario(recording, lambda _: [], check)


def _run(program: Program, base: Path, words: list[str], codes: frozenset[int]) -> str:
    output = base / "output"
    output.mkdir(exist_ok=True)
    started = program.start(words, output)
    with strace(started.pid, output / "strace", *OPTIONS):
        ended = started.finish()
    assert ended.code in codes, ended.err
    return (output / "strace").read_text(errors="replace")


# --- before -----------------------------------------------------------------------------------------------------------


def with_passphrase(folder: Path) -> None:
    """The file that the passphrase is read from."""
    file = folder / "passphrase"
    file.touch(mode=0o600)
    file.write_text(PASSPHRASE.reveal())


def _home(desk: Path, name: str) -> Home:
    home = make_home(desk, name, SETTINGS)
    with_passphrase(home.root)
    return home


def two_strangers(desk: Path) -> None:
    """Two homes and their cards."""
    for name in NAMES:
        home = _home(desk, name)
        make_card(home, Keyring.open(home.keys, lambda: PASSPHRASE), desk / f"{name}.toml")


def two_homes(desk: Path) -> None:
    """Two partners, and a file."""
    shutil.copytree(_two_homes().name, desk, dirs_exist_ok=True)


@cache
def _two_homes() -> tempfile.TemporaryDirectory[str]:
    """Made once for all recordings; gone with the process."""
    made = tempfile.TemporaryDirectory(prefix="handover-")
    introduce({name: _home(Path(made.name), name) for name in NAMES}, Path(made.name))
    (Path(made.name) / NAME).write_bytes(CONTENT)
    return made


def within(name: str, desk: Path) -> list[str]:
    """The words that choose a home."""
    return ["--home", str(desk / name)]


# --- after ------------------------------------------------------------------------------------------------------------


def parts_of(home: Path) -> Parts:
    """A home as a command opens it."""
    return assemble(Home.open(home), lambda: PASSPHRASE)


@contextmanager
def together(desk: Path) -> Iterator[Pair]:
    """Both organisations, started again."""
    lgsco, ofsted = (Home.open(desk / name) for name in ("lgsco", "ofsted"))
    clock = ManualClock()
    one = start(lgsco, ofsted, clock)
    try:
        other = start(ofsted, lgsco, clock)
        try:
            yield Pair(one, other, clock, desk)
        finally:
            other.parts.ledger.close()
    finally:
        one.parts.ledger.close()


def holders(home: Home, content: bytes = CONTENT) -> list[str]:
    """Every file of a home with this content, by its path in the home."""
    return sorted(
        str(path.relative_to(home.root))
        for path in home.root.rglob("*")
        if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content
    )


def files_below(folder: Path) -> list[str]:
    """Every file below a folder, hidden ones too; not the marker of the outbound folder."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".handover-outbound"
    )


def unverifiable(*organisations: Organisation) -> list[Finding]:
    """The ledgers that do not verify."""
    bad = [one for one in organisations if not verify_home(one.home).ok]
    return [Finding("unverifiable", f"the ledger of {one.parts.me}") for one in bad]


def expect(kind: str, what: str, wanted: object, found: object) -> list[Finding]:
    """A finding where two are not the same."""
    return [] if wanted == found else [Finding(kind, f"{what}: {found} and not {wanted}")]
