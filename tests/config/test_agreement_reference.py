import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from config.agreement.reference import example, find_reference, is_pattern, is_reference

PATTERN = r"\d{2} \d{3} \d{3}"
PARTS = st.sampled_from([r"\d", r"\d{2}", r"\d{19}", "[A-Z]", "[A-Z]{3}", "A", "x", "7", "/", "-", " "])
PATTERNS = st.lists(PARTS, min_size=1, max_size=8).map("".join).filter(is_pattern)


@pytest.mark.parametrize(
    "name",
    [
        "24 015 493 decision.pdf",
        "24 015 493.pdf",
        "24-015-493.pdf",
        "24_015_493_final.docx",
        "24.015.493.eml",
        "24015493.pdf",
        "24\u00a0015\u00a0493 decision.pdf",
        "Decision (24 015 493) v2.pdf",
        "final decision 24015493.pdf",
        "2026-11-23 24 015 493.pdf",
        "24 015 493 and again 24-015-493.pdf",
        "20261123_24015493.pdf",
    ],
)
def test_a_reference_is_found_however_it_is_separated(name: str) -> None:
    assert find_reference(name, PATTERN) == "24 015 493"


@pytest.mark.parametrize(
    "name",
    [
        "decision.pdf",
        "124 015 493.pdf",
        "24 015 4931.pdf",
        "A24015493.pdf",
        "24015493b.pdf",
        "24 015 493 and 24 015 494.pdf",
        "20261123 decision.pdf",
        "2026-11-23.pdf",
        "24  015 493.pdf",
        "٢٤ ٠١٥ ٤٩٣.pdf",
        "",
    ],
)
def test_what_is_no_reference_or_more_than_one_is_not_guessed(name: str) -> None:
    assert find_reference(name, PATTERN) is None


@pytest.mark.parametrize("digits", ["20241399", "18241123", "21241123"])
def test_eight_digits_that_are_no_date_of_our_time_are_a_reference(digits: str) -> None:
    assert find_reference(f"{digits}.pdf", PATTERN) == f"{digits[:2]} {digits[2:5]} {digits[5:]}"


@given(PATTERNS)
def test_an_example_is_a_reference_of_its_pattern(pattern: str) -> None:
    assert is_reference(example(pattern), pattern)


@given(PATTERNS, st.sampled_from([" ", "-", "_", ".", ""]))
def test_an_example_is_found_in_a_name(pattern: str, between: str) -> None:
    made = example(pattern)
    assume(not re.search(r"[/-]", made) and (between or not re.fullmatch("(19|20)[0-9]{6}", made.replace(" ", ""))))
    found = find_reference(f"about {made.replace(' ', between)}, final.pdf", pattern)
    assert found is None or is_reference(found, pattern)
    if " " not in made or between == " ":
        assert found == made


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        " ",
        r"\d{2} ",
        "a  b",
        r"\d+",
        "(a)",
        "a|b",
        ".",
        "[a-z]",
        r"\d{0}",
        r"\d{20}",
        r"\w",
        "a*",
        "\n",
        "é",
        "1" * 65,
    ],
)
def test_what_could_run_away_or_surprise_is_no_pattern(pattern: str) -> None:
    assert not is_pattern(pattern)


@given(st.text(max_size=60), PATTERNS)
def test_no_name_makes_the_search_raise(name: str, pattern: str) -> None:
    found = find_reference(name, pattern)
    assert found is None or is_reference(found, pattern)


@given(st.text(max_size=12))
def test_every_pattern_is_a_regular_expression(text: str) -> None:
    if is_pattern(text):
        assert re.compile(text)
