"""What monitoring reads is in the format that it says, true, and tells nothing that is confidential."""

import re
import stat
import tempfile
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from config.errors import Misuse, Tampered
from exchange import metrics
from exchange.audit import read_ledger
from exchange.cli import handover
from exchange.overdue import note_overdue
from exchange.partner_trust import trusted
from exchange.service import pid_file
from ledger.entry import Draft
from ledger.store import Ledger
from tests.exchange.test_machine import as_somebody
from tests.organisations import CASE, Organisation, Pair

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")

_VALUE = r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-][0-9]+)?"
_LABEL = r'[a-z]+="[A-Za-z0-9:+/._ -]*"'
LINES = {
    "HELP": re.compile(r"# HELP (handover_[a-z_]+) [A-Z][^\n]*\."),
    "TYPE": re.compile(r"# TYPE (handover_[a-z_]+) gauge"),
    "sample": re.compile(rf"(handover_[a-z_]+)(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? ({_VALUE})"),
}
"""The three kinds of line that may stand there."""


@dataclass(frozen=True)
class Seen:
    """The samples of a page."""

    values: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def __call__(self, name: str, **labels: str) -> float:
        return self.values[f"handover_{name}", frozenset(labels.items())]

    def all(self, name: str) -> list[float]:
        return [value for (known, _), value in self.values.items() if known == f"handover_{name}"]


def strictly(text: str) -> Seen:
    """Read a page by the rules: each family in one piece, HELP and TYPE before its samples, nothing twice."""
    assert text.endswith("\n")
    values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    family, seen = "", set[str]()
    expected = "HELP"
    for line in text[:-1].split("\n"):
        kind = line.split(" ")[1] if line.startswith("# ") else "sample"
        found = LINES[kind].fullmatch(line)
        assert found, line
        if kind == "HELP":
            family = found[1]
            assert family not in seen
            seen.add(family)
            expected = "TYPE"
        elif kind == "TYPE":
            assert (expected, found[1]) == ("TYPE", family)
            expected = "sample"
        else:
            assert (expected, found[1]) == ("sample", family)
            labels = dict(label.split("=", 1) for label in re.findall(_LABEL, found[2] or ""))
            key = (family, frozenset((name, value.strip('"')) for name, value in labels.items()))
            assert key not in values
            values[key] = float(found[3])
    theirs = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for known in text_string_to_metric_families(text)
        for sample in known.samples
    }
    assert theirs == values
    return Seen(values)


def page(one: Organisation, pair: Pair) -> Seen:
    parts = one.parts
    text, failure = metrics.page(parts.home, parts.keyring, lambda: parts.ledger, lambda: parts.trust, pair.clock)
    assert failure is None
    return strictly(text.decode())


def test_the_counts_and_ages_are_those_of_the_ledger(pair: Pair) -> None:
    assert page(pair.lgsco, pair)("oldest_unfinished_age_seconds", partner="ofsted", direction="out") == 0
    pair.lgsco.drop(b"decision")
    pair.settle()
    pair.clock.advance(seconds=40)
    acknowledged = pair.clock().timestamp() - 40
    pair.lgsco.drop(b"second", f"{CASE} second.pdf")
    pair.lgsco.drop(b"no reference", "decision.pdf")
    pair.lgsco.take()
    pair.clock.advance(seconds=90)
    seen = page(pair.lgsco, pair)
    states = {
        state: seen("handovers", partner="ofsted", direction="out", state=state)
        for state in ("acknowledged", "accepted", "held", "sent")
    }
    assert states == {"acknowledged": 1, "accepted": 1, "held": 1, "sent": 0}
    assert seen("oldest_unfinished_age_seconds", partner="ofsted", direction="out") == pytest.approx(90, abs=0.01)
    assert seen("last_acknowledged_timestamp_seconds", partner="ofsted") == pytest.approx(acknowledged, abs=1e-3)
    assert seen("overdue", partner="ofsted") == 0
    assert seen("ledger_entries") == pair.lgsco.parts.ledger.size
    assert seen("ledger_checkpoint_timestamp_seconds") == pytest.approx(pair.clock().timestamp() - 90, abs=1e-3)
    assert seen("ledger_bytes") >= pair.lgsco.home.ledger.stat().st_size
    assert seen("cosigned_entries", partner="ofsted") == pair.lgsco.parts.ledger.newest_cosigned()
    assert seen("cosigned_timestamp_seconds", partner="ofsted") == int(acknowledged)
    theirs = pair.lgsco.parts.ledger.witnessed("ofsted")
    assert theirs is not None
    assert seen("witnessed_entries", partner="ofsted") == theirs.size
    other = page(pair.ofsted, pair)
    assert other("handovers", partner="lgsco", direction="in", state="delivered") == 1
    assert other("last_delivered_timestamp_seconds", partner="lgsco") == pytest.approx(acknowledged, abs=1e-3)


def test_what_is_late_owed_missing_and_kept_aside_is_told_for_each_partner(pair: Pair) -> None:
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.ofsted.receive()
    junk = pair.ofsted.landing() / "0192aaaa-0000-7000-8000-000000000000.age"
    junk.write_bytes(b"no envelope")
    pair.ofsted.receive()
    ofsted = page(pair.ofsted, pair)
    assert ofsted("receipts_owed", partner="lgsco") == 1
    assert ofsted("quarantine_files", partner="lgsco") == 1
    assert ofsted("quarantine_bytes", partner="lgsco") == len(b"no envelope")
    pair.clock.advance(days=60)
    note_overdue(pair.lgsco.parts)
    lost = Draft(event="partner.unreachable", actor="daemon", partner="ofsted", detail={"cause": "Unreachable"})
    pair.lgsco.parts.ledger.write(lambda tx: tx.append(lost))
    lgsco = page(pair.lgsco, pair)
    assert (lgsco("overdue", partner="ofsted"), lgsco("partner_outage", partner="ofsted")) == (1, 1)
    assert ofsted("partner_outage", partner="lgsco") == 0


def test_each_key_in_use_is_told_with_the_seconds_that_are_left(pair: Pair) -> None:
    parts = pair.lgsco.parts
    pair.clock.advance(days=729)
    before = page(pair.lgsco, pair)
    signing = next(info.fingerprint for info in parts.keyring.infos() if info.purpose == "signing")
    left = before("key_expiry_seconds", owner="lgsco", purpose="signing", fingerprint=signing)
    assert 0 < left <= 86400
    assert len(before.all("key_expiry_seconds")) == 5
    pair.clock.advance(days=2)
    assert page(pair.lgsco, pair)("key_expiry_seconds", owner="lgsco", purpose="signing", fingerprint=signing) < 0


def test_troubles_of_the_machine_are_told(pair: Pair) -> None:
    assert page(pair.lgsco, pair)("trouble", kind="marker") == 0
    pair.lgsco.home.marker.unlink()
    pair.lgsco.parts.ledger.write(lambda tx: tx.append(Draft(event="watch.incomplete", actor="daemon")))
    pair.lgsco.parts.ledger.write(lambda tx: tx.append(Draft(event="folders.apart", actor="daemon")))
    pair.clock.advance(days=-3)
    seen = page(pair.lgsco, pair)
    assert [seen("trouble", kind=kind) for kind in ("marker", "watch", "clock", "folders", "disk")] == [1, 1, 1, 1, 0]
    assert seen("problems") >= 2
    assert seen("service_running") == 0
    with pid_file.only_one(pair.lgsco.home.pid_file):
        assert page(pair.lgsco, pair)("service_running") == 1


def test_nothing_confidential_is_on_the_page(pair: Pair) -> None:
    pair.lgsco.drop(b"decision", f"{CASE} Birmingham.pdf")
    pair.lgsco.drop(b"no reference", "Leeds.pdf")
    pair.settle()
    parts = pair.lgsco.parts
    text = metrics.page(parts.home, parts.keyring, lambda: parts.ledger, lambda: parts.trust)[0].decode()
    told = [handover.id for handover in pair.lgsco.handovers()]
    assert len(told) == 2
    words = [*told, CASE, CASE.replace(" ", ""), "Birmingham", "Leeds", "E08000025", str(pair.base), "upheld-decision"]
    assert [word for word in words if word in text] == []


def test_of_a_ledger_that_cannot_be_used_the_page_says_so_with_what_is_known_beside_it(pair: Pair) -> None:
    parts = pair.lgsco.parts

    def broken() -> Ledger:
        raise Tampered("the head does not fit")

    text, failure = metrics.page(parts.home, parts.keyring, broken, lambda: parts.trust)
    assert isinstance(failure, Tampered)
    seen = strictly(text.decode())
    assert seen("ledger_usable") == 0
    assert seen("disk_free_bytes", folder="spool") > 0
    assert seen("build_info", organisation="lgsco", version="0.1.0") == 1
    assert seen.all("handovers") == seen.all("problems") == []


def test_an_agreement_that_cannot_be_chosen_leaves_no_half_a_page(pair: Pair) -> None:
    config = pair.lgsco.home.config_file
    config.write_text(f'{config.read_text()}\n[partners.ofsted]\nagreement = "none-such"\n')
    parts = pair.lgsco.parts
    home = type(parts.home).open(parts.home.root)
    text, failure = metrics.page(home, parts.keyring, lambda: parts.ledger, lambda: parts.trust)
    assert isinstance(failure, Misuse)
    assert strictly(text.decode())("ledger_usable") == 0


@pytest.fixture
def written(tmp_path: Path) -> Path:
    target = tmp_path / "handover.prom"
    target.write_text("older")
    return target


def test_the_file_is_exchanged_whole_and_everybody_may_read_it(pair: Pair, written: Path) -> None:
    with written.open() as opened_before:
        done = CliRunner().invoke(handover, ["metrics", "--home", str(pair.lgsco.home.root), "-o", str(written)])
        assert (done.exit_code, done.output) == (0, "")
        assert opened_before.read() == "older"
    assert strictly(written.read_text())("ledger_usable") == 1
    assert stat.S_IMODE(written.stat().st_mode) == 0o644
    assert [path.name for path in written.parent.iterdir() if "prom" in path.name or "part" in path.name] == [
        written.name
    ]


def test_the_file_is_written_even_if_the_ledger_is_gone_and_the_command_fails(pair: Pair, written: Path) -> None:
    pair.lgsco.parts.ledger.close()
    pair.lgsco.home.ledger.rename(written.parent / "elsewhere")
    done = CliRunner().invoke(handover, ["metrics", "--home", str(pair.lgsco.home.root), "-o", str(written)])
    assert done.exit_code != 0
    assert strictly(written.read_text())("ledger_usable") == 0


def test_the_manual_tells_of_each_and_of_no_other(pair: Pair) -> None:
    with closing(read_ledger(pair.ofsted.home)) as ledger:
        trust = trusted(pair.ofsted.home, ledger)
        text, _ = metrics.page(pair.ofsted.home, pair.ofsted.parts.keyring, lambda: ledger, lambda: trust)
    made = set(re.findall(r"^# TYPE (\w+) ", text.decode(), re.MULTILINE))
    assert set(re.findall(r"`(handover_\w+)[`{]", PAGE)) == made


def test_what_waits_for_a_partner_whose_card_has_gone_is_counted_as_overdue(pair: Pair) -> None:
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.clock.advance(days=8)
    for path in pair.lgsco.home.cards.iterdir():
        path.unlink()
    parts = pair.lgsco.parts
    pair.lgsco.parts = replace(parts, cards=trusted(parts.home, parts.ledger))
    assert page(pair.lgsco, pair)("overdue", partner="ofsted") == 1


def test_a_quarantine_that_cannot_be_listed_is_not_said_to_be_empty(pair: Pair) -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        home = replace(pair.ofsted.home, root=Path(name))
        (home.quarantine / "lgsco").mkdir(parents=True)
        assert metrics._kept(home, "lgsco") == []
        (home.quarantine / "lgsco").chmod(0)
        with as_somebody():
            assert metrics._kept(home, "lgsco") is None
