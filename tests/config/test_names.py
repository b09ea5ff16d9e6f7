import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.names import loose_name, plain_name


@given(st.text())
def test_a_plain_name_is_plain_already(text: str) -> None:
    assert plain_name(plain_name(text)) == plain_name(text)
    assert loose_name(loose_name(text)) == loose_name(text)


@pytest.mark.parametrize(
    "spelling",
    ["Telford & Wrekin", "TELFORD AND WREKIN", "telford-and-wrekin", " Telford  &Wrekin\n", "Telford_and_Wrekin"],
)
def test_case_blanks_hyphens_and_ampersands_make_no_difference(spelling: str) -> None:
    assert plain_name(spelling) == "telford and wrekin"


def test_accents_and_apostrophes_make_no_difference() -> None:
    assert plain_name("King’s Lýnn") == plain_name("Kings Ly\u0301nn") == "kings lynn"


@pytest.mark.parametrize(
    "spelling", ["Camden", "London Borough of Camden", "Camden Council", "LB Camden", "the Borough of Camden"]
)
def test_the_kind_of_council_makes_no_difference_to_a_loose_name(spelling: str) -> None:
    assert loose_name(spelling) == "camden"
