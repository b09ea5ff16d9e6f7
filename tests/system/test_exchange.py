"""Two daemons and real OpenSSH: files both ways, clean stops, one daemon a home, refusals that a person understands."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.organisations import CASE, NAMES, TOPOLOGIES
from tests.system.daemons import Running, exchange, wait_for

CONCERN = ("lgsco", "unimplemented-recommendation", "Leeds")


@pytest.fixture
def both(tmp_path: Path, topology: str) -> Iterator[dict[str, Running]]:
    with exchange(tmp_path, topology=topology) as running:
        yield running


def caller_and_host(topology: str) -> tuple[str, str]:
    """Who calls, and on whose server: LGSCO on Ofsted's where each has one."""
    caller = TOPOLOGIES[topology] or "lgsco"
    (host,) = NAMES.keys() - {caller}
    return caller, host


@pytest.mark.topologies(*TOPOLOGIES)
def test_files_go_both_ways_and_both_ledgers_verify_and_are_witnessed(both: dict[str, Running]) -> None:
    lgsco, ofsted = both["lgsco"], both["ofsted"]
    for one in both.values():
        one.start()
    contents = {f"{CASE} decision {n}.pdf": os.urandom(200_000 * n) for n in range(1, 6)}
    for name, content in contents.items():
        lgsco.drop(content, name)
    ofsted.drop(b"{}", f"{CASE} concern.json", CONCERN)
    wait_for(lambda: lgsco.states() == ["acknowledged"] * 5 and ofsted.states() == ["acknowledged"])
    assert {p.name: p.read_bytes() for p in ofsted.files(ofsted.home.inbound)} == contents
    assert [p.read_bytes() for p in lgsco.files(lgsco.home.inbound)] == [b"{}"]
    for one in both.values():
        assert one.stop() == 0
        one.verify()
        assert one.files(one.home.spool) == []
        assert one.waiting() == []
        assert json.loads(one.command("ledger", "verify", "--json").stdout)["cosignatures"] >= 1
        assert not one.home.pid_file.exists()


def test_the_log_is_json_and_names_no_file_no_reference_and_no_council(both: dict[str, Running]) -> None:
    lgsco, ofsted = both["lgsco"], both["ofsted"]
    for one in both.values():
        one.start()
    lgsco.drop(b"x", f"{CASE} Kim Example.pdf")
    lgsco.drop(b"x", "Kim Example without reference.pdf")
    wait_for(lambda: sorted(lgsco.states()) == ["acknowledged", "held"])
    for one in both.values():
        one.stop()
        assert {"daemon.ready", "daemon.stopped"} <= {str(line["event"]) for line in one.log()}
        text = one.log_file.read_text()
        for secret in ("Kim", CASE, CASE.replace(" ", ""), "Birmingham", "E08000025", str(one.home.root)):
            assert secret not in text
    assert "delivered" in {line["event"] for line in ofsted.log()}


def test_sigterm_stops_cleanly_and_a_second_signal_is_harmless(both: dict[str, Running]) -> None:
    lgsco = both["lgsco"]
    lgsco.start()
    assert lgsco.process is not None
    lgsco.process.send_signal(signal.SIGTERM)
    lgsco.process.send_signal(signal.SIGTERM)
    assert lgsco.stop(signal.SIGINT) == 0
    assert lgsco.log()[-1]["event"] == "daemon.stopped"


def test_a_second_daemon_on_the_same_home_is_refused_and_a_killed_one_leaves_no_lock(both: dict[str, Running]) -> None:
    lgsco = both["lgsco"]
    lgsco.start()
    for arguments in (("run",), ("run", "--once")):
        refused = lgsco.command(*arguments)
        assert refused.returncode == 3
        assert "another handover daemon runs on this home" in refused.stderr
        assert refused.stdout == ""
    assert lgsco.stop(signal.SIGKILL) == -signal.SIGKILL
    lgsco.start()
    assert lgsco.stop() == 0


def test_a_killed_daemon_goes_on_where_it_was(both: dict[str, Running]) -> None:
    lgsco, ofsted = both["lgsco"], both["ofsted"]
    lgsco.start()
    for number in range(20):
        lgsco.drop(os.urandom(50_000), f"{CASE} part {number}.pdf")
    wait_for(lambda: "sent" in lgsco.states() or "sealed" in lgsco.states())
    lgsco.stop(signal.SIGKILL)
    lgsco.start()
    ofsted.start()
    wait_for(lambda: "delivered" in ofsted.states("in"))
    ofsted.stop(signal.SIGKILL)
    ofsted.start()
    wait_for(lambda: lgsco.states() == ["acknowledged"] * 20)
    assert len(ofsted.files(ofsted.home.inbound)) == 20
    assert lgsco.events().count("acknowledged") == 20
    for one in both.values():
        assert one.stop() == 0
        one.verify()
        assert one.files(one.home.spool) == []


def test_a_partner_that_is_away_is_one_entry_and_its_return_another(both: dict[str, Running], topology: str) -> None:
    caller, host = caller_and_host(topology)
    here, there = both[caller], both[host]
    there.sshd.stop()
    here.start()
    for number in range(3):
        both["lgsco"].drop(b"x", f"{CASE} {number}.pdf")
    wait_for(lambda: "partner.unreachable" in here.events())
    assert json.loads(here.command("status", "--json").stdout)["partners"] == {host: "unreachable"}
    assert here.command("status", "--check").returncode == 1
    time.sleep(2)
    there.sshd.start()
    there.start()
    wait_for(lambda: both["lgsco"].states() == ["acknowledged"] * 3)
    assert here.events().count("partner.unreachable") == 1
    wait_for(lambda: here.events().count("partner.reachable") == 1)


def test_a_changed_host_key_is_refused_and_nothing_is_sent_or_collected(
    both: dict[str, Running], topology: str
) -> None:
    caller, host = caller_and_host(topology)
    here, there = both[caller], both[host]
    there.sshd.stop()
    there.sshd.new_host_key()
    there.sshd.start()
    both["lgsco"].drop(b"x")
    if host == "lgsco":
        # what is for Ofsted waits there
        assert there.command("run", "--once").returncode == 0
    waiting = there.waiting()
    refused = here.command("run", "--once")
    assert refused.returncode == 3
    assert "host key" in refused.stderr
    assert both["lgsco"].states() == ["sent" if host == "lgsco" else "sealed"]
    assert there.waiting() == waiting
    assert both["ofsted"].states("in") == []


def test_it_tells_systemd_when_it_is_ready_alive_and_stopping(both: dict[str, Running], tmp_path: Path) -> None:
    lgsco = both["lgsco"]
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(30)
        lgsco.environment = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "400000"}
        lgsco.start()
        assert systemd.recv(100) == b"READY=1"
        assert systemd.recv(100) == b"WATCHDOG=1"
        assert lgsco.stop() == 0
        said = [systemd.recv(100)]
        while said[-1] == b"WATCHDOG=1":
            said.append(systemd.recv(100))
        assert said[-1] == b"STOPPING=1"


def test_a_partner_that_is_added_while_the_daemon_runs_is_served_without_a_restart(both: dict[str, Running]) -> None:
    lgsco, ofsted = both["lgsco"], both["ofsted"]
    card = lgsco.home.root.parent / "ofsted.toml"
    for path in (lgsco.home.cards / "ofsted.toml", lgsco.home.cards / "ofsted.toml.sig"):
        path.unlink()
    lgsco.start()
    ofsted.start()
    fingerprint = json.loads(ofsted.command("partner", "card", "--json").stdout)["fingerprint"]
    wrong = lgsco.command("partner", "add", str(card), "--fingerprint", "00" * 32)
    assert wrong.returncode == 1
    made = json.loads(ofsted.command("partner", "card", "--json", "-o", str(card)).stdout)
    assert fingerprint != "", made
    added = lgsco.command("partner", "add", str(card), "--fingerprint", made["fingerprint"])
    assert added.returncode == 0, added.stderr
    lgsco.drop(b"x")
    wait_for(lambda: lgsco.states() == ["acknowledged"])


@pytest.mark.topologies(*TOPOLOGIES)
def test_run_once_empties_the_folders_and_ends(both: dict[str, Running]) -> None:
    lgsco, ofsted = both["lgsco"], both["ofsted"]
    lgsco.drop(b"x")
    for one in (lgsco, ofsted, lgsco):
        done = one.command("run", "--once")
        assert done.returncode == 0, done.stderr
    assert lgsco.states() == ["acknowledged"]
    assert len(ofsted.files(ofsted.home.inbound)) == 1
