"""The house keeps its own rules, and each rule notices what is against it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import house
from tests.house import Module, Modules
from tests.house_tables import RULES

REAL = house.house()


def planted(**sources: str) -> dict[str, Module]:
    """Modules from their sources; `ledger_note` becomes `ledger.note`."""
    names = {name.replace("_", ".", 1): text for name, text in sources.items()}
    return {name: Module(name, name.replace(".", "/") + ".py", text) for name, text in names.items()}


def with_line(name: str, line: str) -> Modules:
    """The real house, with one more line at the end of one of its modules."""
    module = REAL[name]
    return {**REAL, name: Module(name, module.path, module.text + line + "\n")}


@pytest.mark.parametrize("check", house.CHECKS)
def test_the_house_keeps_the_rule(check: house.Check) -> None:
    assert check(REAL) == []


def test_nothing_was_left_behind() -> None:
    assert house.left_behind(house.written()) == []


def test_the_rules_are_about_the_whole_house() -> None:
    rooms = {module.room for module in REAL.values()}
    assert rooms == set(house.ROOMS)
    assert len(REAL) > 80
    assert {"README.md", "Makefile", "setup.cfg", "exchange/cli/show.py", "tests/test_house.py"} <= set(house.written())


# --- walls ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "finding"),
    [
        ("import keys", "ledger/odd.py:1: ledger imports keys, which stands to its right"),
        ("\nfrom exchange.cli import show", "ledger/odd.py:2: ledger imports exchange, which stands to its right"),
        ("def late():\n    from keys import trust", "ledger/odd.py:2: ledger imports keys, which stands to its right"),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import keys.trust",
            "ledger/odd.py:3: ledger imports keys, which stands to its right",
        ),
        ("from tests import house", "ledger/odd.py:1: ledger imports tests, which stands to its right"),
    ],
)
def test_an_import_through_a_wall_is_found_wherever_it_stands(source: str, finding: str) -> None:
    assert house.walls(planted(ledger_odd=source)) == [finding]


def test_imports_from_the_left_and_of_others_are_allowed() -> None:
    source = "import os\nfrom config import errors\nfrom ledger.note import Note\nimport keysmith\n"
    assert house.walls(planted(ledger_odd=source)) == []


# --- circles ----------------------------------------------------------------------------------------------------------


def test_a_circle_is_found_even_if_one_of_its_imports_stands_in_a_function() -> None:
    three = planted(
        ledger_a="from ledger import b", ledger_b="def f():\n    from ledger.c import x", ledger_c="import ledger.a"
    )
    assert house.circles(three) == ["ledger/a.py:1: goes in a circle: ledger.a -> ledger.b -> ledger.c -> ledger.a"]


def test_a_circle_is_found_that_does_not_pass_through_the_first_module() -> None:
    found = house.circles(planted(ledger_a="import ledger.b", ledger_b="import ledger.c", ledger_c="import ledger.b"))
    assert found == ["ledger/b.py:1: goes in a circle: ledger.b -> ledger.c -> ledger.b"]


def test_two_ways_to_the_same_module_are_no_circle() -> None:
    diamond = planted(ledger_a="from ledger import b, c", ledger_b="import ledger.d", ledger_c="import ledger.d")
    assert house.circles({**diamond, **planted(ledger_d="")}) == []


# --- purity -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("import os", "is pure, and imports os"),
        ("import os.path", "is pure, and imports os"),
        ("from time import monotonic", "is pure, and imports time"),
        ("def f():\n    import random", "is pure, and imports random"),
        ("import pysqlite3.dbapi2", "is pure, and imports pysqlite3"),
        ("import secrets", "is pure, and imports secrets"),
        ("def f():\n    return open('x')", "is pure, and calls open()"),
        ("import datetime as dt\nNOW = dt.datetime.now(dt.UTC)", "is pure, and calls datetime.now()"),
        ("import datetime\nTODAY = datetime.date.today()", "is pure, and calls date.today()"),
        ("import uuid\nNEW = uuid.uuid4()", "is pure, and calls uuid.uuid4()"),
    ],
)
def test_an_effect_in_a_pure_module_is_found(line: str, finding: str) -> None:
    [found] = house.impurities(with_line("ledger.merkle", line))
    assert found.startswith("ledger/merkle.py:")
    assert found.endswith(": " + finding)


def test_only_the_modules_that_make_fresh_keys_may_import_secrets() -> None:
    assert house.impurities(with_line("keys.age.file", "import secrets")) == []
    assert house.impurities(with_line("keys.age.file", "import random")) != []
    assert house.impurities(with_line("keys.age.stream", "import secrets")) != []


def test_a_pure_module_that_was_renamed_is_missed() -> None:
    without = {name: module for name, module in REAL.items() if name != "ledger.merkle"}
    assert house.impurities(without) == ["ledger.merkle: is to be pure, and there is no such module"]


# --- sizes, docstrings, left-behind words -----------------------------------------------------------------------------


def test_a_file_of_350_lines_is_as_long_as_one_may_be() -> None:
    assert house.too_long(planted(ledger_a="x = 1\n" * 350)) == []
    assert house.too_long(planted(ledger_a="x = 1\n" * 351)) == ["ledger/a.py:351: has more than 350 lines"]


def test_what_has_no_docstring_is_found() -> None:
    source = (
        "class Public:\n    def method(self): pass\n    def _private(self): pass\n"
        "    async def waits(self): pass\n"
        "def function(): pass\ndef _hidden(): pass\nclass _Hidden:\n    def m(self): pass\n"
    )
    assert house.undocumented(planted(ledger_a=source)) == [
        "ledger/a.py:1: the module has no docstring",
        "ledger/a.py:1: Public has no docstring",
        "ledger/a.py:2: method has no docstring",
        "ledger/a.py:4: waits has no docstring",
        "ledger/a.py:5: function has no docstring",
    ]


@pytest.mark.parametrize(
    "words",
    [
        "# TO" + "DO: later",
        "# FIX" + "ME",
        "XX" + "X",
        "@pytest.mark.sk" + "ip",
        "pytest.sk" + "ip('not today')",
        "@pytest.mark.xf" + "ail",
        "x = 1  # no" + "qa: E501",
        "x = 1  # type: ig" + "nore",
        "if x:  # pragma: no co" + "ver",
    ],
)
def test_words_that_were_left_behind_are_found(words: str) -> None:
    [found] = house.left_behind({"a.py": f"fine\n{words}\n"})
    assert found.startswith("a.py:2: ")


# --- specifications ---------------------------------------------------------------------------------------------------


def test_a_rule_whose_line_was_taken_away_is_found() -> None:
    module = REAL["ledger.entry"]
    cut = Module(module.name, module.path, module.text.replace("SPEC: FORMATS 5: an entry has", "an entry has"))
    missing = "ledger.entry: no line '# SPEC: …' with the words 'at most 65,535 bytes'"
    assert missing not in house.unspecified(REAL)
    assert missing in house.unspecified({**REAL, module.name: cut})


def test_every_section_of_the_formats_has_rules() -> None:
    """Each of the published specifications that the formats name is held somewhere."""
    held = {words for _, words in RULES}
    published = ("C2SP age", "POSIX ustar", "RFC 9162", "PROTOCOL.sshsig", "RFC 9562", "BIP 173")
    notes = (
        "C2SP signed-note",
        "C2SP tlog-checkpoint",
        "C2SP tlog-cosignature",
        "C2SP tlog-proof",
        "C2SP tlog-witness",
    )
    for specification in published + notes:
        assert any(words.startswith(specification) for words in held), specification


# --- the map ----------------------------------------------------------------------------------------------------------


def test_the_map_in_the_manual_is_that_of_the_source() -> None:
    """After a change of a first sentence or an import: python -m tests.house --write."""
    page = (house.ROOT / house.MAP).read_text("utf-8")
    assert page == house.mapped(page, REAL)


def test_the_map_names_every_file_with_what_it_is_and_imports() -> None:
    drawn = house.drawn(REAL)
    assert "| `merkle.py`, pure | " in drawn
    assert all(
        f"`{module.path.split('/', 1)[1]}`" in drawn for module in REAL.values() if module.name not in house.ROOMS
    )


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("One thing. And another.", "One thing."),
        ("A long one\nover two lines.\n\n    diagram", "A long one over two lines."),
        ("`daemon.py` has a dot. Yes", "`daemon.py` has a dot."),
        ("A | B", "A \\| B"),
        ("Reads the file:\n\n    like this", "Reads the file."),
    ],
)
def test_the_first_sentence_is_cut_out_whole(docstring: str, sentence: str) -> None:
    assert house.first_sentence(Module("ledger.a", "ledger/a.py", f'"""{docstring}"""')) == sentence


def test_what_stands_around_the_map_is_kept() -> None:
    page = "# Head\n\n" + house.BEGIN + "old\n" + house.END + "foot\n"
    again = house.mapped(page, REAL)
    assert again.startswith("# Head\n\n" + house.BEGIN)
    assert again.endswith(house.END + "foot\n")
    assert "old\n" not in again


def test_the_program_prints_findings_and_says_so_by_its_exit_code() -> None:
    findings = [finding for check in house.CHECKS for finding in check(REAL)] + house.left_behind(house.written())
    done = subprocess.run([sys.executable, "-m", "tests.house"], capture_output=True, text=True, cwd=Path(house.ROOT))
    assert done.stdout == ("\n".join(findings) or "nothing is against the rules of the house") + "\n"
    assert done.returncode == bool(findings)
