"""Former signing keys: each counts in its time, which only ever becomes shorter."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import times
from keys.announcement import Action, Announcement, Subject
from keys.card_rules import CardError, SigningKey
from keys.former import Former
from keys.succession import AnnouncementRefused, check, standing
from keys.trust import Trust, UntrustedKey
from tests.keys.cards import END, START, card, public
from tests.keys.test_composite_standing import ONE
from tests.keys.test_succession import vouched

OLD, NEW = public("lgsco signing 2"), public("lgsco signing")
COMPOSITE = SigningKey(ONE.public.line, START)
CARD = card()
BEGIN, STOP = times.from_text(START), times.from_text(END)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
TAKEN = BEGIN + 30 * DAY
FORMER = Former((SigningKey(OLD.line, START),), (COMPOSITE,)).until(TAKEN)


def said(action: Action, key: str, at: datetime, purpose: Subject = "signing", number: int = 1) -> Announcement:
    now = times.to_text(at)
    return Announcement("lgsco", number, now, action, purpose, key, NEW.line if action == "rotate" else None, now)


def refused(trust: Trust, at: datetime, *, recorded: bool = True) -> str | None:
    try:
        trust.signing_key("lgsco", OLD, at, recorded=recorded)
    except UntrustedKey as problem:
        return problem.reason
    return None


def test_a_former_key_counts_in_its_time_for_what_was_recorded_and_never_for_anything_else() -> None:
    trust = Trust([CARD], {}, {"lgsco": FORMER})
    moments = (BEGIN - SECOND, BEGIN, TAKEN - SECOND, TAKEN)
    assert [refused(trust, at) for at in moments] == ["key-not-yet-valid", None, None, "key-expired"]
    assert {refused(trust, at, recorded=False) for at in moments} == {"unknown-key"}
    # nor for anything of another partner's
    assert {refused(Trust([CARD], {}, {"ofsted": FORMER}), at) for at in moments} == {"unknown-key"}


def test_it_is_no_key_that_vouches_and_on_no_card() -> None:
    now = Trust([CARD], {}, {"lgsco": FORMER}).standing("lgsco")
    assert now.card == CARD
    assert OLD.line not in now.keys("signing", BEGIN)
    assert now.keys("signing-pq", BEGIN) == ()
    with pytest.raises(AnnouncementRefused) as caught:
        check(now, vouched(said("revoke", NEW.line, BEGIN + DAY), "lgsco signing 2"), BEGIN + DAY)
    assert caught.value.reason == "not-signed-by-old"


def test_a_revocation_ends_it_earlier_and_is_told_and_one_before_its_time_leaves_nothing() -> None:
    gone = BEGIN + 3 * DAY
    trust = Trust([CARD], {"lgsco": [said("revoke", OLD.line, gone)]}, {"lgsco": FORMER})
    assert [refused(trust, at) for at in (gone - SECOND, gone, TAKEN - SECOND)] == [None, "key-revoked", "key-revoked"]
    later = said("revoke", OLD.line, TAKEN + DAY)
    assert standing(CARD, [later], FORMER).former == FORMER
    assert standing(CARD, [said("revoke", OLD.line, BEGIN)], FORMER).former.signing == ()
    assert standing(CARD, [said("revoke", COMPOSITE.line, gone, "signing-pq")], FORMER).former == Former(
        FORMER.signing, (COMPOSITE.ending(gone),)
    )


def test_one_more_announcement_of_a_partner_forgets_no_former_key() -> None:
    trust = Trust([CARD], {}, {"lgsco": FORMER}).following("lgsco", said("rotate", public("new").line, TAKEN))
    assert trust.standing("lgsco").former == FORMER


def test_a_key_that_the_card_names_is_former_only_in_a_time_that_the_card_does_not_say() -> None:
    named = replace(CARD, signing_keys=(*CARD.signing_keys, SigningKey(OLD.line, START, END)))
    assert standing(named, (), FORMER).former == Former((), FORMER.signing_pq)
    later = replace(CARD, signing_keys=(*CARD.signing_keys, SigningKey(OLD.line, times.to_text(TAKEN + DAY))))
    trust = Trust([later], {}, {"lgsco": FORMER})
    assert trust.allowed_signers().count(OLD.line) == 2
    moments = (TAKEN - SECOND, TAKEN, TAKEN + DAY)
    assert [refused(trust, at) for at in moments] == [None, "key-not-yet-valid", None]
    assert [refused(trust, at, recorded=False) for at in moments] == ["key-not-yet-valid", "key-not-yet-valid", None]


def test_what_announcements_brought_counts_from_when_they_say_until_when_they_say() -> None:
    first, second, third = public("new").line, public("newer").line, COMPOSITE.line
    came = Former.announced(
        [
            said("rotate", first, BEGIN),
            said("rotate", third, BEGIN, "signing-pq"),
            said("rotate", public("door").line, BEGIN, "transport"),
            said("retire", first, BEGIN + DAY),
            said("rotate", second, BEGIN + 2 * DAY),
            said("retire", public("door").line, BEGIN + DAY, "transport"),
        ]
    )
    end, start = (times.to_text(BEGIN + days * DAY) for days in (1, 2))
    assert came == Former((SigningKey(first, START, end), SigningKey(second, start)), (COMPOSITE,))
    assert came.until(BEGIN + 2 * DAY) == Former((SigningKey(first, START, end),), (COMPOSITE.ending(BEGIN + 2 * DAY),))


@given(st.integers(0, 400), st.none() | st.integers(1, 400), st.integers(-5, 900), st.integers(-5, 900))
def test_an_end_is_never_put_off(start: int, days: int | None, one: int, other: int) -> None:
    first = BEGIN + start * DAY
    key = SigningKey(OLD.line, times.to_text(first), None if days is None else times.to_text(first + days * DAY))
    left = Former((key,)).until(BEGIN + one * DAY).until(BEGIN + other * DAY)
    for at in (BEGIN + day * DAY for day in range(-5, 900, 50)):
        assert any(known.covers(at) for known in left.signing) == (
            key.covers(at) and at < BEGIN + min(one, other) * DAY
        )


def test_what_the_ledger_keeps_is_read_strictly() -> None:
    assert Former.from_json(FORMER.to_json()) == FORMER
    assert Former.from_json(Former().to_json()) == Former()
    good = {"key": OLD.line, "valid_from": START}
    assert Former.from_json({"signing": [good], "signing-pq": []}) == Former((SigningKey(OLD.line, START),))
    cases: tuple[object, ...] = (
        None,
        {"signing": []},
        {"signing": good, "signing-pq": []},
        {"signing": ["key"], "signing-pq": []},
        {"signing": [{**good, "more": 1}], "signing-pq": []},
        {"signing": [{**good, "valid_until": None}], "signing-pq": []},
        {"signing": [{**good, "valid_until": START}], "signing-pq": []},
        {"signing": [{**good, "valid_from": "yesterday"}], "signing-pq": []},
        {"signing": [{**good, "key": f"{OLD.line} a comment"}], "signing-pq": []},
        {"signing": [], "signing-pq": [good]},
    )
    for wrong in cases:
        with pytest.raises(CardError):
            Former.from_json(wrong)
