"""A line between one daemon and the other's SFTP server that breaks the ways networks do, and what must then hold.

with faulty_network(folder) as net:
    net.line.refuse()
    files = net.drop(3 * [20_000])
    net.wait_until_unreachable()
    net.line.mend()
    net.check(outages=1)
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from config.sample import Value
from exchange.audit import public_keyring, read_ledger
from ledger.query import outage
from tests.line import KIB, Line
from tests.organisations import CASE, NAMES, TOPOLOGIES
from tests.system.daemons import Running, exchange, wait_for

LOGIN = 8 * KIB
"""Bytes from the server after which a session is past its login, which has fewer; every look at a folder adds some."""


@dataclass
class Network:
    """Both organisations; LGSCO's files go to Ofsted. One of them, the caller, reaches the other through the line."""

    lgsco: Running
    ofsted: Running
    line: Line
    caller: str = "lgsco"
    collects: bool = False
    """Whether the caller calls even if it has nothing to send."""
    dropped: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    """What was dropped since `begin`, by name."""
    seen: dict[str, int] = field(default_factory=lambda: {"lgsco": 0, "ofsted": 0})

    @property
    def calling(self) -> Running:
        """Who reaches the other through the line."""
        return self._both()[self.caller]

    @property
    def host(self) -> Running:
        """Who is reached."""
        (host,) = self._both().keys() - {self.caller}
        return self._both()[host]

    def carried(self) -> int:
        """The most bytes that one connection has carried in either direction."""
        return max((max(session.up, session.down) for session in self.line.sessions), default=0)

    def start(self) -> None:
        for one in (self.ofsted, self.lgsco):
            one.start()

    def begin(self) -> None:
        """Forget what was before, and end the connections of before."""
        self.line.mend()
        self.line.cut()
        self._settle()
        # whoever collects may have called again already
        self.line.sessions[:] = [session for session in self.line.sessions if not session.over.is_set()]
        self.files.clear()
        self.seen = {name: len(one.events()) for name, one in self._both().items()}

    def drop(self, *sizes: int) -> None:
        """Drop files of these sizes at LGSCO."""
        for size in sizes:
            self.dropped += 1
            name, content = f"{CASE} {self.dropped:04}.pdf", os.urandom(size)
            self.files[name] = content
            self.lgsco.drop(content, name)

    def events(self, name: str = "lgsco") -> list[str]:
        """What the ledger of one organisation says since `begin`."""
        return self._both()[name].events()[self.seen[name] :]

    def cause(self) -> str | None:
        """Why the other cannot be used, as the caller's ledger says."""
        with read_ledger(self.calling.home) as ledger:
            return outage(ledger, self.host.home.settings.organisation.id)

    def transport_keys(self) -> list[str]:
        """The caller's, as the other's server knows them."""
        infos = public_keyring(self.calling.home).infos()
        return [info.public for info in infos if info.purpose == "transport"]

    def wait_for(self, event: str, count: int = 1, name: str = "lgsco") -> None:
        """Wait until an event has been recorded so often since `begin`."""
        wait_for(lambda: self.events(name).count(event) >= count)

    def drop_in_vain(self, *sizes: int) -> None:
        """Drop files of these sizes at LGSCO, and wait until their upload has failed: who collects may know before."""
        before = len(self.failures())
        self.drop(*sizes)
        self.wait_for("sealed", len(sizes))
        wait_for(lambda: len(self.failures()) > before)
        self.wait_for("partner.unreachable")

    def failures(self) -> list[float]:
        """The seconds at which LGSCO's rounds towards Ofsted failed, from the daemon's log."""
        lines = [one for one in self.lgsco.log() if one.get("event") == "round.failed"]
        return [
            datetime.fromisoformat(str(one["at"])).timestamp() for one in lines if one.get("worker") == "out:ofsted"
        ]

    def check(self, *, outages: int | None) -> None:
        """Wait until all arrived and was answered; then everything must be as if the network had always been well.

        None: as many outages as there were, where a busy machine alone can be the cause of one.
        """
        self.wait_for("acknowledged", len(self.files))
        if outages is None:
            outages = self.events(self.caller).count("partner.unreachable")
        self.wait_for("partner.reachable", outages, self.caller)
        assert self.events(self.caller).count("partner.unreachable") == outages
        assert self.events(self.caller).count("partner.reachable") == outages
        assert self.events().count("acknowledged") == len(self.files)
        assert self.events("ofsted").count("delivered") == len(self.files)
        arrived = self.ofsted.files(self.ofsted.home.inbound)
        assert {path.name: path.read_bytes() for path in arrived[-len(self.files) :]} == self.files
        assert len(arrived) == self.dropped
        for one in self._both().values():
            one.verify()
            wait_until_empty(one, one.home.spool)
            wait_for(partial(nothing_waits, one))
            check_log(one)

    def _settle(self) -> None:
        """Whoever collects calls at once: wait until it has logged in. Cut while it does, it has another outage."""
        if self.collects:
            wait_for(lambda: any(one.down > LOGIN and not one.over.is_set() for one in list(self.line.sessions)))
            wait_for(lambda: self.cause() is None)

    def _both(self) -> dict[str, Running]:
        return {"lgsco": self.lgsco, "ofsted": self.ofsted}


def nothing_waits(one: Running) -> bool:
    return one.waiting() == []


def wait_until_empty(one: Running, folder: Path) -> None:
    wait_for(lambda: one.files(folder) == [])


_WORDS = re.compile(r"[A-Za-z0-9_.:+-]*")


def check_log(one: Running) -> None:
    """Every line is JSON, and its values are ids, codes and numbers: no text, and no name of any file."""
    for line in one.log():
        for value in line.values():
            assert isinstance(value, int | float) or _WORDS.fullmatch(str(value)), line
    text = one.log_file.read_text()
    assert not [secret for secret in (CASE, CASE.replace(" ", ""), ".pdf", "127.0.0.1") if secret in text]


@contextmanager
def faulty_network(base: Path, values: dict[str, Value] | None = None, topology: str = "push") -> Iterator[Network]:
    """Both organisations introduced, the daemons not started; every wait is short. The caller is whoever has no server,
    or else LGSCO."""
    line = Line()
    caller = TOPOLOGIES[topology] or "lgsco"
    (host,) = NAMES.keys() - {caller}
    settings: dict[str, Value] = {
        "watch.rescan": "250ms",
        "retry.first": "50ms",
        "retry.max": "400ms",
        "retry.timeout": "1500ms",
        f"partners.{host}.host": "127.0.0.1",
        f"partners.{host}.port": line.port,
        **(values or {}),
    }
    try:
        with exchange(base, settings, topology) as both:
            line.target = both[host].sshd.port
            yield Network(both["lgsco"], both["ofsted"], line, caller, collects=TOPOLOGIES[topology] != "")
    finally:
        line.close()
