"""How long reads become: on no line that is of use does an answer take longer than the timeout."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.sftp.download import READS_IN_FLIGHT
from exchange.sftp.pace import FIRST_READ, LEAST_READ, MOST_READ, Pace

TIMEOUT = 30.0


def longest_wait(rate: float, delay: float, answers: int = 200) -> tuple[float, Pace]:
    """Download over a line that brings one answer after the other: the longest wait, and the pace at the end."""
    pace, now, line_free, longest = Pace(TIMEOUT), 0.0, 0.0, 0.0
    under_way: deque[tuple[int, float]] = deque()
    for _ in range(answers):
        while len(under_way) < READS_IN_FLIGHT:
            under_way.append((pace.length, now + delay))
        length, asked = under_way.popleft()
        line_free = max(line_free, asked) + length / rate
        waited = max(0.0, line_free - now)
        longest = max(longest, waited)
        pace.answered(waited, length)
        now = max(now, line_free)
    return longest, pace


@given(rate=st.floats(LEAST_READ * 8 / TIMEOUT, 1e9), delay=st.floats(0, TIMEOUT / 20))
def test_no_answer_is_waited_for_in_vain(rate: float, delay: float) -> None:
    longest, pace = longest_wait(rate, delay)
    assert longest < TIMEOUT
    assert LEAST_READ <= pace.length <= MOST_READ


def test_a_quick_line_is_filled_after_a_few_rounds_of_answers() -> None:
    assert longest_wait(1e8, 0.02, answers=6 * READS_IN_FLIGHT)[1].length >= 261_120


def test_a_slow_line_is_asked_for_as_much_as_it_brings_in_time() -> None:
    length = longest_wait(1024, 0.1)[1].length
    assert TIMEOUT / 16 <= length / 1024 <= TIMEOUT / 4


@pytest.mark.parametrize("waited", [0.0, 1.0])
def test_answers_that_were_asked_for_when_less_was_allowed_say_nothing(waited: float) -> None:
    pace = Pace(TIMEOUT)
    pace.answered(waited, FIRST_READ)
    allowed = pace.length
    for _ in range(READS_IN_FLIGHT):
        pace.answered(waited, FIRST_READ)
    assert pace.length == allowed > FIRST_READ
