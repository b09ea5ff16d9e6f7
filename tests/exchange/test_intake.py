"""Files as people, programs and enemies drop them: sent whole, or held with the reason; never followed, never lost."""

import errno
import os
import socket
import unicodedata
from pathlib import Path
from typing import NoReturn

import pytest

from exchange import files, intake
from exchange.drop import Candidate, scan
from keys.keyring import Keyring
from keys.sshsig import PublicKey, Signer
from ledger.store import Ledger
from tests.organisations import CASE, DECISION, Pair, restart

NFD = unicodedata.normalize("NFD", f"{CASE} Ynys Môn é.pdf")
GATEWAYS = ", ".join(['"LGA1974_PtIII"'] * 17)


def only_candidate(pair: Pair) -> Candidate:
    (candidate,) = scan(pair.lgsco.home.outbound)
    return candidate


def held(pair: Pair) -> list[Path]:
    return sorted(path for path in (pair.lgsco.home.held).rglob("*") if not path.is_dir() or path.is_symlink())


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        f"-rf {CASE}.pdf",
        f"{CASE} $(reboot) `x` & ; | <>.pdf",
        f"{CASE} ..pdf",
        f"..{CASE}..pdf".replace("..", "·", 1),
        f"{CASE} {'é' * 119}.pdf",
        f"{CASE} {'x' * 240}.pdf",
        f"{CASE} 日本語 🦉.pdf",
        NFD,
        f"{CASE}.PDF",
    ],
)
def test_a_strange_name_travels_unharmed_in_its_composed_form(pair: Pair, name: str) -> None:
    pair.lgsco.drop(b"content", name)
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]
    assert [p.name for p in pair.ofsted.inbound()] == [unicodedata.normalize("NFC", name)]
    assert [p.read_bytes() for p in pair.ofsted.inbound()] == [b"content"]


def test_two_spellings_of_one_name_are_two_files(pair: Pair) -> None:
    pair.lgsco.drop(b"decomposed", NFD)
    pair.lgsco.drop(b"composed", unicodedata.normalize("NFC", NFD))
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged", "acknowledged"]
    assert {p.read_bytes() for p in pair.ofsted.inbound()} == {b"composed", b"decomposed"}
    assert {p.read_bytes() for p in pair.lgsco.home.sent.rglob("*.pdf")} == {b"composed", b"decomposed"}


@pytest.mark.parametrize(
    "name",
    [
        f"{CASE}\u202efdp.pdf",
        f"{CASE}\x7f.pdf",
        f"{CASE}\u2028.pdf",
        os.fsdecode(b"24 015 493 \xff.pdf"),
        f"{CASE}\t.pdf",
    ],
)
def test_a_name_that_another_computer_could_not_bear_is_held(pair: Pair, name: str) -> None:
    pair.lgsco.drop(b"content", name)
    pair.settle()
    assert [h.reason for h in pair.lgsco.handovers()] == ["bad-name"]
    assert [p.read_bytes() for p in held(pair) if not p.name.endswith(".why.txt")] == [b"content"]
    assert len(held(pair)) == 2
    assert pair.lgsco.spooled() == []


# --- kinds --------------------------------------------------------------------------------------------------------


def test_a_link_is_held_as_a_link_and_what_it_points_to_stays_where_it_is(pair: Pair) -> None:
    secret = pair.base / "secret.pdf"
    secret.write_bytes(b"not to be sent")
    folder = pair.lgsco.home.outbound.joinpath(*DECISION)
    folder.mkdir(parents=True)
    (folder / f"{CASE} link.pdf").symlink_to(secret)
    pair.settle()
    assert [h.reason for h in pair.lgsco.handovers()] == ["not-a-file"]
    assert held(pair)[0].is_symlink()
    assert secret.read_bytes() == b"not to be sent"
    assert pair.ofsted.inbound() == []


def test_a_pipe_and_a_socket_are_held_and_nobody_waits_for_them(pair: Pair) -> None:
    folder = pair.lgsco.home.outbound.joinpath(*DECISION)
    folder.mkdir(parents=True)
    os.mkfifo(folder / f"{CASE} pipe.pdf")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        try:
            os.chdir(folder)  # the name of a socket is short
            listener.bind(f"{CASE} socket.pdf")
        finally:
            os.chdir(here)
        pair.settle()
    assert [h.reason for h in pair.lgsco.handovers()] == ["not-a-file", "not-a-file"]
    assert pair.lgsco.spooled() == []


def test_a_file_with_another_name_elsewhere_is_held(pair: Pair) -> None:
    path = pair.lgsco.drop(b"content")
    (pair.base / "other name").hardlink_to(path)
    pair.settle()
    assert [h.reason for h in pair.lgsco.handovers()] == ["hard-linked"]
    assert pair.ofsted.inbound() == []


# --- half-written ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["grow", "truncate", "replace"])
def test_a_file_that_changes_between_the_look_and_the_claim_is_put_back_untouched(pair: Pair, change: str) -> None:
    path = pair.lgsco.drop(b"half")
    candidate = only_candidate(pair)
    if change == "replace":
        (pair.base / "new").write_bytes(b"else")
        (pair.base / "new").rename(path)
    else:
        path.write_bytes(b"half and whole" if change == "grow" else b"")
    content = path.read_bytes()
    assert intake.take(pair.lgsco.parts, candidate) is None
    assert path.read_bytes() == content
    assert pair.lgsco.handovers() == []
    assert list((pair.lgsco.home.spool / "out").iterdir()) == []


def test_a_file_that_is_gone_at_the_claim_leaves_nothing_behind(pair: Pair) -> None:
    path = pair.lgsco.drop(b"content")
    candidate = only_candidate(pair)
    path.unlink()
    assert intake.take(pair.lgsco.parts, candidate) is None
    assert pair.lgsco.handovers() == []
    assert list((pair.lgsco.home.spool / "out").iterdir()) == []


def test_a_file_that_a_program_opened_for_writing_at_the_last_moment_is_put_back(pair: Pair) -> None:
    path = pair.lgsco.drop(b"half")
    candidate = only_candidate(pair)
    with path.open("ab") as writer:
        assert intake.take(pair.lgsco.parts, candidate) is None
        assert path.read_bytes() == b"half"
        writer.write(b" and whole")
    pair.settle()
    assert [p.read_bytes() for p in pair.ofsted.inbound()] == [b"half and whole"]


def test_a_put_back_that_a_crash_interrupted_is_finished_by_the_next_start(pair: Pair) -> None:
    path = pair.lgsco.drop(b"half")
    candidate = only_candidate(pair)
    parts = pair.lgsco.parts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts.spool, "put_back", _crash)
        path.write_bytes(b"half and whole")
        with pytest.raises(KeyboardInterrupt):
            intake.take(parts, candidate)
    (identifier,) = parts.spool.outgoing()
    parts.spool.note(identifier).write_text(f'{{"target": "{path}"}}')
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    assert path.read_bytes() == b"half and whole"
    assert pair.lgsco.handovers() == []
    assert pair.lgsco.spooled() == []


def test_a_file_that_changes_while_it_is_sealed_is_held(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.lgsco.drop(b"first words")
    pair.lgsco.take()
    (payload,) = pair.lgsco.home.spool.rglob("payload")
    true_signer = Keyring.signer

    class Interrupted:
        """The signature is made between the two readings of the file."""

        def __init__(self, signer: Signer) -> None:
            self.public: PublicKey = signer.public
            self._signer = signer

        def sign(self, data: bytes) -> bytes:
            payload.write_bytes(b"other words")
            return self._signer.sign(data)

    with monkeypatch.context() as patch:
        patch.setattr(Keyring, "signer", lambda *how, **among: Interrupted(true_signer(*how, **among)))
        pair.lgsco.send()
    assert [(h.state, h.reason) for h in pair.lgsco.handovers()] == [("held", "file-changed")]
    assert (pair.lgsco.home.held / "ofsted" / f"{CASE} decision.pdf").read_bytes() == b"other words"
    assert pair.lgsco.spooled() == []


def test_a_file_that_is_emptied_before_it_is_sealed_is_held(pair: Pair) -> None:
    pair.lgsco.drop(b"content")
    pair.lgsco.take()
    (payload,) = pair.lgsco.home.spool.rglob("payload")
    os.truncate(payload, 0)
    pair.settle()
    assert [(h.state, h.reason) for h in pair.lgsco.handovers()] == [("held", "empty-file")]


# --- sidecars -------------------------------------------------------------------------------------------------------


def sidecar_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.concern.toml")


@pytest.mark.parametrize("kind", ["folder", "link", "dangling", "pipe", "large", "latin-1", "nul"])
def test_a_sidecar_that_cannot_be_read_holds_its_file_and_no_other(pair: Pair, kind: str) -> None:
    path = pair.lgsco.drop(b"content")
    pair.lgsco.drop(b"other", f"{CASE} other.pdf")
    sidecar = sidecar_of(path)
    elsewhere = pair.base / "elsewhere"
    elsewhere.write_text('reference = "24 015 493"\n')
    if kind == "folder":
        sidecar.mkdir()
    elif kind == "pipe":
        os.mkfifo(sidecar)
    elif kind in ("link", "dangling"):
        sidecar.symlink_to(elsewhere if kind == "link" else "nowhere")
    else:
        text = {"large": b"#" * 70_000, "latin-1": 'authority = "Ynys Môn"'.encode("latin-1"), "nul": b"\0"}
        sidecar.write_bytes(text[kind])
    pair.settle()
    assert [(h.state, h.reason) for h in pair.lgsco.handovers()] == [("held", "bad-sidecar"), ("acknowledged", None)]
    assert os.path.lexists(sidecar) or kind == "nul"  # one that was never read is not taken away
    assert elsewhere.exists()


def test_more_gateways_than_a_manifest_can_name_hold_the_file(pair: Pair) -> None:
    path = pair.lgsco.drop(b"content")
    sidecar_of(path).write_text(f"gateways = [{GATEWAYS}]\n")
    pair.lgsco.drop(b"other", f"{CASE} other.pdf")
    pair.settle()
    assert [h.reason for h in pair.lgsco.handovers()] == ["bad-sidecar", None]
    assert pair.lgsco.states() == ["held", "acknowledged"]


def test_a_sidecar_that_was_changed_after_it_was_read_is_left_for_a_person(pair: Pair) -> None:
    path = pair.lgsco.drop(b"content")
    sidecar = sidecar_of(path)
    sidecar.write_text("event_date = 2026-10-01\n")
    parts = pair.lgsco.parts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake, "admit_all", _crash)
        with pytest.raises(KeyboardInterrupt):
            intake.take(parts, only_candidate(pair))
    sidecar.write_text("event_date = 2026-09-01\n")
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    assert pair.lgsco.states() == ["accepted"]
    assert sidecar.read_text() == "event_date = 2026-09-01\n"


def test_a_held_file_keeps_its_sidecar_beside_it(pair: Pair) -> None:
    path = pair.lgsco.drop(b"content", "decision.exe")
    sidecar_of(path).write_text('reference = "24 015 493"\n')
    pair.settle()
    beside = pair.lgsco.home.held / "ofsted" / "decision.exe.concern.toml"
    assert beside.read_text() == 'reference = "24 015 493"\n'
    assert not sidecar_of(path).exists()


def _crash(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["moved", "synced", "recorded"])
def test_claims_that_were_cut_off_by_a_disk_that_answers_nothing_are_gone_on_with_without_a_restart(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    for number in range(3):
        pair.lgsco.drop(f"{number}".encode(), f"{CASE} {number}.pdf")

    def fail(*_args: object, **_named: object) -> NoReturn:
        raise OSError(errno.EIO, "the disk does not answer")

    def fails_for_good(*_args: object, **_named: object) -> NoReturn:
        for name in ("lstat", "stat", "open", "scandir", "unlink", "rmdir"):
            patch.setattr(os, name, fail)
        fail()

    with monkeypatch.context() as patch:
        match where:
            case "moved":
                patch.setattr(files, "is_there", fails_for_good)
            case "synced":
                patch.setattr(files, "sync_directories", fails_for_good)
            case _:
                patch.setattr(Ledger, "write", fails_for_good)
        with pytest.raises(OSError, match="does not answer"):
            pair.lgsco.take()
    assert pair.lgsco.handovers() == []
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"] * 3
    assert pair.lgsco.spooled() == []
    assert sorted(path.read_bytes() for path in pair.ofsted.inbound()) == [b"0", b"1", b"2"]
