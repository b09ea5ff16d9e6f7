"""The spool tells on its own what was going on, whatever a crash left in it."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from config.errors import NotNow
from exchange import files, landed, rounds
from exchange.drop import Candidate, Sighting
from exchange.spool import Claim, Spool
from tests.organisations import Pair, restart

ID = "01a205b3-d000-7000-8000-000000000000"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(tmp_path / "spool")
    made.create()
    return made


@pytest.fixture
def candidate(tmp_path: Path) -> Candidate:
    path = tmp_path / "out" / "ofsted" / "a.pdf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"content")
    return Candidate(path, ("ofsted",), Sighting.of(path.lstat()))


def claim_of(candidate: Candidate) -> Claim:
    return Claim(ID, candidate.folders, candidate.path.name, "2026-11-24T00:00:00Z")


def test_a_claim_takes_the_file_and_remembers_what_it_was(spool: Spool, candidate: Candidate) -> None:
    claim = replace(claim_of(candidate), sidecar='reference = "é"\n', sidecar_seen="1:2:3")
    assert spool.claim(candidate, claim)
    assert spool.read_claim(ID) == claim
    assert spool.payload(ID).read_bytes() == b"content"
    assert not candidate.path.exists()
    assert spool.outgoing() == [ID]
    assert stat.S_IMODE(spool.payload(ID).parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(spool.payload(ID).with_name("claim.json").stat().st_mode) == 0o600


def test_a_name_that_is_no_text_survives_in_the_claim(spool: Spool, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff\xfe.pdf")
    path.write_bytes(b"content")
    candidate = Candidate(path, (), Sighting.of(path.lstat()))
    assert spool.claim(candidate, claim_of(candidate))
    assert spool.read_claim(ID) == claim_of(candidate)


def test_the_claim_is_durable_before_the_file_moves(
    spool: Spool, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(_source: Path, _target: Path) -> None:
        assert spool.read_claim(ID) == claim_of(candidate)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files, "rename", look)
    with pytest.raises(OSError, match="Input/output"):
        spool.claim(candidate, claim_of(candidate))
    assert candidate.path.read_bytes() == b"content"
    assert spool.outgoing() == []


@pytest.mark.parametrize("failing", ["write_all_new", "sync_directory", "rename"])
def test_a_claim_that_fails_leaves_the_file_in_exactly_one_place(
    spool: Spool, candidate: Candidate, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, failing, fail)
        with pytest.raises(OSError, match="No space"):
            spool.claim(candidate, claim_of(candidate))
    assert candidate.path.exists() != spool.payload(ID).exists()
    if candidate.path.exists():
        assert spool.outgoing() == []


def test_folders_on_two_file_systems_are_named_as_the_reason_and_nothing_is_taken(
    spool: Spool, candidate: Candidate
) -> None:
    elsewhere = Path("/proc/self/status")
    foreign = Candidate(elsewhere, (), Sighting.of(elsewhere.lstat()))
    with pytest.raises((NotNow, OSError)):
        spool.claim(foreign, claim_of(foreign))
    assert spool.outgoing() == []


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"id": 1}', '{"folders": 3}', '{"folders": [], "x": 1}', "\xff"]
)
def test_a_claim_that_cannot_be_read_is_named_and_nothing_of_it_is_deleted(
    spool: Spool, candidate: Candidate, text: str
) -> None:
    spool.claim(candidate, claim_of(candidate))
    spool.payload(ID).with_name("claim.json").write_text(text, "latin-1")
    with pytest.raises(NotNow, match=ID):
        spool.read_claim(ID)
    assert spool.payload(ID).exists()


@pytest.mark.parametrize("damage", ["broken", "missing"])
def test_one_damaged_claim_keeps_nobody_else_waiting_and_is_said_every_round(pair: Pair, damage: str) -> None:
    pair.lgsco.drop(b"first")
    pair.lgsco.take()
    (payload,) = pair.lgsco.home.spool.rglob("payload")
    note = payload.with_name("claim.json")
    if damage == "broken":
        note.write_bytes(b"{")
    else:
        note.unlink()
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    pair.lgsco.drop(b"second", "24 015 493 b.pdf")
    with pytest.raises(NotNow, match="spool's note"):
        pair.lgsco.take()
    assert payload.read_bytes() == b"first"
    assert pair.lgsco.states() == ["accepted", "accepted"]


def test_what_is_no_handover_is_left_alone(spool: Spool, tmp_path: Path) -> None:
    (tmp_path / "spool" / "out" / "lost+found").mkdir()
    assert spool.outgoing() == []


def test_a_folder_that_a_crash_left_half_removed_is_cleared_at_the_start(pair: Pair) -> None:
    pair.lgsco.drop(b"program", "x.exe")
    pair.settle()
    (handover,) = pair.lgsco.handovers()
    folder = pair.lgsco.home.spool / "out" / handover.id
    claim = '{"id": "", "folders": [], "name": "x.exe", "dropped_at": ""}'
    for name in ("claim.json", "text.why.txt.place", "envelope"):
        folder.mkdir()
        (folder / name).write_text(claim)
        rounds.recover(pair.lgsco.parts)
        assert not folder.exists()


def test_an_envelope_is_not_taken_in_over_another(spool: Spool, tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        (tmp_path / "landed").write_bytes(content)
        taken = spool.take_in(tmp_path / "landed", "lgsco", f"{ID}.age", 1 << 30)
    assert taken is None
    assert (tmp_path / "landed").read_bytes() == b"second"
    assert [(partner, path.read_bytes()) for partner, path in spool.incoming()] == [("lgsco", b"first")]


def test_a_landed_file_that_is_gone_again_is_no_failure(pair: Pair) -> None:
    for name in (f"{ID}.age", "junk"):
        assert landed.take_in(pair.ofsted.parts, "lgsco", pair.ofsted.landing() / name) is None
    assert pair.ofsted.handovers() == []


def test_half_written_work_files_of_before_a_restart_are_cleared_away(spool: Spool, tmp_path: Path) -> None:
    folder = tmp_path / "spool" / "in" / "lgsco"
    folder.mkdir()
    for name in (f".{ID}.age.part", ".0123456789abcdef.part", f"{ID}.age"):
        (folder / name).write_bytes(b"x")
    spool.clear_work_files()
    assert [path.name for path in folder.iterdir()] == [f"{ID}.age"]


def test_receipts_are_kept_for_each_partner(spool: Spool) -> None:
    path = spool.message("lgsco", ID)
    path.write_bytes(b"sealed")
    assert spool.cut_off("lgsco") == [path]
    assert spool.cut_off("ofsted") == []
