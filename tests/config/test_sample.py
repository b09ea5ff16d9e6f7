import itertools
import subprocess
import sys
import tomllib
from pathlib import Path

from pydantic import BaseModel

from config import sample
from config.settings import Partner, Settings

ROOT = Path(__file__).parents[2]


def test_the_manuals_page_is_the_one_that_the_model_makes() -> None:
    """After a change of the settings: python -m config.sample --write-docs."""
    assert (ROOT / sample.DOCS).read_text(encoding="utf-8") == sample.documentation()


def test_every_key_has_a_meaning_and_a_default_or_an_example() -> None:
    fields = {name: field for name, field in Settings.model_fields.items() if name != "partners"}
    sections: list[type[BaseModel]] = [Partner, *map(sample.section_of, fields.values())]
    for section in sections:
        for key, field in section.model_fields.items():
            assert (field.description or "").endswith("."), key
            assert field.examples or not field.is_required(), key
            assert field.examples or field.default is not None, key


def test_the_program_prints_the_sample_and_writes_the_page(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "config.sample"], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == sample.render(sample.EXAMPLE)
    (tmp_path / "docs").mkdir()
    subprocess.run([sys.executable, "-m", "config.sample", "--write-docs"], check=True, cwd=tmp_path)
    assert (tmp_path / sample.DOCS).read_text(encoding="utf-8") == sample.documentation()


def test_removing_every_comment_sign_from_the_sample_changes_no_default() -> None:
    lines = sample.render(sample.EXAMPLE).splitlines()[3:]
    with_default = [
        line.removeprefix("# ")
        for before, line in itertools.pairwise(lines)
        if not line.startswith("# ") or (" = " in line and not before.endswith("for example:"))
    ]
    said = tomllib.loads("\n".join(with_default))
    assert set(said) == set(Settings.model_fields) - {"partners"}
    said["alerts"].pop("keep_sent")  # the partners' section stays a comment: its default lands in the last section
    assert len(said["watch"]) == 3
    least = Settings.model_validate({"organisation": said["organisation"]})
    assert Settings.model_validate(said) == least


def test_examples_in_the_sample_are_values_that_fit() -> None:
    lines = sample.render(sample.EXAMPLE).splitlines()
    partners = lines.index("# [partners.ofsted]")
    live = [
        line.removeprefix("# ")
        for number, line in enumerate(lines[3:], start=3)
        if " = " in line or line.startswith("[") or number == partners
    ]
    said = Settings.model_validate(tomllib.loads("\n".join(live)))
    assert said.landing.host == "sftp.lgsco.example"
    assert said.partner("ofsted").agreement == "ofsted-lgsco"


def test_a_sample_with_partners_holds_their_sections() -> None:
    text = sample.render({**sample.EXAMPLE, "partners.ofsted.port": 2022, "partners.other.keep_sent": "none"})
    said = Settings.model_validate(tomllib.loads(text))
    assert said.partner("ofsted").port == 2022
    assert not said.partner("other").keeps_sent
    assert said.partner("ofsted").keeps_sent
