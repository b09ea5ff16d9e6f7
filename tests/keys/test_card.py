"""Partner cards: one spelling, one signature, one fingerprint."""

import hashlib
import io
import subprocess
import time
import tomllib
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from keys import age, sshsig
from keys import card as cards
from keys.card import CardError
from keys.card_rules import MAX_KEYS, PARTNER, Landing, SigningKey
from keys.sshsig import KeySigner, SignatureError
from tests.keys.cards import END, ISSUED, PQ, START, X25519, card, private, public

GOOD = card().encode()
SIGNER = KeySigner(private("lgsco signing"))
SIGNED = cards.sign(GOOD, SIGNER)


def refusal(data: bytes) -> tuple[str, str]:
    with pytest.raises(CardError) as caught:
        cards.parse(data)
    return caught.value.reason, caught.value.message


def test_a_card_goes_back_to_the_same_bytes_and_the_same_card() -> None:
    assert cards.parse(GOOD) == card()
    assert cards.parse(GOOD).encode() == GOOD


def test_a_card_without_landing_and_without_end_goes_back_too() -> None:
    short = card(landing=None, signing_keys=(SigningKey(public("lgsco signing").line, START),), recipients=(X25519,))
    assert b"landing" not in short.encode()
    assert b"valid_until" not in short.encode()
    assert cards.parse(short.encode()) == short


def test_any_toml_reader_reads_a_card() -> None:
    read = tomllib.loads(GOOD.decode())
    assert read["organisation"] == "lgsco"
    assert read["signing"][0] == {"key": public("lgsco signing").line, "valid_from": START, "valid_until": END}
    assert read["landing"]["path"] == "landing/{partner}"


@given(st.text(min_size=1, max_size=120))
def test_every_name_that_is_allowed_comes_back(name: str) -> None:
    try:
        made = card(name=name, recipients=(X25519,))
    except CardError:
        return
    assert cards.parse(made.encode()) == made


def test_the_pin_follows_from_the_recipients() -> None:
    assert card().pin == "pq"
    assert card(recipients=(X25519,)).pin == "x25519"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "\n",
        lambda text: "# a comment\n" + text,
        lambda text: text.replace('card = "handover/1"', "card = 'handover/1'"),
        lambda text: text.replace("port = 22", "port = 0x16"),
        lambda text: text.replace("port = 22", "port = 2_2"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace('name = "Local', 'name = "\\u004cocal'),
        lambda text: text.replace("\n[transport]", "\nunknown = 1\n[transport]"),
        lambda text: text + "\n[unknown]\n",
        lambda text: text[: text.index("[landing]")] + text[text.index("[landing]") :].replace(" = ", "="),
        lambda text: (
            "organisation"
            + text.split("organisation")[1]
            + 'card = "handover/1"\norganisation'
            + "organisation".join(text.split("organisation")[2:])
        ),
    ],
)
def test_every_other_spelling_of_the_same_card_is_refused(change: Callable[[str], str]) -> None:
    changed = change(GOOD.decode())
    assert changed != GOOD.decode()
    reason, message = refusal(changed.encode())
    assert reason == "not-a-card"
    assert "canonical" in message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('card = "handover/1"\n', "", "no text 'card'"),
        ("port = 22", 'port = "22"', "no number 'port'"),
        (f'issued = "{ISSUED}"', "issued = 2026", "no text 'issued'"),
        ("[witness]", "[witnesses]", "'witness' of the card is not a table"),
        ("[[signing]]", "[signing]", "no list 'signing'"),
        ("recipients = [\n", "recipients = [\n  1,\n", "in line 24"),
        ("[encryption]\nrecipients", "[encryption]\nrecipient", "no list 'recipients'"),
        ("[transport]\nkeys = [", "[transport]\nkeys = [\n]\nother = [", "does not hold 1 to 16 transport keys"),
        ("[landing]", "[ledger]", "not TOML"),
        ("path = ", "port = 23\npath = ", "not TOML"),
        ("port = 22", "port = true", "in line 34"),
        ("port = 22", "port = 22.0", "in line 34"),
        ("port = 22", "port = 022", "not TOML"),
        ("port = 22", "port = [22]", "in line 34"),
        ("port = 22", "port.x = 22", "in line 34"),
        ("port = 22", "port = " + "9" * 5000, "in line 34"),
        ("port = 22", "port = " + "[" * 5000, "in line 34"),
        ("name = ", "name = \x00", "in line 3"),
    ],
)
def test_a_field_of_another_type_is_refused_and_named(old: str, new: str, words: str) -> None:
    assert old in GOOD.decode()
    reason, message = refusal(GOOD.decode().replace(old, new, 1).encode())
    assert reason == "not-a-card"
    assert words in message


@pytest.mark.parametrize(
    "text",
    [
        "a" + ".a" * 30_000 + "=1",
        "[a" + ".a" * 30_000 + "]",
        '""' + '.""' * 20_000 + "=1",
        "a={a" + ".a" * 30_000 + "=1}",
    ],
)
def test_a_text_that_would_keep_a_toml_parser_busy_is_refused_at_once(text: str) -> None:
    begin = time.process_time()
    assert "in line 1" in refusal(text.encode())[1]
    assert time.process_time() - begin < 0.5


def test_another_version_is_refused_as_such() -> None:
    assert refusal(GOOD.replace(b"handover/1", b"handover/2"))[0] == "unknown-version"


def test_a_card_that_is_too_long_is_refused_unread() -> None:
    assert refusal(GOOD + b"#" * cards.MAX_CARD)[0] == "too-large"


def test_the_largest_card_that_the_rules_allow_is_short_enough() -> None:
    recipients = tuple(str(age.HybridIdentity.generate().recipient()) for _ in range(MAX_KEYS))
    signing = tuple(SigningKey(public(f"signing {n}").line, START, END) for n in range(MAX_KEYS))
    transport = tuple(public(f"transport {n}").line for n in range(MAX_KEYS))
    full = card(recipients=recipients, signing_keys=signing, transport_keys=transport, name="\U0001f600" * 120)
    assert cards.parse(full.encode()) == full
    with pytest.raises(CardError, match="1 to 16 encryption keys"):
        card(recipients=(*recipients, PQ))


def test_a_card_that_could_not_be_read_back_is_never_made() -> None:
    numbers = [rsa.RSAPublicNumbers(65537, 2**16383 + 2 * n + 1) for n in range(MAX_KEYS)]
    lines = [key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() for key in numbers]
    recipients = tuple(str(age.HybridIdentity.generate().recipient()) for _ in range(MAX_KEYS))
    with pytest.raises(CardError) as caught:
        card(landing=Landing("example.org", 22, "x", "x", tuple(lines)), recipients=recipients)
    assert caught.value.reason == "too-large"


@given(st.binary(max_size=400) | st.text(max_size=400).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_card_or_a_card_error(data: bytes) -> None:
    refusal(data)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, len(GOOD)), st.binary(max_size=6))
def test_a_card_with_a_piece_exchanged_goes_back_to_itself_or_is_refused(start: int, stop: int, piece: bytes) -> None:
    data = GOOD[:start] + piece + GOOD[stop:]
    try:
        back = cards.parse(data).encode()
    except CardError:
        back = data
    assert back == data


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(["organisation", "issued", "ledger", "witness", "signing", "encryption", "landing"]), _VALUES)
def test_a_value_of_any_shape_in_any_place_is_a_card_error(key: str, value: object) -> None:
    lines = [line for line in GOOD.decode().split("\n") if not line.startswith(f"{key} =")]
    text = f"{key} = {toml(value)}\n" + "\n".join(lines)
    refusal(text.encode())


def toml(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(bool(value)).lower()
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(str(k))} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(c):08x}" for c in value) + '"'
    return str(value)


def test_a_signed_card_verifies_and_ssh_keygen_agrees(tmp_path: Path) -> None:
    assert cards.verify(GOOD, SIGNED) == card()
    (tmp_path / "sig").write_text(SIGNED)
    (tmp_path / "allowed").write_text(f'lgsco namespaces="card@handover" {SIGNER.public.line}\n')
    command = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "allowed"), "-I", "lgsco", "-n", "card@handover"]
    done = subprocess.run([*command, "-s", str(tmp_path / "sig")], input=GOOD, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_a_card_signed_by_a_key_that_it_does_not_hold_is_refused() -> None:
    stranger = KeySigner(private("a stranger"))
    with pytest.raises(CardError) as caught:
        cards.sign(GOOD, stranger)
    assert caught.value.reason == "unknown-key"
    with pytest.raises(CardError) as caught:
        cards.verify(GOOD, sshsig.sign(stranger, io.BytesIO(GOOD), cards.NAMESPACE))
    assert caught.value.reason == "unknown-key"


def test_a_card_signed_by_its_own_transport_key_is_refused() -> None:
    with pytest.raises(CardError) as caught:
        cards.sign(GOOD, KeySigner(private("lgsco transport")))
    assert caught.value.reason == "unknown-key"


@pytest.mark.parametrize("times", [(END, None), ("2020-01-01T00:00:00.000Z", START)])
def test_a_card_signed_by_a_key_not_valid_at_its_issue_is_refused(times: tuple[str, str | None]) -> None:
    data = card(signing_keys=(SigningKey(SIGNER.public.line, *times),)).encode()
    with pytest.raises(CardError) as caught:
        cards.sign(data, SIGNER)
    assert caught.value.reason == "key-not-valid"


def test_a_signature_over_another_card_or_for_another_purpose_is_refused() -> None:
    other = card(name="Another Name").encode()
    with pytest.raises(SignatureError) as caught:
        cards.verify(other, SIGNED)
    assert caught.value.reason == "bad-signature"
    with pytest.raises(SignatureError) as caught:
        cards.verify(GOOD, sshsig.sign(SIGNER, io.BytesIO(GOOD), "manifest@handover"))
    assert caught.value.reason == "wrong-namespace"


def test_the_fingerprint_is_that_of_sha256sum() -> None:
    told = subprocess.run(["sha256sum"], input=GOOD, capture_output=True, check=True).stdout.split()[0].decode()
    shown = cards.fingerprint(GOOD)
    assert shown.replace(" ", "") == told == hashlib.sha256(GOOD).hexdigest()
    assert [len(group) for group in shown.split(" ")] == [4] * 16


def test_a_fingerprint_is_the_same_whatever_its_blanks_and_case() -> None:
    shown = cards.fingerprint(GOOD)
    for typed in (shown, shown.upper(), shown.replace(" ", ""), f"  {shown}\n", shown.replace(" ", "  ")):
        assert cards.same_fingerprint(shown, typed)
        assert cards.same_fingerprint(typed, shown)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        cards.fingerprint(GOOD)[:4],
        cards.fingerprint(GOOD)[:-1],
        cards.fingerprint(GOOD) + " 0",
        "é" * 64,
        "\ud800",
    ],
    ids=count(),
)
def test_a_fingerprint_that_is_not_whole_is_no_fingerprint(typed: str) -> None:
    assert not cards.same_fingerprint(cards.fingerprint(GOOD), typed)
    assert not cards.same_fingerprint(typed, typed)


@given(st.integers(0, 63), st.sampled_from("0123456789abcdef"))
def test_a_fingerprint_with_one_other_digit_is_another(at: int, digit: str) -> None:
    whole = hashlib.sha256(GOOD).hexdigest()
    typed = whole[:at] + digit + whole[at + 1 :]
    assert cards.same_fingerprint(whole, typed) == (digit == whole[at])


def test_the_landing_of_a_partner_is_named_after_the_partner() -> None:
    landing = card().landing
    assert landing is not None
    assert PARTNER in landing.path
    assert (landing.user_for("ofsted"), landing.path_for("ofsted")) == ("ofsted", "landing/ofsted")
