"""Files of keys: written whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.errors import NotNow
from keys import key_files
from keys.key_errors import DamagedKey, MissingKey


def test_what_is_written_is_read_back_and_closed_to_others(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        key_files.write(tmp_path / "f", b"one")
        key_files.write(tmp_path / "f", b"two")
    finally:
        os.umask(old)
    assert key_files.read(tmp_path / "f", "it") == b"two"
    assert (tmp_path / "f").stat().st_mode & 0o7777 == 0o600
    assert key_files.names(tmp_path) == ["f"]
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_file_of_the_greatest_length_is_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    key_files.write(tmp_path / "f", bytes(key_files.MAX_FILE))
    assert len(key_files.read(tmp_path / "f", "it")) == key_files.MAX_FILE
    key_files.write(tmp_path / "f", bytes(key_files.MAX_FILE + 1))
    with pytest.raises(DamagedKey, match="it is far longer"):
        key_files.read(tmp_path / "f", "it")


def test_a_write_into_nowhere_is_not_possible_now(tmp_path: Path) -> None:
    with pytest.raises(NotNow, match="cannot be written: No such file or directory"):
        key_files.write(tmp_path / "gone" / "f", b"x")
    with pytest.raises(MissingKey), key_files.locked(tmp_path / "gone"):
        pass


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    """The limit on a file's size stands for a full disk."""
    key_files.write(tmp_path / "f", b"old")
    program = (
        "import pathlib, resource, signal, sys\n"
        "from config.errors import NotNow\n"
        "from keys import key_files\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "try: key_files.write(pathlib.Path(sys.argv[1]), bytes(1000))\n"
        "except NotNow as error: print(error.message)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "f"], capture_output=True, text=True, check=True)
    assert done.stdout == "a key cannot be written: File too large\n"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_bytes() == b"old"


def test_a_write_is_durable_before_it_is_visible(tmp_path: Path) -> None:
    program = "import pathlib, sys\nfrom keys import key_files\nkey_files.write(pathlib.Path(sys.argv[1]), b'new')\n"
    command = ["strace", "-f", "-e", "trace=fsync,rename,renameat,renameat2", sys.executable, "-c", program]
    done = subprocess.run([*command, str(tmp_path / "f")], capture_output=True, text=True, check=True)
    calls = [line.split("(")[0].split()[-1] for line in done.stderr.splitlines() if "(" in line and " = 0" in line]
    assert [call.removesuffix("at2").removesuffix("at") for call in calls] == ["fsync", "rename", "fsync"]
