import datetime
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import authorities
from config.agreement import load, load_all, media_type, parse, shipped
from config.agreement.describe import describe
from config.errors import Misuse
from config.toml import BadFile

SHIPPED = (Path(authorities.__file__).parent / "data" / "ofsted-lgsco.toml").read_bytes()
LINES = SHIPPED.decode().splitlines()


def _line(start: str, number: int = 1) -> int:
    """The line of the file on which the n-th line with this beginning stands."""
    return [n for n, line in enumerate(LINES, start=1) if line.startswith(start)][number - 1]


def _mistakes(old: str, new: str, count: int = 1) -> list[str]:
    text = SHIPPED.decode()
    assert old in text
    with pytest.raises(BadFile) as caught:
        parse(text.replace(old, new, count).encode())
    return [f"{p.line}: {p.where}: {p.what}" for p in caught.value.problems]


def test_the_shipped_agreement_has_both_flows() -> None:
    (agreement,) = shipped()
    assert (agreement.id, agreement.version) == ("ofsted-lgsco", "2019-12")
    assert agreement.parties == ("lgsco", "ofsted")
    assert (agreement.in_force, agreement.review) == (datetime.date(2019, 12, 5), None)
    assert agreement.sha256 == hashlib.sha256(SHIPPED).hexdigest()
    ways = [(flow.category, flow.sender, flow.recipient) for flow in agreement.flows]
    assert ways == [
        ("upheld-decision", "lgsco", "ofsted"),
        ("unimplemented-recommendation", "ofsted", "lgsco"),
    ]
    for flow in agreement.flows:
        assert flow.types == ("pdf", "docx", "csv", "xlsx", "json", "eml")
        assert flow.max_bytes == 10 * 2**30
        assert (flow.reference, flow.reference_pattern) == ("required", r"\d{2} \d{3} \d{3}")
        assert flow.receipt_deadline == datetime.timedelta(days=7)
    assert agreement.flow("upheld-decision") == agreement.flows[0]
    assert agreement.flow("gossip") is None


def test_what_was_not_published_is_marked_as_configuration() -> None:
    head = SHIPPED.decode().split("\nid =")[0].replace("\n# ", " ")
    for key in ("receipt_deadline", "retention", "max_size", "types", "review date"):
        assert key in head.split("Not published")[1]


@pytest.mark.parametrize(
    ("old", "new", "mistakes"),
    [
        ('id = "ofsted-lgsco"', "", ["1: id: is missing"]),
        ('id = "ofsted-lgsco"', "id = 7", [f"{_line('id')}: id: must be text in quotes"]),
        ('version = "2019-12"', 'version = "a/b"', [
            f"{_line('version')}: version: must be 1 to 64 letters, digits, dots, hyphens and underscores"]),
        ("[gateways]", 'reveiw = 2027-01-01\n[gateways]', [
            f'{_line("[gateways]")}: reveiw: is not a key that Handover knows; did you mean "review"?']),
        ("when = ", "whne = ", [
            f"{_line('[[flows]]')}: flows[1].when: is missing",
            f'{_line("when")}: flows[1].whne: is not a key that Handover knows; did you mean "when"?']),
        ("[gateways]", 'review = 2019-12-05\n[gateways]', [
            f"{_line('[gateways]')}: review: must be later than in_force"]),
        ("in_force = 2019-12-05", 'in_force = "2019-12-05"', [
            f"{_line('in_force')}: in_force: must be a date without quotes, like 2019-12-05"]),
        ("in_force = 2019-12-05", "in_force = 2019-12-05T00:00:00Z", [
            f"{_line('in_force')}: in_force: must be a date without quotes, like 2019-12-05"]),
        ('parties = ["lgsco", "ofsted"]', 'parties = ["lgsco"]', [
            f"{_line('parties')}: parties: must list 2 to 16 texts",
            f"{_line('recipient', 1)}: flows[1].recipient: is not one of the parties",
            f"{_line('sender', 2)}: flows[2].sender: is not one of the parties"]),
        ('parties = ["lgsco", "ofsted"]', 'parties = ["lgsco", "ofsted", "lgsco"]', [
            f"{_line('parties')}: parties: is listed already"]),
        ('category = "unimplemented-recommendation"', 'category = "upheld-decision"', [
            f"{_line('category', 2)}: flows[2].category: is the category of an earlier flow already"]),
        ('sender = "ofsted"', 'sender = "ofstde"', [
            f'{_line("sender", 2)}: flows[2].sender: is not one of the parties; did you mean "ofsted"?']),
        ('sender = "ofsted"', 'sender = "lgsco"', [
            f"{_line('recipient', 2)}: flows[2].recipient: must be another organisation than the sender"]),
        ('types = ["pdf", "docx"', 'types = ["pdf", "doc"', [
            f"{_line('types')}: flows[1].types: must be one of pdf, docx, csv, xlsx, json, eml;"
            ' did you mean "docx"?']),
        ('gateways = ["EIA2006_s136"', 'gateways = ["EIA2006_s137"', [
            f"{_line('gateways', 2)}: flows[2].gateways: is not listed under [gateways];"
            ' did you mean "EIA2006_s136"?']),
        ('max_size = "10GiB"', 'max_size = "10GB"', [
            f"{_line('max_size')}: flows[1].max_size: is not a size;"
            ' write a number and B, KiB, MiB, GiB or TiB, like "10GiB"']),
        ('receipt_deadline = "7d"', 'receipt_deadline = "0s"', [
            f"{_line('receipt_deadline')}: flows[1].receipt_deadline: must be more than zero"]),
        ('reference = "required"', 'reference = "always"', [
            f'{_line("reference =")}: flows[1].reference: must be "required" or "optional"']),
        (r"reference_pattern = '\d{2} \d{3} \d{3}'", "reference_pattern = '.*'", [
            f"{_line('reference_pattern')}: flows[1].reference_pattern: must be made of"
            r" \d{N}, [A-Z]{N}, letters, digits, / - and single blanks"]),
        ("[gateways]", "[gateways]\n8bit = 1", [
            f"{_line('[gateways]') + 1}: gateways.8bit: must be 1 to 64 letters, digits and underscores,"
            " and begin with a letter",
            f"{_line('[gateways]') + 1}: gateways.8bit: must be text in quotes"]),
    ],
)  # fmt: skip
def test_a_mistake_in_an_agreement_is_explained(old: str, new: str, mistakes: list[str]) -> None:
    assert _mistakes(old, new) == mistakes


def test_every_mistake_of_an_agreement_is_reported_at_once() -> None:
    content = b'id = "x"\nflows = 1\ngateways = {}\nparties = "lgsco"\nin_force = 2019-12-05\nversion = ""\n'
    with pytest.raises(BadFile) as caught:
        parse(content, "mine.toml")
    assert caught.value.for_people() == (
        "error: mine.toml has 6 mistakes\n"
        "  mine.toml:1: id: must be 2 to 32 small letters, digits and hyphens, and begin with a letter\n"
        "  mine.toml:1: title: is missing\n"
        "  mine.toml:2: flows: must be sections that begin with [[flows]]\n"
        "  mine.toml:3: gateways: must name at least one legal power\n"
        "  mine.toml:4: parties: must be a list in square brackets\n"
        "  mine.toml:6: version: must be a text of 1 to 4000 characters"
    )


def test_keys_that_may_be_left_out_are_the_review_and_both_retention_times() -> None:
    text = "\n".join(line for line in LINES if not line.startswith(("retention", "keep_sent")))
    assert [(flow.retention, flow.keep_sent) for flow in parse(text.encode()).flows] == [(None, None)] * 2


def test_an_original_is_kept_for_a_time_or_not_at_all_but_never_for_no_time() -> None:
    text = SHIPPED.replace(b'keep_sent = "90d"', b'keep_sent = "none"', 1)
    assert [flow.keep_sent for flow in parse(text).flows] == [datetime.timedelta(0), datetime.timedelta(days=90)]
    assert "original     destroyed with the receipt" in describe([parse(text)]).to_text()
    with pytest.raises(BadFile, match="keep_sent: must be longer than zero; write none where nothing is kept"):
        parse(SHIPPED.replace(b'keep_sent = "90d"', b'keep_sent = "0d"', 1))


def test_an_administrators_file_is_added_or_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine.toml", tmp_path / "other.toml"
    mine.write_bytes(SHIPPED.replace(b"2019-12", b"2027-01", 1))
    other.write_bytes(SHIPPED.replace(b'"ofsted-lgsco"', b'"other"'))
    assert [(a.id, a.version) for a in load_all([other])] == [("ofsted-lgsco", "2019-12"), ("other", "2019-12")]
    assert [(a.id, a.version) for a in load_all([mine])] == [("ofsted-lgsco", "2027-01")]
    assert load("ofsted-lgsco", [mine, other]).sha256 == hashlib.sha256(mine.read_bytes()).hexdigest()
    with pytest.raises(Misuse, match="two agreement files have the id ofsted-lgsco"):
        load_all([mine, mine])
    with pytest.raises(Misuse, match="cannot be read: no such file or directory"):
        load_all([tmp_path / "none.toml"])
    with pytest.raises(Misuse, match='there is no agreement othre; did you mean "other"'):
        load("othre", [other])


def test_an_agreement_is_described_in_words_and_as_data() -> None:
    description = describe(load_all(), "ofsted-lgsco")
    text = description.to_text()
    assert "Upheld decision (upheld-decision): from lgsco to ofsted" in text
    assert "receipt      within 7d" in text
    assert max(map(len, text.splitlines())) <= 100
    (data,) = description.to_json()
    assert isinstance(data, dict)
    assert data["sha256"] == shipped()[0].sha256
    with pytest.raises(Misuse, match="there is no agreement nobody"):
        describe(load_all(), "nobody")


def test_media_types_come_from_the_extension() -> None:
    assert media_type("a.b.XLSX") == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert media_type("a.eml") == "message/rfc822"
    assert media_type("eml") == "application/octet-stream"


@given(st.integers(0, len(SHIPPED) - 1), st.binary(max_size=4), st.integers(0, 8))
def test_a_damaged_agreement_is_read_or_refused_but_never_breaks_the_reader(at: int, put: bytes, cut: int) -> None:
    content = SHIPPED[:at] + put + SHIPPED[at + cut :]
    try:
        digest = parse(content).sha256
    except BadFile as error:
        digest = None
        text = error.for_people()
    if digest is None:
        assert text.startswith("error: agreement.toml")
    else:
        assert digest == hashlib.sha256(content).hexdigest()
