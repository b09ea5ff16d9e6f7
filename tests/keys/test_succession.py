"""Whose announcement changes what: the chain of signatures, and everything that is not one."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from config import times
from config.errors import Refused
from keys import age
from keys.announcement import Announcement, Signed, Subject, sign
from keys.openssh import KeySigner
from keys.succession import AnnouncementRefused, Standing, after, check, needs_person, standing
from tests.keys.cards import ISSUED, PQ, X25519, card, private, public, vkey

CARD = card()
NOW = times.from_text(ISSUED) + timedelta(days=1)
AT = times.to_text(NOW)
OTHER_PQ = str(age.HybridIdentity.generate().recipient())


def spelled(purpose: Subject, name: str) -> str:
    """The public half of the key that is called `name`, as that purpose spells it."""
    if purpose == "ledger":
        return vkey("lgsco/handover", 1, public(name).raw)
    if purpose == "witness":
        return vkey("lgsco/witness", 4, public(name).raw)
    return public(name).line


def rotation(purpose: Subject, **changes: Any) -> Announcement:
    if purpose == "encryption":
        base = Announcement("lgsco", 1, AT, "rotate", purpose, OTHER_PQ, PQ, AT)
    else:
        new, old = spelled(purpose, "new"), spelled(purpose, f"lgsco {purpose}")
        base = Announcement("lgsco", 1, AT, "rotate", purpose, new, old, AT)
    return replace(base, **changes)


def vouched(one: Announcement, *names: str) -> Signed:
    return sign(one, *(KeySigner(private(name)) for name in names))


def honest(purpose: Subject, **changes: Any) -> Signed:
    names = [f"lgsco {purpose}", "new"]
    if purpose in ("encryption", "host"):
        names = ["lgsco signing", "lgsco ledger"]
    return vouched(rotation(purpose, **changes), *names)


SUBJECTS: tuple[Subject, ...] = ("signing", "encryption", "transport", "ledger", "witness", "host")


@pytest.mark.parametrize("purpose", SUBJECTS)
def test_a_new_key_counts_beside_the_old_one_until_that_is_retired(purpose: Subject) -> None:
    now = standing(CARD)
    one = check(now, honest(purpose), NOW)
    both = after(now, one)
    assert set(both.keys(purpose, NOW)) == {one.key, one.replaces}
    end = replace(one, number=2, action="retire", key=one.replaces or "", replaces=None)
    names = ("new",) if purpose not in ("encryption", "host") else ("lgsco signing", "lgsco ledger")
    left = after(both, check(both, vouched(end, *names), NOW))
    assert left.keys(purpose, NOW + timedelta(seconds=1)) == (one.key,)


@pytest.mark.parametrize("purpose", ["signing", "transport", "ledger", "witness"])
@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("old",), "not-signed-by-new"),
        (("new",), "not-signed-by-old"),
        (("somebody", "new"), "not-signed-by-old"),
        (("old", "somebody"), "not-signed-by-new"),
        (("lgsco card", "new"), "not-signed-by-old"),
    ],
)
def test_one_signature_of_the_two_is_not_enough(purpose: Subject, names: tuple[str, ...], reason: str) -> None:
    real = [f"lgsco {purpose}" if name == "old" else name for name in names]
    assert refused(standing(CARD), vouched(rotation(purpose), *real)) == reason


@pytest.mark.parametrize("purpose", ["encryption", "host"])
@pytest.mark.parametrize("names", [("lgsco signing",), ("lgsco ledger",), ("lgsco transport", "lgsco witness")])
def test_a_key_that_cannot_sign_is_vouched_for_by_a_signing_key_and_a_ledger_key(
    purpose: Subject, names: tuple[str, ...]
) -> None:
    assert refused(standing(CARD), vouched(rotation(purpose), *names)) == "not-signed-by-old"


@pytest.mark.parametrize("purpose", SUBJECTS)
def test_what_belongs_to_another_organisation_purpose_or_time_is_refused(purpose: Subject) -> None:
    now = standing(CARD)
    assert refused(now, honest(purpose, organisation="ofsted")) == "wrong-organisation"
    swapped = rotation(purpose)
    swapped = replace(swapped, key=swapped.replaces or "", replaces=swapped.key)
    names = ("lgsco signing", "lgsco ledger") if purpose in ("encryption", "host") else (f"lgsco {purpose}", "new")
    assert refused(now, vouched(swapped, *names)) == "unknown-key"


def test_a_key_of_one_purpose_does_not_vouch_for_another() -> None:
    wrong = rotation("signing", replaces=public("lgsco transport").line)
    assert refused(standing(CARD), vouched(wrong, "lgsco transport", "new")) == "unknown-key"
    shared = rotation("signing", key=public("lgsco transport").line)
    assert refused(standing(CARD), vouched(shared, "lgsco signing", "lgsco transport")) == "key-shared"


@pytest.mark.parametrize("purpose", SUBJECTS)
def test_an_older_announcement_never_undoes_a_newer_one(purpose: Subject) -> None:
    first = honest(purpose)
    now = after(standing(CARD), first.announcement)
    assert refused(now, first) == "superseded"
    assert after(now, first.announcement) == now


def test_an_announcement_that_the_card_already_says_changes_nothing() -> None:
    older = rotation("signing", issued=ISSUED)
    assert after(standing(CARD), older) == standing(CARD)


@pytest.mark.parametrize("purpose", SUBJECTS)
def test_nothing_that_has_ended_vouches_for_anything_or_comes_back(purpose: Subject) -> None:
    one = rotation(purpose)
    names = ("lgsco signing", "lgsco ledger") if purpose in ("encryption", "host") else ("new",)
    gone = replace(one, number=2, action="revoke", key=one.replaces or "", replaces=None)
    both = after(standing(CARD), one)
    now = after(both, check(both, vouched(gone, *names), NOW))
    third = OTHER if purpose == "encryption" else spelled(purpose, "third")
    again = replace(one, number=3, key=third)
    signers = names if purpose in ("encryption", "host") else (f"lgsco {purpose}", "third")
    assert refused(now, vouched(again, *signers)) == "unknown-key"
    back = replace(one, number=3, key=one.replaces or "", replaces=one.key)
    signers = names if purpose in ("encryption", "host") else (f"lgsco {purpose}", "new")
    assert refused(now, vouched(back, *signers)) == "key-ended"


OTHER = str(age.HybridIdentity.generate().recipient())


def test_a_signing_key_is_ended_only_by_another_and_revoked_also_by_itself() -> None:
    both = after(standing(CARD), rotation("signing"))
    end = Announcement("lgsco", 2, AT, "retire", "signing", public("lgsco signing").line, None, AT)
    assert refused(both, vouched(end, "lgsco signing")) == "not-signed-by-old"
    assert refused(both, vouched(end, "somebody")) == "not-signed-by-old"
    check(both, vouched(end, "new"), NOW)
    check(both, vouched(replace(end, action="revoke"), "lgsco signing"), NOW)


def test_the_last_key_of_a_purpose_is_never_taken_away() -> None:
    purposes: tuple[Subject, ...] = ("transport", "host", "encryption")
    for purpose in purposes:
        key = PQ if purpose == "encryption" else spelled("transport", f"lgsco {purpose}")
        end = Announcement("lgsco", 1, AT, "retire", purpose, key, None, AT)
        with pytest.raises(AnnouncementRefused) as problem:
            after(standing(CARD), end)
        assert problem.value.reason == "last-key"


def test_encryption_is_never_made_weaker_without_a_person() -> None:
    weaker = rotation("encryption", key=X25519)
    now = standing(CARD)
    assert needs_person(now, weaker, NOW)
    assert not needs_person(now, rotation("encryption"), NOW)
    weak = standing(card(recipients=(X25519,)))
    assert not needs_person(weak, rotation("encryption", replaces=X25519), NOW)


def test_who_encrypts_uses_the_new_key_from_its_time_on_and_never_mixes_kinds() -> None:
    later = rotation("encryption", at=times.to_text(NOW + timedelta(days=7)))
    now = after(standing(CARD), later)
    assert now.recipient_texts(NOW) == (PQ,)
    assert now.recipient_texts(NOW + timedelta(days=7)) == (OTHER_PQ, PQ)
    stronger = after(standing(card(recipients=(X25519,))), rotation("encryption", replaces=X25519))
    assert stronger.recipient_texts(NOW) == (OTHER_PQ,)


def refused(now: Standing, signed: Signed) -> str:
    with pytest.raises(Refused) as problem:
        check(now, signed, NOW)
    return problem.value.reason


@pytest.mark.parametrize("purpose", ["signing", "ledger", "witness", "transport"])
def test_any_number_of_rotations_fits_a_card(purpose: Subject) -> None:
    now, old = standing(CARD), f"lgsco {purpose}"
    for number in range(1, 60, 2):
        new = f"new {number}"
        one = rotation(purpose, number=number, key=spelled(purpose, new), replaces=spelled(purpose, old))
        now = after(now, check(now, vouched(one, old, new), NOW))
        end = replace(one, number=number + 1, action="retire", key=one.replaces or "", replaces=None)
        now = after(now, check(now, vouched(end, new), NOW))
        assert now.keys(purpose, NOW + timedelta(seconds=2)) == (one.key,)
        old = new
