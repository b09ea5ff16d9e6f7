"""Whose key counted when: our answer and ssh-keygen's are the same."""

import subprocess
from datetime import datetime, timedelta
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import times
from config.errors import Misuse
from keys import sshsig
from keys.card_rules import SigningKey
from keys.trust import NAMESPACES, Trust, UntrustedKey
from tests.keys.cards import END, PQ, START, X25519, card, private, public

OLD, NEW = public("lgsco signing"), public("lgsco signing 2")
OVERLAP = "2027-10-24T00:00:00.000Z"
LGSCO = card(signing_keys=(SigningKey(OLD.line, START, END), SigningKey(NEW.line, OVERLAP)), recipients=(PQ,))
OFSTED = card("ofsted", recipients=(X25519,))
TRUST = Trust([OFSTED, LGSCO])
BEGIN, STOP, SECOND = times.from_text(START), times.from_text(END), timedelta(seconds=1)
NOW = BEGIN + timedelta(days=10)


def refusal(partner: str, name: str, at: datetime) -> str:
    with pytest.raises(UntrustedKey) as caught:
        TRUST.signing_key(partner, public(name), at)
    return caught.value.reason


def test_a_key_counts_from_its_first_moment_until_just_before_its_last() -> None:
    for at in (BEGIN, NOW, STOP - timedelta(microseconds=1)):
        TRUST.signing_key("lgsco", OLD, at)
    assert refusal("lgsco", "lgsco signing", BEGIN - timedelta(microseconds=1)) == "key-not-yet-valid"
    assert refusal("lgsco", "lgsco signing", STOP) == "key-expired"


def test_during_the_overlap_both_keys_count_and_afterwards_the_new_one_for_ever() -> None:
    overlap = times.from_text(OVERLAP)
    for key in (OLD, NEW):
        TRUST.signing_key("lgsco", key, overlap)
    assert refusal("lgsco", "lgsco signing 2", overlap - SECOND) == "key-not-yet-valid"
    TRUST.signing_key("lgsco", NEW, STOP + timedelta(days=10_000))


def test_a_stranger_and_another_partners_key_are_refused() -> None:
    assert refusal("dfe", "lgsco signing", NOW) == "unknown-sender"
    assert refusal("lgsco", "a stranger", NOW) == "unknown-key"
    assert refusal("ofsted", "lgsco signing", NOW) == "unknown-key"
    assert refusal("lgsco", "lgsco transport", NOW) == "unknown-key"


def test_every_refusal_has_its_own_words() -> None:
    cases = [
        ("dfe", "lgsco signing", NOW, "there is no card of 'dfe'"),
        ("lgsco", "a stranger", NOW, f"{public('a stranger').fingerprint} is not a signing key of 'lgsco'"),
        ("lgsco", "lgsco signing", BEGIN - SECOND, f"{OLD.fingerprint} of 'lgsco' is valid only from {START}"),
        ("lgsco", "lgsco signing", STOP, f"{OLD.fingerprint} of 'lgsco' was valid only until {END}"),
    ]
    for partner, name, at, words in cases:
        with pytest.raises(UntrustedKey) as caught:
            TRUST.signing_key(partner, public(name), at)
        assert caught.value.message == words
        assert caught.value.hint


def test_cards_recipients_and_verifiers_are_found_by_partner() -> None:
    assert TRUST.partners == ("lgsco", "ofsted")
    assert TRUST.card("lgsco") == LGSCO
    assert [str(recipient) for recipient in TRUST.recipients("lgsco", BEGIN)] == [PQ]
    assert [recipient.kind for recipient in TRUST.recipients("ofsted", BEGIN)] == ["x25519"]
    assert [verifier.name for verifier in TRUST.ledger_verifiers("ofsted")] == ["ofsted/handover"]
    assert [verifier.name for verifier in TRUST.witness_verifiers("ofsted")] == ["ofsted/witness"]
    for ask in (TRUST.card, partial(TRUST.recipients, at=BEGIN), TRUST.ledger_verifiers, TRUST.witness_verifiers):
        with pytest.raises(UntrustedKey) as caught:
            ask("dfe")
        assert caught.value.reason == "unknown-sender"


def test_two_cards_of_one_organisation_are_refused() -> None:
    with pytest.raises(Misuse, match="two cards of 'lgsco'"):
        Trust([LGSCO, card()])


def test_two_organisations_with_one_signing_key_are_refused() -> None:
    twin = card("ofsted", signing_keys=(SigningKey(OLD.line, START),))
    with pytest.raises(Misuse, match="'lgsco' and 'ofsted' hold the same signing key"):
        Trust([LGSCO, twin])


MESSAGE = b"a manifest"


def keygen_accepts(folder: Path, partner: str, name: str, at: datetime, namespace: str, allowed: str) -> bool:
    (folder / "sig").write_text(sshsig.sign(private(name), BytesIO(MESSAGE), namespace))
    (folder / "allowed").write_text(allowed)
    command = ["ssh-keygen", "-Y", "verify", "-f", str(folder / "allowed"), "-I", partner, "-n", namespace]
    command += ["-s", str(folder / "sig"), "-O", f"verify-time={at:%Y%m%d%H%M%S}Z"]
    return subprocess.run(command, input=MESSAGE, capture_output=True).returncode == 0


def we_accept(partner: str, name: str, at: datetime) -> bool:
    try:
        TRUST.signing_key(partner, public(name), at)
    except UntrustedKey:
        return False
    return True


@pytest.mark.parametrize("partner", ["lgsco", "ofsted", "dfe"])
@pytest.mark.parametrize("name", ["lgsco signing", "lgsco signing 2", "ofsted signing", "a stranger"])
def test_ssh_keygen_with_our_allowed_signers_says_what_we_say(tmp_path: Path, partner: str, name: str) -> None:
    moments = [start + step * SECOND for start in (BEGIN, times.from_text(OVERLAP), STOP) for step in (-1, 0, 1)]
    answers = [we_accept(partner, name, at) for at in moments]
    allowed = TRUST.allowed_signers()
    assert answers == [keygen_accepts(tmp_path, partner, name, at, NAMESPACES[0], allowed) for at in moments]


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_ssh_keygen_takes_our_namespaces_and_no_other(tmp_path: Path, namespace: str) -> None:
    allowed = TRUST.allowed_signers()
    assert keygen_accepts(tmp_path, "lgsco", "lgsco signing", NOW, namespace, allowed)
    assert not keygen_accepts(tmp_path, "lgsco", "lgsco signing", NOW, "file", allowed)
    assert not keygen_accepts(tmp_path, "lgsco", "lgsco signing", NOW, f"{namespace}x", allowed)


def test_every_time_in_allowed_signers_is_in_utc() -> None:
    lines = TRUST.allowed_signers().splitlines()
    assert len(lines) == 3
    for line in lines:
        stamps = [part for part in line.split('"') if part.startswith("20")]
        assert stamps
        assert all(stamp.endswith("Z") for stamp in stamps)
    assert lines[0].split()[0] == "lgsco"
    assert lines[0].endswith(OLD.line)


@given(st.integers(-40, 400), st.integers(1, 400), st.integers(-50, 900))
def test_a_key_counts_exactly_inside_its_time(start: int, days: int, at: int) -> None:
    first, moment = BEGIN + timedelta(days=start), BEGIN + timedelta(days=at)
    key = SigningKey(OLD.line, times.to_text(first), times.to_text(first + timedelta(days=days)))
    assert key.covers(moment) == (start <= at < start + days)
