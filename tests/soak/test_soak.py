"""A short soak with a fixed seed, and that its verdict notices what is against it. `make soak` runs a long one."""

import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.canonical import Json
from ledger.entry import Entry
from ledger.query import Row
from tests.soak import load
from tests.soak.health import bounded, growth, unfit_logs
from tests.soak.load import Dropped
from tests.soak.run import soak
from tests.soak.service import Sample
from tests.soak.verdict import copies, fate

SECONDS, SEED = 10, 4
MIB = 1024 * 1024
FILE = Dropped("lgsco", "24 000 001 file 1.pdf", 300, "d1", "acknowledged", 0.0)
ROW = Row(
    id="01a20e22", direction="out", partner="ofsted", category="upheld-decision", authority="E08000025",
    reference="24 000 001", name=FILE.name, size=300, state="acknowledged", dropped_at=None, sealed_at=None,
    sent_at=None, received_at=None, delivered_at=None, acknowledged_at=None, overdue=False, hold=None, reason=None,
    key=None, seq=4,
)  # fmt: skip
SENT = f"sent/ofsted/upheld-decision/Leeds/{FILE.name}"
ARRIVED = f"inbound/lgsco/upheld-decision/Leeds/{FILE.name}"


def test_two_organisations_under_load_and_faults_at_random_lose_and_double_nothing() -> None:
    found = soak(SECONDS, SEED, rest=120)
    assert found.violations == (), str(found)
    assert sum(found.faults.values()) > 10
    assert len(found.faults) > 6
    assert min(found.starts.values()) > 1
    assert found.outcomes["acknowledged"] > 50
    assert len(found.waits) == found.outcomes["acknowledged"]
    assert "violations:       0" in str(found)


@pytest.mark.parametrize(
    ("states", "orders", "complaint"),
    [
        (["acknowledged"], [], None),
        (["withdrawn", "acknowledged"], [], None),
        (["withdrawn"], ["01a20e22"], None),
        (["withdrawn"], [], "withdrawn instead of acknowledged"),
        (["held"], [], "held instead of acknowledged"),
        (["acknowledged", "acknowledged"], [], "2 handovers"),
        ([], [], "0 handovers"),
    ],
)
def test_the_verdict_knows_what_may_become_of_a_file(
    states: list[str], orders: list[str], complaint: str | None
) -> None:
    found = list(fate(replace(FILE), [replace(ROW, state=state) for state in states], set(orders)))
    assert len(found) == (complaint is not None)
    assert complaint is None or complaint in found[0]


@pytest.mark.parametrize("comes_back", [True, False])
def test_what_a_full_disk_took_of_a_file_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    content = bytes(range(256)) * 200
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    waits = []

    def wait(_seconds: float) -> None:
        waits.append(1)
        if comes_back and len(waits) == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    monkeypatch.setattr("tests.soak.load.time.sleep", wait)
    # in the middle of the third piece
    resource.setrlimit(resource.RLIMIT_FSIZE, (25_000, hard))
    try:
        written = load.grow(tmp_path / "file", content)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "file").read_bytes() == written
    assert len(written) == (len(content) if comes_back else 25_000)


@pytest.mark.parametrize(
    ("here", "there", "count"),
    [
        ([SENT], [ARRIVED], 0),
        ([], [ARRIVED], 1),
        ([SENT], [], 1),
        ([SENT, "spool/half"], [ARRIVED], 1),
        ([SENT], [ARRIVED, "spool/half"], 1),
        ([SENT.replace("sent", "held")], [ARRIVED], 1),
        ([SENT], [ARRIVED.replace("file", "other")], 1),
    ],
)
def test_the_verdict_knows_where_a_file_may_lie(here: list[str], there: list[str], count: int) -> None:
    assert len(list(copies(FILE, {"lgsco": {"d1": here}, "ofsted": {"d1": there}}))) == count


def entry(event: str, handover: str | None = None) -> Entry:
    event, _, cause = event.partition(":")
    detail: dict[str, Json] = {"cause": cause} if cause else {}
    return Entry(seq=0, at="2026-11-24T10:15:00.123Z", event=event, actor="daemon", handover=handover, detail=detail)


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        ("partner.unreachable partner.reachable partner.unreachable partner.reachable", None),
        ("partner.unreachable partner.unreachable partner.reachable", "begins or ends twice"),
        ("partner.reachable", "begins or ends twice"),
        ("partner.unreachable", "does not end"),
        ("partner.unreachable partner.still-unreachable:NotThere partner.reachable", None),
        ("partner.unreachable partner.reachable partner.still-unreachable:NotThere", "that there is not goes on"),
        (f"partner.unreachable {'partner.still-unreachable:NotThere ' * 2} partner.reachable", "within an hour"),
        (f"partner.unreachable {'partner.still-unreachable:HostKeyChanged ' * 2} partner.reachable", None),
        ("sealed " * 9, "9 entries about"),
        ("sealed sent sent sent sent sent sent sent sent sent", None),
    ],
)
def test_what_is_recorded_again_and_again_is_noticed(events: str, complaint: str | None) -> None:
    handover = "01a205b3-d000-7000-8000-000000000000"
    found = list(bounded("lgsco", [entry(event, None if "." in event else handover) for event in events.split()]))
    assert complaint in found[0] if complaint else found == []


def test_a_cause_that_is_recorded_again_after_a_clock_was_put_right_is_no_repetition() -> None:
    lasting, ended = entry("partner.unreachable"), entry("partner.reachable")
    fast = replace(entry("partner.still-unreachable:NotThere"), at="2026-11-24T12:15:00.123Z")
    again = entry("partner.still-unreachable:NotThere")
    assert list(bounded("lgsco", [lasting, fast, again, ended])) == []
    assert "within an hour" in next(bounded("lgsco", [lasting, fast, again, again, ended]))


@pytest.mark.parametrize(
    ("memory", "files", "complaint"),
    [
        (lambda at: 70 * MIB, lambda at: 20, None),
        (lambda at: 70 * MIB + at * MIB // 3, lambda at: 20, "memory grew"),
        (lambda at: 500 * MIB, lambda at: 20, "memory reached"),
        (lambda at: 70 * MIB, lambda at: 20 + at // 5, "open files grew"),
        (lambda at: 70 * MIB, lambda at: 200, "files reached"),
    ],
    ids=["steady", "more memory", "much memory", "more files", "many files"],
)
def test_growth_is_noticed(memory: Callable[[int], int], files: Callable[[int], int], complaint: str | None) -> None:
    found = list(growth("lgsco", [Sample(at, 1, memory(at), files(at), 9) for at in range(200)]))
    assert complaint in " ".join(found) if complaint else found == []


@pytest.mark.parametrize(("reached", "complaints"), [(95, 0), (130, 1)], ids=["to what is usual", "beyond it"])
def test_a_short_life_may_grow_to_what_a_long_one_holds(reached: int, complaints: int) -> None:
    short = [Sample(at, 1, (70 if at < 75 else reached) * MIB, 20, 9) for at in range(150)]
    long = [Sample(at, 2, 100 * MIB, 20, 9) for at in range(200, 800)]
    assert len(list(growth("lgsco", short + long))) == complaints


@pytest.mark.parametrize(
    "line", ["Traceback (most recent call last):", '{"name": "24 015 493"}', '{"event": "round.broken"}', "x.pdf"]
)
def test_a_log_that_names_a_file_or_shows_a_fault_is_noticed(tmp_path: Path, line: str) -> None:
    log = tmp_path / "log"
    log.write_text('{"event": "daemon.ready"}\n')
    assert list(unfit_logs({"lgsco": log})) == []
    log.write_text(line + "\n")
    assert len(list(unfit_logs({"lgsco": log}))) == 1
