"""Announcements: one spelling, signatures that hold, and nothing else."""

import contextlib
from base64 import b64encode
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import sshsig
from keys.age import bech32
from keys.announcement import MAX_TEXT, Announcement, AnnouncementError, Signed, parse, sign
from keys.openssh import KeySigner
from keys.sshsig import SignatureError
from ledger import canonical
from tests.keys.cards import PQ, X25519, private, public, vkey

AT = "2026-12-01T09:00:00.000Z"
ROTATION = Announcement("lgsco", 1, AT, "rotate", "signing", public("new").line, public("old").line, AT)
RETIREMENT = replace(ROTATION, number=2, action="retire", key=public("old").line, replaces=None)


def line(raw: bytes) -> str:
    """An OpenSSH public key, spelled from RFC 8709: nothing here looks at the point."""
    words = (b"ssh-ed25519", raw)
    return f"ssh-ed25519 {b64encode(b''.join(len(word).to_bytes(4, 'big') + word for word in words)).decode()}"


def spoiled(**fields: Any) -> bytes:
    """The canonical text of a rotation with some fields replaced, added, or (`...`) removed."""
    value: dict[str, Any] = dict(canonical.decode(ROTATION.encode(), limit=MAX_TEXT))
    for name, field in fields.items():
        if field is ...:
            del value[name]
        else:
            value[name] = field
    return canonical.encode(value)


@pytest.mark.parametrize(
    "one",
    [
        ROTATION,
        RETIREMENT,
        replace(RETIREMENT, action="revoke"),
        replace(ROTATION, purpose="encryption", key=PQ, replaces=X25519),
        replace(ROTATION, purpose="transport"),
        replace(ROTATION, purpose="host"),
        replace(
            ROTATION,
            purpose="ledger",
            key=vkey("lgsco/handover", 1, public("new").raw),
            replaces=vkey("lgsco/handover", 1, public("old").raw),
        ),
        replace(
            ROTATION,
            purpose="witness",
            key=vkey("lgsco/witness", 4, public("new").raw),
            replaces=vkey("lgsco/witness", 4, public("old").raw),
        ),
    ],
    ids=lambda one: f"{one.action} {one.purpose}",
)
def test_what_is_written_is_read_back(one: Announcement) -> None:
    assert parse(one.encode()) == one
    signed = sign(one, KeySigner(private("old")), KeySigner(private("new")))
    assert Signed.from_json(signed.to_json()) == signed
    assert signed.announcement == one
    assert signed.signers() == {public("old").raw, public("new").raw}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"\xff",
        b" " + ROTATION.encode(),
        b"[" * 5000,
        b'"' + b"a" * MAX_TEXT + b'"',
        spoiled(v=2),
        spoiled(v=...),
        spoiled(extra=1),
        spoiled(number=0),
        spoiled(number="1"),
        spoiled(number=True),
        spoiled(number=2**40),
        spoiled(action="delete"),
        spoiled(purpose="root"),
        spoiled(organisation="LGSCO"),
        spoiled(organisation=7),
        spoiled(issued="yesterday"),
        spoiled(at="2026-12-01T09:00:00Z"),
        spoiled(replaces=None),
        spoiled(replaces=...),
        spoiled(replaces=public("new").line),
        spoiled(action="retire"),
        spoiled(key=PQ),
        spoiled(key=public("new").line + " a comment"),
        spoiled(key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        spoiled(purpose="encryption"),
        spoiled(purpose="ledger"),
    ],
)
def test_whatever_is_not_exactly_an_announcement_is_refused(data: bytes) -> None:
    with pytest.raises(AnnouncementError):
        parse(data)


WEAK_POINT = (1).to_bytes(32, "little")
"""Of small order: a signature that anybody makes holds under it."""

ED25519, CURVE = "an Ed25519 public key is a point of small order: anybody can sign for it", "X25519 point of low order"
PQ_POINT = bech32.encode("age1pq", (bech32.decode(PQ) or ("", b""))[1][:-32] + bytes(32))

WEAK_KEYS: dict[str, tuple[str, str]] = {
    "signing": (line(WEAK_POINT), f"the public half of a signing key cannot be read: {ED25519}"),
    "transport": (line(WEAK_POINT), f"the public half of a transport key cannot be read: {ED25519}"),
    "host": (line(WEAK_POINT), ED25519),
    "ledger": (vkey("lgsco/handover", 1, WEAK_POINT), f"the public half of a ledger key cannot be read: {ED25519}"),
    "witness": (vkey("lgsco/witness", 4, WEAK_POINT), f"the public half of a witness key cannot be read: {ED25519}"),
    "encryption": (bech32.encode("age", bytes(32)), CURVE),
    "encryption, post-quantum": (PQ_POINT, CURVE),
}


@pytest.mark.parametrize("what", WEAK_KEYS)
def test_an_announced_key_that_is_weak_is_refused_in_words_of_its_own(what: str) -> None:
    key, words = WEAK_KEYS[what]
    with pytest.raises(AnnouncementError, match="an announced key is not usable: ") as problem:
        parse(spoiled(purpose=what.partition(",")[0], key=key))
    assert words in problem.value.message
    assert problem.value.reason == "weak-key"
    # the same where it is the one to be replaced, or comes alone
    for fields in ({"key": public("new").line, "replaces": line(WEAK_POINT)}, {"action": "retire", "replaces": None}):
        with pytest.raises(AnnouncementError, match=ED25519):
            parse(spoiled(**{"key": line(WEAK_POINT), **fields}))


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with contextlib.suppress(AnnouncementError):
        assert parse(data).encode() == data


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"text": ROTATION.encode().decode(), "signatures": []},
        {"text": ROTATION.encode().decode(), "signatures": [1]},
        {"text": ROTATION.encode().decode(), "signatures": ["x"] * 7},
        {"text": ROTATION.encode().decode(), "signatures": ["x" * 9000]},
        {"text": "\ud800", "signatures": ["x"]},
        {"text": ROTATION.encode().decode(), "signatures": ["x"], "more": 1},
    ],
)
def test_what_comes_in_a_message_is_read_strictly(value: object) -> None:
    with pytest.raises(AnnouncementError):
        Signed.from_json(value)


def test_a_signature_of_another_text_or_for_another_purpose_does_not_hold() -> None:
    signed = sign(ROTATION, KeySigner(private("old")))
    other = sign(replace(ROTATION, number=2), KeySigner(private("old")))
    with pytest.raises(SignatureError):
        replace(signed, signatures=other.signatures).signers()
    made = sshsig.sign(private("old"), BytesIO(ROTATION.encode()), "card@handover")
    with pytest.raises(SignatureError, match="another purpose"):
        replace(signed, signatures=(made,)).signers()
