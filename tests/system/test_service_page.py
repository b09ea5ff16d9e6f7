"""docs/service.md: its commands give the service the passphrase, and nobody else."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.organisations import PASSPHRASE, make_home
from tests.system import terminal

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "service.md").read_text("utf-8")
UNIT = (ROOT / "config" / "data" / "handover.service").read_text("utf-8")
ENVIRONMENT = {"PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/bin", "LANG": "C.UTF-8"}


def commands(number: int, folder: Path) -> list[str]:
    """Those of one terminal on the page, on a folder of the test's own instead of /etc/handover."""
    block = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[number]
    return [line.removeprefix("# ").replace("/etc/handover", str(folder)) for line in block.splitlines()]


def settings(number: int) -> str:
    """One of the page's pieces of a unit."""
    blocks: list[str] = re.findall(r"^```ini\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return blocks[number]


def shell(command: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=ENVIRONMENT | more,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """What /etc/handover holds after the page's commands."""
    folder = tmp_path / "etc"
    make, encrypt, show = commands(0, folder)
    assert shell(make).returncode == 0
    code, _, said = terminal.run(encrypt, [("passphrase:", PASSPHRASE.reveal())], tmp_path, ENVIRONMENT, 60)
    assert code == 0, said
    assert PASSPHRASE.reveal() not in said
    assert shell(show).stdout.strip() == str(len(PASSPHRASE.reveal()))
    return folder


@pytest.fixture
def credentials(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "credentials"
    folder.mkdir()
    yield folder
    folder.chmod(0o700)


def load(line: str, etc: Path, credentials: Path) -> None:
    """What systemd does with `LoadCredentialEncrypted=NAME:FILE` before it starts the service."""
    name, _, file = line.removeprefix("LoadCredentialEncrypted=").strip().partition(":")
    file = file.replace("/etc/handover", str(etc))
    place = credentials / name
    done = shell(f"systemd-creds decrypt --name={name} {file} {place}")
    assert done.returncode == 0, done.stderr
    place.chmod(0o400)
    credentials.chmod(0o500)


def test_what_was_encrypted_as_the_page_says_opens_the_keys(tmp_path: Path, etc: Path, credentials: Path) -> None:
    [encrypted] = etc.iterdir()
    assert PASSPHRASE.reveal().encode() not in encrypted.read_bytes()
    assert etc.stat().st_mode & 0o7777 == 0o700
    load(settings(0), etc, credentials)
    home = make_home(tmp_path, "lgsco")
    command = f"handover --home {home.root} partner card -o {tmp_path}/card.toml"
    done = shell(command)
    assert (done.returncode, done.stdout) == (3, "")
    assert "there is nobody to ask" in done.stderr
    done = shell(command, CREDENTIALS_DIRECTORY=str(credentials))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("fingerprint: ")


def test_a_credential_that_was_made_for_another_purpose_is_not_given_out(etc: Path) -> None:
    done = shell(f"systemd-creds decrypt --name=other {etc}/passphrase.cred -")
    assert done.returncode != 0
    assert done.stdout == ""


def test_the_page_shows_the_line_that_the_unit_holds_and_the_unit_the_command_of_the_page() -> None:
    assert f"\n{settings(0)}" in UNIT
    assert f"#   {commands(0, Path('/etc/handover'))[1]}\n" in UNIT


def test_a_wrong_passphrase_ends_the_service_for_good(tmp_path: Path, credentials: Path) -> None:
    """Exit code 2, after which the unit is not started again: no loop that looks like an attack."""
    home = make_home(tmp_path, "lgsco")
    (credentials / "handover-passphrase").write_text("incorrect horse")
    (credentials / "handover-passphrase").chmod(0o400)
    done = shell(f"handover --home {home.root} run", CREDENTIALS_DIRECTORY=str(credentials))
    assert done.returncode == 2
    assert "the passphrase does not open" in done.stderr
    assert "RestartPreventExitStatus=2 4" in UNIT
    assert "incorrect" not in done.stderr + done.stdout
    assert os.environ.get("CREDENTIALS_DIRECTORY") is None
