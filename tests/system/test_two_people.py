"""docs/two-people.md: administrators who follow it see what it shows."""

import re
from pathlib import Path

from config import settings
from tests.system.scenes import Scenes
from tests.system.transcript import parse, play

PAGE = (Path(__file__).parents[2] / "docs" / "two-people.md").read_text("utf-8")


def test_every_command_of_the_page_does_what_it_shows(tmp_path: Path) -> None:
    pieces = re.findall(r"^```console\n(.*?)^```|^<!-- (\$ .+?) -->$", PAGE, re.MULTILINE | re.DOTALL)
    script = "".join(shown or f"{hidden}\n" for shown, hidden in pieces)
    folder = tmp_path / "homes"
    folder.mkdir()
    steps = list(play(parse(f"[start two-homes]\n{script}"), folder, Scenes(tmp_path / "scenes")))
    assert len(steps) == script.count("\n$ ") + script.startswith("$ ") > 25


def test_the_settings_are_ones_that_the_program_takes() -> None:
    [block] = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for letter in "ABC":
        block = block.replace("AAAA…", letter * 68, 1)
    said = settings.parse(f'[organisation]\nid = "lgsco"\nname = "x"\n{block}'.encode())
    assert len(said.approval.administrators) == 3
    assert said.approval.revoke == "at-once"
