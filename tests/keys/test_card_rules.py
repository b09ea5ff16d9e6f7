"""Each rule of a partner card, broken alone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys.card_rules import CardError, Landing, SigningKey
from tests.keys.cards import END, PQ, START, X25519, card, public, vkey

LANDING = card().landing
assert LANDING is not None
LINE = public("lgsco signing").line
ECDSA = (
    ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
)


def refusal(changes: Mapping[str, Any]) -> tuple[str, str]:
    with pytest.raises(CardError) as caught:
        card(**changes)
    return caught.value.reason, caught.value.message


@pytest.mark.parametrize(
    "organisation", ["", "a", "Lgsco", "1lgsco", "lg sco", "..", "lg/sco", "l" * 33, "lgsco\n", "lé"]
)
def test_an_organisation_that_is_no_id_is_refused(organisation: str) -> None:
    assert "organisation" in refusal({"organisation": organisation})[1]


@pytest.mark.parametrize(
    "name",
    ["", " Ofsted", "Ofsted ", "a\nb", "a\x1b[31m", "a\u202eb", "a\u200bb", "e\u0301", "x" * 121, "\ud800", "\u2028"],
)
def test_a_name_that_a_screen_would_not_show_as_it_is_is_refused(name: str) -> None:
    assert "printable" in refusal({"name": name})[1]


@pytest.mark.parametrize(
    "issued", ["", "2026-11-24", "2026-11-24T09:30:00Z", "2026-11-24T09:30:00.000", "2026-02-30T09:30:00.000Z"]
)
def test_an_issue_time_in_another_form_is_refused(issued: str) -> None:
    assert "issued" in refusal({"issued": issued})[1]


@pytest.mark.parametrize(
    "origin", ["", "lgsco", "lgsco/", "ofsted/handover", "lgsco2/handover", "lgsco/a b", "lgsco/a+b", "lgsco/\n"]
)
def test_an_origin_outside_the_organisation_is_refused(origin: str) -> None:
    assert "origin" in refusal({"ledger_origin": origin})[1]


RAW = public("another").raw


@pytest.mark.parametrize(
    ("field", "key", "reason", "words"),
    [
        ("ledger_keys", "", "not-a-card", "not a verifier"),
        ("ledger_keys", vkey("lgsco/handover", 1, RAW)[:-4], "not-a-card", "not a verifier"),
        ("ledger_keys", vkey("lgsco/handover", 9, RAW), "not-a-card", "not a verifier"),
        ("ledger_keys", vkey("lgsco/other", 1, RAW), "not-a-card", "another name"),
        ("ledger_keys", vkey("ofsted/handover", 1, RAW), "not-a-card", "another name"),
        ("ledger_keys", vkey("lgsco/handover", 4, RAW), "wrong-key-type", "another purpose"),
        ("witness_keys", vkey("lgsco/witness", 1, RAW), "wrong-key-type", "another purpose"),
        ("witness_keys", vkey("ofsted/witness", 4, RAW), "not-a-card", "another name"),
        ("witness_keys", vkey("lgsco", 4, RAW), "not-a-card", "another name"),
    ],
)
def test_a_verifier_key_that_is_not_of_this_organisation_and_purpose_is_refused(
    field: str, key: str, reason: str, words: str
) -> None:
    told, message = refusal({field: (key,)})
    assert told == reason
    assert words in message


@pytest.mark.parametrize("field", ["ledger_keys", "witness_keys"])
def test_a_weak_verifier_key_is_refused(field: str) -> None:
    key = vkey("lgsco/handover", 1, bytes(32)) if field == "ledger_keys" else vkey("lgsco/witness", 4, bytes(32))
    assert refusal({field: (key,)})[0] in ("weak-key", "not-a-card")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (SigningKey(LINE, END, START), "ends before it begins"),
        (SigningKey(LINE, START, START), "ends before it begins"),
        (SigningKey(LINE, "2026-11-24T00:00:00.001Z"), "fraction of a second"),
        (SigningKey(LINE, START, "2027-11-24T00:00:00.500Z"), "fraction of a second"),
        (SigningKey(LINE, "2026-11-24T00:00:00Z"), "milliseconds"),
        (SigningKey(LINE, START, "tomorrow"), "valid_until is not a time"),
        (SigningKey(LINE, "1969-12-31T23:59:59.000Z"), "older than the mechanism"),
        (SigningKey(LINE, "0001-01-01T00:00:00.000Z"), "older than the mechanism|milliseconds"),
        (SigningKey(LINE + " comment", START), "comment"),
        (SigningKey(LINE + "\n", START), "comment"),
        (SigningKey(ECDSA, START), "not of type ssh-ed25519"),
        (SigningKey("", START), "not an OpenSSH public key"),
    ],
)
def test_a_signing_key_that_openssh_could_not_judge_is_refused(key: SigningKey, words: str) -> None:
    with pytest.raises(CardError, match=words):
        card(signing_keys=(key,))


def test_a_transport_key_of_another_type_is_refused() -> None:
    assert refusal({"transport_keys": (ECDSA,)})[0] == "wrong-key-type"


@pytest.mark.parametrize(
    ("recipients", "reason"),
    [
        ((PQ, X25519), "mixed-recipients"),
        ((X25519, PQ), "mixed-recipients"),
        ((PQ, PQ), "key-shared"),
        ((PQ.upper(),), "not-a-card"),
        ((PQ[:-1],), "not-a-card"),
        (("age1se1qg8vwwqhztnh3vpt2nf2xwn7famktxlmp0nmkfltp8lkvzp8nafkqleh258",), "not-a-card"),
        (("",), "not-a-card"),
        (("é",), "not-a-card"),
    ],
)
def test_recipients_that_are_mixed_doubled_or_none_are_refused(recipients: tuple[str, ...], reason: str) -> None:
    assert refusal({"recipients": recipients})[0] == reason


@pytest.mark.parametrize("field", ["ledger_keys", "witness_keys", "signing_keys", "recipients", "transport_keys"])
def test_a_card_without_a_key_for_a_purpose_is_refused(field: str) -> None:
    assert "does not hold 1 to 16" in refusal({field: ()})[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"transport_keys": (LINE,)},
        {"transport_keys": (public("t").line, public("t").line)},
        {"signing_keys": (SigningKey(LINE, START), SigningKey(LINE, START, END))},
        {"ledger_keys": (vkey("lgsco/handover", 1, public("lgsco signing").raw),)},
        {"witness_keys": (vkey("lgsco/witness", 4, public("lgsco ledger").raw),)},
        {"landing": replace(LANDING, host_keys=(LINE,))},
        {"landing": replace(LANDING, host_keys=(ECDSA, ECDSA))},
    ],
)
def test_a_key_that_serves_two_purposes_or_stands_twice_is_refused(changes: Mapping[str, Any]) -> None:
    assert refusal(changes)[0] == "key-shared"


@pytest.mark.parametrize("host", ["sftp.example.org", "localhost", "192.0.2.7", "2001:db8::7", "a" * 63 + ".example"])
@pytest.mark.parametrize("path", [".", "drop", "/srv/drop/{partner}", "Concerns In/{partner}", "{partner}"])
def test_ordinary_landings_are_taken(host: str, path: str) -> None:
    landing = Landing(host, 2222, "lgsco-{partner}", path, (ECDSA, public("h").line))
    assert card(landing=landing).landing == landing


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host": ""}, "host"),
        ({"host": "-oProxyCommand=x"}, "host"),
        ({"host": "a b"}, "host"),
        ({"host": "a..b"}, "host"),
        ({"host": "example.org."}, "host"),
        ({"host": "example.org\n"}, "host"),
        ({"host": "user@example.org"}, "host"),
        ({"host": "a" * 64 + ".org"}, "host"),
        ({"host": ".".join(["a" * 60] * 5)}, "host"),
        ({"host": "２.example"}, "host"),
        ({"host": "2001:DB8::7"}, "host"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"port": -22}, "port"),
        ({"user": ""}, "user"),
        ({"user": "-l"}, "user"),
        ({"user": "a b"}, "user"),
        ({"user": "{other}"}, "user"),
        ({"user": "lgsco\n"}, "user"),
        ({"user": "u" * 65}, "user"),
        ({"path": ""}, "path"),
        ({"path": "/"}, "path"),
        ({"path": ".."}, "path"),
        ({"path": "drop/../../etc"}, "path"),
        ({"path": "drop/./x"}, "path"),
        ({"path": "drop//x"}, "path"),
        ({"path": "drop/"}, "path"),
        ({"path": "drop\n"}, "path"),
        ({"path": "drop\\x"}, "path"),
        ({"path": "drop/{other}"}, "path"),
        ({"path": "e\u0301"}, "path"),
        ({"path": "x" * 256}, "path"),
        ({"host_keys": ()}, "host keys"),
        ({"host_keys": ("ssh-dss AAAA",)}, "host key"),
        ({"host_keys": (ECDSA[:-8],)}, "host key"),
        ({"host_keys": (LINE + " root@sftp",)}, "host key"),
    ],
)
def test_a_landing_that_is_not_plain_is_refused(changes: Mapping[str, Any], words: str) -> None:
    assert LANDING is not None
    assert words in refusal({"landing": replace(LANDING, **changes)})[1]


def test_no_refusal_repeats_the_value_that_it_refuses() -> None:
    for field in ("organisation", "name", "issued", "ledger_origin"):
        assert "HOSTILE" not in refusal({field: "HOSTILE\x1b[2J"})[1]
