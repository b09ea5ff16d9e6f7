"""Collecting from a server of which nothing is believed, and which may break off, refuse or lie at any step."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from config.errors import NotNow
from exchange import collect as collecting
from exchange import files, rounds
from exchange.collect import PickUp, collect
from exchange.fetched import Fetched
from exchange.landing import (
    ConnectionLost,
    LandingError,
    LandingFailed,
    NoPickup,
    NotRemovable,
    NotThere,
    PermissionDenied,
)
from exchange.retry import Backoff, Pauses
from exchange.uploads import GIVE_UP
from tests.organisations import CASE, FolderLanding, Pair, restart

pytestmark = pytest.mark.topologies("lgsco-hosts", only=True)
"""LGSCO has the server; Ofsted uploads to it, and collects from it."""


class Faulty(FolderLanding):
    """A pick-up folder on a server that does to each operation what a test wants."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.fetched: list[str] = []
        self.before_get: Callable[[str], None] = lambda name: None
        self.before_remove: Callable[[str], None] = lambda name: None

    def get(
        self, name: str, dst: BinaryIO, *, most: int | None = None, progress: Callable[[int], None] | None = None
    ) -> int:
        self.fetched.append(name)
        self.before_get(name)
        return super().get(name, dst, most=most, progress=progress)

    def remove(self, name: str) -> None:
        self.before_remove(name)
        super().remove(name)


@pytest.fixture
def server(pair: Pair) -> Faulty:
    """Ofsted's way to LGSCO's server."""
    landing = Faulty(pair.ofsted.landing())
    connect_to(pair, landing)
    return landing


def connect_to(pair: Pair, landing: Faulty) -> None:
    clock = pair.clock
    pauses = Pauses(lambda: Backoff(10.0, 60.0, lambda: 1.0), lambda: clock.now.timestamp())
    pair.ofsted.pickup = PickUp("lgsco", landing, pauses)


def wait_there(pair: Pair, *contents: bytes) -> list[Path]:
    """Files of LGSCO that wait for Ofsted."""
    for number, content in enumerate(contents):
        pair.lgsco.drop(content, f"{CASE} {number}.pdf")
    pair.lgsco.take()
    pair.lgsco.send()
    return sorted(pair.ofsted.landing().iterdir())


def fail(problem: BaseException) -> Callable[[str], None]:
    def raise_it(name: str) -> None:
        raise problem

    return raise_it


# --- a death, or a lost connection ------------------------------------------------------------------------------------


def test_a_death_between_the_rename_and_the_removal_costs_no_second_delivery_and_no_incident(
    pair: Pair, server: Faulty
) -> None:
    wait_there(pair, b"decision")
    server.before_remove = fail(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        pair.ofsted.receive()
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    pair.settle()
    assert [path.read_bytes() for path in pair.ofsted.inbound()] == [b"decision"]
    assert pair.ofsted.events().count("delivered") == 1
    assert pair.lgsco.states() == ["acknowledged"]
    assert not {"quarantined", "envelope.quarantined"} & set(pair.ofsted.events())
    assert list(pair.ofsted.landing().iterdir()) == []


def test_what_a_death_left_is_made_durable_before_it_is_removed_at_the_partner(
    pair: Pair, server: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_there(pair, b"decision")
    server.before_remove = fail(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        pair.ofsted.receive()
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    connect_to(pair, server)
    synced: list[Path] = []
    removed: list[list[Path]] = []
    monkeypatch.setattr(files, "sync_directory", synced.append)
    server.before_remove = lambda name: removed.append(list(synced))
    collect(pair.ofsted.parts, pair.ofsted.pickup)
    assert [pair.ofsted.home.spool / "in" / "lgsco" in before for before in removed] == [True]


def test_what_was_delivered_and_answered_before_a_death_is_answered_once_more(pair: Pair, server: Faulty) -> None:
    (waiting,) = wait_there(pair, b"decision")
    data = waiting.read_bytes()
    pair.settle()
    waiting.write_bytes(data)
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    pair.settle()
    assert pair.ofsted.events().count("delivered") == 1
    assert pair.ofsted.events().count("repeated") == 1
    assert len(pair.ofsted.inbound()) == 1
    assert pair.lgsco.events().count("acknowledged") == 1


@pytest.mark.topologies("ofsted-hosts", only=True)
def test_a_receipt_that_is_collected_twice_is_recognised(pair: Pair) -> None:
    pair.lgsco.drop(b"decision")
    pair.lgsco.take()
    pair.lgsco.send()
    pair.ofsted.receive()
    pair.ofsted.send()
    (receipt,) = pair.lgsco.landing().iterdir()
    data = receipt.read_bytes()
    pair.settle()
    receipt.write_bytes(data)
    pair.lgsco = restart(pair.lgsco, pair.ofsted, pair.clock)
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]
    assert "receipt.refused" not in pair.lgsco.events()


def test_a_connection_lost_at_the_removal_fetches_nothing_twice(pair: Pair, server: Faulty) -> None:
    wait_there(pair, b"decision")
    server.before_remove = fail(ConnectionLost("sftp.lgsco.example:22"))
    with pytest.raises(ConnectionLost):
        pair.ofsted.receive()
    server.before_remove = lambda name: None
    pair.settle()
    assert len(server.fetched) == 1
    assert pair.lgsco.states() == ["acknowledged"]
    assert "repeated" not in pair.ofsted.events()


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [NotThere, PermissionDenied])
def test_a_pickup_folder_that_cannot_be_listed_is_named_as_that(
    pair: Pair, server: Faulty, monkeypatch: pytest.MonkeyPatch, error: type[LandingError]
) -> None:
    def refuse() -> list[tuple[str, int]]:
        raise error("sftp.lgsco.example:22")

    wait_there(pair, b"decision")
    with monkeypatch.context() as patch:
        patch.setattr(server, "list", refuse)
        with pytest.raises(NoPickup, match="the pick-up folder at lgsco is not there, or not for us to read"):
            collect(pair.ofsted.parts, pair.ofsted.pickup)
    assert collect(pair.ofsted.parts, pair.ofsted.pickup) == 1


def test_a_server_that_refuses_removal_is_asked_less_and_less_and_nothing_is_fetched_twice(
    pair: Pair, server: Faulty
) -> None:
    asked: list[str] = []

    def refuse(name: str) -> None:
        asked.append(name)
        raise PermissionDenied("sftp.lgsco.example:22")

    wait_there(pair, b"decision")
    server.before_remove = refuse
    with pytest.raises(NotRemovable, match="lets us remove nothing"):
        collect(pair.ofsted.parts, pair.ofsted.pickup)
    for _ in range(10):
        collect(pair.ofsted.parts, pair.ofsted.pickup)
    # side by side with others, and once more alone
    assert (len(asked), len(server.fetched)) == (2, 1)
    pair.clock.advance(seconds=10)
    with pytest.raises(NotRemovable):
        collect(pair.ofsted.parts, pair.ofsted.pickup)
    pair.clock.advance(seconds=10)
    collect(pair.ofsted.parts, pair.ofsted.pickup)
    assert (len(asked), len(server.fetched)) == (3, 1)
    rounds.receive_landed(pair.ofsted.parts, "lgsco")
    assert [path.read_bytes() for path in pair.ofsted.inbound()] == [b"decision"]
    server.before_remove = lambda name: None
    pair.clock.advance(seconds=10)
    pair.settle()
    assert list(pair.ofsted.landing().iterdir()) == []


def test_a_file_that_is_refused_keeps_no_other_and_many_are_not_all_asked_for(
    pair: Pair, server: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "AT_ONCE", 5)
    waiting = wait_there(pair, *[bytes([n]) for n in range(GIVE_UP + 3)])
    server.before_get = fail(LandingFailed("sftp.lgsco.example:22"))
    with pytest.raises(LandingFailed):
        pair.ofsted.receive()
    # where none of those came that were asked for side by side, no more are
    assert len(server.fetched) == 5 + GIVE_UP
    server.before_get = lambda name: None
    pair.ofsted.receive()
    assert len(pair.ofsted.inbound()) == 3
    pair.clock.advance(seconds=10)
    pair.settle()
    assert len(pair.ofsted.inbound()) == len(waiting)


def test_a_file_that_is_gone_when_it_is_fetched_is_no_failure(pair: Pair, server: Faulty) -> None:
    wait_there(pair, b"decision")
    server.before_get = fail(NotThere("sftp.lgsco.example:22"))
    assert pair.ofsted.receive() == 0
    assert pair.ofsted.spooled() == []


# --- this machine -----------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_no_half_file_and_the_file_on_the_server(
    pair: Pair, server: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    (waiting,) = wait_there(pair, b"decision")
    with monkeypatch.context() as patch:
        patch.setattr(files, "sync_file", fail(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            pair.ofsted.receive()
    assert waiting.exists()
    assert pair.ofsted.spooled() == []
    pair.ofsted.pickup.close()
    connect_to(pair, server)
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]


def test_a_file_that_does_not_fit_is_not_begun(pair: Pair, server: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_there(pair, b"decision")
    with monkeypatch.context() as patch:
        patch.setattr(files, "room_in", lambda directory: 100)
        with pytest.raises(NotNow, match="no room"):
            pair.ofsted.receive()
    assert server.fetched == []


def test_a_namesake_that_is_not_finished_is_not_replaced(pair: Pair, server: Faulty) -> None:
    (waiting,) = wait_there(pair, b"decision")
    spooled = pair.ofsted.home.spool / "in" / "lgsco" / waiting.name
    spooled.parent.mkdir(exist_ok=True)
    spooled.write_bytes(b"unfinished")
    collect(pair.ofsted.parts, pair.ofsted.pickup)
    assert spooled.read_bytes() == b"unfinished"
    assert server.fetched == []
    pair.ofsted.receive()
    pair.settle()
    assert [path.read_bytes() for path in pair.ofsted.inbound()] == [b"decision"]


def test_of_what_was_fetched_in_part_one_file_is_kept_and_only_while_it_is_offered(tmp_path: Path) -> None:
    fetched = Fetched(tmp_path)
    for number in range(5):
        fetched.part(f"{number}.age").path.write_bytes(bytes(number))
    fetched.keep_longest()
    assert [path.name for path in tmp_path.iterdir()] == [".4.age.fetched"]
    fetched.forget_but({"4.age"})
    assert fetched.has("4.age")
    fetched.forget_but(set())
    assert not fetched.has("4.age")
