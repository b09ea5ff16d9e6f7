"""Text to recipients and identities: which kind it is, and what a person is told where it is none."""

import base64
import hashlib
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import age

CLASSICAL = age.X25519Identity.generate()
QUANTUM = age.HybridIdentity.generate()
BOTH: list[age.X25519Identity | age.HybridIdentity] = [CLASSICAL, QUANTUM]


@pytest.mark.parametrize("identity", BOTH, ids=["x25519", "pq"])
def test_recipients_and_identities_go_through_text_unchanged(identity: age.X25519Identity | age.HybridIdentity) -> None:
    assert age.parse_identity(str(identity)) == identity
    assert age.parse_recipient(str(identity.recipient())) == identity.recipient()
    assert str(age.parse_recipient(str(identity.recipient()))) == str(identity.recipient())


@given(st.text(max_size=80) | st.text(alphabet="age1pqAGE-SECRET-KEY", max_size=80))
def test_any_other_text_is_refused_with_an_error_of_our_own(text: str) -> None:
    with pytest.raises(age.InvalidKey):
        age.parse_recipient(text)
    with pytest.raises(age.InvalidKey):
        age.parse_identity(text)


@pytest.mark.parametrize(
    "text",
    [
        str(CLASSICAL.recipient()).upper(),
        str(CLASSICAL.recipient()) + "\n",
        " " + str(CLASSICAL.recipient()),
        str(CLASSICAL.recipient())[:-1],
        str(QUANTUM.recipient()).upper(),
        str(QUANTUM.recipient())[:-10],
        str(CLASSICAL),
        str(QUANTUM),
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "",
    ],
    ids=count(),
)
def test_a_recipient_spelt_otherwise_is_refused(text: str) -> None:
    with pytest.raises(age.InvalidKey) as caught:
        age.parse_recipient(text)
    assert caught.value.reason == "age-key"
    assert not text.strip() or text.strip() not in caught.value.for_people(), "what was typed may be a secret"


def test_a_recipient_of_a_kind_that_we_do_not_have_is_named_as_such() -> None:
    with pytest.raises(age.InvalidKey, match="not supported"):
        age.parse_recipient("age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e")


@pytest.mark.parametrize(
    "text", [str(CLASSICAL).lower(), str(QUANTUM).lower(), str(CLASSICAL.recipient())], ids=count()
)
def test_an_identity_spelt_otherwise_is_refused(text: str) -> None:
    with pytest.raises(age.InvalidKey) as caught:
        age.parse_identity(text)
    assert text not in caught.value.for_people()


def test_each_kind_refuses_the_text_of_the_others() -> None:
    for parse, text in [
        (age.HybridIdentity.parse, str(CLASSICAL)),
        (age.X25519Identity.parse, str(QUANTUM)),
        (age.HybridRecipient.parse, str(CLASSICAL.recipient())),
        (age.X25519Recipient.parse, str(QUANTUM.recipient())),
    ]:
        with pytest.raises(age.InvalidKey, match="this is not"):
            parse(text)


def test_an_identity_file_may_hold_several_with_comments_and_empty_lines() -> None:
    text = f"# created: 2026-11-23\n# public key: {CLASSICAL.recipient()}\n{CLASSICAL}\r\n\n  {QUANTUM}  \n"
    assert age.parse_identities(text) == [CLASSICAL, QUANTUM]
    with pytest.raises(age.InvalidKey, match="no identity"):
        age.parse_identities("# nothing\n")
    with pytest.raises(age.InvalidKey):
        age.parse_identities(f"{CLASSICAL}\nsomething else\n")


def test_a_fingerprint_is_the_digest_of_the_recipients_text() -> None:
    for identity in BOTH:
        text = str(identity.recipient())
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        assert age.fingerprint(identity.recipient()) == f"SHA256:{digest}"


def test_a_passphrase_has_no_fingerprint() -> None:
    with pytest.raises(age.InvalidKey, match="no fingerprint"):
        age.fingerprint(age.ScryptRecipient("guess me"))
