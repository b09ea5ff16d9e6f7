import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.agreement import Agreement, Objection, check, shipped
from config.authorities import Authority, Register

TODAY = datetime.date(2026, 11, 24)
(AGREEMENT,) = shipped()
BIRMINGHAM = Register.shipped().resolve("Birmingham", TODAY)
SOMERSET_COUNTY = Register.shipped().resolve("Somerset", datetime.date(2022, 1, 1))


def _objections(
    agreement: Agreement | None = AGREEMENT,
    *,
    sender: str = "lgsco",
    recipient: str = "ofsted",
    category: str = "upheld-decision",
    authority: Authority | None = BIRMINGHAM,
    name: str = "decision.pdf",
    size: int = 1,
    reference: str | None = "24 015 493",
    gateways: tuple[str, ...] = ("UKGDPR_6_1_e",),
) -> tuple[Objection, ...]:
    return check(
        agreement,
        sender=sender,
        recipient=recipient,
        category=category,
        authority=authority,
        name=name,
        size=size,
        reference=reference,
        gateways=gateways,
        on=TODAY,
    )


def _only(objections: tuple[Objection, ...]) -> tuple[str, str]:
    (objection,) = objections
    return objection.code, objection.text


def test_a_file_that_fits_the_agreement_may_go() -> None:
    assert _objections() == ()
    assert _objections(sender="ofsted", recipient="lgsco", category="unimplemented-recommendation") == ()
    assert _objections(name="DECISION.PDF", size=10 * 2**30, gateways=("LGA1974_PtIII", "DPA2018_Sch1_18")) == ()


@pytest.mark.parametrize("kind", ["pdf", "docx", "csv", "xlsx", "json", "eml"])
def test_each_agreed_kind_of_file_may_go_both_ways(kind: str) -> None:
    assert _objections(name=f"x.{kind}") == ()
    category = "unimplemented-recommendation"
    assert _objections(sender="ofsted", recipient="lgsco", category=category, name=f"x.{kind}") == ()


def test_strangers_have_no_agreement() -> None:
    text = (
        "There is no agreement under which lgsco may share with hmiprisons."
        " Ask your information governance team to have one added."
    )
    assert _only(_objections(recipient="hmiprisons")) == ("no-agreement", text)
    assert _only(_objections(None))[0] == "no-agreement"


def test_a_concern_goes_in_its_own_direction_only() -> None:
    assert _only(_objections(sender="ofsted", recipient="lgsco")) == (
        "wrong-direction",
        'Concerns of the kind "upheld decision" go from lgsco to ofsted, not from ofsted to lgsco.'
        " Put it into one of these folders: unimplemented-recommendation (unimplemented recommendation).",
    )
    assert _only(_objections(sender="ofsted", recipient="ofsted"))[1].endswith("ofsted sends nothing to ofsted.")


def test_a_kind_that_was_not_agreed_is_told_the_folders_that_were() -> None:
    assert _only(_objections(category="gossip")) == (
        "unknown-category",
        "The folder does not name a kind of concern that is agreed."
        " Put it into one of these folders: upheld-decision (upheld decision).",
    )


def test_the_council_must_be_known_and_have_been_there() -> None:
    assert _only(_objections(authority=None)) == (
        "unknown-authority",
        "It is not known which council this is about."
        " Put the file into a folder with the council's name, such as Birmingham.",
    )
    assert _only(_objections(authority=SOMERSET_COUNTY)) == (
        "authority-not-in-force",
        "Somerset County Council was not responsible for children's services on 2026-11-24."
        " Use the council that was, or give the date of the event in the file with the details.",
    )


@pytest.mark.parametrize(("sender", "recipient"), [("lgsco", "ofsted"), ("ofsted", "lgsco")])
def test_both_flows_require_a_complaint_reference(sender: str, recipient: str) -> None:
    (flow,) = AGREEMENT.flows_from(sender, recipient)
    objections = _objections(sender=sender, recipient=recipient, category=flow.category, reference=None)
    assert _only(objections) == (
        "missing-reference",
        "The complaint reference is missing. It looks like 12 345 678:"
        " write it at the beginning of the file's name, one reference in each name, and drop the file again.",
    )


@pytest.mark.parametrize("reference", ["24015493", "24-015-493", "24 015 493 ", "24 015 49", "٢٤ 015 493", ""])
def test_a_reference_of_another_form_is_not_taken(reference: str) -> None:
    assert _only(_objections(reference=reference)) == (
        "bad-reference",
        "The complaint reference does not have the right form. It looks like 12 345 678, with the blanks. Correct it.",
    )


def test_an_empty_file_is_not_sent() -> None:
    assert _only(_objections(size=0)) == (
        "empty-file",
        "The file is empty. Check that it was saved completely, then drop it again.",
    )


def test_a_file_larger_than_agreed_is_not_sent() -> None:
    assert _only(_objections(size=10 * 2**30 + 1)) == (
        "too-large",
        "The file is larger than the agreement allows (10GiB). Split it, or leave out what is not needed.",
    )


@pytest.mark.parametrize("name", ["a.exe", "a", "a.pdf.zip", ".pdf", "pdf", "a.", "a.pdf "])
def test_another_kind_of_file_is_told_the_agreed_ones(name: str) -> None:
    assert _only(_objections(name=name)) == (
        "type-not-allowed",
        "This kind of file is not in the agreement."
        " Save it as one of these and drop that: PDF, DOCX, CSV, XLSX, JSON, EML.",
    )


def test_a_legal_power_must_be_one_of_the_flows() -> None:
    powers = "LGA1974_PtIII, UKGDPR_6_1_e, UKGDPR_9_2_g, DPA2018_Sch1_6, DPA2018_Sch1_18"
    assert _only(_objections(gateways=("UKGDPR_6_1_e", "EIA2006_s136"))) == (
        "gateway-not-allowed",
        f"The agreement does not share this under EIA2006_s136. Name one or more of: {powers}.",
    )
    assert _only(_objections(gateways=())) == (
        "gateway-not-allowed",
        f"No legal power to share this is named. Name one or more of: {powers}.",
    )


def test_everything_that_is_wrong_is_said_at_once() -> None:
    found = _objections(authority=None, name="a.exe", size=0, reference="x", gateways=("x",))
    codes = ["unknown-authority", "empty-file", "bad-reference", "type-not-allowed", "gateway-not-allowed"]
    assert [objection.code for objection in found] == codes
    assert [o.code for o in _objections(category="", size=0)] == ["unknown-category", "empty-file"]


@given(st.text(max_size=30), st.text(min_size=4, max_size=30), st.integers(0, 2**60))
def test_no_objection_shows_the_files_name_or_the_reference(category: str, secret: str, size: int) -> None:
    secret = f"«{secret}»"
    found = _objections(category=category, name=secret, reference=secret, size=size, authority=None)
    assert found
    for objection in found:
        assert secret not in objection.text
        assert objection.text.endswith(".")
        assert objection.text[0].isupper()
