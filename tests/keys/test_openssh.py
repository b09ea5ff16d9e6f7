"""OpenSSH public keys: compared with ssh-keygen, and every weak point refused."""

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from keys.openssh import (
    MAX_LINE,
    BadKey,
    D,
    KeySigner,
    P,
    PublicKey,
    host_key_fingerprint,
    put_string,
    take_string,
)

KEY = PublicKey.from_key(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """The curve's own addition law, RFC 8032 5.1, to find the torsion without the polynomial under test."""
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2
    return (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P


def multiply(n: int, point: tuple[int, int]) -> tuple[int, int]:
    total = (0, 1)
    for bit in bin(n)[2:]:
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def point_with(y: int) -> tuple[int, int] | None:
    """The point with this y, and the even x (RFC 8032 5.1.3), or None where there is none."""
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if x * x % P != x2:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (x, y) if x * x % P == x2 else None


def torsion() -> set[tuple[int, int]]:
    """The eight points of small order: ℓ times any point, until one of order 8 turns up."""
    order = 2**252 + 27742317777372353535851937790883648493
    for y in range(2, 100):
        point = point_with(y)
        if point is None:
            continue
        eighth = multiply(order, point)
        if multiply(4, eighth) != (0, 1):
            return {multiply(n, eighth) for n in range(8)}
    raise AssertionError("no point of order 8 found")


def spellings(y: int) -> list[bytes]:
    """Every 32-byte text that reduces to this y: both signs, and y + p where it fits into 255 bits."""
    return [(v | sign << 255).to_bytes(32, "little") for v in (y, y + P) if v < 2**255 for sign in (0, 1)]


WEAK = sorted({text for _, y in torsion() for text in spellings(y)})


def test_the_torsion_group_of_the_tests_has_eight_points_and_fourteen_spellings() -> None:
    assert len(torsion()) == 8
    assert len(WEAK) == 14


@pytest.mark.parametrize("raw", WEAK, ids=lambda raw: raw.hex())
def test_a_point_of_small_order_is_refused_in_every_spelling(raw: bytes) -> None:
    with pytest.raises(BadKey, match="small order") as caught:
        PublicKey(raw)
    assert caught.value.reason == "weak-key"


@pytest.mark.parametrize("y", range(P, 2**255))
@pytest.mark.parametrize("sign", [0, 1])
def test_a_y_that_is_not_reduced_is_refused(y: int, sign: int) -> None:
    with pytest.raises(BadKey) as caught:
        PublicKey((y | sign << 255).to_bytes(32, "little"))
    assert caught.value.reason == "weak-key"


def test_unreduced_points_that_are_not_of_small_order_exist_and_are_refused_for_their_spelling() -> None:
    honest = [y for y in range(P, 2**255) if point_with(y - P) and y.to_bytes(32, "little") not in WEAK]
    assert honest
    for y in honest:
        with pytest.raises(BadKey, match="canonical spelling"):
            PublicKey(y.to_bytes(32, "little"))


@given(st.integers(2, P - 2))
def test_a_key_is_taken_exactly_when_its_y_is_on_the_curve(y: int) -> None:
    raw = y.to_bytes(32, "little")
    if raw in WEAK:
        return
    if point_with(y):
        assert PublicKey(raw).raw == raw
    else:
        with pytest.raises(BadKey, match="no point"):
            PublicKey(raw)


@given(st.binary(min_size=32, max_size=32))
def test_every_generated_key_is_honest(seed: bytes) -> None:
    key = PublicKey.from_key(Ed25519PrivateKey.from_private_bytes(seed))
    assert PublicKey.parse(key.line) == key
    assert PublicKey.from_blob(key.blob) == key


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(BadKey, match="32 bytes"):
        PublicKey(bytes(length))


def test_line_and_fingerprint_are_those_of_ssh_keygen(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "k"], check=True)
    line = (tmp_path / "k.pub").read_text()
    told = subprocess.run(["ssh-keygen", "-lf", tmp_path / "k.pub"], check=True, capture_output=True, text=True).stdout
    key = PublicKey.parse(line)
    assert line.startswith(key.line + " ")
    assert told.split()[1] == key.fingerprint


@pytest.mark.parametrize(
    ("kind", "bits"), [("ed25519", 256), ("ecdsa", 256), ("ecdsa", 384), ("ecdsa", 521), ("rsa", 2048)]
)
def test_host_keys_of_every_usual_type_have_ssh_keygens_fingerprint(tmp_path: Path, kind: str, bits: int) -> None:
    command = ["ssh-keygen", "-q", "-t", kind, "-b", str(bits), "-N", "", "-C", "", "-f", str(tmp_path / "k")]
    subprocess.run(command, check=True)
    line = (tmp_path / "k.pub").read_text().strip()
    told = subprocess.run(["ssh-keygen", "-lf", tmp_path / "k.pub"], check=True, capture_output=True, text=True).stdout
    assert host_key_fingerprint(line) == told.split()[1]
    with pytest.raises(BadKey, match="exactly one key"):
        host_key_fingerprint(line + " comment")
    if kind != "ed25519":
        with pytest.raises(BadKey) as caught:
            PublicKey.parse(line)
        assert caught.value.reason == "wrong-key-type"


def test_a_short_rsa_host_key_is_refused() -> None:
    weak = rsa.generate_private_key(65537, 1024).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    with pytest.raises(BadKey, match="less than 2048 bits") as caught:
        host_key_fingerprint(weak.decode())
    assert caught.value.reason == "weak-key"


def line_of(kind: str, blob: bytes) -> str:
    return f"{kind} {base64.b64encode(blob).decode()}"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "not an OpenSSH public key"),
        ("ssh-ed25519", "not an OpenSSH public key"),
        (KEY.line.replace(" ", "  "), "not an OpenSSH public key"),
        (KEY.line + "\n" + KEY.line, "not an OpenSSH public key"),
        (KEY.line + " " + "x" * MAX_LINE, "not an OpenSSH public key"),
        (KEY.line.replace("ssh-ed25519", "ssh-rsa"), "not of type ssh-ed25519"),
        (KEY.line + "=", "not in canonical base64"),
        (KEY.line[:-2], "not base64"),
        (line_of("ssh-ed25519", KEY.blob + b"\0")[:-3] + "B==", "not in canonical base64"),
        (line_of("ssh-ed25519", KEY.blob + b"\0"), "followed by other bytes"),
        (line_of("ssh-ed25519", KEY.blob[:-1]), "ends before its length"),
        (line_of("ssh-ed25519", b"\0\0"), "ends before its length"),
        (line_of("ssh-ed25519", put_string(b"ssh-rsa") + put_string(KEY.raw)), "not of type ssh-ed25519"),
        (line_of("ssh-ed25519", put_string(b"ssh-ed25519") + put_string(KEY.raw + b"\0")), "32 bytes"),
    ],
)
def test_a_line_that_is_no_ed25519_key_is_refused(line: str, words: str) -> None:
    with pytest.raises(BadKey, match=words):
        PublicKey.parse(line)


@pytest.mark.parametrize(
    "line",
    [
        line_of("ssh-rsa", KEY.blob),
        line_of("ssh-dss", put_string(b"ssh-dss")),
        line_of("ssh-ed25519", put_string(b"ssh-ed25519") + put_string(bytes(32))),
        line_of("ecdsa-sha2-nistp256", put_string(b"ecdsa-sha2-nistp256") + bytes(20)),
        line_of("ssh-rsa", put_string(b"ssh-rsa")),
        KEY.line + "\n",
    ],
)
def test_a_host_key_that_is_not_what_it_says_is_refused(line: str) -> None:
    with pytest.raises(BadKey):
        host_key_fingerprint(line)


@given(st.text(max_size=120) | st.binary(max_size=90).map(lambda b: line_of("ssh-ed25519", b)))
def test_any_text_is_a_key_or_a_bad_key(text: str) -> None:
    for read in (PublicKey.parse, host_key_fingerprint):
        try:
            read(text)
        except BadKey as error:
            reason = error.reason
        else:
            reason = "weak-key"
        assert reason in ("not-a-key", "wrong-key-type", "weak-key")


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_an_ssh_string_comes_off_the_front_as_it_was_put_there(first: bytes, rest: bytes) -> None:
    assert take_string(put_string(first) + rest) == (first, rest)


def test_a_signer_shows_its_fingerprint_and_nothing_else() -> None:
    signer = KeySigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    assert repr(signer) == str(signer) == f"KeySigner({KEY.fingerprint})"
    assert KEY.accepts(signer.sign(b"x"), b"x")
    assert not KEY.accepts(signer.sign(b"x"), b"y")
