"""What a dropped file is about, and every reason for which it may not go."""

import datetime
import stat
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import agreement as agreements
from config.authorities import Register
from exchange.concern import FileFacts, Judgement, judge
from exchange.spool import Claim
from tests.organisations import CASE, DECISION

AGREEMENT = agreements.load_all(())[0]
REGISTER = Register.shipped()
TODAY = datetime.date(2026, 11, 24)
FACTS = FileFacts(1000, stat.S_IFREG, 1, True)
CLAIM = Claim("", DECISION, f"{CASE} decision.pdf", "")


def look(claim: Claim = CLAIM, facts: FileFacts = FACTS) -> Judgement:
    return judge(
        claim,
        facts,
        me="lgsco",
        partners={"ofsted": AGREEMENT},
        register=REGISTER,
        today=TODAY,
        max_bytes=10_000,
    )


def codes(claim: Claim = CLAIM, facts: FileFacts = FACTS) -> list[str]:
    judgement = look(claim, facts)
    assert (judgement.concern is None) == bool(judgement.objections)
    assert all(o.text[0].isupper() and o.text.endswith(".") for o in judgement.objections)
    return [o.code for o in judgement.objections]


def sidecar(text: str) -> Claim:
    return replace(CLAIM, sidecar=text)


def test_a_file_is_read_from_its_folders_and_its_name() -> None:
    concern = look().concern
    assert concern is not None
    assert (concern.authority, concern.category, concern.reference) == ("E08000025", "upheld-decision", CASE)
    assert concern.gateways[0] == "LGA1974_PtIII"


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (replace(FACTS, kind=stat.S_IFLNK), "not-a-file"),
        (replace(FACTS, kind=stat.S_IFIFO), "not-a-file"),
        (replace(FACTS, kind=stat.S_IFSOCK), "not-a-file"),
        (replace(FACTS, kind=stat.S_IFBLK), "not-a-file"),
        (replace(FACTS, links=2), "hard-linked"),
        (replace(FACTS, readable=False), "unreadable"),
        (replace(FACTS, size=10_001), "too-large"),
        (replace(FACTS, size=0), "empty-file"),
    ],
)
def test_what_the_file_system_says_can_hold_a_file(facts: FileFacts, code: str) -> None:
    assert codes(CLAIM, facts) == [code]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("category = ", "bad-sidecar"),
        ('category = "gossip"', "unknown-category"),
        ('category = ""', "bad-sidecar"),
        ("category = 1", "bad-sidecar"),
        ('partner = "dfe"', "bad-sidecar"),
        ('Category = "upheld-decision"', "bad-sidecar"),
        ('category = "upheld-decision"\ncategory = "upheld-decision"', "bad-sidecar"),
        ('authority = "Atlantis"', "unknown-authority"),
        ('authority = "E10000006"', "unknown-authority"),
        ('reference = "24"', "bad-reference"),
        ('event_date = "soon"', "bad-sidecar"),
        ("event_date = 2026-10-01T10:00:00Z", "bad-sidecar"),
        ("review_by = 1", "bad-sidecar"),
        ("gateways = []", "bad-sidecar"),
        ("gateways = [1]", "bad-sidecar"),
        ('gateways = ["Vibes"]', "gateway-not-allowed"),
        ('gateways = "LGA1974_PtIII"', "bad-sidecar"),
        ("[concern]\n", "bad-sidecar"),
        ("a = " + "[" * 5000, "bad-sidecar"),
        ("\x00", "bad-sidecar"),
    ],
)
def test_a_sidecar_that_says_something_wrong_holds_the_file(text: str, code: str) -> None:
    assert code in codes(sidecar(text))


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "\ufeff", "event_date = 2026-10-01", 'review_by = "2031-10-01"\r\n']
)
def test_a_sidecar_may_say_little(text: str) -> None:
    expected = ["bad-sidecar"] if text == "\ufeff" else []
    assert codes(sidecar(text)) == expected


def test_a_sidecar_goes_before_the_folders_and_the_name_but_never_changes_the_partner() -> None:
    text = (
        'category = "upheld-decision"\nauthority = "Leeds"\nreference = "25 000 001"\nevent_date = 2026-10-01\n'
        'review_by = 2031-10-01\nembargo_until = 2026-12-01\ngateways = ["UKGDPR_6_1_e"]\n'
    )
    judgement = look(replace(sidecar(text), folders=("ofsted", "no", "such")))
    concern = judgement.concern
    assert concern is not None
    assert (concern.authority, concern.reference, concern.gateways) == ("E08000035", "25 000 001", ("UKGDPR_6_1_e",))
    assert (concern.event_date, concern.review_by, concern.embargo_until) == ("2026-10-01", "2031-10-01", "2026-12-01")
    assert judgement.partner == "ofsted"


def test_a_council_is_looked_up_for_the_day_of_the_event() -> None:
    past = replace(sidecar("event_date = 2023-03-01"), folders=(*DECISION[:2], "Cumbria"))
    concern = look(past).concern
    assert concern is not None
    assert concern.authority == "E10000006"
    assert codes(replace(past, sidecar=None)) == ["unknown-authority"]


def test_every_reason_is_given_at_once() -> None:
    claim = replace(CLAIM, name="x\n.exe", folders=(*DECISION, "deep"), sidecar="colour = 1")
    found = codes(claim, replace(FACTS, links=2, readable=False, size=20_000))
    assert set(found) == {
        "hard-linked", "unreadable", "too-large", "bad-name", "bad-sidecar", "folder-too-deep", "missing-reference",
        "type-not-allowed",
    }  # fmt: skip
    assert len(found) == len(set(found))


@pytest.mark.parametrize("folders", [(), ("dfe", *DECISION[1:]), ("OFSTED",), ("..",)])
def test_a_folder_of_nobody_holds_the_file_and_says_who_is_known(folders: tuple[str, ...]) -> None:
    judgement = look(replace(CLAIM, folders=folders))
    assert judgement.objections[0].code == "unknown-partner"
    assert "ofsted" in judgement.objections[0].text
    assert judgement.partner is None


@given(
    name=st.text(min_size=1, max_size=40),
    folders=st.lists(st.text(min_size=1, max_size=10) | st.sampled_from(DECISION), max_size=5).map(tuple),
    text=st.none() | st.text(max_size=60) | st.sampled_from(['reference = """\n"""', "event_date = 0001-01-01"]),
    size=st.integers(0, 20_000),
)
def test_judging_never_raises(name: str, folders: tuple[str, ...], text: str | None, size: int) -> None:
    codes(Claim("", folders, name, "", text), replace(FACTS, size=size))
