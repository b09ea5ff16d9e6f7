"""Does, on a machine of its own, what docs/operations.md says, and tries the server that results as each user would.

    unshare --mount python -m tests.system.own_server FOLDER

/etc is a copy and /srv is empty: nothing of it is seen outside. FOLDER holds `commands`, what an administrator types,
and `ofsted.toml` and `dfe.toml`, the cards, each with its transport key beside it (`ofsted`, `dfe`).
"""

import contextlib
import io
import os
import pwd
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from exchange.landing import Address, LandingError, Small
from exchange.pickup import PickupFolder
from exchange.sftp import client as sftp

SERVED = Path("/srv/handover-sftp")
WAITING, LANDED = "waiting.age", "landed.age"


def main(folder: Path) -> None:
    shell(f"mount --make-rprivate / && cp -a /etc {folder}/etc && mount --bind {folder}/etc /etc")
    shell("mount -t tmpfs -o mode=0755 tmpfs /srv && install -d /run/sshd && ssh-keygen -q -A")
    shell((folder / "commands").read_text(), folder)
    with server() as port:
        as_service(lambda: place("ofsted"))
        mine = connect(port, folder, "ofsted", "collect/ofsted")
        content = io.BytesIO()
        assert mine.list() == [(WAITING, 5)]
        assert mine.get(WAITING, content) == 5
        assert content.getvalue() == b"ofsted"[:5]
        refused(lambda: mine.put(io.BytesIO(b"x"), 1, WAITING))
        mine.remove(WAITING)
        assert mine.list() == []
        mine.close()
        landing = connect(port, folder, "ofsted", "landing/ofsted")
        landing.put_many([Small(b"from ofsted", f"{LANDED}.part", LANDED)])
        landing.close()
        as_service(take)
        for elsewhere in ("collect/dfe", "landing/dfe", "collect", "landing", "."):
            strange = connect(port, folder, "ofsted", elsewhere)
            refused(strange.list)
            refused(partial(strange.put, io.BytesIO(b"x"), 1, "planted"))
            strange.close()
        as_service(lambda: place("dfe"))
        stranger = connect(port, folder, "dfe", "collect/ofsted")
        refused(stranger.list)
        stranger.close()


def shell(script: str, cwd: Path | None = None) -> None:
    done = subprocess.run(["bash", "-ec", script], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"


@contextlib.contextmanager
def server() -> Iterator[int]:
    """OpenSSH with the configuration that is in /etc now, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    command = ["/usr/sbin/sshd", "-D", "-e", "-p", str(port), "-o", "ListenAddress=127.0.0.1"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 30
            while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < deadline:
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()


def connect(port: int, folder: Path, user: str, path: str) -> sftp.SftpLanding:
    """As that partner's daemon does."""
    key = " ".join(Path("/etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2])
    address = Address("127.0.0.1", port, user, path, (key,))
    return sftp.connect(address, (folder / user).read_bytes(), timeout=20, keepalive=20)


def as_service(work: Callable[[], None]) -> None:
    """In a process of the service's user, with its umask."""
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            user = pwd.getpwnam("handover")
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            os.umask(0o077)
            work()
            status = 0
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def place(partner: str) -> None:
    pickup = PickupFolder(SERVED / "collect" / partner, partner)
    pickup.put_many([Small(partner.encode()[:5], f"{WAITING}.part", WAITING)])
    assert pickup.size(WAITING) == len(partner[:5])
    pickup.close()


def take() -> None:
    landed = SERVED / "landing" / "ofsted" / LANDED
    assert landed.read_bytes() == b"from ofsted"
    landed.unlink()


def refused(act: Callable[[], object]) -> None:
    try:
        act()
    except LandingError:
        return
    raise AssertionError("the server let somebody do what he must not")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
