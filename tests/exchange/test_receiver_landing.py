"""Step 1 of the receiver: what lies in the landing zone is an envelope by its name, its kind and its size."""

import dataclasses
import os

import pytest

from exchange import quarantine
from tests.exchange.hostile import CONTENT, envelope, land, manifest, receive, silence
from tests.organisations import Pair


@pytest.mark.topologies("push", only=True)
@pytest.mark.parametrize(
    "name",
    [
        "decision.pdf",
        "01a205b3-d000-7000-8000-000000000000",
        "01a205b3-d000-7000-8000-000000000000.AGE",
        "01A205B3-D000-7000-8000-000000000000.age",
        "01a205b3-d000-4000-8000-000000000000.age",
        "01a205b3-d000-7000-8000-000000000000.age.age",
        "-rf.age",
        "a\nb.age",
        "é" * 127,
        "x" * 255,
        "x.payload",
        os.fsdecode(b"\xff\xfe.age"),
    ],
)
def test_step_1_a_file_that_is_not_named_by_an_id_is_quarantined_unopened(pair: Pair, name: str) -> None:
    # a whole and valid envelope, so that only its name can be what is wrong
    said = manifest(pair)
    data = envelope(pair, said)
    land(pair, data, name)
    assert receive(pair) == silence(data, "bad-name")
    assert list(pair.ofsted.landing().iterdir()) == []


def test_step_1_what_is_under_way_or_hidden_or_a_folder_is_left_alone(pair: Pair) -> None:
    identifier = manifest(pair).id
    for name in (f"{identifier}.age.part", ".hidden", f".{identifier}.age"):
        land(pair, b"x", name)
    (pair.ofsted.landing() / f"{identifier}.age").mkdir()
    assert receive(pair).events == []
    assert len(list(pair.ofsted.landing().iterdir())) == 4


@pytest.mark.topologies("push", only=True)
@pytest.mark.parametrize("make", ["link", "dangling", "pipe"])
def test_step_1_a_link_or_a_pipe_is_neither_followed_nor_kept(pair: Pair, make: str) -> None:
    secret = pair.base / "secret"
    secret.write_bytes(b"the receiver's own")
    path = pair.ofsted.landing() / f"{manifest(pair).id}.age"
    if make == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(secret if make == "link" else "nowhere")
    outcome = receive(pair)
    assert outcome == dataclasses.replace(silence(b"", "not-a-file"), kept=[])
    assert secret.read_bytes() == b"the receiver's own"
    assert not os.path.lexists(path)


@pytest.mark.parametrize("make", ["link", "pipe", "folder"])
def test_step_1_a_file_that_was_exchanged_while_it_was_taken_is_not_followed(pair: Pair, make: str) -> None:
    secret = pair.base / "secret"
    secret.write_bytes(b"the receiver's own")
    folder = pair.ofsted.home.spool / "in" / "lgsco"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{manifest(pair).id}.age"
    if make == "pipe":
        os.mkfifo(path)
    elif make == "folder":
        path.mkdir()
    else:
        path.symlink_to(secret)
    assert receive(pair) == dataclasses.replace(silence(b"", "not-a-file"), kept=[])
    assert secret.read_bytes() == b"the receiver's own"
    assert not os.path.lexists(path)


def test_step_1_a_file_larger_than_allowed_is_recorded_and_not_kept(pair: Pair) -> None:
    """A sparse upload costs its sender nothing, so keeping it would let anybody fill the disk."""
    home = pair.ofsted.home
    limits = home.settings.limits.model_copy(update={"max_file": 1000})
    settings = home.settings.model_copy(update={"limits": limits})
    pair.ofsted.parts = dataclasses.replace(pair.ofsted.parts, home=dataclasses.replace(home, settings=settings))
    said = manifest(pair)
    land(pair, b"", f"{said.id}.age")
    size = 2 * quarantine.limit(pair.ofsted.parts)
    os.truncate(pair.ofsted.landing() / f"{said.id}.age", size)
    pair.ofsted.receive()
    (handover,) = pair.ofsted.handovers()
    assert (handover.state, handover.reason) == ("quarantined", "too-large")
    assert pair.ofsted.send() == 0
    assert list(pair.ofsted.home.quarantine.rglob("*.age")) == []
    assert list(pair.ofsted.landing().iterdir()) == []


def test_step_1_nothing_in_the_spool_is_replaced_by_what_lands_later(pair: Pair) -> None:
    said = manifest(pair)
    folder = pair.ofsted.home.spool / "in" / "lgsco"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{said.id}.age").write_bytes(envelope(pair, said))
    land(pair, b"rubbish", f"{said.id}.age")
    spool, name = pair.ofsted.parts.spool, f"{said.id}.age"
    assert spool.take_in(pair.ofsted.landing() / name, "lgsco", name, 1 << 30) is None
    outcome = receive(pair)
    assert outcome.delivered == [CONTENT]
