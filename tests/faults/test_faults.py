"""A sample of the sweep, spread over all kinds of calls: the program dies or a call fails, nothing is lost or doubled.

`make faults` tries every point there is.
"""

from collections.abc import Iterator
from functools import cache

import pytest

from tests.faults.attempt import Point, attempt, points
from tests.faults.invariant import findings
from tests.faults.likeness import likeness
from tests.faults.scene import FILES, Scene, scene
from tests.faults.sweep import ALL
from tests.faults.trace import ABOUT_THE_NETWORK, KILL

DEATHS = {
    "drop": ("openat", "write", "pwrite64", "fsync", "rename", "unlink", "mkdir", "rmdir", "connect", "sendto",
             "recvfrom"),
    "deliver": ("openat", "pwrite64", "fsync", "rename", "renameat2", "unlink", "chmod", "sendto", "recvfrom"),
    "settle": ("openat", "pwrite64", "fsync", "rename", "unlink", "rmdir", "ftruncate"),
    "drop-again": ("pwrite64", "rename"),
    "deliver-again": ("rename", "unlink"),
    "settle-again": ("fsync", "rmdir"),
}  # fmt: skip
ERRORS = {
    "drop": ("write ENOSPC", "pwrite64 EIO", "fsync EIO", "rename ENOSPC", "mkdir ENOSPC", "sendto ECONNRESET",
             "recvfrom ECONNRESET", "connect ECONNREFUSED"),
    "deliver": ("openat EIO", "pwrite64 ENOSPC", "fsync EIO", "renameat2 EIO", "read EIO", "sendto EPIPE"),
    "settle": ("openat EMFILE", "pwrite64 EIO", "fsync ENOSPC", "unlink EIO", "pread64 EIO"),
}  # fmt: skip


@pytest.fixture(scope="module")
def prepared() -> Iterator[Scene]:
    with scene() as made:
        yield made


KNOWN: set[str] = set()
"""States from which everything came to rest well; as in the sweep, none is played out twice."""


@cache
def all_points(scene: Scene, moment: str) -> dict[Point, str]:
    """The same for the whole module: one trace of each moment is enough."""
    return points(scene, moment)


def of_kind(scene: Scene, moment: str, call: str, kind: str, about: str = "") -> list[Point]:
    """Points of one kind, in an order that is always the same as long as the program is."""
    found = [
        point
        for point, what in all_points(scene, moment).items()
        if (point.fault.call, point.fault.kind) == (call, kind) and about in what
    ]
    assert found, f"the run after {moment} calls no {call} about {about}"
    if call in ABOUT_THE_NETWORK:
        # in how many pieces the network brings an answer varies: the last calls of one run may not come in the next
        last = max(point.fault.number for point in found)
        found = [point for point in found if point.fault.number <= max(1, last // 2)]
    return found


def check(scene: Scene, point: Point) -> None:
    outcome = attempt(scene, point, KNOWN)
    assert outcome.problems == [], f"{point}: {outcome.hit}"
    assert outcome.hit, f"{point} was not reached"


@pytest.mark.parametrize(("moment", "call"), [(moment, call) for moment, calls in DEATHS.items() for call in calls])
def test_a_death_before_a_call_loses_doubles_and_leaves_nothing(prepared: Scene, moment: str, call: str) -> None:
    check(prepared, of_kind(prepared, moment, call, KILL)[0])


@pytest.mark.parametrize(("moment", "error"), [(moment, error) for moment, calls in ERRORS.items() for error in calls])
def test_a_failed_call_loses_doubles_and_leaves_nothing(prepared: Scene, moment: str, error: str) -> None:
    call, kind = error.split()
    check(prepared, of_kind(prepared, moment, call, kind)[0])


@pytest.mark.parametrize(
    ("moment", "call", "kind", "about"),
    [
        pytest.param("drop", "openat", "EMFILE", "held.exe.concern.toml", id="a sidecar cannot be opened now"),
        pytest.param("drop", "read", "EIO", "small.pdf.concern.toml", id="a sidecar cannot be read now"),
        pytest.param("drop", "unlink", "EIO", "held.exe.concern.toml", id="a sidecar cannot be removed now"),
        pytest.param("drop", "newfstatat", "EIO", '/ledger.db"', id="the ledger cannot be looked at before a commit"),
        pytest.param("settle-again", "newfstatat", "EIO", '/payload"', id="whether a file is there cannot be known"),
    ],
)
def test_a_point_that_once_broke_something(prepared: Scene, moment: str, call: str, kind: str, about: str) -> None:
    found = of_kind(prepared, moment, call, kind, about)
    check(prepared, max(found, key=lambda point: point.fault.number))


def test_the_sweep_has_a_point_at_every_step_of_the_way(prepared: Scene) -> None:
    assert {moment: len(all_points(prepared, moment)) > 1000 for moment in ALL} == dict.fromkeys(ALL, True)


def test_states_are_alike_if_only_chance_tells_them_apart(prepared: Scene) -> None:
    def after(moment: str, *runs: str) -> str:
        prepared.restore(moment)
        assert [prepared.run(one).code for one in runs] == [0] * len(runs)
        prepared.settle_servers()
        return likeness(prepared)

    once = after("deliver", "ofsted", "lgsco")
    (arrived,) = prepared.both["ofsted"].home.inbound.rglob(FILES[0].name)
    arrived.write_bytes(FILES[0].content[:-1])
    assert likeness(prepared) != once
    arrived.write_bytes(FILES[0].content)
    assert likeness(prepared) == once
    arrived.chmod(0o644)
    assert likeness(prepared) != once
    assert after("deliver", "ofsted", "lgsco") == once
    assert len({once, after("drop"), after("deliver"), after("settle"), after("drop", "ofsted")}) == 4 + 1


def test_the_invariant_notices_what_is_against_it(prepared: Scene) -> None:
    def kinds() -> set[str]:
        return {finding.kind for finding in findings(prepared)}

    prepared.restore("settle")
    assert kinds() == {"lost", "left over"}  # nothing is acknowledged yet, and the spool is full
    assert prepared.run("lgsco").code == 0
    assert kinds() == set()
    lgsco, ofsted = prepared.both["lgsco"].home, prepared.both["ofsted"].home
    (sent,) = lgsco.sent.rglob(FILES[0].name)
    (ofsted.inbound / "copy.pdf").write_bytes(sent.read_bytes())
    assert kinds() == {"doubled", "left over"}
    (ofsted.inbound / "copy.pdf").unlink()
    (lgsco.spool / "half").write_bytes(FILES[0].mark)
    assert kinds() >= {"doubled", "lost", "left over"}  # a part of a file, where none may be
    (lgsco.spool / "half").unlink()
    sent.write_bytes(FILES[0].content[:-1])
    assert kinds() == {"lost"}
