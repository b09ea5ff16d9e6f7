"""Debian's `age` and `age-keygen` read what we write, and we read what they write."""

import io
import os
import pty
import select
import subprocess
from pathlib import Path

import pytest

from keys import age
from keys.age.stream import BLOCK, CHUNK

SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, (BLOCK + 2) * CHUNK + 100]
IDENTITY = age.X25519Identity.generate()
PASSPHRASE = "an obviously fictional passphrase"


def plaintext(size: int) -> bytes:
    return bytes(range(251)) * (size // 251) + bytes(size % 251)


def run(*arguments: str, data: bytes = b"") -> bytes:
    return subprocess.run(arguments, input=data, capture_output=True, check=True, timeout=60).stdout


def run_on_a_terminal(*arguments: str, answers: int) -> None:
    """Run a program on a terminal of its own and answer that many questions with the passphrase."""
    process, terminal = pty.fork()
    if process == 0:
        os.execvp(arguments[0], arguments)
    seen = b""
    try:
        while select.select([terminal], [], [], 60)[0]:
            seen += os.read(terminal, 4096)
            if answers and seen.rstrip().endswith(b":"):
                os.write(terminal, PASSPHRASE.encode() + b"\n")
                answers, seen = answers - 1, b""
    except OSError:
        pass  # this is how a terminal says that its program has gone
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0, seen


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.txt"
    path.write_text(f"# fictional\n{IDENTITY}\n")
    return path


def test_age_keygen_finds_the_same_recipient(key_file: Path) -> None:
    assert run("age-keygen", "-y", str(key_file)).decode().strip() == str(IDENTITY.recipient())


def test_we_read_an_identity_that_age_keygen_made(tmp_path: Path) -> None:
    run("age-keygen", "-o", str(tmp_path / "made"))
    text = (tmp_path / "made").read_text()
    (identity,) = age.parse_identities(text)
    assert f"# public key: {identity.recipient()}" in text


@pytest.mark.parametrize("size", SIZES)
def test_age_opens_what_we_sealed(size: int, key_file: Path) -> None:
    sealed = io.BytesIO()
    age.encrypt(io.BytesIO(plaintext(size)), sealed, [IDENTITY.recipient()])
    assert run("age", "-d", "-i", str(key_file), data=sealed.getvalue()) == plaintext(size)


@pytest.mark.parametrize("size", [0, 1, 48, 49, 200, CHUNK, 2 * CHUNK + 1])
def test_age_opens_what_we_sealed_and_armoured(size: int, key_file: Path) -> None:
    text = io.BytesIO()
    armor = age.ArmorWriter(text)
    age.encrypt(io.BytesIO(plaintext(size)), armor, [IDENTITY.recipient()])
    armor.finish()
    assert run("age", "-d", "-i", str(key_file), data=text.getvalue()) == plaintext(size)


@pytest.mark.parametrize("armoured", [[], ["-a"]], ids=["binary", "armoured"])
@pytest.mark.parametrize("size", SIZES)
def test_we_open_what_age_sealed(size: int, armoured: list[str]) -> None:
    other = str(age.X25519Identity.generate().recipient())
    to = ["-r", other, "-r", str(IDENTITY.recipient())]
    opened = io.BytesIO()
    age.decrypt(io.BytesIO(run("age", *armoured, *to, data=plaintext(size))), opened, [IDENTITY])
    assert opened.getvalue() == plaintext(size)


def test_age_ignores_our_post_quantum_stanzas_as_we_ignore_its_unknown_ones(key_file: Path) -> None:
    sealed = io.BytesIO()
    age.encrypt(io.BytesIO(b"x"), sealed, [age.HybridIdentity.generate().recipient()])
    refused = subprocess.run(
        ["age", "-d", "-i", str(key_file)], input=sealed.getvalue(), capture_output=True, check=False, timeout=60
    )
    assert refused.returncode == 1
    assert b"no identity matched" in refused.stderr


def test_age_opens_with_the_passphrase_what_we_sealed_with_it(tmp_path: Path) -> None:
    with (tmp_path / "sealed").open("wb") as dst:
        age.encrypt(io.BytesIO(b"at rest"), dst, [age.ScryptRecipient(PASSPHRASE, work_factor=10)])
    run_on_a_terminal("age", "-d", "-o", str(tmp_path / "opened"), str(tmp_path / "sealed"), answers=1)
    assert (tmp_path / "opened").read_bytes() == b"at rest"


def test_we_open_with_the_passphrase_what_age_sealed_with_it(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"at rest")
    run_on_a_terminal("age", "-p", "-o", str(tmp_path / "sealed"), str(tmp_path / "plain"), answers=2)
    opened = io.BytesIO()
    with (tmp_path / "sealed").open("rb") as src:
        age.decrypt(src, opened, [age.ScryptIdentity("another"), age.ScryptIdentity(PASSPHRASE)])
    assert opened.getvalue() == b"at rest"
