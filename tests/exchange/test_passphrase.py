"""The passphrase comes from a file, a descriptor, a systemd credential or a prompt, in that order."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import Misuse, NotNow
from config.home import Home
from exchange.passphrase import find_passphrase
from tests.organisations import make_home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_home(tmp_path_factory.mktemp("home"), "lgsco")


def private(path: Path, content: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path


def find(
    home: Home,
    file: Path | None = None,
    descriptor: int | None = None,
    credentials: str | None = None,
    prompt: Callable[[], str] | None = None,
) -> str:
    found = find_passphrase(file=file, descriptor=descriptor, home=home, credentials=credentials, prompt=prompt)
    return found.reveal()


def test_a_file_goes_before_everything_else_and_only_its_first_line_counts(home: Home, tmp_path: Path) -> None:
    file = private(tmp_path / "p", "pässe der Worte\r\nsecond line\n".encode())
    assert find(home, file=file, prompt=lambda: "asked") == "pässe der Worte"


def test_a_descriptor_is_read_and_left_open(home: Home) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"from a pipe\n")
    os.close(writing)
    assert find(home, descriptor=reading) == "from a pipe"
    os.close(reading)


def test_a_systemd_credential_is_found_by_the_name_in_the_settings(home: Home, tmp_path: Path) -> None:
    credential = tmp_path / "handover-passphrase"
    credential.write_bytes(b"sealed by systemd")
    credential.chmod(0o440)  # as systemd hands it to a service's group
    assert find(home, credentials=str(tmp_path), prompt=lambda: "asked") == "sealed by systemd"


def test_without_any_source_a_terminal_is_asked_and_without_one_the_words_say_what_to_do(
    home: Home, tmp_path: Path
) -> None:
    assert find(home, credentials=str(tmp_path), prompt=lambda: "asked") == "asked"
    with pytest.raises(NotNow, match="nobody to ask"):
        find(home, credentials=str(tmp_path))


def test_each_source_goes_before_the_ones_after_it(home: Home, tmp_path: Path) -> None:
    """The file that the command was given, the one in the settings, the credential, the prompt."""
    given, credentials = private(tmp_path / "given", b"given"), tmp_path / "credentials"
    credentials.mkdir(mode=0o500)
    private(credentials / "handover-passphrase", b"credential").chmod(0o400)
    private(home.root / "passphrase", b"settings")
    config = home.config_file.read_text()
    home.config_file.write_text(config.replace("[keys]", '[keys]\npassphrase_file = "passphrase"', 1))
    named = Home.open(home.root)
    home.config_file.write_text(config)
    answers = [
        find(one, file=file, credentials=str(folder), prompt=lambda: "asked")
        for one, file, folder in (
            (named, given, credentials),
            (named, None, credentials),
            (home, None, credentials),
            (home, None, tmp_path / "none"),
        )
    ]
    assert answers == ["given", "settings", "credential", "asked"]


def test_what_is_wrong_with_a_source_is_said_and_no_other_is_tried(home: Home, tmp_path: Path) -> None:
    credential = tmp_path / "handover-passphrase"
    credential.symlink_to(tmp_path / "nowhere")
    with pytest.raises(Misuse, match="the credential with the passphrase is a link"):
        find(home, credentials=str(tmp_path), prompt=lambda: "asked")
    credential.unlink()
    private(credential, b"")
    with pytest.raises(Misuse, match="the credential with the passphrase holds no passphrase"):
        find(home, credentials=str(tmp_path), prompt=lambda: "asked")
    with pytest.raises(NotNow, match="the passphrase file cannot be read"):
        find(home, file=tmp_path / "missing", credentials=str(tmp_path), prompt=lambda: "asked")
