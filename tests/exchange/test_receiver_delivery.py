"""Steps 10 and 11 of the receiver: the content is let out when all of it has been checked, and not a byte before."""

import hashlib
import stat

import pytest

from exchange.envelope import tar
from tests.exchange.envelopes import member
from tests.exchange.hostile import CONTENT, NAME, described, envelope, land, manifest, receive
from tests.organisations import CASE, DECISION, Pair


def quarantined_after_receiving(pair: Pair, name: str, data: bytes, reason: str) -> None:
    land(pair, data, name)
    outcome = receive(pair)
    assert outcome.events == ["received", "quarantined"]
    assert (outcome.reason, outcome.kept, outcome.answers) == (reason, [data], 0)
    assert outcome.delivered == []
    assert outcome.spooled == 0
    assert list(pair.ofsted.home.inbound.rglob("*.*")) == []


def test_step_10_another_content_of_the_same_size_is_not_delivered(pair: Pair) -> None:
    said = manifest(pair)
    data = envelope(pair, said, content=bytes(len(CONTENT)))
    quarantined_after_receiving(pair, f"{said.id}.age", data, "wrong-digest")


def test_step_10_a_member_after_the_last_keeps_the_content_in(pair: Pair) -> None:
    said = manifest(pair)
    data = envelope(pair, said, after=member("payload", b"and this"))
    quarantined_after_receiving(pair, f"{said.id}.age", data, "trailing-member")


def test_step_10_something_after_the_end_of_the_tar_keeps_the_content_in(pair: Pair) -> None:
    said = manifest(pair)
    data = envelope(pair, said, after=tar.END + b"x" * 512)
    quarantined_after_receiving(pair, f"{said.id}.age", data, "trailing-data")


@pytest.mark.parametrize("cut", [1, 17, 600, 65536 + 16])
def test_step_10_a_truncated_envelope_is_not_delivered_and_the_whole_one_still_is(pair: Pair, cut: int) -> None:
    content = bytes(200_000)
    said = manifest(pair, payload=described(content))
    data = envelope(pair, said, content=content)
    quarantined_after_receiving(pair, f"{said.id}.age", data[:-cut], "age-payload")
    land(pair, data, f"{said.id}.age")
    outcome = receive(pair)
    # the damaged one gets an id of its own
    assert outcome.events == ["received", "delivered", "quarantined"]
    assert (outcome.reason, outcome.delivered, outcome.answers) == ("overtaken", [content], 1)


def test_step_10_bytes_after_the_end_of_the_envelope_keep_the_content_in(pair: Pair) -> None:
    content = bytes(200_000)
    said = manifest(pair, payload=described(content))
    data = envelope(pair, said, content=content) + b"\0"
    quarantined_after_receiving(pair, f"{said.id}.age", data, "age-payload")


@pytest.mark.parametrize("place", [-5, -70_000])
def test_step_10_one_changed_bit_keeps_the_content_in(pair: Pair, place: int) -> None:
    content = bytes(200_000)
    said = manifest(pair, payload=described(content))
    data = bytearray(envelope(pair, said, content=content))
    data[place] ^= 1
    quarantined_after_receiving(pair, f"{said.id}.age", bytes(data), "age-payload")


def test_step_11_the_ledger_names_the_very_envelope_and_no_name(pair: Pair) -> None:
    said = manifest(pair)
    data = envelope(pair, said)
    land(pair, data, f"{said.id}.age")
    receive(pair)
    handover = pair.ofsted.parts.ledger.handover("lgsco", "in", said.id)
    assert handover is not None
    assert handover.envelope_sha256 == hashlib.sha256(data).hexdigest()
    assert handover.manifest_sha256 == hashlib.sha256(said.encode()).hexdigest()
    (path,) = pair.ofsted.inbound()
    assert path.relative_to(pair.ofsted.home.inbound).parts == ("lgsco", *DECISION[1:], NAME)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_step_11_a_file_that_case_officers_have_already_is_never_replaced(pair: Pair) -> None:
    folder = pair.ofsted.home.inbound.joinpath("lgsco", *DECISION[1:])
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(b"theirs")
    said = manifest(pair)
    land(pair, envelope(pair, said), f"{said.id}.age")
    receive(pair)
    assert (folder / NAME).read_bytes() == b"theirs"
    assert (folder / f"{CASE} decision (2).pdf").read_bytes() == CONTENT


def test_step_11_a_link_in_the_inbound_folder_is_not_written_through(pair: Pair) -> None:
    folder = pair.ofsted.home.inbound.joinpath("lgsco", *DECISION[1:])
    folder.mkdir(parents=True)
    victim = pair.base / "victim"
    (folder / NAME).symlink_to(victim)
    said = manifest(pair)
    land(pair, envelope(pair, said), f"{said.id}.age")
    assert CONTENT in receive(pair).delivered
    assert not victim.exists()


def test_a_concern_about_a_council_that_was_abolished_since_is_delivered(pair: Pair) -> None:
    path = pair.lgsco.drop(CONTENT, NAME, ("ofsted", "upheld-decision", "Cumbria"))
    path.with_name(f"{NAME}.concern.toml").write_text("event_date = 2023-03-01\n")
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]
    assert [p.parent.name for p in pair.ofsted.inbound()] == ["Cumbria"]
