"""How long a line is waited for that brings no whole answer: as long as it brings enough, and not for ever."""

import socket
from collections.abc import Iterator

import pytest

from exchange.sftp.hearing import LEAST_RATE, LONGEST, CountingSocket, Hearing

SECONDS = 2.0
ENOUGH = int(LEAST_RATE * SECONDS)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, CountingSocket]]:
    theirs, raw = socket.socketpair()
    raw.settimeout(7.0)
    with theirs, CountingSocket.of(raw) as ours:
        yield theirs, ours


def bring(ends: tuple[socket.socket, CountingSocket], size: int) -> None:
    theirs, ours = ends
    theirs.sendall(bytes(size))
    while size:
        size -= len(ours.recv(size))


def test_every_byte_is_counted_and_the_connection_is_as_it_was(ends: tuple[socket.socket, CountingSocket]) -> None:
    bring(ends, 1000)
    bring(ends, 1)
    assert ends[1].received == 1001
    assert ends[1].gettimeout() == 7.0


def test_as_much_as_a_slow_line_brings_goes_on_and_less_does_not(ends: tuple[socket.socket, CountingSocket]) -> None:
    bring(ends, 50_000)
    hearing = Hearing(ends[1])
    bring(ends, ENOUGH)
    assert hearing.goes_on(SECONDS)
    bring(ends, ENOUGH - 1)
    assert not hearing.goes_on(SECONDS)


def test_what_came_before_the_wait_does_not_count(ends: tuple[socket.socket, CountingSocket]) -> None:
    bring(ends, 10 * ENOUGH)
    assert not Hearing(ends[1]).goes_on(SECONDS)


def test_who_sends_drop_by_drop_without_an_end_is_given_up(ends: tuple[socket.socket, CountingSocket]) -> None:
    hearing, looks = Hearing(ends[1]), 0
    while looks < 10 * LONGEST // ENOUGH:
        bring(ends, ENOUGH)
        if not hearing.goes_on(SECONDS):
            break
        looks += 1
    assert looks == LONGEST // ENOUGH
