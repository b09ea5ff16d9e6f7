"""A real OpenSSH server on a free loopback port, with one landing zone, for tests that need the true peer.

    base/               owned by root; the server's root directory where root starts it (ChrootDirectory)
    base/zone1/         the landing zone; owned by the user who logs in
    keys/<user>         that user's authorized keys

Started by root, partners log in as `nobody`; started by anybody else, as that user, without the chroot.

    with Sshd() as sshd:
        landing = sftp.connect(sshd.address(), sshd.user_key, timeout=10, keepalive=30)
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from exchange.landing import Address

PROGRAM = Path("/usr/sbin/sshd")
_START_SECONDS = 20.0


def make_key(kind: str = "ed25519") -> tuple[bytes, str]:
    """A new key: the private half in OpenSSH's format, the public half as a line."""
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    match kind:
        case "ed25519":
            key = ed25519.Ed25519PrivateKey.generate()
        case "ecdsa":
            key = ec.generate_private_key(ec.SECP256R1())
        case _:
            key = rsa.generate_private_key(65537, 3072)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


class Sshd:
    """A running server; a context manager that stops it and removes its files."""

    def __init__(
        self,
        *,
        lines: tuple[str, ...] = (),
        sftp_options: str = "",
        host_key: str = "ed25519",
        subsystem: bool = True,
    ) -> None:
        """`lines` go to the front of sshd_config, `sftp_options` to internal-sftp; no `subsystem`, no SFTP."""
        self.is_root = os.geteuid() == 0
        me = pwd.getpwnam("nobody") if self.is_root else pwd.getpwuid(os.geteuid())
        self.user, self.uid = me.pw_name, me.pw_uid
        # Every folder above a chroot must belong to root and be writable by nobody else: /tmp is not.
        self._dir = Path(tempfile.mkdtemp(prefix="handover-sshd-", dir="/run" if self.is_root else None))
        self._dir.chmod(0o755)
        self.base = self._dir / "base"
        self.base.mkdir(mode=0o755)
        self._zones = 0
        self.new_zone()
        (self._dir / "keys").mkdir(mode=0o755)
        self.user_key, self.user_public = make_key()
        self.authorize(self.user_public)
        self._lines = lines
        self._sftp = (f"Subsystem sftp internal-sftp {sftp_options}",) if subsystem else ()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self._next_key = self._dir / "host_key.next"
        self.new_host_key(host_key)
        self.start()

    def address(
        self,
        *,
        path: str | None = None,
        port: int | None = None,
        user: str | None = None,
        host_keys: tuple[str, ...] | None = None,
    ) -> Address:
        """Where the landing zone is, with the host key pinned, or with something else in its place."""
        return Address(
            host="127.0.0.1",
            port=port or self.port,
            user=user or self.user,
            path=path or self.seen(self.zone),
            host_keys=(self.host_public,) if host_keys is None else host_keys,
        )

    def authorize(self, *lines: str) -> None:
        """Replace the user's authorized keys."""
        file = self._dir / "keys" / self.user
        file.write_text("".join(f"restrict {line}\n" for line in lines), encoding="ascii")
        file.chmod(0o644)

    def ask(self, command: str) -> None:
        """Start anew with `command` instead of files to tell who may log in (AuthorizedKeysCommand)."""
        who = pwd.getpwuid(os.geteuid()).pw_name
        asking = ("AuthorizedKeysFile none", f"AuthorizedKeysCommand {command}", f"AuthorizedKeysCommandUser {who}")
        self._lines = (*asking, *self._lines)
        self.stop()
        self.start()

    def new_host_key(self, kind: str = "ed25519") -> None:
        """Make another host key, which the next start uses: a server that runs reads its own anew for every login."""
        private, self.host_public = make_key(kind)
        self._next_key.unlink(missing_ok=True)
        self._next_key.touch(mode=0o600)
        self._next_key.write_bytes(private)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        if self.is_root:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        if self._next_key.exists():
            self._next_key.replace(self._dir / "host_key")
        config = self._dir / "sshd_config"
        config.write_text("\n".join((*self._lines, *self._config(), "")), encoding="utf-8")
        with (self._dir / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-D", "-e", "-f", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                    probe.settimeout(5)
                    if probe.recv(4) == b"SSH-":
                        return
            except OSError:
                pass
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"sshd does not start:\n{self.log()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the server and every connection."""
        process, self._process = self._process, None
        if process is not None:
            sessions = _children(process.pid)
            process.terminate()
            process.wait(10)
            _kill(sessions)

    @property
    def runs(self) -> bool:
        """Whether it was started and not stopped."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """The server's process; only while it runs."""
        assert self._process is not None
        return self._process.pid

    def sessions(self) -> list[int]:
        """The processes that serve a connection each, by id."""
        return _children(self._process.pid) if self._process is not None else []

    def new_zone(self) -> None:
        """Go on in an empty landing zone; what connections of before still have to write stays out of it."""
        self._zones += 1
        self.zone = self.new_folder(f"zone{self._zones}")

    def new_folder(self, name: str) -> Path:
        """One more folder, in which the user who logs in may do everything."""
        folder = self.base / name
        folder.mkdir(mode=0o700)
        if self.is_root:
            shutil.chown(folder, self.user)
        return folder

    def seen(self, folder: Path) -> str:
        """The path of a folder for the user who logs in."""
        return folder.name if self.is_root else str(folder)

    def log(self) -> str:
        """What the server said."""
        return (self._dir / "log").read_text("utf-8", "replace")

    def close(self) -> None:
        """Stop, and remove every file."""
        self.stop()
        deadline = time.monotonic() + _START_SECONDS
        while self._dir.exists():  # a session whose parent is gone may still be writing
            shutil.rmtree(self._dir, ignore_errors=time.monotonic() < deadline)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _config(self) -> tuple[str, ...]:
        return (
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self._dir / 'host_key'}",
            f"AuthorizedKeysFile {self._dir}/keys/%u",
            f"PidFile {self._dir / 'pid'}",
            f"StrictModes {'yes' if self.is_root else 'no'}",
            "AuthenticationMethods publickey",
            "UsePAM no",
            *self._sftp,
            *((f"ChrootDirectory {self.base}",) if self.is_root else ()),
            "DisableForwarding yes",
            "MaxStartups 100",
            "LogLevel VERBOSE",
        )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _children(parent: int) -> list[int]:
    """All descendants of a process."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found += [int(stat.parent.name), *_children(int(stat.parent.name))]
    return found


def _kill(processes: list[int]) -> None:
    """End processes and wait until none of them runs; those whose parent went first are nobody's children by then."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    deadline = time.monotonic() + _START_SECONDS
    while any(_runs(process) for process in processes):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False
