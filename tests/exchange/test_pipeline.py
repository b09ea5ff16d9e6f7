"""The way of one file through both organisations, and what may not happen on it."""

import pytest

from exchange import orders, rounds
from tests.organisations import CASE, DECISION, TOPOLOGIES, Pair, restart

CONCERN = ("lgsco", "unimplemented-recommendation", "Birmingham")


@pytest.mark.topologies(*TOPOLOGIES)
def test_a_dropped_file_arrives_byte_for_byte_and_both_ledgers_say_so(pair: Pair) -> None:
    content = bytes(range(256)) * 1000
    pair.lgsco.drop(content)
    pair.settle()
    assert [path.read_bytes() for path in pair.ofsted.inbound()] == [content]
    assert pair.ofsted.inbound()[0].relative_to(pair.ofsted.home.inbound).parts == (
        "lgsco",
        "upheld-decision",
        "Birmingham",
        f"{CASE} decision.pdf",
    )
    assert pair.lgsco.states() == ["acknowledged"]
    assert pair.ofsted.states("in") == ["delivered"]
    sent = pair.lgsco.home.sent.joinpath(*DECISION, f"{CASE} decision.pdf")
    assert sent.read_bytes() == content
    assert "has received this file" in sent.with_name(sent.name + ".receipt.txt").read_text()


@pytest.mark.topologies(*TOPOLOGIES)
def test_nothing_is_left_in_the_spool_or_the_landing_zones(pair: Pair) -> None:
    pair.lgsco.drop(b"decision")
    pair.ofsted.drop(b"{}", f"{CASE} concern.json", CONCERN)
    pair.settle()
    for organisation in (pair.lgsco, pair.ofsted):
        assert organisation.spooled() == []
        assert list(organisation.landing().iterdir()) == []
    assert [path.read_bytes() for path in pair.lgsco.inbound()] == [b"{}"]


@pytest.mark.topologies(*TOPOLOGIES)
def test_the_remote_name_is_the_id_and_nothing_of_the_file_is_readable_on_the_way(pair: Pair) -> None:
    pair.lgsco.drop(b"plainly secret content")
    pair.lgsco.take()
    pair.lgsco.send()
    (landed,) = pair.ofsted.landing().iterdir()
    assert landed.name == f"{pair.lgsco.handovers()[0].id}.age"
    assert b"secret" not in landed.read_bytes()
    assert CASE.encode() not in landed.read_bytes()


def test_no_entry_holds_a_name_a_reference_or_a_digest_of_the_content(pair: Pair) -> None:
    from hashlib import sha256

    pair.lgsco.drop(b"decision about a child")
    pair.settle()
    digest = sha256(b"decision about a child").hexdigest()
    for organisation in (pair.lgsco, pair.ofsted):
        ledger = organisation.parts.ledger
        entries = b"".join(ledger.entry_bytes(seq) for seq in range(ledger.size))
        for secret in (CASE, "decision.pdf", digest):
            assert secret.encode() not in entries


@pytest.mark.parametrize(
    ("name", "folders", "reason"),
    [
        (f"{CASE} decision.pdf", ("lgsco", "upheld-decision", "Birmingham"), "unknown-partner"),
        (f"{CASE} x.json", ("ofsted", "unimplemented-recommendation", "Birmingham"), "wrong-direction"),
        (f"{CASE} x.pdf", ("ofsted", "upheld-decision", "Atlantis"), "unknown-authority"),
        ("decision.pdf", DECISION, "missing-reference"),
        (f"{CASE} decision.exe", DECISION, "type-not-allowed"),
        (f"{CASE} decision.pdf", ("ofsted",), "unknown-category"),
        (f"{CASE} decision.pdf", (), "unknown-partner"),
        (f"{CASE} decision.pdf", (*DECISION, "inner"), "folder-too-deep"),
        (f"{CASE} deci\nsion.pdf", DECISION, "bad-name"),
    ],
)
def test_a_file_that_the_agreement_does_not_allow_is_held_with_its_reason(
    pair: Pair, name: str, folders: tuple[str, ...], reason: str
) -> None:
    pair.lgsco.drop(b"content", name, folders)
    pair.settle()
    assert pair.lgsco.states() == ["held"]
    (handover,) = pair.lgsco.handovers()
    assert handover.reason == reason
    folder = pair.lgsco.home.held / (folders[0] if folders else "unsorted")
    assert (folder / name).read_bytes() == b"content"
    why = (folder / f"{name}.why.txt").read_text()
    assert "NOT sent" in why
    assert handover.id in why
    assert pair.ofsted.inbound() == []
    assert pair.lgsco.spooled() == []


def test_a_sidecar_overrides_the_folders_and_goes_with_the_file(pair: Pair) -> None:
    path = pair.lgsco.drop(b"content", "scan.pdf", ("ofsted",))
    path.with_name("scan.pdf.concern.toml").write_text(
        'category = "upheld-decision"\nauthority = "E08000035"\nreference = "24 015 493"\nevent_date = 2026-10-01\n'
    )
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]
    assert [p.parent.name for p in pair.ofsted.inbound()] == ["Leeds"]
    assert list(path.parent.glob("*.toml")) == []


@pytest.mark.parametrize("text", ["category = ", 'colour = "red"', "authority = 3", "reference = []", "\x00"])
def test_a_sidecar_that_cannot_be_read_holds_the_file(pair: Pair, text: str) -> None:
    path = pair.lgsco.drop(b"content")
    path.with_name(path.name + ".concern.toml").write_text(text)
    pair.settle()
    assert pair.lgsco.states() == ["held"]
    assert pair.lgsco.handovers()[0].reason == "bad-sidecar"


def test_an_empty_file_is_held_by_explicit_policy(pair: Pair) -> None:
    pair.lgsco.drop(b"")
    pair.settle()
    assert [h.reason for h in pair.lgsco.handovers()] == ["empty-file"]


@pytest.mark.topologies(*TOPOLOGIES)
def test_a_lost_receipt_makes_the_sender_send_again_and_the_receiver_answer_the_same(pair: Pair) -> None:
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.ofsted.receive()
    pair.ofsted.send()
    (receipt,) = pair.lgsco.landing().iterdir()
    receipt.unlink()
    pair.settle()
    assert pair.lgsco.states() == ["sent"]
    pair.clock.advance(hours=6)
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]
    assert pair.ofsted.events().count("delivered") == 1
    assert pair.ofsted.events().count("repeated") == 1
    assert len(pair.ofsted.inbound()) == 1


def test_a_partner_that_does_not_answer_for_weeks_gets_each_file_ever_more_seldom(pair: Pair) -> None:
    began = pair.clock.now
    pair.lgsco.drop(b"decision")
    sent: list[float] = []
    for _ in range(14 * 24):
        pair.lgsco.take()
        if pair.lgsco.send():
            sent.append((pair.clock.now - began).total_seconds() / 3600)
            for landed in (pair.ofsted.landing()).iterdir():
                landed.unlink()
        pair.clock.advance(hours=1)
    assert sent == [0, 6, 18, *range(42, 14 * 24, 24)]


def test_an_envelope_that_is_missing_does_not_keep_the_others(pair: Pair) -> None:
    import shutil

    pair.lgsco.drop(b"first", f"{CASE} first.pdf")
    pair.lgsco.take()
    pair.lgsco.connection.close()
    rounds.seal_accepted(pair.lgsco.parts, "ofsted")
    shutil.rmtree(pair.lgsco.parts.spool.envelope(pair.lgsco.handovers()[0].id).parent)
    pair.lgsco.drop(b"second", f"{CASE} second.pdf")
    pair.lgsco.take()
    with pytest.raises(FileNotFoundError):
        pair.lgsco.send()
    assert pair.lgsco.states() == ["sealed", "sent"]


def test_a_folder_whose_name_is_not_text_holds_its_file_and_stops_nobody_else(pair: Pair) -> None:
    import os

    strange = pair.lgsco.home.outbound / "ofsted" / "upheld-decision" / os.fsdecode(b"Birm\xff")
    strange.mkdir(parents=True)
    (strange / f"{CASE} a.pdf").write_bytes(b"held")
    pair.lgsco.drop(b"sent", f"{CASE} b.pdf")
    pair.settle()
    assert sorted(pair.lgsco.states()) == ["acknowledged", "held"]
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    held = next(h for h in pair.lgsco.handovers() if h.state == "held")
    orders.place(pair.lgsco.parts.ledger, held, "release", "Kim Example")
    pair.settle()
    assert pair.lgsco.states().count("held") == 1
    assert not (strange / f"{CASE} a.pdf").exists()
