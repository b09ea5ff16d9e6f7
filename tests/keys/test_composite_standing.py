"""Post-quantum keys of an organisation: on its card, announced, vouching for every change, and never lost silently."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from config import times
from config.errors import Refused
from keys import card as cards
from keys.announcement import Announcement, AnnouncementError, Signed, Subject, parse, sign
from keys.card import CardError, SigningKey
from keys.composite import CompositeKey, CompositeSigner
from keys.openssh import KeySigner
from keys.succession import AnnouncementRefused, Standing, after, check, needs_person, standing
from keys.trust import Trust, UntrustedKey, signer_lines
from ledger import note
from tests.keys.cards import ISSUED, PQ, START, X25519, card, private, public, vkey

NOW = times.from_text(ISSUED) + timedelta(days=1)
AT = times.to_text(NOW)
ONE, TWO, THREE = (CompositeSigner.from_seed(bytes([n]) * 64) for n in (1, 2, 3))
WITNESS = MLDSA44PrivateKey.from_seed_bytes(bytes(32)).public_key().public_bytes_raw()
WITNESS_KEY = vkey("lgsco/witness", 6, WITNESS)
PLAIN = card()
CARD = card(signing_pq=(SigningKey(ONE.public.line, START),), witness_pq=(WITNESS_KEY,))
CLASSICAL = ("lgsco signing", "lgsco ledger")


def signed(one: Announcement, *signers: str | CompositeSigner) -> Signed:
    return sign(one, *(KeySigner(private(s)) if isinstance(s, str) else s for s in signers))


def add(purpose: Subject = "signing-pq", key: str = ONE.public.line, number: int = 1) -> Announcement:
    return Announcement("lgsco", number, AT, "add", purpose, key, None, AT)


def rotate(key: str = TWO.public.line, replaces: str = ONE.public.line, number: int = 2) -> Announcement:
    return Announcement("lgsco", number, AT, "rotate", "signing-pq", key, replaces, AT)


def refused(now: Standing, said: Signed) -> str:
    with pytest.raises(Refused) as caught:
        check(now, said, NOW)
    return caught.value.reason


# --- cards ------------------------------------------------------------------------------------------------------------


def test_a_card_with_post_quantum_keys_goes_back_to_the_same_bytes() -> None:
    data = CARD.encode()
    assert cards.parse(data) == CARD
    assert b"[[signing_pq]]" in data
    assert b"[witness_pq]" in data
    assert b"pq]" not in PLAIN.encode()
    full = replace(
        CARD,
        signing_pq=tuple(SigningKey(CompositeSigner.from_seed(bytes([n]) * 64).public.line, START) for n in range(6)),
        recipients=(PQ,),
    )
    assert len(full.encode()) < cards.MAX_CARD


@pytest.mark.parametrize(
    "changes",
    [
        {"signing_pq": (SigningKey(public("x").line, START),)},
        {"signing_pq": (SigningKey(ONE.public.line + " comment", START),)},
        {"signing_pq": (SigningKey(ONE.public.line, START),) * 2},
        {
            "signing_pq": tuple(
                SigningKey(CompositeSigner.from_seed(bytes([n]) * 64).public.line, START) for n in range(7)
            )
        },
        {"witness_pq": (vkey("lgsco/witness", 4, public("x").raw),)},
        {"witness_pq": (vkey("ofsted/witness", 6, WITNESS),)},
        {"witness_keys": (WITNESS_KEY,)},
        {"ledger_keys": (WITNESS_KEY,)},
        {"signing_keys": (SigningKey(ONE.public.line, START),)},
        {"transport_keys": (ONE.public.line,)},
    ],
)
def test_a_key_of_the_wrong_kind_in_the_wrong_place_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(CardError):
        card(**changes)


def test_the_classical_half_of_a_composite_key_serves_no_other_purpose() -> None:
    half = ONE.public.ed25519
    with pytest.raises(CardError) as caught:
        card(signing_pq=CARD.signing_pq, transport_keys=(half.line,))
    assert caught.value.reason == "key-shared"
    with pytest.raises(CardError):
        card(signing_pq=(*CARD.signing_pq, SigningKey(mixed(TWO, ONE).line, START)))


def mixed(one: CompositeSigner, other: CompositeSigner) -> CompositeKey:
    return CompositeKey(one.public.raw[:1312] + other.public.raw[1312:])


# --- announcements ----------------------------------------------------------------------------------------------------


def test_a_first_key_is_vouched_for_by_itself_and_two_others() -> None:
    now = standing(PLAIN)
    said = signed(add(), *CLASSICAL, ONE)
    assert Signed.from_json(said.to_json()) == said
    then = after(now, check(now, said, NOW))
    assert then.keys("signing-pq", NOW) == (ONE.public.line,)
    assert refused(now, signed(add(), *CLASSICAL)) == "not-signed-by-new"
    assert refused(now, signed(add(), "lgsco signing", ONE)) == "not-signed-by-old"
    assert refused(now, signed(add(), "lgsco ledger", ONE)) == "not-signed-by-old"
    witness = signed(add("witness-pq", WITNESS_KEY), *CLASSICAL)
    assert after(now, check(now, witness, NOW)).keys("witness-pq", NOW) == (WITNESS_KEY,)


def test_no_first_key_comes_beside_another_even_one_that_has_ended() -> None:
    now = standing(CARD)
    assert refused(now, signed(add(key=TWO.public.line), *CLASSICAL, TWO)) == "not-signed-by-composite"
    assert refused(now, signed(add(key=TWO.public.line), *CLASSICAL, ONE, TWO)) == "not-the-first"
    gone = after(now, Announcement("lgsco", 1, AT, "revoke", "signing-pq", ONE.public.line, None, AT))
    assert gone.keys("signing-pq", NOW) == ()
    assert refused(gone, signed(add(key=TWO.public.line), *CLASSICAL, TWO)) == "not-the-first"


def test_only_optional_purposes_are_added_to() -> None:
    line = public("another").line
    with pytest.raises(AnnouncementError):
        parse(Announcement("lgsco", 1, AT, "add", "signing", line, None, AT).encode())


def test_a_rotation_is_signed_by_the_old_and_the_new_composite_key() -> None:
    now = standing(CARD)
    then = after(now, check(now, signed(rotate(), ONE, TWO), NOW))
    assert set(then.keys("signing-pq", NOW)) == {ONE.public.line, TWO.public.line}
    assert refused(now, signed(rotate(), ONE)) == "not-signed-by-new"
    assert refused(now, signed(rotate(), TWO)) == "not-signed-by-composite"
    assert refused(now, signed(rotate(), *CLASSICAL, TWO)) == "not-signed-by-composite"
    assert refused(now, signed(rotate(replaces=THREE.public.line), THREE, TWO, ONE)) == "unknown-key"


def test_whoever_forges_every_classical_signature_changes_no_key() -> None:
    now = standing(CARD)
    new = public("new").line
    changes = [
        Announcement("lgsco", 1, AT, "rotate", "signing", new, public("lgsco signing").line, AT),
        Announcement("lgsco", 1, AT, "rotate", "transport", new, public("lgsco transport").line, AT),
        Announcement("lgsco", 1, AT, "rotate", "encryption", X25519, PQ, AT),
        Announcement("lgsco", 1, AT, "revoke", "signing-pq", ONE.public.line, None, AT),
        Announcement("lgsco", 1, AT, "retire", "signing", public("lgsco signing").line, None, AT),
    ]
    everybody = ("lgsco signing", "lgsco ledger", "lgsco witness", "lgsco transport", "new")
    for one in changes:
        assert refused(now, signed(one, *everybody)) == "not-signed-by-composite"
    honest = signed(changes[0], "lgsco signing", "new", ONE)
    assert check(now, honest, NOW) == changes[0]


def test_after_every_composite_key_was_revoked_a_person_decides_what_comes() -> None:
    now = standing(CARD)
    one = Announcement("lgsco", 1, AT, "rotate", "transport", public("new").line, public("lgsco transport").line, AT)
    assert not needs_person(now, one, NOW)
    gone = after(now, Announcement("lgsco", 1, AT, "revoke", "signing-pq", ONE.public.line, None, AT))
    assert needs_person(gone, one, NOW)
    assert not needs_person(standing(PLAIN), one, NOW)


def test_the_last_composite_key_is_never_retired() -> None:
    end = Announcement("lgsco", 1, AT, "retire", "signing-pq", ONE.public.line, None, AT)
    with pytest.raises(AnnouncementRefused) as caught:
        after(standing(CARD), end)
    assert caught.value.reason == "last-key"


# --- trust ------------------------------------------------------------------------------------------------------------


def test_a_composite_key_counts_as_long_as_its_card_says() -> None:
    until = times.to_text(NOW.replace(microsecond=0))
    trust = Trust([card(signing_pq=(SigningKey(ONE.public.line, START, until),), witness_pq=(WITNESS_KEY,))])
    trust.signing_key("lgsco", ONE.public, NOW - timedelta(hours=1))
    for key, at in ((ONE.public, NOW + timedelta(seconds=1)), (TWO.public, NOW), (mixed(ONE, TWO), NOW)):
        with pytest.raises(UntrustedKey):
            trust.signing_key("lgsco", key, at)
    assert trust.composite("lgsco")
    assert isinstance(trust.witness_verifiers("lgsco")[-1], note.MlDsaVerifier)


def test_stock_tools_get_the_composite_keys_apart() -> None:
    trust = Trust([CARD])
    assert "mldsa44" not in trust.allowed_signers()
    [line] = signer_lines("lgsco", trust.card("lgsco").signing_pq).splitlines()
    assert line.startswith("lgsco namespaces=")
    assert line.endswith(ONE.public.line)
