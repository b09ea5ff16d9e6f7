import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import units


@given(st.integers(0, units.MAX_DURATION // timedelta(milliseconds=1)))
def test_a_duration_comes_back_from_its_own_text(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert units.parse_duration(units.duration_text(duration)) == duration


@given(st.integers(0, units.MAX_SIZE))
def test_a_size_comes_back_from_its_own_text(size: int) -> None:
    assert units.parse_size(units.size_text(size)) == size


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0s", timedelta(0)),
        ("250ms", timedelta(milliseconds=250)),
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("12h", timedelta(hours=12)),
        ("90d", timedelta(days=90)),
        ("2w", timedelta(days=14)),
        ("36525d", units.MAX_DURATION),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, duration: timedelta) -> None:
    assert units.parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "30", "s", "30 s", "-1s", "+1s", "1.5h", "030s", "1h30m", "٣s", "30S", "30s\n"])
def test_another_spelling_of_a_duration_is_refused(text: str) -> None:
    with pytest.raises(units.BadUnit, match="is not a duration"):
        units.parse_duration(text)


@pytest.mark.parametrize("text", ["36526d", "5219w", "9999999999999w"])
def test_a_duration_of_more_than_a_hundred_years_is_refused(text: str) -> None:
    with pytest.raises(units.BadUnit, match="a hundred years"):
        units.parse_duration(text)


@pytest.mark.parametrize("text", ["", "10", "10GB", "10 GiB", "10gib", "1.5GiB", "-1B", "01B", "1B\n"])
def test_another_spelling_of_a_size_is_refused(text: str) -> None:
    with pytest.raises(units.BadUnit, match="is not a size"):
        units.parse_size(text)


def test_a_size_that_no_sum_could_hold_is_refused() -> None:
    assert units.parse_size("1024TiB") == units.MAX_SIZE
    with pytest.raises(units.BadUnit, match="larger than 1024TiB"):
        units.parse_size("1025TiB")


@given(st.text())
def test_no_text_makes_the_parsers_leak_another_error(text: str) -> None:
    for parse in (units.parse_duration, units.parse_size):
        with contextlib.suppress(units.BadUnit):
            parse(text)
