"""Every command as a person sees it: the transcripts, played on the real program."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.system import transcript
from tests.system.scenes import Scenes
from tests.system.transcript import Done, Mismatch, Runner, parse, play

FILES = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[int]]]:
    """All transcripts that this run asks for, three at a time; each has a folder of its own."""
    wanted = {item.callspec.id for item in request.session.items if hasattr(item, "callspec")}
    scenes = Scenes(tmp_path_factory.mktemp("scenes"))
    with ThreadPoolExecutor(3) as pool:
        yield {
            path.stem: pool.submit(_play, path, tmp_path_factory.mktemp(path.stem), scenes)
            for path in FILES
            if path.stem in wanted
        }


def _play(path: Path, folder: Path, scenes: Scenes) -> int:
    return sum(1 for _ in play(parse(path.read_text("utf-8")), folder, scenes))


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_the_program_does_what_the_transcript_shows(name: str, played: dict[str, Future[int]]) -> None:
    assert played[name].result() > 0


def test_there_are_transcripts_for_every_command() -> None:
    from exchange.cli import COMMANDS

    said = "\n".join(path.read_text("utf-8") for path in FILES)
    assert [command for command in COMMANDS if f" {command} " not in said] == []


# --- the runner itself ------------------------------------------------------------------------------------------------


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    """A runner in an empty folder."""
    made = Runner(tmp_path)
    yield made
    made.close()


def act(runner: Runner, text: str) -> list[Done]:
    return [runner.act(step) for step in parse(text).steps]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("$ echo one\ntwo\n", "stdout is not as expected"),
        ("$ echo one\n", "stdout is not as expected"),
        ("$ true\none\n", "stdout is not as expected"),
        ("$ echo one; echo two\none\n", "stdout is not as expected"),
        ("$ echo one >&2\none\n", "stdout is not as expected"),
        ("$ echo one >&2\n", "stderr is not as expected"),
        ("$ true\n2> one\n", "stderr is not as expected"),
        ("$ false\n", "exit code 1 instead of 0"),
        ("$ true\n[exit 1]\n", "exit code 0 instead of 1"),
        ("$ touch left; false\n[exit 1]\n", "the command failed and left left"),
        ("$ true\n[file made]\n", "there is no file made"),
        ("$ touch made\n[no file m*]\n", "there is made"),
        ("$ echo 'Traceback (most recent call last):' >&2\n2> …\n", "a person saw a traceback"),
        ("$ echo a; echo c\na\n[...]\nb\n", "stdout is not as expected"),
        ("$ echo one two\n‹word› ‹word›\n", "stdout is not as expected"),
        ("$ echo one\n‹word›\n$ echo two\n‹word›\n", "stdout is not as expected"),
        ("$ echo axb\na.b\n", "stdout is not as expected"),
        ("$ true\n[exist made]\n", "stdout is not as expected"),
    ],
)
def test_the_runner_notices(runner: Runner, text: str, complaint: str) -> None:
    with pytest.raises(Mismatch, match=complaint.replace("*", ".")):
        act(runner, text)


@pytest.mark.parametrize(
    "text",
    [
        "$ echo one; echo two >&2; exit 3\none\n2> two\n[exit 3]\n",
        "$ echo at 10:15 on Monday\nat … on …\n",
        "$ echo a; echo b; echo c\na\n[...]\nc\n",
        "$ echo a; echo b\n[...]\n",
        "$ true\n[...]\n",
        "$ echo 'the id is 7'\nthe id is ‹id›\n$ echo ‹id› again\n7 again\n",
        "$ echo 7 and 7\n‹id› and ‹id›\n",
        "$ touch left; false\n[exit 1]\n[file left]\n",
        "## a comment\n$ printf 'a  \\n\\n'\na\n\n",
        "$ read -p 'name: ' name; echo $name\ntty> name: Somebody\nSomebody\n",
        "$ (sleep 0.2; echo done > log) &\n[wait log done]\n",
    ],
)
def test_the_runner_is_content(runner: Runner, text: str) -> None:
    assert act(runner, text)


def test_a_line_before_the_first_command_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2 comes before the first command"):
        parse("## fine\nnot fine\n")


def test_a_prompt_that_never_comes_is_noticed(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "PATIENCE", 0.5)
    with pytest.raises(AssertionError, match=r"never showed 'name:', only:\nother"):
        act(runner, "$ echo other >&2; sleep 1\ntty> name: Somebody\n")


def test_a_command_that_does_not_end_is_ended(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "PATIENCE", 0.5)
    with pytest.raises(Mismatch, match=r"after 0\.5 seconds this had not ended: sleep 600"):
        act(runner, "$ sleep 600\n")


def test_what_was_started_in_the_background_is_ended(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    act(
        runner, "$ (trap 'echo ended > log; exit' TERM; echo up > log; while :; do sleep 0.05; done) &\n[wait log up]\n"
    )
    runner.close()
    ended = threading.Event()
    for _ in range(100):
        if "ended" in (tmp_path / "log").read_text():
            return
        ended.wait(0.05)
    raise AssertionError("it still runs")
