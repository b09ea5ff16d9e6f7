"""A test that hangs for good ends neither the run nor in silence."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CONFTEST = """
import tests.hanging
pytest_plugins = ("tests.sharing", "tests.hanging")
tests.hanging.PATIENCE = 1.0, 1.0
"""

HANGING = """
import os, signal, time
from pathlib import Path

def hang():
    # as C code would: no timeout that is raised in this thread is heard
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    time.sleep(100)

def test_it():
    first = Path({mark!r})
    if not first.exists() or {always}:
        first.touch()
        {act}
"""


def run(folder: Path, act: str, always: bool, files: int = 8, at: int = 4) -> subprocess.CompletedProcess[str]:
    """Two processes, and files of one test each; that of number `at` does what it should not, once or always."""
    tests = folder / "tests"
    tests.mkdir()
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "setup.cfg").write_text("[tool:pytest]\ntimeout = 3\n")
    for number in range(files):
        (tests / f"test_{number}.py").write_text("def test_one(): pass\n")
    (tests / f"test_{at}.py").write_text(HANGING.format(mark=str(folder / "mark"), act=act, always=always))
    shared = ("-n", "2", "--no-loadscope-reorder", "--max-worker-restart", "2")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *shared, "tests"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.mark.parametrize(("files", "at"), [(8, 4), (4, 0)])
def test_a_test_that_hung_is_tried_once_more_and_where_it_hung_is_said(tmp_path: Path, files: int, at: int) -> None:
    ended = run(tmp_path, "hang()", always=False, files=files, at=at)
    assert ended.returncode == 0, ended.stdout
    assert re.search(f" {files} passed, .*1 rerun in ", ended.stdout)
    hung = ended.stdout.partition(" hung ===")[2]
    assert f"tests/test_{at}.py::test_it\n" in hung
    assert "in hang" in hung
    assert "/site-packages/" not in hung.partition("in hang")[2]


def test_a_test_that_hangs_again_fails(tmp_path: Path) -> None:
    ended = run(tmp_path, "hang()", always=True)
    assert ended.returncode == 1, ended.stdout
    assert "FAILED tests/test_4.py::test_it" in ended.stdout


def test_a_test_whose_process_died_otherwise_has_failed(tmp_path: Path) -> None:
    ended = run(tmp_path, "os._exit(3)", always=False)
    assert ended.returncode == 1, ended.stdout
    assert "FAILED tests/test_4.py::test_it" in ended.stdout


def test_a_file_that_cannot_be_loaded_is_named_with_its_error(tmp_path: Path) -> None:
    ended = run(tmp_path, "pass\n\nimport not_to_be_found", always=False)
    assert ended.returncode == 1, ended.stdout
    assert "ERROR collecting tests/test_4.py" in ended.stdout
    assert "No module named 'not_to_be_found'" in ended.stdout
    assert "INTERNALERROR" not in ended.stdout
