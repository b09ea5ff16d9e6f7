"""docs/operations.md: its commands make a server on which each partner can do what it must, and nothing else."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from config import settings
from config.errors import Misuse
from config.home import Home
from exchange.partners import list_partners, make_card
from exchange.setup import initialise
from exchange.status import check_home
from exchange.topology import Topology, pickup_address
from keys.keyring import Keyring
from tests.organisations import PASSPHRASE, TOPOLOGIES, Pair
from tests.system.scenes import Scenes
from tests.system.transcript import parse, play

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def as_root() -> list[str]:
    return [block for block in blocks("console") if block.startswith("# ")]


def test_the_commands_make_a_server_on_which_each_partner_has_its_own_folders_only(tmp_path: Path) -> None:
    once, each, collects = ([line.removeprefix("# ") for line in block.splitlines()] for block in as_root())
    assert each.pop() == "systemctl reload ssh"
    for_another = [line.replace("ofsted", "dfe") for line in (*each, *collects)]
    (tmp_path / "commands").write_text("\n".join([*once, *each, *collects, *for_another]))
    (tmp_path / "config").symlink_to(ROOT / "config")
    for partner in ("ofsted", "dfe"):
        home = initialise(tmp_path / "homes" / partner, partner, partner, PASSPHRASE, work_factor=1)
        keyring = Keyring.open(home.keys, lambda: PASSPHRASE)
        make_card(home, keyring, tmp_path / f"{partner}.toml")
        (tmp_path / partner).write_bytes(keyring.transport_key())
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-m", "tests.system.own_server", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_settings_are_ones_that_the_program_takes_and_fit_the_commands() -> None:
    block, metrics = blocks("toml")
    whole = f'[organisation]\nid = "lgsco"\nname = "x"\n{block.replace("AAAA…", "A" * 68)}{metrics}'
    said = settings.parse(whole.encode())
    assert said.metrics.listen == "127.0.0.1:9464"
    commands = "".join(blocks("console"))
    assert f"{said.folders.landing}/ofsted" in commands
    assert f"{said.folders.collect}/ofsted" in commands
    assert said.landing.path == "landing/{partner}"
    assert said.partner("ofsted").collect.path == "collect/{partner}"


@pytest.mark.topologies(*TOPOLOGIES)
def test_each_side_is_told_which_way_files_go(pair: Pair, topology: str) -> None:
    said = {
        "push": ("we upload, it uploads", "we upload, it uploads"),
        "ofsted-hosts": ("we upload, we collect", "it collects, it uploads"),
        "lgsco-hosts": ("it collects, it uploads", "we upload, we collect"),
    }
    for one, ways in zip((pair.lgsco, pair.ofsted), said[topology], strict=True):
        assert [row["topology"] for row in list_partners(one.home, one.parts.trust)] == [ways]
        assert check_home(one.home)["ways"] == f"{one.partner}: {ways}"
        assert (one.home.collect / one.partner).is_dir() == ("it collects" in ways)


@pytest.mark.topologies("ofsted-hosts", only=True)
def test_what_the_settings_say_of_a_partner_goes_before_what_its_card_says(pair: Pair) -> None:
    card = pair.lgsco.parts.trust.card("ofsted")

    config = pair.lgsco.home.config_file
    before = config.read_text().split("# [partners.ofsted]")[0]

    def told(text: str) -> Home:
        config.write_text(before + text)
        return Home.open(pair.lgsco.home.root)

    home = told("")
    assert pickup_address(home, card).path == "collect/lgsco"
    assert card.landing is not None
    assert pickup_address(home, card).host_keys == card.landing.host_keys
    home = told('[partners.ofsted]\nport = 2022\n[partners.ofsted.collect]\nhost = "10.0.0.8"\nuser = "x-{partner}"\n')
    address = pickup_address(home, card)
    assert (address.host, address.port, address.user) == ("10.0.0.8", 2022, "x-lgsco")
    assert Topology.of(home, card).collects
    home = told("[partners.ofsted.collect]\nenabled = false\n")
    assert not Topology.of(home, card).collects
    with pytest.raises(Misuse, match="nothing that ofsted sends can reach us: we offer no landing zone and do not"):
        check_home(home)
    home = told("[partners.ofsted]\ncollects = true\n")
    assert Topology.of(home, card).said == "it collects, we collect"


def test_where_nobody_has_a_server_the_check_complains(pair: Pair) -> None:
    home = pair.lgsco.home
    config = home.config_file
    config.write_text(re.sub(r"(?m)^host = .*", "", config.read_text()))
    card = replace(pair.lgsco.parts.trust.card("ofsted"), landing=None)
    problem = Topology.of(Home.open(home.root), card).problem
    assert problem == "neither we nor {partner} offer a landing zone, so nothing can be sent"


def test_every_command_of_an_ordinary_user_does_what_the_page_shows(tmp_path: Path) -> None:
    shown = "".join(block for block in blocks("console") if block.startswith("$ "))
    folder = tmp_path / "homes"
    folder.mkdir()
    steps = list(play(parse(f"[start two-homes]\n{shown}"), folder, Scenes(tmp_path / "scenes")))
    assert len(steps) == shown.count("$ ") >= 2
