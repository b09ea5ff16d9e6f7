"""`make soak`: two organisations for a given time under load and faults at random; was anything lost or doubled?

    python -m tests.soak.run --seconds N [--seed N]

Two real daemons, each with a real sshd of its own, reach each other through lines that break. Both homes and both
landing zones are file systems of their own, which fill up. When the time is over all faults end, everything comes to
rest, and what must hold is checked. Ends with 1 if anything does not. The same seed draws the same faults and the same
files; what meets what depends on the machine.
"""

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from config.errors import HandoverError
from config.sample import Value
from exchange.audit import public_keyring, read_ledger
from exchange.drop import scan
from exchange.orders import open_orders
from ledger.query import outage
from tests.line import Line
from tests.soak import health, verdict
from tests.soak.faults import Disk, End, Target, begin
from tests.soak.figures import Figures
from tests.soak.load import LIMIT, MIB, Load
from tests.soak.people import People
from tests.soak.plan import SHORT, Planned, plan
from tests.soak.service import Service
from tests.system.daemons import exchange

SETTINGS: dict[str, Value] = {
    "watch.quiet": "500ms",
    "watch.rescan": "2s",
    "retry.first": "100ms",
    "retry.max": "2s",
    "retry.timeout": "4s",
    "retry.resend": "60s",
}
DROPS = 1.5
"""Times a second that one file or a few are dropped."""
BURSTS = 120.0
"""Seconds between two bursts."""
ACTS = 6.0
"""Seconds between two commands."""
REST = 600.0
"""Seconds after the last fault within which everything must have come to rest, on a busy machine too."""

TICK = 0.1
KEPT = Path(__file__).parents[2] / "build"
"""Where the logs of a soak are kept that found something."""

HOME_SIZE = 4096 * MIB
ZONE_SIZE = 1024 * MIB


@dataclass
class World:
    """Both organisations, what is done to them, and what goes wrong with the soak itself."""

    targets: dict[str, Target]
    load: Load
    people: People
    answered: dict[str, float] = field(default_factory=dict)
    """Handover -> when its receipt was recorded, by the monotonic clock."""
    broken: list[str] = field(default_factory=list)


def soak(seconds: float, seed: int, rest: float = REST) -> Figures:
    """One whole soak."""
    random = Random(seed)
    with world(random) as made:
        began = time.monotonic()
        with _meanwhile(made, _keep, _look):
            with _meanwhile(made, _drop(random, seconds), _act(random, seconds)):
                faults = _break(made, plan(seed, seconds), began, seconds)
            ended = time.monotonic()
            rested, left = _come_to_rest(made, rest)
        services = [target.service for target in made.targets.values()]
        for service in services:
            service.stop()
        both = {service.name: service.one for service in services}
        found = [
            *made.broken,
            *(f"not at rest after {rested:.0f} s: {what}" for what in left),
            *verdict.violations(both, made.load, made.people.orders),
            *health.unfit_logs({service.name: service.log for service in services}),
            *(what for service in services for what in health.growth(service.name, service.samples)),
            *made.people.complaints,
        ]
        if found:
            KEPT.mkdir(parents=True, exist_ok=True)
            for service in services:
                shutil.copy(service.log, KEPT / f"soak-{seed}-{service.name}.log")
        return Figures.of(
            seed, ended - began, rested, made.load, made.answered, faults, services, made.people.done, found
        )


@contextmanager
def world(random: Random) -> Iterator[World]:
    """Both organisations, the daemons not started."""
    with ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="handover-soak-")))
        lines = {of: Line() for of in ("lgsco", "ofsted")}
        for line in lines.values():
            stack.callback(line.close)
        values = dict(SETTINGS)
        disks = {}
        for of, partner in verdict.PARTNER.items():
            (base / "homes" / of).mkdir(parents=True)
            disks[of] = Disk(base / "homes" / of, "mode=0700", HOME_SIZE)
            disks[of].mount()
            stack.callback(disks[of].unmount)
            values |= {f"partners.{partner}.host": "127.0.0.1", f"partners.{partner}.port": lines[of].port}
        both = stack.enter_context(exchange(base / "homes", values))
        targets = {}
        for of, one in both.items():
            lines[of].target = both[verdict.PARTNER[of]].sshd.port
            zone = Disk(one.sshd.zone, f"uid={one.sshd.uid},mode=0700", ZONE_SIZE)
            zone.mount()
            stack.callback(zone.unmount)
            (base / f"{of}.clock").write_text("0")
            service = Service(one, base / f"{of}.log", base / f"{of}.clock")
            stack.callback(service.stop)
            infos = public_keyring(both[verdict.PARTNER[of]].home).infos()
            keys = [info.public for info in infos if info.purpose == "transport"]
            targets[of] = Target(service, lines[of], disks[of], zone, keys)
        config = both["ofsted"].home.config_file
        config.write_text(config.read_text().replace('# max_file = "10GiB"', f'max_file = "{LIMIT}B"'))
        homes = {of: one.home for of, one in both.items()}
        yield World(targets, Load(homes, Random(random.random())), People(both, Random(random.random())))


# --- at the same time -------------------------------------------------------------------------------------------------

Work = Callable[[World, threading.Event], None]


@contextmanager
def _meanwhile(made: World, *works: Work) -> Iterator[threading.Event]:
    """Threads that go on until the block ends, or the event that it gets is set; what breaks them is remembered."""
    stop = threading.Event()

    def go_on(work: Work) -> None:
        try:
            work(made, stop)
        except Exception as problem:
            made.broken.append(f"{work.__name__}: {problem!r}")

    threads = [threading.Thread(target=go_on, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield stop
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _keep(made: World, stop: threading.Event) -> None:
    while not stop.wait(TICK):
        for target in made.targets.values():
            target.service.keep()


def _look(made: World, stop: threading.Event) -> None:
    """Note when each receipt is recorded."""
    with ExitStack() as stack:
        ledgers = {of: stack.enter_context(read_ledger(one.service.one.home)) for of, one in made.targets.items()}
        seen = dict.fromkeys(ledgers, 0)
        while True:
            last = stop.wait(1)
            for of, ledger in ledgers.items():
                with contextlib.suppress(HandoverError, OSError):  # its disk is full
                    for entry in ledger.entries(seen[of], ledger.size):
                        seen[of] = entry.seq + 1
                        if entry.event == "acknowledged" and entry.handover is not None:
                            made.answered.setdefault(entry.handover, time.monotonic())
            if last:
                return


def _drop(random: Random, seconds: float) -> Work:
    def drop(made: World, stop: threading.Event) -> None:
        waits = Random(random.random())
        bursts = max(BURSTS * min(1.0, seconds / SHORT), 10)
        next_burst = time.monotonic() + waits.uniform(0, bursts / 2)
        while not stop.wait(waits.expovariate(DROPS)):
            made.load.some()
            if time.monotonic() > next_burst:
                made.load.burst()
                next_burst += waits.uniform(0.5, 1.5) * bursts

    return drop


def _act(random: Random, seconds: float) -> Work:
    def act(made: World, stop: threading.Event) -> None:
        waits = Random(random.random())
        while not stop.wait(waits.uniform(0.5, 1.5) * ACTS * min(1.0, max(0.2, seconds / SHORT))):
            made.people.act()

    return act


def _break(made: World, planned: list[Planned], began: float, seconds: float) -> list[Planned]:
    """Begin and end every fault at its time; returns those that there were."""
    open_: list[tuple[float, End]] = []

    def until(moment: float) -> None:
        while open_ and open_[0][0] <= moment:
            due, end = open_.pop(0)
            time.sleep(max(0.0, due - time.monotonic()))
            end()
        time.sleep(max(0.0, moment - time.monotonic()))

    for one in planned:
        until(began + one.at)
        end = begin(made.targets[one.of], one)
        open_.append((max(began + one.at + one.seconds, time.monotonic()), end))
        open_.sort(key=lambda waiting: waiting[0])
    until(began + seconds)
    for _, end in open_:
        end()
    for target in made.targets.values():
        target.line.mend()
    return planned


def _come_to_rest(made: World, patience: float) -> tuple[float, list[str]]:
    """Wait until nothing is left to do; returns the seconds that this took, and what is still left to do."""
    began = time.monotonic()
    while True:
        left = [what for target in made.targets.values() for what in _left_to_do(target.service)]
        took = time.monotonic() - began
        if not left or took > patience:
            return took, left
        time.sleep(1)


def _left_to_do(service: Service) -> Iterator[str]:
    one = service.one
    try:
        waiting = Counter(str(path.parent) for path in verdict.at_work(one))
        waiting.update(str(candidate.path.parent) for candidate in scan(one.home.outbound))
        yield from (f"{service.name}: {count} files in {folder}" for folder, count in waiting.items())
        if waiting:
            return
        with read_ledger(one.home) as ledger:
            cause = outage(ledger, verdict.PARTNER[service.name])
            if cause is not None:
                yield f"{service.name}: cannot reach its partner: {cause}"
            for life in ledger.handovers():
                if life.state in ("accepted", "sealed", "sent", "received"):
                    yield f"{service.name}: {life.id} is {life.state}"
                elif life.direction == "in" and life.receipt != "sent":
                    yield f"{service.name}: the receipt of {life.id} is {life.receipt}"
            yield from (f"{service.name}: {order.what} of {order.handover.id} waits" for order in open_orders(ledger))
    except (HandoverError, OSError) as problem:
        yield f"{service.name}: {problem!r}"  # a file went away while we looked


def main() -> int:
    """A soak, as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    # a signal, too, ends the daemons and the servers, and removes the file systems
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    found = soak(options.seconds, options.seed)
    print(found)
    return 1 if found.violations else 0


if __name__ == "__main__":
    sys.exit(main())
