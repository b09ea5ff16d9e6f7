"""Orders and policies read strictly, and an administrator's key may lie in a token."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import approval
from keys.approval import Order, OrderError, Policy, parse
from keys.openssh import PublicKey
from keys.sshsig import SignatureError
from ledger.canonical import Json
from ledger.entry import Draft
from tests.keys.cards import public
from tests.keys.test_sk import KEY, touched

ID, ASKED, EXPIRES = "019aae33-0000-7000-8000-000000000000", "2026-11-24T09:30:00.000Z", "2026-12-01T09:30:00.000Z"
CARD: dict[str, Json] = {"partner": "ofsted", "card_sha256": "00", "weaker": False, "older": False}
ORDER = Order("lgsco", ID, ASKED, EXPIRES, -1, "partner add", CARD)
LINES = (public("one").line, KEY.line, public("three").line)
POLICY = Policy(LINES, ("keys rotate", "partner add"), 3600, "wait")


def test_an_order_reads_back() -> None:
    policy = Order("lgsco", ID, ASKED, EXPIRES, 12, "approval policy", POLICY.to_json())
    for order in (ORDER, policy):
        assert parse(order.encode()) == order
        assert approval.from_json(json.loads(order.encode())) == order


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"what": "keys export"},
        {"what": "keys rotate"},
        {"arguments": {**CARD, "more": 1}},
        {"arguments": {**CARD, "weaker": [True]}},
        {"arguments": []},
        {"id": "45"},
        {"policy": -2},
        {"policy": True},
        {"policy": "1"},
        {"asked": EXPIRES},
        {"expires": "2026-12-01"},
        {"organisation": 1},
        {"more": 1},
    ],
)
def test_an_order_with_anything_else_in_it_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(OrderError):
        approval.from_json({**json.loads(ORDER.encode()), **changes})


@given(st.binary(max_size=80) | st.just(ORDER.encode()).flatmap(lambda b: st.integers(0, len(b)).map(lambda n: b[:n])))
def test_other_bytes_are_refused_and_nothing_else_is_raised(data: bytes) -> None:
    if data != ORDER.encode():
        with pytest.raises(OrderError):
            parse(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"administrators": [LINES[0]]},
        {"administrators": [LINES[0], LINES[0]]},
        {"administrators": [LINES[0], "ssh-ed25519 AAAA"]},
        {"administrators": [LINES[0], LINES[2] + " comment"]},
        {"administrators": sorted(LINES, reverse=True)},
        {"administrators": "x"},
        {"required": ["partner add", "keys rotate"]},
        {"required": ["approval policy"]},
        {"required": ["keys export"]},
        {"lifetime": 0},
        {"lifetime": True},
        {"revoke": "never"},
        {"more": 1},
    ],
)
def test_a_policy_with_anything_else_in_it_is_refused(changes: dict[str, Json]) -> None:
    with pytest.raises(OrderError):
        Policy.from_json({**POLICY.to_json(), **changes})


def test_one_private_key_is_one_administrator_however_it_is_spelled() -> None:
    twice = sorted((KEY.line, PublicKey(KEY.raw).line))
    with pytest.raises(OrderError, match="with keys of their own"):
        Policy.from_json({**POLICY.to_json(), "administrators": twice})


def test_a_policy_demands_what_it_names_what_that_makes_and_always_its_own_change() -> None:
    demanded = {what for what in approval.WHATS if POLICY.demands(what)}
    assert demanded == {"keys rotate", "keys revoke", "partner add", "approval policy"}
    assert [what for what in approval.WHATS if Policy().demands(what)] == ["approval policy"]


def test_an_administrator_may_sign_with_a_token() -> None:
    assert approval.signer(touched(ORDER.encode()), ORDER) == KEY.line
    assert approval.fingerprint(KEY.line) == KEY.fingerprint
    assert approval.administrator_key(f"{KEY.line} casework@lgsco") == KEY.line
    for armored in (touched(ORDER.encode(), flags=0), touched(b"another"), touched(ORDER.encode(), "file")):
        with pytest.raises(SignatureError):
            approval.signer(armored, ORDER)


REVOKED: dict[str, Json] = {"purpose": "signing", "fingerprint": "SHA256:a", "since": ASKED}


@pytest.mark.parametrize(
    ("more", "known"),
    [({}, True), ({"lost": True}, True), ({"lost": False}, False), ({"lost": "yes"}, False), ({"later": True}, False)],
)
def test_that_a_key_is_lost_is_said_in_one_way(more: dict[str, Json], *, known: bool) -> None:
    fields = Order("lgsco", ID, ASKED, EXPIRES, -1, "keys revoke", {**REVOKED, **more}).to_json()
    try:
        assert approval.from_json(fields).to_json() == fields
    except OrderError:
        assert not known
    else:
        assert known


@pytest.mark.parametrize(("asked", "done"), [(False, True), (True, False)])
def test_a_key_that_is_not_said_to_be_lost_is_not_revoked_as_lost(*, asked: bool, done: bool) -> None:
    def said(*, lost: bool) -> Draft:
        detail: dict[str, Json] = {"purpose": "signing", **({"lost": True} if lost else {})}
        return Draft(event="key.rotating", actor="operator", detail=detail)

    arguments: dict[str, Json] = {**REVOKED, **({"lost": True} if asked else {})}
    order = Order("lgsco", ID, ASKED, EXPIRES, -1, "keys revoke", arguments)
    assert approval.fits(order, said(lost=asked))
    assert not approval.fits(order, said(lost=done))


@pytest.mark.parametrize("flag", ["weaker", "older", "new_ledger"])
def test_a_card_is_not_taken_for_more_than_two_people_have_signed(flag: str) -> None:
    done = Draft(event="partner.added", actor="operator", partner="ofsted", detail={"card_sha256": "00", flag: True})
    asked = Order("lgsco", ID, ASKED, EXPIRES, -1, "partner add", {**CARD, flag: True})
    assert parse(asked.encode()) == asked
    assert approval.fits(asked, done)
    assert not approval.fits(ORDER, done)


@pytest.mark.parametrize("value", [False, "yes", None])
def test_that_a_ledger_is_closed_is_said_in_one_way(value: Json) -> None:
    order = Order("lgsco", ID, ASKED, EXPIRES, -1, "partner add", {**CARD, "new_ledger": value})
    with pytest.raises(OrderError):
        parse(order.encode())
