"""A command about keys dies before one of its system calls: what it left is finished or was never begun; files go on.

Each command is traced once, and then killed before calls that a seed draws among those about the home.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from config.home import Home
from exchange import key_desk
from exchange.audit import verify_home
from keys.key_info import NEEDED
from tests.exchange.test_key_revocation import first, persist
from tests.exchange.test_key_rotation import exchange_files, rotate
from tests.exchange.test_reseal import accepted
from tests.faults.program import Program
from tests.faults.trace import KILL, Fault, calls, strace
from tests.organisations import PASSPHRASE, ManualClock, Pair, introduce, make_home, start

SEED, EACH = 5, 4
"""How many calls of each command are drawn."""

CHANGING = ("write", "pwrite64", "fsync", "rename", "unlink", "openat")
"""Calls after which something may be half done."""


@dataclass(frozen=True)
class Order:
    """One command: what comes before it, who gives it, and its words."""

    prepare: Callable[[Pair], object]
    of: str
    words: Callable[[Pair], list[str]]


def _offered(pair: Pair) -> None:
    rotate(pair.lgsco, "signing", timedelta(0))
    persist(pair)


def _taken(pair: Pair) -> None:
    _offered(pair)
    accepted(pair.ofsted, pair.lgsco)
    persist(pair)


def _waiting(pair: Pair) -> str:
    return key_desk.waiting(pair.ofsted.parts.ledger)[0].announcement.fingerprint


ORDERS = {
    "rotate": Order(lambda _: None, "lgsco", lambda _: ["keys", "rotate", "signing", "--overlap", "0s"]),
    "accept": Order(_offered, "ofsted", lambda pair: ["keys", "accept", "lgsco", "--fingerprint", _waiting(pair)]),
    "retire": Order(_taken, "lgsco", lambda _: ["keys", "retire", "signing"]),
    "revoke": Order(lambda _: None, "lgsco", lambda pair: ["keys", "revoke", first(pair.lgsco, "signing")]),
}


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both homes, introduced; commands find the passphrase."""
    base = tmp_path_factory.mktemp("homes")
    made = {name: make_home(base, name, {"keys.passphrase_file": "passphrase"}) for name in ("lgsco", "ofsted")}
    for home in made.values():
        (home.root / "passphrase").touch(0o600)
        (home.root / "passphrase").write_text(PASSPHRASE.reveal())
    introduce(made, base)
    return base


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with Program() as made:
        yield made


def opened(folder: Path) -> Pair:
    """Both services in this process, as they start after a crash."""
    home = {name: Home.open(folder / name) for name in ("lgsco", "ofsted")}
    clock = ManualClock()
    lgsco, ofsted = start(home["lgsco"], home["ofsted"], clock), start(home["ofsted"], home["lgsco"], clock)
    return Pair(lgsco, ofsted, clock, folder)


def run(program: Program, folder: Path, of: str, words: list[str], *options: str) -> tuple[int, str]:
    """The command under strace; its exit code, and the log."""
    output = folder / "output"
    output.mkdir(exist_ok=True)
    started = program.start(["--home", str(folder / of), *words], output)
    with strace(started.pid, output / "strace", "-y", *options):
        ended = started.finish()
    return ended.code, (output / "strace").read_text(errors="replace")


def closed(pair: Pair) -> None:
    """Everything that was ordered is done, nothing else was, and files go both ways."""
    for _ in range(3):
        persist(pair)
        accepted(pair.ofsted, pair.lgsco)
        pair.clock.advance(hours=7)
        for one in (pair.lgsco, pair.ofsted):
            key_desk.tend(one.parts)
    own = pair.lgsco.parts.own
    assert own.making == ()
    assert all(sent.taken == {"ofsted"} for sent in own.announcements)
    assert [len(own.usable(purpose)) for purpose in NEEDED] == [1] * len(NEEDED)
    assert own.usable("signing")[0].replaces is not None
    alive = {f"{key.purpose}-{key.serial}.age" for key in own.keys if key.ended is None}
    assert {path.name for path in pair.lgsco.home.keys.glob("*.age")} == alive
    exchange_files(pair, "after")
    for one in (pair.lgsco, pair.ofsted):
        report = verify_home(one.home)
        assert report.ok, report.problems
        assert not {"quarantined", "rejected", "witness.conflict", "key.discarded"} & set(one.events())


@pytest.mark.parametrize("name", ORDERS)
def test_a_command_that_is_killed_before_any_call_leaves_nothing_half_done(
    name: str, homes: Path, program: Program, tmp_path: Path
) -> None:
    order = ORDERS[name]
    before = tmp_path / "before"
    shutil.copytree(homes, before)
    pair = opened(before)
    order.prepare(pair)
    words = order.words(pair)
    pair.close()

    shutil.copytree(before, tmp_path / "traced")
    code, log = run(program, tmp_path / "traced", order.of, words, f"--trace={','.join(CHANGING)}")
    assert code == 0
    seen = [call for call in calls(log, str(tmp_path)) if call.name in CHANGING]
    assert len(seen) > EACH
    killed = 0
    for number, call in enumerate(Random(SEED).sample(seen, EACH)):
        folder = tmp_path / str(number)
        shutil.copytree(before, folder)
        fault = Fault(call.name, call.number, KILL)
        code, _ = run(program, folder, order.of, words, f"--trace={call.name}", "-e", fault.injection)
        killed += code == -9
        # whoever gave the order gives it again; it may have been carried out
        code, _ = run(program, folder, order.of, words, "--trace=none")
        assert code in (0, 2, 3), f"{call}: {(folder / 'output' / 'err').read_text()}"
        pair = opened(folder)
        try:
            if name == "revoke":
                key = pair.lgsco.parts.own.find(words[-1])
                assert key is not None
                assert key.ended == "revoked"
            closed(pair)
        finally:
            pair.close()
        shutil.rmtree(folder)
    assert killed > EACH // 2
