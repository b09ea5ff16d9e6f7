"""The real daemons where only LGSCO has an SFTP server: Ofsted collects from it, over a line that fails.

LGSCO's files wait in a pick-up folder that its own OpenSSH serves; the line lies between that and Ofsted's daemon.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.line import KIB
from tests.sshd import Sshd
from tests.system.daemons import PICKUP, wait_for
from tests.system.network import Network, faulty_network
from tests.tmpfs import mount

pytestmark = pytest.mark.topologies("lgsco-hosts", only=True)

MIB = 1024 * KIB
SMALL = [20 * KIB] * 3


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


def pickup(net: Network) -> Path:
    """Where LGSCO's server keeps what is for Ofsted."""
    return net.lgsco.sshd.base / PICKUP


def downloaded(net: Network) -> int:
    return sum(session.down for session in net.line.sessions)


# --- the line ---------------------------------------------------------------------------------------------------------


def test_a_download_that_is_cut_goes_on_behind_what_came_and_is_one_outage(net: Network) -> None:
    size, cuts = 12 * MIB, (8 * MIB, 2 * MIB)
    net.line.refuse()
    net.wait_for("partner.unreachable", name="ofsted")
    net.drop(size)
    net.wait_for("sent")
    net.line.mend(*((None, cut) for cut in cuts))
    net.check(outages=1)
    # both ends and samples of what came are read back each time, at most 3 MiB
    assert downloaded(net) < size + 2 * 3 * MIB + 2 * MIB


@pytest.mark.parametrize("reset", [False, True], ids=["ended", "reset"])
def test_connections_that_are_cut_after_any_number_of_bytes_cost_nothing(net: Network, *, reset: bool) -> None:
    down = [0, 30, 800, 1600, 2000, 2300, 2600, 2900, 3200, 3500, 4500, 15_000, 40_000, 60_000]
    up = [21, 1500, 2600, 3000, 3400, 3800]
    net.line.refuse()
    net.wait_for("partner.unreachable", name="ofsted")
    net.drop(*SMALL)
    net.wait_for("sent", len(SMALL))
    net.line.mend(*((n, None) for n in up), *((None, n) for n in down))
    net.line.reset = reset
    net.check(outages=1)
    assert len(net.line.sessions) > len(up) + 10


def test_an_idle_connection_that_was_lost_on_the_way_is_no_outage(net: Network) -> None:
    net.drop(*SMALL)
    net.check(outages=0)
    net.line.fall_silent(new_ones=False)
    net.drop(*SMALL)
    net.check(outages=0)
    net.line.cut()
    net.drop(600 * KIB)
    net.check(outages=0)


def test_a_line_that_breaks_within_every_file_brings_them_all_the_same(net: Network) -> None:
    """Of files that are fetched side by side, half a file is lost with the line: so each is fetched alone then."""
    net.line.refuse()
    net.wait_for("partner.unreachable", name="ofsted")
    net.drop(*[100 * KIB] * 4)
    net.wait_for("sent", 4)
    net.line.mend(*[(None, 60 * KIB)] * 20)
    net.check(outages=None)


def test_a_line_that_falls_silent_in_the_middle_of_a_download_is_noticed_and_is_one_outage(net: Network) -> None:
    net.line.rate = 2 * MIB
    net.line.cut()
    net.drop(8 * MIB)
    wait_for(lambda: any(session.down > 2 * MIB for session in net.line.sessions))
    net.line.fall_silent()
    net.wait_for("partner.unreachable", name="ofsted")
    assert json.loads(net.ofsted.command("status", "--json").stdout)["partners"] == {"lgsco": "unreachable"}
    net.line.mend()
    net.check(outages=1)


def test_a_line_that_becomes_slow_brings_a_file_all_the_same(net: Network) -> None:
    """As long as it was quick, so much was asked for at once that its answer would take longer than the timeout."""
    net.drop(100 * KIB)
    net.check(outages=0)
    net.line.rate = 16 * KIB
    net.drop(48 * KIB)
    net.wait_for("delivered", 2, "ofsted")
    net.line.rate = None
    net.check(outages=0)


def test_another_host_key_is_not_called_upon_again_and_nothing_is_collected_from_it(tmp_path: Path) -> None:
    with faulty_network(tmp_path, {"retry.max": "1h"}, "lgsco-hosts") as net, Sshd() as impostor:
        impostor.authorize(*net.transport_keys())
        net.start()
        net.drop(*SMALL)
        net.check(outages=None)
        net.begin()
        (impostor.new_folder(PICKUP) / "01a20b88-93be-7d18-b247-0d4b8af8d931.age").write_bytes(b"of the impostor")
        net.line.target = impostor.port
        net.line.cut()
        # a busy machine may not answer in time before that
        wait_for(lambda: net.cause() == "HostKeyChanged")
        tried = len(net.line.sessions)
        time.sleep(2)
        assert len(net.line.sessions) == tried
        assert "host key of lgsco is not the one" in net.ofsted.command("status").stdout
        assert "quarantined" not in net.events("ofsted")


# --- deaths -----------------------------------------------------------------------------------------------------------


def test_a_large_download_goes_on_after_the_daemon_was_stopped_in_the_middle(net: Network) -> None:
    size = 16 * MIB
    net.line.rate = 4 * MIB
    net.line.cut()
    net.drop(size)
    wait_for(lambda: net.carried() > 8 * MIB)
    net.line.rate = None
    assert net.ofsted.stop() == 0
    before = downloaded(net)
    net.ofsted.start()
    net.check(outages=None)
    # both ends and samples of what came are read back, at most 3 MiB; or it was over before it was stopped
    assert downloaded(net) - before < size - 8 * MIB + 4 * MIB or before > size


def test_a_daemon_that_is_killed_while_it_collects_delivers_everything_once(net: Network) -> None:
    net.line.rate = 600 * KIB
    net.line.cut()
    net.drop(*[100 * KIB] * 8)
    for count in (1, 4):
        net.wait_for("delivered", count, "ofsted")
        net.ofsted.stop(signal.SIGKILL)
        net.ofsted.start()
    net.line.mend()
    net.check(outages=None)


# --- the host's server ------------------------------------------------------------------------------------------------


def test_a_folder_in_which_nothing_may_be_removed_is_one_outage_and_nothing_is_collected_twice(net: Network) -> None:
    folder = pickup(net)
    os.chown(folder, 0, 0)
    folder.chmod(0o755)
    net.drop(*SMALL)
    net.wait_for("acknowledged", len(SMALL))
    net.wait_for("partner.unreachable", name="ofsted")
    assert net.cause() == "NotRemovable"
    time.sleep(1)
    before = downloaded(net)
    time.sleep(2)
    assert downloaded(net) - before < 40 * KIB
    assert "lets us remove nothing" in net.ofsted.command("status").stdout
    assert "repeated" not in net.events("ofsted")
    os.chown(folder, net.lgsco.sshd.uid, -1)
    net.check(outages=1)


def test_a_pickup_folder_that_is_missing_is_one_outage_on_either_side(net: Network) -> None:
    folder = pickup(net)
    folder.rename(folder.with_name("away"))
    net.drop(*SMALL)
    net.wait_for("partner.unreachable", name="ofsted")
    net.wait_for("partner.unreachable")
    assert net.cause() == "NoPickup"
    assert "the pick-up folder at lgsco is not there" in net.ofsted.command("status").stdout
    assert "our pick-up folder for ofsted cannot be used" in net.lgsco.command("status").stdout
    time.sleep(1)
    folder.with_name("away").rename(folder)
    net.check(outages=1)
    assert net.events().count("partner.unreachable") == net.events().count("partner.reachable") == 1


def test_a_pickup_folder_that_is_read_only_for_a_while_is_one_outage_for_who_places_files_there(net: Network) -> None:
    with disk(net, "size=4m") as folder:
        mount(folder, "remount,ro")
        net.drop(*SMALL, 600 * KIB)
        net.wait_for("partner.unreachable")
        time.sleep(1)
        assert "our pick-up folder for ofsted cannot be used" in net.lgsco.command("status").stdout
        mount(folder, "remount,rw")
        net.check(outages=0)
        assert net.events().count("partner.unreachable") == net.events().count("partner.reachable") == 1


@pytest.mark.parametrize(("size", "others"), [(20 * KIB, [20 * KIB] * 35), (MIB, [MIB])], ids=["small", "large"])
def test_a_file_that_may_not_be_read_keeps_no_other_waiting(net: Network, size: int, others: list[int]) -> None:
    forbidden = pickup(net) / "01a20b88-93be-7d18-b247-0d4b8af8d931.age"
    forbidden.touch(mode=0o600)
    os.truncate(forbidden, size)
    net.wait_for("partner.unreachable", name="ofsted")
    assert net.cause() == "PermissionDenied"
    net.drop(*others)
    net.wait_for("acknowledged", len(others))
    assert net.events("ofsted").count("partner.reachable") == 0
    forbidden.unlink()
    net.check(outages=1)
    assert "quarantined" not in net.events("ofsted")


def test_a_full_pickup_folder_takes_what_fits_and_the_rest_when_there_is_room(net: Network) -> None:
    with disk(net, "size=3m") as folder:
        filler = folder / "filler"
        filler.write_bytes(bytes(1200 * KIB))
        net.drop(1000 * KIB)
        net.wait_for("partner.unreachable")
        net.drop(*SMALL)
        net.wait_for("acknowledged", len(SMALL))
        assert "our pick-up folder for ofsted is full" in net.lgsco.command("status").stdout
        filler.unlink()
        net.check(outages=None)


@contextmanager
def disk(net: Network, options: str) -> Iterator[Path]:
    """Put the pick-up folder on a disk of its own."""
    folder = pickup(net)
    mount(folder, f"uid={net.lgsco.sshd.uid},mode=0700,{options}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


# --- a hostile collector ----------------------------------------------------------------------------------------------


def test_what_the_collector_plants_in_its_folder_hurts_nobody(net: Network) -> None:
    folder = pickup(net)
    folder.joinpath("deep", "deeper").mkdir(parents=True)
    folder.joinpath("01a20b88-93be-7d18-b247-0d4b8af8d931.age").mkdir()
    folder.joinpath("01a20b88-93be-7d18-b247-0d4b8af8d932.age").symlink_to(net.lgsco.home.ledger)
    folder.joinpath("01a20b88-93be-7d18-b247-0d4b8af8d933.age.part").symlink_to("/")
    folder.joinpath(".hidden").write_bytes(b"x")
    for path in folder.rglob("*"):
        os.chown(path, net.lgsco.sshd.uid, -1, follow_symlinks=False)
    net.drop(*SMALL, MIB)
    net.wait_for("acknowledged", 4)
    assert "quarantined" not in net.events("ofsted")
    shutil.rmtree(folder / "deep")
    for path in folder.iterdir():
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    net.check(outages=None)
