"""The passphrase comes from a file, a descriptor, a systemd credential or a prompt, in that order."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import HandoverError, Misuse, NotNow
from config.home import Home
from exchange.passphrase import MAX_PASSPHRASE, find_passphrase, read_passphrase_file
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


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_may_reach_is_refused(tmp_path: Path, mode: int) -> None:
    file = private(tmp_path / "p", b"secret words")
    file.chmod(mode)
    with pytest.raises(Misuse, match="may be read by others"):
        read_passphrase_file(file)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no passphrase"),
        (b"\nsecond", "holds no passphrase"),
        (b"x" * (MAX_PASSPHRASE + 1), "not a passphrase"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_what_is_no_passphrase_is_refused_without_repeating_it(tmp_path: Path, content: bytes, words: str) -> None:
    file = private(tmp_path / "p", content)
    with pytest.raises(HandoverError, match=words) as caught:
        read_passphrase_file(file)
    assert "second" not in caught.value.for_people()


def test_a_file_or_descriptor_that_is_not_there_is_named(home: Home, tmp_path: Path) -> None:
    with pytest.raises(NotNow, match="cannot be read"):
        read_passphrase_file(tmp_path / "missing")
    with pytest.raises(Misuse, match="descriptor 987"):
        find(home, descriptor=987)
