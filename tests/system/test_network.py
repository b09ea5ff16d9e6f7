"""The real daemons over a network that fails in every way: nothing is lost or doubled, and nobody is told it twice."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from tests.line import KIB
from tests.sshd import Sshd, make_key
from tests.system.daemons import Running, wait_for
from tests.system.network import Network, faulty_network
from tests.tmpfs import mount

MIB = 1024 * KIB
CONCERN = ("lgsco", "unimplemented-recommendation", "Leeds")
SMALL = [20 * KIB] * 3
LARGE = 600 * KIB
PUSH = pytest.mark.topologies("push", only=True)
"""Of tests that count connections, of which whoever collects has one more; test_collect.py has their like."""
WE_UPLOAD = pytest.mark.topologies(but="lgsco-hosts")
"""Of tests about what LGSCO uploads, which where it is the host only lies in a folder of its own; test_collect.py has
those about what Ofsted then collects from there."""

FIRST, LONGEST, TIMEOUT = 0.05, 0.4, 1.5
"""As the settings of these homes say, in seconds."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, topology: str) -> Iterator[Network]:
    with faulty_network(tmp_path_factory.mktemp("network"), topology=topology) as network:
        network.start()
        yield network


@pytest.fixture
def net(running: Network) -> Iterator[Network]:
    """Both daemons run, and the line is well."""
    running.begin()
    yield running
    running.line.mend()


# --- the line ---------------------------------------------------------------------------------------------------------


@PUSH
def test_a_partner_that_refuses_connections_is_one_outage_of_all_files_and_receipts(net: Network) -> None:
    net.line.refuse()
    failures = len(net.failures())
    net.drop(*SMALL, LARGE)
    net.ofsted.drop(b"{}", "24 015 499 concern.json", CONCERN)
    net.wait_for("partner.unreachable")
    net.wait_for("delivered")
    time.sleep(2)
    assert json.loads(net.lgsco.command("status", "--json").stdout)["partners"] == {"ofsted": "unreachable"}
    net.line.mend()
    net.wait_for("acknowledged", name="ofsted")
    net.check(outages=1)
    pauses = [later - earlier for earlier, later in pairwise(net.failures()[failures:])]
    assert len(pauses) > 5
    assert pauses[0] < LONGEST
    assert all(pause >= FIRST / 2 for pause in pauses)
    # each wait is at least half of what it is said to be, so after four of them all are near the longest
    assert all(LONGEST / 2 <= pause < LONGEST + 1 for pause in pauses[4:])


@PUSH
def test_a_session_that_is_cut_after_any_number_of_bytes_costs_nothing_but_the_rest(net: Network) -> None:
    up = [0, 21, 500, 1500, 2200, 2600, 3000, 3400, 3800, 4500, 15_000, 40_000]
    down = [0, 30, 800, 1600, 2000, 2300, 2600, 2900, 3200, 3500]
    far = [200_000, 400_000, 600_000]
    net.line.cuts.extend([(n, None) for n in up] + [(None, n) for n in down] + [(n, None) for n in far])
    net.drop(*SMALL, 3 * MIB)
    net.check(outages=1)
    assert not net.line.cuts
    assert len(net.line.sessions) == len(up) + len(down) + len(far) + 1


@WE_UPLOAD
def test_connections_that_are_reset_during_an_upload_are_one_outage(net: Network) -> None:
    net.line.reset = True
    net.line.cuts.extend([(100_000, None), (3000, None), (300_000, None)])
    net.drop(*SMALL, LARGE)
    net.check(outages=1)


def test_a_line_that_falls_silent_is_noticed_after_the_timeout_and_is_one_outage(net: Network) -> None:
    net.line.fall_silent()
    began = time.monotonic()
    net.drop(*SMALL, LARGE)
    net.wait_for("partner.unreachable", name=net.caller)
    assert TIMEOUT - 0.1 < time.monotonic() - began < 4 * TIMEOUT
    net.line.mend()
    net.check(outages=1)


def test_a_line_that_falls_silent_in_the_middle_of_a_file_is_noticed_after_the_timeout(net: Network) -> None:
    net.line.rate = 2 * MIB
    net.drop(8 * MIB)
    wait_for(lambda: net.carried() > MIB)
    net.line.fall_silent()
    net.wait_for("partner.unreachable", name=net.caller)
    net.line.mend()
    net.check(outages=1)


@PUSH
def test_an_idle_connection_that_was_lost_on_the_way_is_no_outage(net: Network) -> None:
    net.drop(*SMALL)
    net.check(outages=0)
    net.line.fall_silent(new_ones=False)
    net.drop(*SMALL)
    net.check(outages=0)
    net.line.cut()
    net.drop(LARGE)
    net.check(outages=0)
    assert len(net.line.sessions) == 3


def test_a_line_that_pauses_for_less_than_the_timeout_is_no_outage(net: Network) -> None:
    pauses = iter([TIMEOUT / 2])

    def pause() -> bool:
        time.sleep(next(pauses, 0.0))
        return False

    net.line.before_answer = pause
    net.drop(*SMALL, LARGE)
    net.check(outages=0)


@pytest.mark.parametrize(("size", "rate"), [(12 * KIB, 6 * KIB), (LARGE, 100 * KIB)], ids=["small", "large"])
def test_a_slow_line_is_no_outage(net: Network, size: int, rate: int) -> None:
    """The large file's rate: a read or write of the usual size takes longer than the timeout."""
    net.line.rate = rate
    net.drop(size)
    net.check(outages=0)


@WE_UPLOAD
def test_a_line_that_carries_one_kib_a_second_brings_a_file_all_the_same(net: Network) -> None:
    net.drop(KIB)
    net.check(outages=0)
    net.line.rate = KIB
    net.drop(KIB)
    net.wait_for("sent", 2)
    net.line.rate = None
    net.check(outages=net.events().count("partner.unreachable"))


def test_a_line_round_the_world_is_no_outage_and_files_go_side_by_side(net: Network) -> None:
    net.line.delay = 0.1
    net.drop(*[20 * KIB] * 12, LARGE)
    net.ofsted.drop(b"{}", "24 015 497 concern.json", CONCERN)
    net.wait_for("acknowledged", name="ofsted")
    net.check(outages=0)


@PUSH
@pytest.mark.parametrize("size", [20 * KIB, LARGE], ids=["small", "large"])
def test_a_rename_whose_answer_was_lost_is_not_repeated_as_another_delivery(net: Network, size: int) -> None:
    zone = net.ofsted.sshd.zone
    assert net.ofsted.stop() == 0
    net.line.before_answer = lambda: any(zone.glob("*.age"))
    net.drop(size)
    net.wait_for("sent")
    assert len(net.line.sessions) == 2
    if size == LARGE:
        assert net.line.sessions[-1].up < 100 * KIB
    net.ofsted.start()
    net.check(outages=1)


@WE_UPLOAD
def test_what_the_receiver_took_before_we_learnt_of_the_rename_is_delivered_once(net: Network) -> None:
    zone = net.ofsted.sshd.zone
    net.line.before_answer = lambda: any(zone.glob("*.age")) or "delivered" in net.events("ofsted")
    net.drop(LARGE)
    net.wait_for("acknowledged")
    net.check(outages=net.events().count("partner.unreachable"))


# --- resuming ---------------------------------------------------------------------------------------------------------


@PUSH
def test_a_large_upload_goes_on_behind_what_the_server_has(net: Network) -> None:
    size, cut = 24 * MIB, 16 * MIB
    net.line.cuts.append((cut, None))
    net.drop(size)
    net.check(outages=1)
    first, second = net.line.sessions
    assert first.up == cut
    # what was under way when it was cut goes again (at most 4 MiB, and one write that had not arrived whole)
    assert second.up < size - cut + 5 * MIB
    # to make sure of the rest, 3 MiB of it were read back
    assert second.down < 4 * MIB


@WE_UPLOAD
def test_a_large_upload_goes_on_after_the_daemon_was_stopped_in_the_middle(net: Network) -> None:
    size = 16 * MIB
    net.line.rate = 4 * MIB
    net.drop(size)
    wait_for(lambda: any(session.up > 8 * MIB for session in net.line.sessions))
    net.line.rate = None
    assert net.lgsco.stop() == 0
    sent = sum(session.up for session in net.line.sessions)
    net.lgsco.start()
    net.check(outages=0)
    assert sum(session.up for session in net.line.sessions) - sent < 13 * MIB or sent > size


@WE_UPLOAD
def test_an_unfinished_file_that_is_not_ours_is_not_built_upon(net: Network) -> None:
    net.line.refuse()
    net.drop_in_vain(LARGE)
    unfinished = put_into_zone(net.ofsted, net.lgsco.rows()[-1].id + ".age.part", os.urandom(400 * KIB), ours=False)
    net.line.mend()
    net.check(outages=1)
    assert not unfinished.exists()


# --- the partner's server ---------------------------------------------------------------------------------------------


def test_a_server_that_refuses_our_key_is_one_outage_until_it_is_granted_again(net: Network) -> None:
    sshd = net.host.sshd
    sshd.authorize(make_key()[1])
    net.drop(*SMALL, LARGE)
    net.wait_for("partner.unreachable", name=net.caller)
    assert net.cause() == "AuthenticationRefused"
    time.sleep(1)
    assert "refused our key" in net.calling.command("status").stdout
    sshd.authorize(*net.transport_keys())
    net.check(outages=1)


@WE_UPLOAD
def test_a_full_landing_zone_takes_what_fits_and_the_rest_when_there_is_room(net: Network) -> None:
    with disk(net.ofsted, "size=1m") as zone:
        filler = put_into_zone(net.ofsted, "filler.part", bytes(600 * KIB))
        net.drop(LARGE)
        net.wait_for("partner.unreachable")
        assert net.cause() == "LandingFull"
        net.drop(*SMALL)
        net.wait_for("acknowledged", len(SMALL))
        time.sleep(1)
        assert "is full" in net.lgsco.command("status").stdout
        assert {path.name for path in zone.iterdir()} <= {"filler.part", net.lgsco.rows()[-4].id + ".age.part"}
        filler.unlink()
        net.check(outages=1)


@WE_UPLOAD
def test_a_landing_zone_that_is_read_only_for_a_while_is_one_outage(net: Network) -> None:
    with disk(net.ofsted, "size=4m") as zone:
        mount(zone, "remount,ro")
        net.drop(*SMALL, LARGE)
        net.wait_for("partner.unreachable")
        assert net.cause() == "LandingReadOnly"
        time.sleep(1)
        mount(zone, "remount,rw")
        net.check(outages=1)


@WE_UPLOAD
@pytest.mark.parametrize(("size", "others"), [(20 * KIB, [20 * KIB] * 35), (LARGE, [LARGE])], ids=["small", "large"])
def test_a_file_that_the_server_refuses_keeps_no_other_waiting(net: Network, size: int, others: list[int]) -> None:
    """There are more small ones than go side by side."""
    net.line.refuse()
    net.drop_in_vain(size)
    in_the_way = put_into_zone(net.ofsted, net.lgsco.rows()[-1].id + ".age.part", b"", ours=False)
    in_the_way.chmod(0o600)
    net.line.mend()
    net.drop(*others)
    net.wait_for("acknowledged", len(others))
    net.drop(*SMALL)
    net.wait_for("acknowledged", len(others) + len(SMALL))
    net.ofsted.drop(b"{}", f"24 015 498 {size}.json", CONCERN)
    net.wait_for("acknowledged", name="ofsted")
    # other files, and a receipt: still one outage
    assert net.events().count("partner.reachable") == 0
    in_the_way.unlink()
    net.check(outages=1)


@PUSH
def test_another_host_key_is_not_called_upon_again_until_a_person_did_something(tmp_path: Path) -> None:
    with faulty_network(tmp_path, {"retry.max": "1h"}) as net, Sshd() as impostor:
        impostor.authorize(*net.transport_keys())
        net.start()
        net.drop(*SMALL)
        net.check(outages=0)
        net.begin()
        net.line.rate = 2 * MIB
        net.drop(4 * MIB)
        wait_for(lambda: any(session.up > MIB for session in net.line.sessions))
        # somebody takes the partner's place in the middle of an upload
        net.line.target = impostor.port
        net.line.mend()
        net.line.cut(reset=True)
        net.drop(*SMALL)
        wait_for(lambda: net.cause() == "HostKeyChanged")
        tried = len(net.line.sessions)
        net.drop(LARGE)
        time.sleep(2)
        assert len(net.line.sessions) == tried
        assert "host key of ofsted is not the one" in net.lgsco.command("status").stdout
        assert net.lgsco.command("status", "--check").returncode == 1
        person_asks_for_another_try(net)
        wait_for(lambda: len(net.line.sessions) > tried)
        time.sleep(1)
        assert len(net.line.sessions) == tried + 1
        assert list(impostor.zone.iterdir()) == []
        net.line.target = net.ofsted.sshd.port
        person_asks_for_another_try(net)
        net.wait_for("acknowledged", len(net.files))
        net.wait_for("partner.reachable")
        assert net.events().count("partner.unreachable") == net.events().count("partner.reachable") == 1
        assert net.events().count("partner.still-unreachable") == 1


# --- helpers ----------------------------------------------------------------------------------------------------------


def put_into_zone(one: Running, name: str, content: bytes, *, ours: bool = True) -> Path:
    """A file in the landing zone, of the user who logs in or of somebody else."""
    path = one.sshd.zone / name
    path.write_bytes(content)
    if ours:
        shutil.chown(path, one.sshd.user)
    else:
        path.chmod(0o666)
    return path


@contextmanager
def disk(one: Running, options: str) -> Iterator[Path]:
    """Put the landing zone on a disk of its own."""
    mount(one.sshd.zone, f"uid={one.sshd.uid},mode=0700,{options}")
    try:
        yield one.sshd.zone
    finally:
        subprocess.run(["umount", "--lazy", one.sshd.zone], check=True)


def person_asks_for_another_try(net: Network) -> None:
    waiting = [row.id for row in net.lgsco.rows() if row.state == "sealed"]
    asked = net.lgsco.command("retry", waiting[-1])
    assert asked.returncode == 0, asked.stderr
