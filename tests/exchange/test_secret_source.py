"""A secret is read only where nobody else could have read or placed it, and what is wrong with it is said."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import HandoverError, Misuse, NotNow
from exchange.secret_source import MAX_SECRET, Trust, credential, read_descriptor, read_file

WORDS = "correct horse battery staple"
NAME = "handover-passphrase"
SOMEBODY = 65534


def private(path: Path, content: bytes = WORDS.encode()) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path


class Credentials:
    """A folder as systemd makes it for a service: of mode 0500, with files of mode 0400 that cannot be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def put(self, content: bytes = WORDS.encode(), mode: int = 0o400) -> Path:
        path = self.folder / NAME
        path.write_bytes(content)
        path.chmod(mode)
        self.folder.chmod(0o500)
        return path

    def read(self) -> str:
        found = credential(str(self.folder), NAME)
        assert found is not None
        return read_file(found, "passphrase", "credential").reveal()


@pytest.fixture
def given(tmp_path: Path) -> Iterator[Credentials]:
    made = Credentials(tmp_path / "credentials")
    yield made
    made.folder.chmod(0o700)


def refusal(problem: pytest.ExceptionInfo[HandoverError]) -> str:
    """What a person is told: never anything of the secret, never a path."""
    said = problem.value.for_people()
    assert not any(word in said for word in (*WORDS.split(), "/tmp", NAME))
    return said


# --- credentials ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n", b"\na second line\n"])
def test_a_credential_is_its_first_line_without_the_end(given: Credentials, end: bytes) -> None:
    given.put(WORDS.encode() + end)
    assert given.read() == WORDS


def test_a_blank_at_the_end_belongs_to_the_secret(given: Credentials) -> None:
    given.put(f" {WORDS} \n".encode())
    assert given.read() == f" {WORDS} "


def test_a_credential_that_an_access_list_opens_to_the_service_shows_the_mask_as_group_bits(given: Credentials) -> None:
    """Where the disk has access lists, systemd leaves the file to root and lets the service's user in by one."""
    given.put(mode=0o440)
    assert given.read() == WORDS


@pytest.mark.parametrize("mode", [0o444, 0o404, 0o460, 0o642, 0o450])
def test_a_credential_that_others_may_reach_is_refused(given: Credentials, mode: int) -> None:
    given.put(mode=mode)
    with pytest.raises(Misuse) as problem:
        given.read()
    assert f"the credential with the passphrase may be read by others (mode {mode:o})" in refusal(problem)


def test_group_bits_of_a_credential_that_is_not_root_s_are_the_group_s(given: Credentials) -> None:
    """Whoever the file belongs to is the service itself: then no access list is needed, and the group is a group."""
    path = given.put(mode=0o440)
    os.chown(path, SOMEBODY, SOMEBODY)
    os.chown(given.folder, SOMEBODY, SOMEBODY)
    code = f"""if True:
        import os, sys
        from pathlib import Path
        from exchange.secret_source import read_file
        os.setuid({SOMEBODY})
        read_file(Path(sys.argv[1]), "passphrase", "credential")
    """
    # the folders of a test are root's alone, so the other user is handed a way that leads through an open descriptor
    at = os.open(given.folder, os.O_PATH)
    done = subprocess.run(
        [sys.executable, "-c", code, f"/proc/self/fd/{at}/{NAME}"],
        pass_fds=(at,),
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(at)
    assert done.stderr.splitlines()[-1].endswith("the credential with the passphrase may be read by others (mode 440)")


def test_a_credential_of_another_user_is_refused(given: Credentials) -> None:
    os.chown(given.put(), SOMEBODY, SOMEBODY)
    with pytest.raises(Misuse) as problem:
        given.read()
    assert f"the credential with the passphrase belongs to user {SOMEBODY}, but this is user {os.geteuid()}" in refusal(
        problem
    )


@pytest.mark.parametrize("mode", [0o520, 0o777, 0o702])
def test_a_folder_of_credentials_into_which_others_may_put_something_is_refused(given: Credentials, mode: int) -> None:
    given.put()
    given.folder.chmod(mode)
    with pytest.raises(Misuse) as problem:
        given.read()
    assert "others may exchange the credential" in refusal(problem)


def test_a_folder_of_credentials_that_is_another_user_s_is_refused(given: Credentials) -> None:
    given.put()
    os.chown(given.folder, SOMEBODY, SOMEBODY)
    with pytest.raises(Misuse, match="others may exchange"):
        given.read()


def test_a_credential_that_is_a_link_is_refused_even_if_it_leads_nowhere(given: Credentials, tmp_path: Path) -> None:
    (given.folder / NAME).symlink_to(private(tmp_path / "elsewhere"))
    with pytest.raises(Misuse) as problem:
        given.read()
    assert "the credential with the passphrase is a link" in refusal(problem)
    (tmp_path / "elsewhere").unlink()
    with pytest.raises(Misuse, match="is a link"):
        given.read()


def test_what_is_no_file_is_refused_and_keeps_nobody_waiting(
    given: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = given.folder / NAME
    os.mkfifo(place, 0o600)
    with pytest.raises(Misuse, match="the credential with the passphrase is not a regular file"):
        given.read()
    place.unlink()
    place.mkdir(0o700)
    with pytest.raises(Misuse, match="the credential with the passphrase is not a regular file"):
        given.read()
    place.rmdir()
    # a socket's name is short
    monkeypatch.chdir(given.folder)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(NAME)
        with pytest.raises(NotNow, match="the credential with the passphrase cannot be read"):
            given.read()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no passphrase"),
        (b"\n" + WORDS.encode(), "holds no passphrase"),
        (b"\r\n", "holds no passphrase"),
        (b"x" * (MAX_SECRET + 1), "holds more than 4096 bytes: not a passphrase"),
        (WORDS.encode() + b"\n" * MAX_SECRET, "holds more than 4096 bytes: not a passphrase"),
        (WORDS.encode() + b"\xff\xfe", "is not UTF-8 text"),
        (WORDS.encode("utf-16"), "is not UTF-8 text"),
    ],
)
def test_a_credential_that_is_no_passphrase_is_refused(given: Credentials, content: bytes, words: str) -> None:
    given.put(content)
    with pytest.raises(Misuse) as problem:
        given.read()
    assert words in refusal(problem)


def test_the_longest_secret_there_is_is_read_whole(given: Credentials) -> None:
    given.put(b"x" * MAX_SECRET)
    assert given.read() == "x" * MAX_SECRET


def test_without_a_folder_or_a_file_there_is_no_credential(given: Credentials) -> None:
    assert credential(None, NAME) is None
    assert credential(str(given.folder / "missing"), NAME) is None
    assert credential(str(given.folder), NAME) is None


def test_a_credential_on_a_file_system_in_memory_that_can_only_be_read_is_read(tmp_path: Path) -> None:
    """As systemd gives it: a ramfs of the service's own, mounted read-only."""
    script = f"""set -e
        mount -t ramfs -o mode=0700 ramfs {tmp_path}
        printf '%s\\n' '{WORDS}' > {tmp_path}/{NAME}
        chmod 0400 {tmp_path}/{NAME}; chmod 0500 {tmp_path}
        mount -o remount,ro,nosuid,nodev,noexec {tmp_path}
        ! touch {tmp_path}/other 2> /dev/null
        exec {sys.executable} -c "$1" {tmp_path}
    """
    code = (
        "import sys; from exchange.secret_source import credential, read_file\n"
        f"print(read_file(credential(sys.argv[1], '{NAME}'), 'passphrase', 'credential').reveal())"
    )
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", script, "bash", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{WORDS}\n", "")


# --- files and descriptors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trust", ["file", "settings"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o440])
def test_a_file_that_others_may_reach_is_refused(tmp_path: Path, mode: int, trust: Trust) -> None:
    file = private(tmp_path / "p")
    file.chmod(mode)
    with pytest.raises(Misuse) as problem:
        read_file(file, "passphrase", trust)
    assert f"the passphrase file may be read by others (mode {mode:o})" in refusal(problem)


@pytest.mark.parametrize("trust", ["file", "settings"])
def test_a_file_of_another_user_is_refused(tmp_path: Path, trust: Trust) -> None:
    file = private(tmp_path / "p")
    os.chown(file, SOMEBODY, SOMEBODY)
    with pytest.raises(Misuse, match=f"the PIN file belongs to user {SOMEBODY}"):
        read_file(file, "PIN", trust)


def test_a_link_is_followed_where_a_person_named_it_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(private(tmp_path / "p"))
    assert read_file(tmp_path / "link", "passphrase").reveal() == WORDS
    with pytest.raises(Misuse, match="the passphrase file is a link"):
        read_file(tmp_path / "link", "passphrase", "settings")


def test_a_pipe_that_a_shell_made_of_a_program_is_read(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from exchange.secret_source import read_file\n"
    code += "print(read_file(Path(sys.argv[1]), 'passphrase').reveal())"
    command = f'exec {sys.executable} -c "$1" <(echo {WORDS})'
    done = subprocess.run(["bash", "-c", command, "bash", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{WORDS}\n", "")


def test_a_file_or_descriptor_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotNow, match="the passphrase file cannot be read: No such file"):
        read_file(tmp_path / "missing", "passphrase")
    with pytest.raises(Misuse, match="the passphrase file is not a regular file"):
        read_file(tmp_path, "passphrase")
    with pytest.raises(Misuse, match="descriptor 987 cannot be read"):
        read_descriptor(987, "passphrase")


@pytest.mark.parametrize("number", [-3, -1, 2**31, 10**30])
def test_a_number_that_no_descriptor_has_is_said_to_be_none(number: int) -> None:
    with pytest.raises(Misuse, match="there is none of that number"):
        read_descriptor(number, "passphrase")
