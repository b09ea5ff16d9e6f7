import csv
import dataclasses
import datetime
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import authorities
from config.authorities import Register, UnknownAuthority

TODAY = datetime.date(2026, 11, 24)
REGISTER = Register.shipped()
DATA = Path(authorities.__file__).parent / "data"


def _hint(text: str, at: datetime.date = TODAY) -> tuple[str, str]:
    with pytest.raises(UnknownAuthority) as caught:
        REGISTER.resolve(text, at)
    assert caught.value.reason == "unknown-authority"
    return caught.value.message, caught.value.hint


def test_153_authorities_have_childrens_services_today() -> None:
    current = REGISTER.current(TODAY)
    assert len(current) == 153
    kinds = [authority.type for authority in current]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "Unitary authority": 63,
        "Metropolitan district": 36,
        "London borough": 32,
        "County": 21,
        "City corporation": 1,
    }


def test_the_register_is_sound() -> None:
    codes = [code for authority in REGISTER.all for code in authority.codes]
    assert len(codes) == len(set(codes))
    for authority in REGISTER.all:
        assert authority.start is None or authority.end is None or authority.start < authority.end
        assert "  " not in authority.name + authority.short_name
        assert "/" not in authority.short_name
        for successor in REGISTER.successors(authority.gss):
            assert authority.end is not None
            assert successor.start == authority.end + datetime.timedelta(days=1)
    regions = {authority.region for authority in REGISTER.all}
    assert len(regions) == 9
    assert "" not in regions


def test_only_surrey_ends_without_a_successor_in_the_register() -> None:
    open_ends = [a for a in REGISTER.all if a.end is not None and not a.replaced_by]
    assert [(a.gss, a.end) for a in open_ends] == [("E10000030", datetime.date(2027, 3, 31))]
    assert "East Surrey and West Surrey" in open_ends[0].note
    assert REGISTER.resolve("Surrey", datetime.date(2027, 3, 31)).gss == "E10000030"
    message, hint = _hint("Surrey", datetime.date(2027, 4, 1))
    assert message == "Surrey County Council was not there on 2027-04-01"
    assert "East Surrey and West Surrey follow on 2027-04-01" in hint


@pytest.mark.parametrize("column", ["name", "short_name", "slug", "gss", "dfe", "urn"])
def test_every_current_authority_answers_to_each_of_its_names_and_codes(column: str) -> None:
    for authority in REGISTER.current(TODAY):
        text = getattr(authority, column)
        assert REGISTER.resolve(text, TODAY) == authority
        assert REGISTER.resolve(f" {text.upper()} ", TODAY) == authority
        assert REGISTER.find(text, TODAY)[0] == authority


@pytest.mark.parametrize(
    ("text", "gss"),
    [
        ("Birmingham", "E08000025"),
        ("birmingham council", "E08000025"),
        ("e08000025", "E08000025"),
        ("Telford and Wrekin", "E06000020"),
        ("hammersmith & fulham", "E09000013"),
        ("Bristol", "E06000023"),
        ("Hull", "E06000010"),
        ("Newcastle", "E08000021"),
        ("St Helens", "E08000013"),
        ("Southend on Sea", "E06000033"),
        ("Durham", "E06000047"),
        ("City of London", "E09000001"),
        ("Dorset", "E06000059"),
        ("E08000016", "E08000038"),
        ("E08000019", "E08000039"),
        ("E08000020", "E08000037"),
        ("E06000048", "E06000057"),
    ],
)
def test_an_authority_is_known_by_what_people_call_it(text: str, gss: str) -> None:
    assert REGISTER.resolve(text, TODAY).gss == gss


@pytest.mark.parametrize(
    ("text", "before", "first_day", "after"),
    [
        ("Somerset", "E10000027", datetime.date(2023, 4, 1), "E06000066"),
        ("North Yorkshire", "E10000023", datetime.date(2023, 4, 1), "E06000065"),
        ("Buckinghamshire", "E10000002", datetime.date(2020, 4, 1), "E06000060"),
        ("Dorset", "E10000009", datetime.date(2019, 4, 1), "E06000059"),
    ],
)
def test_a_name_means_the_authority_of_that_day(text: str, before: str, first_day: datetime.date, after: str) -> None:
    assert REGISTER.resolve(text, first_day - datetime.timedelta(days=1)).gss == before
    assert REGISTER.resolve(text, first_day).gss == after


def test_a_code_is_taken_as_at_the_day() -> None:
    assert REGISTER.resolve("E10000027", datetime.date(2023, 3, 31)).name == "Somerset County Council"
    assert _hint("E10000027") == (
        "Somerset County Council was not there on 2026-11-24",
        "it ended on 2023-03-31; since then: Somerset (E06000066); if the event was before, give its date (event_date)",
    )
    assert _hint("E06000066", datetime.date(2022, 1, 1)) == (
        "Somerset Council was not there on 2022-01-01",
        "it began on 2023-04-01; before that: Somerset (E10000027)",
    )


def test_an_authority_that_was_split_names_all_that_followed() -> None:
    _, hint = _hint("Northamptonshire")
    assert "since then: North Northamptonshire (E06000061), West Northamptonshire (E06000062);" in hint
    _, hint = _hint("cumbria county council")
    assert "since then: Cumberland (E06000063), Westmorland and Furness (E06000064);" in hint


@pytest.mark.parametrize(
    ("gss", "family"),
    [
        ("E06000066", {"E06000066", "E10000027"}),
        ("E06000058", {"E06000058", "E06000028", "E06000029"}),
        ("E06000059", {"E06000059", "E10000009"}),
        ("E06000061", {"E06000061", "E10000021"}),
        ("E06000064", {"E06000064", "E10000006"}),
        ("E08000038", {"E08000038", "E08000016"}),
        ("E08000016", {"E08000038", "E08000016"}),
        ("E08000025", {"E08000025"}),
        ("E10000027", {"E10000027"}),
        ("E99999999", {"E99999999"}),
    ],
)
def test_a_question_about_an_authority_includes_its_predecessors(gss: str, family: set[str]) -> None:
    assert REGISTER.with_predecessors(gss) == family


def test_successors_and_predecessors_are_each_others_mirror() -> None:
    for authority in REGISTER.all:
        for successor in REGISTER.successors(authority.gss):
            assert authority in REGISTER.predecessors(successor.gss)
    assert REGISTER.successors("E99999999") == ()
    assert REGISTER.predecessors("E99999999") == ()


def test_a_slip_of_the_pen_gets_the_nearest_names() -> None:
    message, hint = _hint("Birmingam")
    assert message == "no council with children's services has this name or code on 2026-11-24"
    assert hint == "the nearest are Birmingham (E08000025)"


def test_part_of_a_name_is_not_enough_and_gets_all_that_it_could_mean() -> None:
    assert _hint("Cheshire")[1] == "the nearest are Cheshire East (E06000049), Cheshire West and Chester (E06000050)"
    assert _hint("Kingston upon")[1] == (
        "the nearest are Kingston upon Hull (E06000010), Kingston upon Thames (E09000021)"
    )
    assert _hint("north")[1].endswith(" more")


@pytest.mark.parametrize("text", ["E08000099", "e08000026x", "999", "", "  ", "???", "Atlantis-by-Sea"])
def test_what_nothing_is_near_to_gets_no_stranger_proposed(text: str) -> None:
    assert _hint(text)[1] == "'handover authority find TEXT' looks for part of a name"


def test_a_name_that_two_share_on_a_day_is_refused_with_both() -> None:
    somerset = REGISTER.resolve("Somerset", TODAY)
    double = Register([somerset, dataclasses.replace(somerset, gss="E06000999", dfe=None, urn=None)])
    with pytest.raises(UnknownAuthority, match="more than one council has this name") as caught:
        double.resolve("Somerset", TODAY)
    assert caught.value.hint == "it could be Somerset (E06000066), Somerset (E06000999)"


def test_finding_shows_those_of_the_day_first_and_then_the_others() -> None:
    assert [a.gss for a in REGISTER.find("somerset", TODAY)][:2] == ["E06000066", "E06000022"]
    assert [a.gss for a in REGISTER.find("somerset", TODAY)][-1] == "E10000027"
    assert [a.gss for a in REGISTER.find("north yorks", TODAY)] == ["E06000065", "E10000023"]
    assert REGISTER.find("nowhere at all", TODAY) == []


def test_get_knows_old_and_new_codes() -> None:
    barnsley = REGISTER.get("E08000016")
    assert barnsley is not None
    assert barnsley == REGISTER.get("E08000038")
    assert barnsley.to_json()["former"] == ["E08000016"]
    assert REGISTER.get("370") is None


@given(st.text(max_size=40), st.dates())
def test_no_text_makes_the_register_leak_another_error(text: str, at: datetime.date) -> None:
    try:
        found = REGISTER.resolve(text, at)
    except UnknownAuthority as error:
        found = None
        message = error.for_people()
    if found is None:
        assert message.startswith("error: ")
    else:
        assert found in REGISTER.current(at)
        assert found in REGISTER.find(text, at)


def test_the_file_is_written_as_csv_writers_write_it() -> None:
    with (DATA / "authorities.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, strict=True))
    assert len(rows) == 162
    assert [row[0] for row in rows[1:]] == sorted(row[0] for row in rows[1:])
    assert "mySociety" in (DATA / "README.md").read_text(encoding="utf-8")


def test_the_register_and_agreements_do_without_pydantic() -> None:
    code = "import config.authorities, config.agreement, config.home, sys; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
