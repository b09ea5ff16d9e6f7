"""What OpenSSH's own programs get from the embedded server: files in one folder, and nothing else."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.sftp.server import Server
from tests.exchange.loopback import HOST_PUBLIC, KEYS, MIB, make_folder, serving


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path)


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with serving(folder) as running:
        yield running


@pytest.fixture
def client(server: Server, tmp_path: Path) -> list[str]:
    """Options for ssh and sftp."""
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_bytes(KEYS["lgsco"][0])
    (tmp_path / "known").write_text(f"[127.0.0.1]:{server.port} {HOST_PUBLIC}\n")
    options = [f"Port={server.port}", f"UserKnownHostsFile={tmp_path / 'known'}", "StrictHostKeyChecking=yes"]
    options += ["BatchMode=yes", "IdentitiesOnly=yes", f"IdentityFile={key}", "User=lgsco"]
    return ["-F", "none", *(part for option in options for part in ("-o", option))]


def test_the_stock_sftp_program_works_with_it(client: list[str], folder: Path, tmp_path: Path) -> None:
    data = os.urandom(3 * MIB)
    (tmp_path / "up").write_bytes(data)
    batch = "cd lgsco\nput up one.part\nrename one.part one\nls -l\nget one down\npwd\ndf\nput up two\nrm two\n"
    done = subprocess.run(
        ["sftp", "-b", "-", *client, "127.0.0.1"],
        input=batch,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "down").read_bytes() == data
    assert [path.name for path in (folder / "lgsco").iterdir()] == ["one"]
    assert "Remote working directory: /lgsco" in done.stdout


@pytest.mark.parametrize(
    "line", ["mkdir lgsco/a", "symlink /etc/passwd lgsco/a", "ln lgsco/one lgsco/a", "rmdir lgsco", "put key a"]
)
def test_the_stock_sftp_program_can_make_nothing_but_files_in_the_folder(
    client: list[str], folder: Path, tmp_path: Path, line: str
) -> None:
    (folder / "lgsco" / "one").write_bytes(b"abc")
    done = subprocess.run(
        ["sftp", "-b", "-", *client, "127.0.0.1"], input=line, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 1
    assert [path.name for path in (folder / "lgsco").iterdir()] == ["one"]
    assert stat.S_IMODE((folder / "lgsco" / "one").stat().st_mode) == 0o644


@pytest.mark.parametrize("arguments", [["127.0.0.1", "id"], ["-T", "127.0.0.1"], ["-tt", "127.0.0.1"]])
def test_there_is_no_shell_and_no_command(client: list[str], arguments: list[str]) -> None:
    done = subprocess.run(
        ["ssh", *client, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 255
    assert "uid=" not in done.stdout


def test_there_is_no_forwarding(client: list[str], server: Server) -> None:
    for arguments in (
        ["-W", f"127.0.0.1:{server.port}"],
        ["-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1"],
    ):
        done = subprocess.run(
            ["ssh", *client, *arguments, "127.0.0.1"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 255
        assert "SSH-2.0" not in done.stdout
