"""What lies in the folder in which a transcript begins; each scene is made once and copied.

nothing      an empty folder
strangers    lgsco/ and ofsted/, which know nothing of each other
two-homes    lgsco/ and ofsted/, introduced to each other, each with an SFTP server of its own on a free port
exchanged    the same after some traffic: at lgsco one decision acknowledged, one held, one on its way
"""

import shutil
import socket
import threading
from pathlib import Path

from config.home import Home
from config.sample import Value
from exchange.embedded import keep_host_key, make_host_key
from tests.organisations import CASE, NAMES, PASSPHRASE, ManualClock, introduce, make_home, start

PORTS = {"lgsco": 42222, "ofsted": 42223}
"""Stand in the templates' settings; every copy has free ones instead."""


class Scenes:
    """Makes each scene when it is first asked for."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._lock = threading.Lock()
        base.mkdir(parents=True, exist_ok=True)

    def set(self, name: str, folder: Path) -> None:
        """Put the scene into an existing empty folder."""
        if name == "nothing":
            return
        template = self._base / name
        with self._lock:
            if not template.exists():
                {"strangers": strangers, "two-homes": two_homes, "exchanged": exchanged}[name](template)
        shutil.copytree(template, folder, dirs_exist_ok=True, symlinks=True)
        for number in PORTS.values():
            port = free_port()
            for organisation in NAMES:
                config = folder / organisation / "handover.toml"
                config.write_text(config.read_text("utf-8").replace(str(number), str(port)), "utf-8")


def strangers(base: Path) -> dict[str, Home]:
    """Both homes, each of which names a passphrase file."""
    base.mkdir(mode=0o700)
    homes: dict[str, Home] = {}
    for organisation, partner in (("lgsco", "ofsted"), ("ofsted", "lgsco")):
        private, public = make_host_key()
        port = PORTS[organisation]
        values: dict[str, Value] = {
            "keys.passphrase_file": "passphrase",
            "watch.quiet": "1s",
            "retry.first": "1s",
            "landing.port": port,
            "landing.embedded": True,
            "landing.listen": f"127.0.0.1:{port}",
            "landing.host_keys": [public],
            f"partners.{partner}.port": PORTS[partner],
        }
        homes[organisation] = home = make_home(base, organisation, values)
        passphrase = home.root / "passphrase"
        passphrase.touch(0o600)
        passphrase.write_text(PASSPHRASE.reveal() + "\n")
        keep_host_key(home, private)
    return homes


def two_homes(base: Path) -> None:
    """Both homes, introduced."""
    introduce(strangers(base), base)
    for card in base.glob("*.toml*"):
        card.unlink()


def exchanged(base: Path) -> None:
    """One decision delivered and acknowledged, one held for want of a reference, one accepted and still to go."""
    two_homes(base)
    clock = ManualClock()
    homes = {organisation: Home.open(base / organisation) for organisation in NAMES}
    lgsco = start(homes["lgsco"], homes["ofsted"], clock)
    ofsted = start(homes["ofsted"], homes["lgsco"], clock)
    lgsco.drop(b"the decision", f"{CASE} decision.pdf")
    for act in (lgsco.take, lgsco.send, ofsted.receive, ofsted.send, lgsco.receive):
        clock.advance(seconds=1)
        act()
    lgsco.drop(b"no reference in its name", "decision.pdf")
    lgsco.take()
    clock.advance(seconds=1)
    lgsco.drop(b"the second", f"{CASE} second.pdf", ("ofsted", "upheld-decision", "Leeds"))
    lgsco.take()
    for organisation in (lgsco, ofsted):
        organisation.parts.ledger.close()


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
