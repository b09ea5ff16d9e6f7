"""Uploads to a partner that refuses some: the others go, the refused one waits for its own time, and nothing hides."""

from pathlib import Path
from typing import BinaryIO

import pytest

from exchange.landing import ConnectionLost, LandingError, LandingFull, PermissionDenied, Progress
from exchange.retry import Backoff, Pauses
from exchange.rounds import Connection
from exchange.uploads import GIVE_UP
from tests.organisations import CASE, FolderLanding, Pair

LARGE = 300_000


class Refusing(FolderLanding):
    """Refuses large files, as often as it is told, and counts them."""

    def __init__(self, folder: Path, errors: list[type[LandingError]]) -> None:
        super().__init__(folder)
        self.errors = errors
        self.removed: list[str] = []
        self.sizes: list[int] = []

    def put(self, source: BinaryIO, size: int, name: str, *, offset: int = 0, progress: Progress | None = None) -> None:
        self.sizes.append(size)
        if self.errors:
            raise self.errors.pop(0)("ofsted.example:22")
        super().put(source, size, name)

    def remove(self, name: str) -> None:
        self.removed.append(name)


def prepare(pair: Pair, *errors: type[LandingError], now: list[float] | None = None) -> Refusing:
    landing = Refusing(pair.ofsted.home.landing / "lgsco", list(errors))
    time = now or [0.0]
    pauses = Pauses(lambda: Backoff(10.0, 60.0, lambda: 1.0), lambda: time[0])
    pair.lgsco.connection = Connection("ofsted", landing, pauses)
    return landing


def drop(pair: Pair, *sizes: int) -> None:
    for number, size in enumerate(sizes):
        pair.lgsco.drop(bytes(size), f"{CASE} {number}.pdf")
    pair.lgsco.take()


def test_a_refused_file_waits_for_its_own_time_while_others_go(pair: Pair) -> None:
    now = [0.0]
    landing = prepare(pair, PermissionDenied, now=now)
    drop(pair, LARGE, LARGE + 10_000)
    with pytest.raises(PermissionDenied):
        pair.lgsco.send()
    assert pair.lgsco.states() == ["sealed", "sent"]
    now[0] = 9.9
    assert pair.lgsco.send() == 0
    now[0] = 10.0
    assert pair.lgsco.send() == 1
    assert pair.lgsco.states() == ["sent", "sent"]
    assert len(landing.sizes) == 3


def test_the_smallest_go_first_and_what_does_not_fit_keeps_larger_ones_from_being_tried(pair: Pair) -> None:
    landing = prepare(pair, LandingFull)
    drop(pair, LARGE + 200_000, LARGE, LARGE + 100_000)
    with pytest.raises(LandingFull):
        pair.lgsco.send()
    assert len(landing.sizes) == 1
    assert landing.sizes[0] < LARGE + 50_000
    # half a file would keep the partner's disk full
    assert landing.removed == [pair.lgsco.handovers()[1].id + ".age.part"]


def test_a_lost_connection_ends_the_round_at_once(pair: Pair) -> None:
    landing = prepare(pair, ConnectionLost)
    drop(pair, LARGE, LARGE)
    with pytest.raises(ConnectionLost):
        pair.lgsco.send()
    assert len(landing.sizes) == 1


def test_a_landing_zone_that_refuses_everything_is_not_asked_about_every_file(pair: Pair) -> None:
    landing = prepare(pair, *[PermissionDenied] * 30)
    drop(pair, *[LARGE] * (GIVE_UP + 3))
    with pytest.raises(PermissionDenied):
        pair.lgsco.send()
    assert len(landing.sizes) == GIVE_UP
    with pytest.raises(PermissionDenied):
        pair.lgsco.send()
    assert len(landing.sizes) == GIVE_UP + 3


def test_a_file_that_is_gone_from_our_spool_does_not_hide_that_the_partner_is_away(pair: Pair) -> None:
    drop(pair, 10, LARGE)
    prepare(pair)
    (pair.lgsco.home.spool / "out" / pair.lgsco.handovers()[0].id / "payload").unlink()
    prepare(pair, ConnectionLost)
    with pytest.raises(ConnectionLost):
        pair.lgsco.send()
