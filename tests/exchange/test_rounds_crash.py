"""The machine stops at any durable step of the way of one file: nothing is lost, nothing is doubled."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from config.home import Home
from tests.exchange.crashes import Crash, Machine, memory_folder, run_to_rest
from tests.organisations import CASE, Organisation, Pair, Template, restart, start

SIDECAR = "event_date = 2026-10-01\n"
UNWANTED = {"witness.conflict", "witness.rolled-back", "envelope.quarantined", "quarantined"}
FILES = 12
"""So many files share a pair, so that each is looked for among few others."""
SEVERAL = ("accepted", "held")
"""What is dropped together."""
OUTCOMES = {"accepted": "acknowledged", "held": "held", "rejected": "rejected"}


def take_only_small_files(pair: Pair) -> None:
    """Start the receiver again with a limit that the sender does not know."""
    config = pair.ofsted.home.config_file
    config.write_text(config.read_text().replace('# max_file = "10GiB"', 'max_file = "1000B"'))
    pair.ofsted.parts.ledger.close()
    pair.ofsted = start(Home.open(pair.ofsted.home.root), pair.lgsco.home, pair.clock)


def place_of(content: bytes, home: Path) -> list[Path]:
    """Where a file with this content lies in the sender's home."""
    size = len(content)
    return [
        path
        for part in ("outbound", "spool", "held", "sent")
        for path in (home / part).rglob("*")
        if path.is_file() and path.stat().st_size == size and path.read_bytes() == content
    ]


def drop(pair: Pair, outcome: str, number: int) -> tuple[bytes, str]:
    """A file with a sidecar that will have this outcome."""
    content = f"decision {number} of {outcome}".encode()
    name = f"{CASE} {number}.{'exe' if outcome == 'held' else 'pdf'}"
    if outcome == "rejected":
        content *= 100
    path = pair.lgsco.drop(content, name)
    path.with_name(f"{name}.concern.toml").write_text(SIDECAR)
    return content, name


def check(pair: Pair, outcome: str, content: bytes, name: str) -> None:
    (handover,) = [h for h in pair.lgsco.handovers() if pair.lgsco.parts.ledger.openings(h.first_seq)["name"] == name]
    assert handover.state == OUTCOMES[outcome]
    assert len(place_of(content, pair.lgsco.home.root)) == 1
    told = [entry.event for entry in pair.lgsco.parts.ledger.entries_of(handover)]
    assert told.count(OUTCOMES[outcome]) == 1
    theirs = pair.ofsted.parts.ledger.handover("lgsco", "in", handover.id)
    if outcome == "accepted":
        assert theirs is not None
        assert theirs.state == "delivered"
        assert (theirs.manifest_sha256, theirs.envelope_sha256) == (handover.manifest_sha256, handover.envelope_sha256)
        assert [e.event for e in pair.ofsted.parts.ledger.entries_of(theirs)].count("delivered") == 1
    elif outcome == "held":
        assert theirs is None
    else:
        assert theirs is not None
        assert theirs.state == "rejected"


def check_rest(pair: Pair, outcome: str, sent: dict[str, bytes]) -> None:
    """Nothing lies about, and each file has exactly its notes beside it."""
    for organisation in (pair.lgsco, pair.ofsted):
        assert organisation.spooled() == []
        assert list((organisation.home.spool / "out").iterdir()) == []
        assert list(organisation.landing().iterdir()) == []
        assert [p for p in organisation.home.quarantine.rglob("*") if p.is_file()] == []
        assert list(organisation.home.root.rglob("*.part")) == []
        assert not UNWANTED & set(organisation.events())
        ledger = organisation.parts.ledger
        refused = [e.detail["reason"] for e in ledger.entries(0, ledger.size) if e.event == "receipt.refused"]
        # an answer of which it was not recorded that it went goes once more
        assert set(refused) <= {"already-decided"}
        assert len(refused) <= 2
    assert [p.name for p in pair.lgsco.home.outbound.rglob("*") if p.is_file()] == [pair.lgsco.home.marker.name]
    inbound = {p.name: p.read_bytes() for p in pair.ofsted.inbound()}
    last = pair.lgsco.home.sent if outcome == "accepted" else pair.lgsco.home.held
    kept = {p.name for p in last.rglob("*") if p.is_file()}
    if outcome == "accepted":
        assert inbound == sent
        assert kept == {name + ending for name in sent for ending in ("", ".receipt.txt")}
    else:
        assert inbound == {}
        assert kept == {name + ending for name in sent for ending in ("", ".why.txt", ".concern.toml")}


def crash_at_each(
    pairs: Callable[[], AbstractContextManager[Pair]], machine: Machine, outcome: str, side: str
) -> Iterator[int]:
    """Crash at one step after the other, of one file each, until a file meets no crash; yields each number."""
    number, crashes = 0, 1
    while crashes:
        sent: dict[str, bytes] = {}
        with pairs() as pair:
            if outcome == "rejected":
                take_only_small_files(pair)
            while crashes and len(sent) < FILES:
                content, name = drop(pair, outcome, number)
                sent[name] = content
                home = pair.lgsco.home.root
                machine.steps, machine.stop_at = [], number
                machine.before_each = partial(in_one_place, content, home)
                crashes = run_to_rest(pair, side, machine)
                check(pair, outcome, content, name)
                check_rest(pair, outcome, sent)
                # a receiver that stops is not sent anything again, and must not think so; but it may collect it again
                assert side == "lgsco" or collects(pair.ofsted) or "repeated" not in pair.ofsted.events()
                yield number
                number += 1


def collects(organisation: Organisation) -> bool:
    return organisation.home.settings.landing.host is None


def in_one_place(content: bytes, home: Path) -> None:
    assert len(place_of(content, home)) == 1


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("outcome", "side", "least"),
    [
        ("accepted", "lgsco", 35),
        ("accepted", "ofsted", 15),
        ("held", "lgsco", 20),
        ("rejected", "lgsco", 35),
        ("rejected", "ofsted", 7),
    ],
)
def test_a_crash_at_any_step_loses_and_doubles_nothing(
    template: Template, monkeypatch: pytest.MonkeyPatch, outcome: str, side: str, least: int, done: bool
) -> None:
    with memory_folder() as memory:
        numbers = count()
        machine = Machine(monkeypatch)
        machine.done = done
        crashed = list(crash_at_each(lambda: template.pair(memory / str(next(numbers))), machine, outcome, side))
        # the last one met no crash: every step that there is was one at which the machine stopped
        assert len(machine.steps) == len(crashed) - 1
        assert len(crashed) > least


@pytest.mark.topologies("lgsco-hosts")
@pytest.mark.parametrize(("side", "least"), [("lgsco", 35), ("ofsted", 15)])
def test_a_crash_at_any_step_loses_and_doubles_nothing_where_one_side_collects(
    template: Template, monkeypatch: pytest.MonkeyPatch, topology: str, side: str, least: int
) -> None:
    done = side in topology
    test_a_crash_at_any_step_loses_and_doubles_nothing(template, monkeypatch, "accepted", side, least, done)


def test_a_crash_at_any_step_of_taking_several_files_together_loses_and_doubles_nothing(
    template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[tuple[str, bytes, str]] = []
    with memory_folder() as memory, template.pair(memory / "pair") as pair:
        machine = Machine(monkeypatch)
        for number in count():
            dropped += [(outcome, *drop(pair, outcome, 10 * number + n)) for n, outcome in enumerate(SEVERAL)]
            machine.steps, machine.stop_at = [], number
            try:
                with machine.on():
                    pair.lgsco.take()
                break
            except Crash:
                pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
                pair.lgsco.take()
        pair.settle()
        for outcome, content, name in dropped:
            check(pair, outcome, content, name)
        assert pair.lgsco.spooled() == []
        assert len(machine.steps) == number > 20
