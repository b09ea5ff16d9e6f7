"""Numbers as ranges, and the two messages that name them: one spelling for each set, bounded, else refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.envelope import numbers
from exchange.envelope.absence import Absence
from exchange.envelope.fields import ManifestError
from exchange.envelope.request import Request
from tests.exchange.messages import absences, number_sets, requests


@given(number_sets)
def test_a_set_of_numbers_reads_back_as_it_was(some: tuple[int, ...]) -> None:
    assert numbers.read(numbers.to_ranges(some)) == some


@given(requests, absences)
def test_a_request_and_an_absence_read_back_as_they_were(request: Request, absence: Absence) -> None:
    assert Request.from_json(request.to_json()) == request
    assert Absence.from_json(absence.to_json()) == absence


@given(st.lists(st.lists(st.integers(-2, 12), max_size=3), max_size=5))
def test_any_ranges_are_a_set_that_goes_back_or_are_refused(ranges: list[list[int]]) -> None:
    found = numbers.read([list(one) for one in ranges])
    assert found is None or numbers.to_ranges(found) == ranges


@pytest.mark.parametrize(
    "ranges",
    [
        None,
        {},
        "5",
        [],
        [5],
        [[5]],
        [[5, 6, 7]],
        [[0, 1]],
        [[6, 5]],
        [[5, 6], [7, 7]],
        [[5, 6], [6, 7]],
        [[9, 9], [5, 6]],
        [[5, 5], [5, 5]],
        [[1, 101]],
        [[1, 2**53]],
        [[1, 60], [100, 140]],
        [[n, n] for n in range(1, 203, 2)],
        [[True, 5]],
        [["5", "6"]],
        [[5.0, 6.0]],
    ],
)
def test_numbers_that_are_written_in_another_way_are_refused(ranges: Any) -> None:
    assert numbers.read(ranges) is None
    for read, value in (
        (Request.from_json, {"missing": ranges}),
        (Absence.from_json, {"absent": [{"numbers": ranges, "reason": "held"}]}),
    ):
        with pytest.raises(ManifestError) as refused:
            read(value)
        assert refused.value.reason in ("bad-request", "bad-absence")


def test_a_hundred_numbers_can_be_named() -> None:
    assert numbers.read([[1, 100]]) == tuple(range(1, 101))
    assert numbers.read([[n, n] for n in range(1, 200, 2)]) == tuple(range(1, 200, 2))


HELD = {"numbers": [[9, 9]], "reason": "held"}
WITHDRAWN = {"numbers": [[5, 6]], "reason": "withdrawn"}


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({}, "names no numbers"),
        ({"absent": []}, "names no numbers"),
        ({"absent": HELD}, "names no numbers"),
        ({"absent": [WITHDRAWN, HELD]}, "in another order"),
        ({"absent": [HELD, {**HELD, "numbers": [[11, 11]]}]}, "or one twice"),
        ({"absent": [HELD, {**WITHDRAWN, "numbers": [[9, 9]]}]}, "names a number twice"),
        ({"absent": [{**HELD, "numbers": [[1, 60]]}, {**WITHDRAWN, "numbers": [[70, 120]]}]}, "or too many"),
        ({"absent": [{**HELD, "reason": "Kim went home"}]}, "no reason in the right form"),
        ({"absent": [{**HELD, "colour": "red"}]}, "a field that is not known"),
        ({"absent": [HELD], "colour": "red"}, "a field that is not known"),
        ("withdrawn", "is not an object"),
    ],
)
def test_an_absence_in_another_form_is_refused(value: Any, what: str) -> None:
    with pytest.raises(ManifestError, match=what) as refused:
        Absence.from_json(value)
    assert refused.value.reason == "bad-absence"


@pytest.mark.parametrize("value", [None, [], {}, {"missing": [[5, 6]], "colour": "red"}])
def test_a_request_in_another_form_is_refused(value: Any) -> None:
    with pytest.raises(ManifestError) as refused:
        Request.from_json(value)
    assert refused.value.reason == "bad-request"


@pytest.mark.parametrize(("some", "words"), [([5], "5"), ([5, 6], "5-6"), ([1, 5, 6, 9], "1, 5-6, 9"), ([], "")])
def test_numbers_are_said_in_words(some: list[int], words: str) -> None:
    assert numbers.in_words(some) == words
