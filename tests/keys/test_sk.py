"""What a FIDO token signs: an imitation that ssh-keygen believes is believed here, and nothing that differs from it."""

import base64
import hashlib
import subprocess
from io import BytesIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from keys import sshsig
from keys.openssh import BadKey, put_string
from keys.sk import KEY_TYPE, SkKey
from keys.sshsig import SignatureError

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = SkKey(PRIVATE.public_key().public_bytes_raw(), "ssh:")
NAMESPACE = "approve@handover"
ORDER = b'{"what":"keys rotate"}'


def touched(
    message: bytes, namespace: str = NAMESPACE, *, flags: int = 1, counter: int = 7, application: str = "ssh:"
) -> str:
    """What a token, and ssh-keygen around it, would write."""
    hashed = put_string(namespace.encode()) + put_string(b"") + put_string(b"sha512")
    outer = b"SSHSIG" + hashed + put_string(hashlib.sha512(message).digest())
    extra = bytes([flags]) + counter.to_bytes(4)
    made = PRIVATE.sign(hashlib.sha256(application.encode()).digest() + extra + hashlib.sha256(outer).digest())
    inner = put_string(KEY_TYPE.encode()) + put_string(made) + extra
    blob = b"SSHSIG" + (1).to_bytes(4) + put_string(KEY.blob) + hashed + put_string(inner)
    text = base64.b64encode(blob).decode()
    return sshsig.BEGIN + "".join(f"{text[at : at + 70]}\n" for at in range(0, len(text), 70)) + sshsig.END


def keygen_accepts(folder: Path, armored: str, message: bytes) -> bool:
    (folder / "allowed").write_text(f"casework {KEY.line}\n")
    (folder / "sig").write_text(armored)
    command = ["ssh-keygen", "-Y", "verify", "-f", str(folder / "allowed"), "-I", "casework", "-n", NAMESPACE]
    command += ["-s", str(folder / "sig")]
    return subprocess.run(command, input=message, capture_output=True, check=False).returncode == 0


def we_accept(armored: str, message: bytes) -> bool:
    try:
        return sshsig.verify_sk(armored, BytesIO(message), NAMESPACE) == KEY
    except SignatureError:
        return False


def test_what_ssh_keygen_believes_is_believed(tmp_path: Path) -> None:
    for armored in (touched(ORDER), touched(ORDER, flags=5, counter=2**32 - 1)):
        assert keygen_accepts(tmp_path, armored, ORDER)
        assert we_accept(armored, ORDER)


@pytest.mark.parametrize(
    ("armored", "message"),
    [
        (touched(ORDER), ORDER + b" "),
        (touched(ORDER, "manifest@handover"), ORDER),
        (touched(ORDER, application="ssh:other"), ORDER),
    ],
)
def test_what_it_does_not_believe_is_not(tmp_path: Path, armored: str, message: bytes) -> None:
    assert not keygen_accepts(tmp_path, armored, message)
    assert not we_accept(armored, message)


def test_a_token_that_nobody_touched_signs_nothing() -> None:
    for flags in (0, 4, 0xFE):
        assert not we_accept(touched(ORDER, flags=flags), ORDER)


def test_neither_kind_is_taken_for_the_other() -> None:
    with pytest.raises(SignatureError, match="not of type ssh-ed25519") as caught:
        sshsig.verify(touched(ORDER), BytesIO(ORDER), NAMESPACE)
    assert caught.value.reason == "wrong-key-type"
    plain = sshsig.sign(PRIVATE, BytesIO(ORDER), NAMESPACE)
    with pytest.raises(SignatureError) as caught:
        sshsig.verify_sk(plain, BytesIO(ORDER), NAMESPACE)
    assert caught.value.reason == "wrong-key-type"


@given(st.integers(0, len(base64.b64encode(KEY.blob)) * 3), st.integers(1, 255))
def test_a_changed_signature_is_refused_and_nothing_else_is_raised(at: int, change: int) -> None:
    text = touched(ORDER)
    body = bytearray(base64.b64decode("".join(text.split("\n")[1:-2])))
    body[at % len(body)] ^= change
    again = base64.b64encode(bytes(body)).decode()
    lines = "".join(f"{again[i : i + 70]}\n" for i in range(0, len(again), 70))
    assert not we_accept(sshsig.BEGIN + lines + sshsig.END, ORDER)


@pytest.mark.parametrize("cut", range(1, 6))
def test_flags_and_counter_must_be_whole(cut: int) -> None:
    assert not KEY.accepts(PRIVATE.sign(b"x") + bytes(5 - cut), b"x")


def test_a_key_reads_back_with_or_without_a_comment_and_fingerprints_as_ssh_keygen_says(tmp_path: Path) -> None:
    assert SkKey.parse(f"{KEY.line} casework@lgsco\n") == SkKey.parse(KEY.line) == SkKey.from_blob(KEY.blob) == KEY
    (tmp_path / "key.pub").write_text(KEY.line + "\n")
    shown = subprocess.run(["ssh-keygen", "-lf", str(tmp_path / "key.pub")], capture_output=True, text=True, check=True)
    assert shown.stdout.split()[1] == KEY.fingerprint


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ssh-ed25519 AAAA", "is not a public key of type"),
        (f"{KEY_TYPE} AAAA", "ends before its length"),
        (KEY.line[:-1], "ends before its length|not base64|canonical"),
        (f"{KEY_TYPE} {base64.b64encode(KEY.blob + b'x').decode()}", "followed by other bytes"),
        (f"{KEY_TYPE} {base64.b64encode(KEY.blob[:-8] + put_string(b'web:')).decode()}", "another application"),
        (
            f"{KEY_TYPE} {base64.b64encode(SkKey(KEY.raw, 'ssh:').blob.replace(KEY.raw, bytes(32))).decode()}",
            "small order",
        ),
    ],
)
def test_a_line_that_is_no_such_key_is_refused(line: str, words: str) -> None:
    with pytest.raises(BadKey, match=words):
        SkKey.parse(line)
