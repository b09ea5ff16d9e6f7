"""SSH signatures: both ways with ssh-keygen, and what is refused."""

import base64
import subprocess
from io import BytesIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from keys import sshsig
from keys.openssh import put_string
from keys.sshsig import KeySigner, PublicKey, Signature, SignatureError

NAMESPACE = "manifest@handover"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PublicKey.from_key(KEY)
MESSAGE = b"a concern about nobody"
GOOD = sshsig.sign(KEY, BytesIO(MESSAGE), NAMESPACE)
BLOB = sshsig.parse(GOOD).encode()

# the eight points of small order in all their spellings: y = 0, 1, -1, then 0 and 1 unreduced, then those of order 8
WEAK = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]


def armor(blob: bytes, columns: int = 70) -> str:
    text = base64.b64encode(blob).decode()
    body = "".join(text[at : at + columns] + "\n" for at in range(0, len(text), columns))
    return f"-----BEGIN SSH SIGNATURE-----\n{body}-----END SSH SIGNATURE-----\n"


def refusal(armored: str, namespace: str = NAMESPACE, message: bytes = MESSAGE) -> tuple[str, str]:
    with pytest.raises(SignatureError) as caught:
        sshsig.verify(armored, BytesIO(message), namespace)
    return caught.value.reason, caught.value.message


def run(*command: object, message: bytes = MESSAGE) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([str(word) for word in command], input=message, capture_output=True)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "id"
    file.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    file.chmod(0o600)
    return file


def test_ssh_keygen_verifies_ours_and_says_whose_it_is(tmp_path: Path) -> None:
    (tmp_path / "sig").write_text(GOOD)
    (tmp_path / "allowed").write_text(f'lgsco namespaces="{NAMESPACE}" {PUBLIC.line}\n')
    command = ["ssh-keygen", "-Y", "verify", "-f", tmp_path / "allowed", "-I", "lgsco", "-s", tmp_path / "sig", "-n"]
    done = run(*command, NAMESPACE)
    assert done.returncode == 0, done.stderr
    assert f"with ED25519 key {PUBLIC.fingerprint}" in done.stdout.decode()
    assert run(*command, NAMESPACE, message=MESSAGE + b"!").returncode != 0
    assert run(*command, "receipt@handover").returncode != 0


@pytest.mark.parametrize("hash_name", ["sha512", "sha256"])
@pytest.mark.parametrize("size", [0, 1, 1_000_000])
def test_we_verify_what_ssh_keygen_signs(key_file: Path, hash_name: str, size: int) -> None:
    message = b"x" * size
    done = run(
        "ssh-keygen", "-Y", "sign", "-f", key_file, "-n", NAMESPACE, "-O", f"hashalg={hash_name}", message=message
    )
    assert done.returncode == 0, done.stderr
    assert sshsig.verify(done.stdout.decode(), BytesIO(message), NAMESPACE) == PUBLIC
    assert sshsig.parse(done.stdout.decode()).hash == hash_name


def test_ours_is_byte_for_byte_what_ssh_keygen_writes(key_file: Path) -> None:
    done = run("ssh-keygen", "-Y", "sign", "-f", key_file, "-n", NAMESPACE)
    assert done.stdout.decode() == GOOD


@pytest.mark.parametrize(("kind", "bits"), [("rsa", "2048"), ("ecdsa", "256")])
def test_rsa_and_ecdsa_signatures_are_refused(tmp_path: Path, kind: str, bits: str) -> None:
    assert run("ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-f", tmp_path / "k").returncode == 0
    done = run("ssh-keygen", "-Y", "sign", "-f", tmp_path / "k", "-n", NAMESPACE)
    assert done.returncode == 0
    assert refusal(done.stdout.decode())[0] == "wrong-key-type"


def test_an_ed25519_key_with_a_signature_of_another_type_is_refused() -> None:
    inner = put_string(b"rsa-sha2-512") + put_string(bytes(64))
    blob = BLOB[: -(4 + 4 + 11 + 4 + 64)] + put_string(inner)
    assert refusal(armor(blob))[0] == "wrong-key-type"


@pytest.mark.parametrize("raw", [bytes.fromhex(text) for text in WEAK], ids=WEAK)
def test_a_weak_key_is_refused_even_if_its_signature_would_verify(raw: bytes) -> None:
    identity = (1).to_bytes(32, "little")
    blob = BLOB.replace(PUBLIC.raw, raw)[:-64] + identity + bytes(32)
    assert refusal(armor(blob))[0] == "weak-key"


def test_another_namespace_is_refused() -> None:
    assert refusal(GOOD, "receipt@handover")[0] == "wrong-namespace"
    assert refusal(GOOD, "")[0] == "wrong-namespace"
    assert refusal(armor(BLOB.replace(b"manifest@handover", b"receipt!@handover")))[0] == "wrong-namespace"


def test_a_changed_namespace_does_not_verify() -> None:
    forged = armor(BLOB.replace(b"manifest@handover", b"receipt!@handover"))
    assert refusal(forged, "receipt!@handover")[0] == "bad-signature"


@pytest.mark.parametrize("name", [b"", b"with blank", b"\xff", b"nul\0", b"x" * 257])
def test_a_namespace_that_is_not_visible_ascii_is_refused(name: bytes) -> None:
    blob = BLOB.replace(put_string(NAMESPACE.encode()), put_string(name))
    assert refusal(armor(blob))[0] == "wrong-namespace"
    with pytest.raises(SignatureError) as caught:
        sshsig.sign(KEY, BytesIO(MESSAGE), name.decode("latin-1"))
    assert caught.value.reason == "wrong-namespace"


@pytest.mark.parametrize("name", [b"sha1", b"SHA512", b"", b"sha384", b"sha512\0", b"md5"])
def test_a_hash_other_than_sha512_and_sha256_is_refused(name: bytes) -> None:
    assert refusal(armor(BLOB.replace(put_string(b"sha512"), put_string(name))))[0] == "wrong-hash"


def test_a_signature_cannot_be_moved_to_the_other_hash() -> None:
    assert refusal(armor(BLOB.replace(b"sha512", b"sha256")))[0] == "bad-signature"


def test_another_message_or_another_key_is_refused() -> None:
    assert refusal(GOOD, message=MESSAGE + b"\n")[0] == "bad-signature"
    other = PublicKey.from_key(Ed25519PrivateKey.from_private_bytes(bytes(32)))
    assert refusal(armor(BLOB.replace(PUBLIC.raw, other.raw)))[0] == "bad-signature"


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (BLOB + b"\0", "bytes follow the last field"),
        (BLOB + BLOB, "bytes follow the last field"),
        (BLOB[:-1], "ends before its length"),
        (b"SSHSIg" + BLOB[6:], "magic"),
        (BLOB[:6] + b"\0\0\0\2" + BLOB[10:], "version is not 1"),
        (BLOB[:6] + b"\0\0\0\0" + BLOB[10:], "version is not 1"),
        (BLOB.replace(b"handover" + bytes(4), b"handover" + put_string(b"tag")), "reserved field is not empty"),
        (BLOB[: -(4 + 64 + 4 + 11 + 4)] + put_string(BLOB[-83:] + b"\0"), "64 bytes long"),
        (
            BLOB[: -(4 + 64 + 4 + 11 + 4)] + put_string(put_string(b"ssh-ed25519") + put_string(bytes(63))),
            "64 bytes long",
        ),
        (BLOB[: -(4 + 64 + 4 + 11 + 4)] + put_string(put_string(b"ssh-ed25519")), "ends before its length"),
        (BLOB.replace(put_string(PUBLIC.blob), put_string(PUBLIC.blob + b"\0")), "followed by other bytes"),
    ],
)
def test_a_blob_with_more_less_or_other_fields_is_refused(blob: bytes, words: str) -> None:
    reason, message = refusal(armor(blob))
    assert reason == "not-a-signature"
    assert words in message


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD[:-1],
        GOOD + "\n",
        "\n" + GOOD,
        GOOD + GOOD,
        GOOD + "trailing text\n",
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("SSH SIGNATURE", "PGP SIGNATURE"),
        GOOD.replace("-----BEGIN", "----BEGIN"),
        GOOD.replace("-----END", "\n-----END"),
        GOOD.replace("\nU1NIU0lH", "\n\nU1NIU0lH"),
        GOOD.replace("\nU1NIU0lH", "\nU1NIU0lH "),
        armor(BLOB, 63),
        armor(BLOB, 77),
        armor(BLOB, 10_000),
        armor(b""),
        "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n",
        armor(BLOB).replace("U1NIU0lH", "U1NIU0l\u00e9"),
    ],
)
def test_armour_that_is_not_exact_is_refused(text: str) -> None:
    assert refusal(text)[0] == "not-a-signature"


def test_a_text_longer_than_any_signature_is_refused_unread() -> None:
    assert "longer than 4096" in refusal(armor(BLOB + b"\0" * 4096))[1]


def test_spare_bits_in_the_last_base64_letter_are_refused() -> None:
    blob = Signature(PUBLIC, "n" * 17, "sha512", bytes(64)).encode()
    text = armor(blob)
    body = text.split("\n")[-3]
    assert body.endswith("A==")
    assert sshsig.parse(text).encode() == blob
    assert "canonical" in refusal(text.replace("A==", "B=="))[1]


@pytest.mark.parametrize("columns", [64, 70, 76])
def test_the_widths_of_pem_openssh_and_the_specification_are_read_and_kept(columns: int) -> None:
    text = armor(BLOB, columns)
    assert sshsig.verify(text, BytesIO(MESSAGE), NAMESPACE) == PUBLIC
    assert sshsig.parse(text).armored == text


@given(st.binary(max_size=300), st.from_regex(r"[!-~]{1,40}", fullmatch=True), st.binary(min_size=32, max_size=32))
def test_what_is_signed_verifies_and_goes_back_to_the_same_text(message: bytes, namespace: str, seed: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    text = sshsig.sign(KeySigner(key), BytesIO(message), namespace)
    assert sshsig.verify(text, BytesIO(message), namespace) == PublicKey.from_key(key)
    assert sshsig.parse(text).armored == text


@given(st.integers(0, len(BLOB) - 1), st.integers(1, 255))
def test_any_changed_byte_of_the_blob_is_refused(at: int, flip: int) -> None:
    changed = bytearray(BLOB)
    changed[at] ^= flip
    refusal(armor(bytes(changed)))


@given(st.integers(0, len(GOOD) - 1), st.characters())
def test_any_changed_character_of_the_armour_is_refused(at: int, letter: str) -> None:
    changed = GOOD[:at] + letter + GOOD[at + 1 :]
    if changed != GOOD:
        refusal(changed)


@given(
    st.text(max_size=200)
    | st.binary(max_size=300).map(armor)
    | st.binary(max_size=300).map(lambda tail: armor(b"SSHSIG\0\0\0\1" + tail))
    | st.tuples(st.integers(0, len(BLOB)), st.binary(max_size=40), st.integers(0, len(BLOB))).map(
        lambda cut: armor(BLOB[: cut[0]] + cut[1] + BLOB[cut[2] :])
    )
)
def test_any_text_goes_back_to_itself_or_is_refused(text: str) -> None:
    try:
        back, reason = sshsig.parse(text).armored, "not-a-signature"
    except SignatureError as error:
        back, reason = text, error.reason
    assert back == text
    assert reason in ("not-a-signature", "wrong-key-type", "wrong-hash", "wrong-namespace", "weak-key")
