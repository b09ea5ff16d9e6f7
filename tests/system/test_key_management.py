"""docs/key-management.md: an administrator who follows it sees what it shows."""

import re
from pathlib import Path

from tests.system.scenes import Scenes
from tests.system.transcript import parse, play

PAGE = Path(__file__).parents[2] / "docs" / "key-management.md"

BEGIN = """[start two-homes]

$ handover --home ofsted run > ofsted.log &
[wait ofsted.log daemon.ready]
$ handover --home lgsco run > lgsco.log &
[wait lgsco.log daemon.ready]
$ cd lgsco/outbound/ofsted/upheld-decision && mkdir Birmingham && echo decided > 'Birmingham/24 015 493 decision.pdf'
[wait lgsco.log "acknowledged"]
"""
END = """$ kill $(cat lgsco/daemon.pid) $(cat ofsted/daemon.pid)
[wait new.log daemon.stopped]
"""
"""LGSCO has a new home by then."""


def test_every_command_of_the_rota_does_what_the_page_shows(tmp_path: Path) -> None:
    """The page's terminals, in order; a comment in it says what an administrator would wait for."""
    text = PAGE.read_text("utf-8")
    pieces = re.findall(r"^```console\n(.*?)^```|^<!-- (\[wait .+?\]|\$ .+?) -->$", text, re.MULTILINE | re.DOTALL)
    script = "".join(shown or f"{hidden}\n" for shown, hidden in pieces)
    script = script.replace("\nnext: ", "\n2> next: ")
    assert len(pieces) == 19
    folder = tmp_path / "homes"
    folder.mkdir()
    steps = list(play(parse(BEGIN + script + END), folder, Scenes(tmp_path / "scenes")))
    assert len(steps) == (BEGIN + script + END).count("$ ")
