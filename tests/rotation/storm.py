"""`make rotations`: every key of both sides is replaced while files go both ways, daemons die, and messages are late.

    python -m tests.rotation.storm [--rounds N] [--seed N]

First both make post-quantum keys too. One round: every purpose of both sides is rotated, in an order drawn from the
seed; a daemon is killed before or after each command, or both are, and started again; LGSCO asks a person about each
new key, Ofsted takes what the chain of signatures vouches for. When every partner has accepted, and what was on its way
by then has come, the replaced keys are retired in another order; then both SFTP servers get another host key. The same
seed draws the same commands, deaths and files; what meets what depends on the machine, and nothing is judged by time.
"""

import argparse
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from signal import SIGKILL

from config.sample import Value
from exchange import key_desk
from exchange.audit import read_ledger
from keys.key_info import NEEDED, OPTIONAL, Purpose
from keys.own_keys import OwnKeys
from keys.rotation import of_ledger
from ledger.store import Ledger
from tests.faults.program import Ended, Program
from tests.rotation.courier import Courier
from tests.rotation.load import Stream
from tests.rotation.verdict import violations
from tests.system.daemons import Running, exchange
from tests.system.test_key_rotation import ask_us

PARTNER = {"lgsco": "ofsted", "ofsted": "lgsco"}
VICTIMS = ((), (), (), (), (), (), ("lgsco",), ("ofsted",), ("lgsco", "ofsted"))
"""Who dies beside a command; drawn for each."""

PATIENCE = 300.0
"""Seconds that a storm waits for what must happen, on a very busy machine."""

KEPT = Path(__file__).parents[2] / "build"
"""Where what a storm leaves is kept if it does not come to its end."""

SETTINGS: dict[str, Value] = {
    "watch.quiet": "100ms",
    "watch.rescan": "1s",
    "retry.first": "100ms",
    "retry.max": "1s",
    "retry.resend": "10s",
    # only Ofsted has a partner of this name: LGSCO asks a person
    "partners.lgsco.accept_rotation": "chain",
}


@dataclass
class Storm:
    """Both organisations, and what goes on between them."""

    both: dict[str, Running]
    couriers: dict[str, Courier]
    stream: Stream
    ledgers: dict[str, Ledger]
    """Open for reading, all the time."""
    program: Program
    random: Random
    folder: Path
    purposes: tuple[Purpose, ...] = NEEDED
    """What is rotated."""
    killed: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    # --- what administrators do ---------------------------------------------------------------------------------------

    def command(self, name: str, *arguments: str) -> Ended:
        """One `handover` command of that organisation."""
        ended = self.program.run(["--home", str(self.both[name].home.root), *arguments], self.folder)
        self.said.append(f"{name} {' '.join(arguments)}: {ended.code} {ended.err.strip()}")
        return ended

    def done(self, name: str, *arguments: str) -> str:
        """The same; it must succeed."""
        ended = self.command(name, *arguments)
        assert ended.code == 0, self.said[-1]
        return ended.out

    def own(self, name: str) -> OwnKeys:
        """The keys of that organisation as its ledger has them now."""
        return of_ledger(self.ledgers[name])

    def accept(self) -> None:
        """Confirm every new key that waits for a person."""
        for name, ledger in self.ledgers.items():
            for key in key_desk.waiting(ledger):
                self.done(name, "keys", "accept", key.partner, "--fingerprint", key.announcement.fingerprint)

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    @contextmanager
    def deaths(self) -> Iterator[None]:
        """Kill one daemon, both or none, before the block or after it; they run again afterwards."""
        victims = self.random.choice(VICTIMS)
        before = self.random.random() < 0.5
        if before:
            self.kill(*victims)
        yield
        if not before:
            self.kill(*victims)
        for name in victims:
            self.both[name].start()

    def kill(self, *names: str) -> None:
        """With SIGKILL, whatever it is doing."""
        for name in names:
            self.both[name].stop(SIGKILL)
            self.killed.append(name)

    # --- one round ----------------------------------------------------------------------------------------------------

    def begin_post_quantum(self) -> None:
        """Both sign with composite keys too from here on, and these are rotated like the others."""
        for name in self.both:
            for purpose in OPTIONAL:
                with self.deaths():
                    self.done(name, "keys", "rotate", purpose)
        self.until(self.all_taken)
        self.purposes += OPTIONAL

    def turn(self) -> None:
        """Every purpose of both sides once, then their host keys."""
        keys = [(name, purpose) for name in self.both for purpose in self.purposes]
        self.random.shuffle(keys)
        for name, purpose in keys:
            with self.deaths():
                self.done(name, "keys", "rotate", purpose, "--overlap", "1h")
        self.until(self.all_taken)
        # what was signed or sealed with the old keys may still be on its way, and in no order
        self.let_pass()
        self.random.shuffle(keys)
        for name, purpose in keys:
            with self.deaths():
                self.until(partial(self.retire, name, purpose))
        self.until(self.all_taken)
        self.new_host_keys()

    def retire(self, name: str, purpose: str) -> bool:
        """Whether the replaced key could go; what still needs it is said, and then it stays."""
        ended = self.command(name, "keys", "retire", purpose)
        assert ended.code in (0, 3), self.said[-1]
        return ended.code == 0

    def revoke(self, name: str, purpose: Purpose) -> None:
        """Somebody else may have the key in use."""
        [key] = self.own(name).usable(purpose)
        with self.deaths():
            self.done(name, "keys", "revoke", key.fingerprint)
        self.until(self.all_taken)

    def new_host_keys(self) -> None:
        """Announced before the servers have them, and the old ones taken back after."""
        old = {name: one.sshd.host_public for name, one in self.both.items()}
        for name, one in self.both.items():
            one.sshd.new_host_key()
            self.announce(name, f'"{old[name]}"', f'"{old[name]}", "{one.sshd.host_public}"')
        self.until(self.all_taken)
        for name, one in self.both.items():
            one.sshd.stop()
            one.sshd.start()
            self.announce(name, f'"{old[name]}", ', "")
        self.until(self.all_taken)

    def announce(self, name: str, line: str, instead: str) -> None:
        """Change the host keys in handover.toml, and tell the partner."""
        config = self.both[name].home.config_file
        config.write_text(config.read_text().replace(line, instead))
        with self.deaths():
            self.done(name, "keys", "announce")

    def all_taken(self) -> bool:
        """Whether both have accepted everything that the other has announced."""
        return all(sent.taken for name in self.both for sent in self.own(name).announcements)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait, while people confirm what waits for them."""

        def held() -> bool:
            self.accept()
            return condition()

        deadline = time.monotonic() + PATIENCE
        while not held():
            assert time.monotonic() < deadline, "\n".join(self.said)
            time.sleep(0.3)

    def let_pass(self) -> None:
        """Wait until every message that is on its way now has come: twice, as one may be in the making."""
        for _ in range(2):
            before = self.under_way()
            self.until(partial(self._has_passed, before))

    def _has_passed(self, before: set[str]) -> bool:
        return not before & self.under_way()

    def under_way(self) -> set[str]:
        """The ids of all messages that are made and not taken in."""
        spooled: set[str] | None = None
        while spooled is None:
            with contextlib.suppress(FileNotFoundError):  # a folder went away while we looked
                spooled = {
                    path.name.partition(".")[0]
                    for one in self.both.values()
                    for path in one.home.spool.rglob("*.age")
                    if path.is_file()
                }
        return spooled.union(*(courier.held() for courier in self.couriers.values()))

    # --- the end ------------------------------------------------------------------------------------------------------

    def rest(self) -> None:
        """No more files, no more delays: wait until nothing is left to do."""
        self.stream.close()
        for courier in self.couriers.values():
            courier.calm()
        self.until(self.at_rest)

    def at_rest(self) -> bool:
        """Whether everything has come."""
        with contextlib.suppress(OSError):  # a file went away while we looked
            return not self.under_way() and all(
                one.states() == ["acknowledged"] * len(self.stream.dropped[name]) for name, one in self.both.items()
            )
        return False

    def reasons(self, name: str, event: str) -> dict[str, str]:
        """Why messages met with an event at that organisation: their ids, and the reasons in its ledger."""
        ledger = self.ledgers[name]
        entries = ledger.entries(0, ledger.size)
        return {
            str(one.detail.get("about", one.handover)): str(one.detail["reason"])
            for one in entries
            if one.event == event
        }

    def keep(self, folder: Path) -> Path:
        """Copy all there is of both organisations to where a person can look at it; the daemons are killed first."""
        self.kill(*self.both)
        shutil.rmtree(folder, ignore_errors=True)
        # the landing zones' folders, and those of the couriers, lie beside the homes
        shutil.copytree(self.folder.parent, folder, symlinks=True, ignore=shutil.ignore_patterns("*.sock"))
        return folder

    def violations(self, but: frozenset[str] = frozenset()) -> list[str]:
        """Everything that is against what must hold at rest; events in `but` may be."""
        return violations(self.both, self.stream.dropped, but)


@contextmanager
def storm(seed: int) -> Iterator[Storm]:
    """Both daemons run, files stream, couriers carry; in memory where there is such a folder."""
    random, memory = Random(seed), Path("/dev/shm")
    with contextlib.ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)))
        both = stack.enter_context(exchange(base, dict(SETTINGS)))
        couriers = {name: Courier(one, PARTNER[name], Random(random.random())) for name, one in both.items()}
        stream = Stream(both, Random(random.random()))
        output = base / "output"
        output.mkdir()
        ledgers = {name: stack.enter_context(read_ledger(one.home)) for name, one in both.items()}
        made = Storm(both, couriers, stream, ledgers, stack.enter_context(Program()), random, output)
        for one in both.values():
            ask_us(one)
            one.start()
        for courier in couriers.values():
            courier.start()
            stack.callback(courier.close)
        stream.start()
        stack.callback(stream.close)
        yield made


def main() -> int:
    """As the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with storm(options.seed) as made:
        try:
            made.begin_post_quantum()
            for number in range(options.rounds):
                made.turn()
                print(f"round {number + 1}: {len(made.said)} commands, {len(made.killed)} deaths", flush=True)
            made.rest()
            for one in made.both.values():
                one.stop()
            found = made.violations()
        except BaseException:
            print(f"how it was: {made.keep(KEPT / f'rotations-{options.seed}')}", file=sys.stderr)
            raise
        print(f"seed {options.seed}, {options.rounds} rounds, {len(made.said)} commands, {len(made.killed)} deaths")
        for name, contents in made.stream.dropped.items():
            print(f"{name}: {len(contents)} files, {made.couriers[name].late} messages late")
        print("\n".join([f"violations: {len(found)}", *found]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
