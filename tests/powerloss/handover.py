"""The recorded handovers: four files between two organisations, the real programs and OpenSSH on both sides.

    drop       LGSCO's run takes, seals and sends            one recording: what sshd has not synced for one side when
    deliver    Ofsted's run delivers and answers             its run ends can still be lost while the other side runs
    settle     LGSCO's run puts each file into its last place
    killed     LGSCO's first run again, but it dies midway   one recording: what a run that was killed had not synced
    go on      and the next one has to clear up              can still be lost while the next one relies on it
    keep none  as settle, where nothing is kept of a file that has arrived
    put back   files have changed since they were claimed: the next run puts them back, and takes them again

The whole way once more where only one side has a server: `drop, ofsted-hosts` and so on. The other one uploads to it,
and collects what waits there in a pick-up folder.

The machine of an organisation is its home together with the folders that its sshd serves.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from tests.faults.invariant import Finding
from tests.faults.program import Program
from tests.faults.scene import MOMENTS, Scene, scene
from tests.faults.trace import KILL, Fault
from tests.organisations import TOPOLOGIES
from tests.powerloss import restart
from tests.powerloss.calls import OPTIONS
from tests.powerloss.record import Links, record
from tests.powerloss.scenario import Scenario
from tests.system.daemons import PICKUP

OTHERS = {"lgsco": "ofsted", "ofsted": "lgsco"}
KEEP_NONE = '\n[partners.ofsted]\nkeep_sent = "none"\n'


def way(program: Program | None = None) -> list[Scenario]:
    """The whole way of the files, and no more."""
    with scene(program, again=False) as made:
        return [_way(made)]


def all_ways() -> Iterator[Scenario]:
    """Every moment, in every topology; each is recorded when it is asked for."""
    with scene(again=False) as made:
        recorded = [_way(made), _killed(made), _keep_none(made), _put_back(made)]
    yield from recorded
    for topology, collector in TOPOLOGIES.items():
        if collector:
            yield collecting(topology)


def collecting(topology: str) -> Scenario:
    """The whole way where only one side has a server."""
    with scene(again=False, topology=topology) as made:
        return _way(made, f", {topology}")


def _way(made: Scene, where: str = "") -> Scenario:
    made.restore("drop")
    return _scenario(made, {moment + where: _run(made, organisation) for moment, organisation in MOMENTS.items()})


def _killed(made: Scene) -> Scenario:
    made.restore("drop")
    renames = [call.number for call in made.traced("lgsco") if call.name == "rename"]
    made.restore("drop")
    fault = Fault("rename", renames[len(renames) // 2], KILL)
    return _scenario(made, {"killed": _run(made, "lgsco", fault), "go on": _run(made, "lgsco")})


def _keep_none(made: Scene) -> Scenario:
    made.restore("settle")
    config = made.home("lgsco").config_file
    config.write_text(config.read_text() + KEEP_NONE)
    return _scenario(made, {"keep none": _run(made, "lgsco")}, kept=False)


def _put_back(made: Scene) -> Scenario:
    made.restore("drop")
    seen = made.traced("lgsco")
    moved = next(
        number for number, call in enumerate(seen) if call.name.startswith("rename") and "/payload" in call.about
    )
    after = next(call for call in seen[moved:] if call.name == "fsync")
    made.restore("drop")
    made.faulty("lgsco", Fault("fsync", after.number, KILL))
    for payload in made.home("lgsco").spool.glob("out/*/payload"):
        os.utime(payload)
    return _scenario(made, {"put back": _run(made, "lgsco")})


def _run(made: Scene, organisation: str, fault: Fault | None = None) -> Callable[[], str]:
    return partial(made.recorded, organisation, *OPTIONS, fault=fault)


def _scenario(made: Scene, runs: Mapping[str, Callable[[], str]], *, kept: bool = True) -> Scenario:
    machines = {name: _served(made, name) for name in made.both}
    recording = record(made.homes, machines, runs)
    tidy: list[frozenset[str]] = []

    def check(homes: Path, _: int = 0) -> list[Finding]:
        return restart.findings(restart.Rest(homes, tidy[0], kept))

    def begin(homes: Path) -> list[Finding]:
        tidy.append(restart.tidy(homes))
        return check(homes)

    return Scenario(recording, begin, check)


def _served(made: Scene, name: str) -> Links:
    """The folders of one organisation that lie on its server."""
    home, sshd, other = made.homes / name, made.both[name].sshd, OTHERS[name]
    pickup = sshd.base / PICKUP
    return {home / "landing" / other: sshd.zone, **({home / "collect" / other: pickup} if pickup.is_dir() else {})}
