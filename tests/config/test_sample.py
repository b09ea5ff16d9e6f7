import itertools
import subprocess
import sys
import tomllib
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel

from config import sample
from config.sections import Collect, Partner
from config.settings import Settings

ROOT = Path(__file__).parents[2]


def test_the_manuals_page_is_the_one_that_the_model_makes() -> None:
    """After a change of the settings: python -m config.sample --write-docs."""
    assert (ROOT / sample.DOCS).read_text(encoding="utf-8") == sample.documentation()


def test_every_key_has_a_meaning_and_a_default_or_an_example() -> None:
    fields = {name: field for name, field in Settings.model_fields.items() if name != "partners"}
    sections: list[type[BaseModel]] = [Partner, Collect, *map(sample.section_of, fields.values())]
    for section in sections:
        for key, field in section.model_fields.items():
            if key == "collect":  # a section of its own
                continue
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
    for key in ("accept_rotation", "require_pq", "collects", "path", "every", "host_keys"):
        said[[*said][-1]].pop(key)  # the partners' sections stay comments: their defaults land in the last section
    assert len(said["watch"]) == 3
    least = Settings.model_validate({"organisation": said["organisation"]})
    assert Settings.model_validate(said) == least


def test_examples_in_the_sample_are_values_that_fit() -> None:
    lines = sample.render(sample.EXAMPLE).splitlines()
    partners = [lines.index(f"# [partners.ofsted{inner}]") for inner in ("", ".collect")]
    live = [
        line.removeprefix("# ")
        for number, line in enumerate(lines[3:], start=3)
        if " = " in line or line.startswith("[") or number in partners
    ]
    said = Settings.model_validate(tomllib.loads("\n".join(live)))
    assert said.landing.host == "sftp.lgsco.example"
    assert said.partner("ofsted").agreement == "ofsted-lgsco"
    assert said.partner("ofsted").collect.host == "10.0.0.8"


def test_a_sample_with_partners_holds_their_sections() -> None:
    values: dict[str, sample.Value] = {
        "partners.ofsted.port": 2022,
        "partners.other.keep_sent": "none",
        "partners.third.collect.every": "5m",
    }
    text = sample.render({**sample.EXAMPLE, **values})
    said = Settings.model_validate(tomllib.loads(text))
    assert said.partner("third").collect.every == timedelta(minutes=5)
    assert "# [partners" not in text
    assert said.partner("ofsted").port == 2022
    assert said.partner("other").keep_sent == timedelta(0)
    assert said.partner("ofsted").keep_sent is None
