"""All commands walked through: help with an example that parses, `--json` where data is printed, errors in one line."""

import ast
import inspect
import json
import shlex
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import pytest

from exchange.cli import handover
from tests.system.scenes import Scenes
from tests.system.transcript import Done, Runner

NO_JSON = {
    "demo": "tells a story",
    "init": "prints where the home is",
    "run": "prints its log, which is JSON Lines",
    "metrics": "prints a text of Prometheus's",
    "config schema": "is JSON",
    "partner landing": "prints sshd's configuration",
    "keys announce": "says in one line what it did",
    "keys accept": "says in one line what it did",
    "keys retire": "says in one line what it did",
    "keys export": "prints a file of OpenSSH's",
    "approval show": "prints what is signed, which is JSON",
    "ledger prove": "prints a proof file, a format of its own",
}
"""Commands without `--json`, and why."""

PRINTS_JSON = {
    "status": "",
    "submit": "'24 015 493 new.pdf' --to ofsted --category upheld-decision --authority Hull",
    "list": "--all",
    "show": "{id}",
    "release": "{held}",
    "withdraw": "{waiting}",
    "retention": "",
    "hold": "--partner ofsted --reason audit",
    "holds": "",
    "unhold": "{hold} --reason audit",
    "seal": "'24 015 493 new.pdf' --to ofsted --category upheld-decision --authority Hull -o X.age",
    "partner card": "",
    "partner list": "",
    "keys list": "",
    "keys history": "",
    "keys inventory": "",
    "keys incident": "{transport}",
    "keys rotate": "signing",
    "keys revoke": "{transport}",
    "approval list": "",
    "approval policy": "",
    "ledger query": "",
    "ledger show": "{id}",
    "ledger verify": "",
    "ledger check": "7.proof --key '{key}'",
    "ledger checkpoint": "",
    "agreement show": "",
    "authority find": "leeds",
    "config check": "",
    "config show": "",
}
"""Arguments with which a command prints its data on LGSCO's home; Ofsted's is used for those in AT_OFSTED."""

AT_OFSTED = {
    "retry": "{id}",
    "destroy": "{id} --reason audit",
    "open": "X.age",
    "partner add": "lgsco.toml --fingerprint '{fingerprint}'",
    "approval sign": "{to_sign} order.sig",
    "approval reject": "{to_reject}",
}


def walk(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that is no group, with its full name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        full = f"{path} {name}".strip()
        if isinstance(command, click.Group):
            yield from walk(command, full)
        else:
            yield full, command


COMMANDS = dict(walk(handover))


def has_json(command: click.Command) -> bool:
    return any("--json" in parameter.opts for parameter in command.params)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Two homes after some traffic."""
    folder = tmp_path_factory.mktemp("scene")
    Scenes(tmp_path_factory.mktemp("scenes")).set("exchanged", folder)
    (folder / "24 015 493 new.pdf").write_bytes(b"new")
    runner = Runner(folder)
    yield runner
    runner.close()


def answer(runner: Runner, command: str) -> str:
    done = runner.run(command, [])
    assert (done.exit, done.err) in ((0, ""), (0, done.err)), f"{command}\n{done.err}"
    return done.out


def proposed(scene: Runner) -> Iterator[str]:
    """Two orders that wait at Ofsted; order.sig is an administrator's signature over the second."""
    for name in ("one", "two"):
        answer(scene, f"ssh-keygen -q -t ed25519 -N '' -C '' -f {name}")
    said = 'required = ["keys rotate"]\\nadministrators = ["one %s", "two %s"]\\nexpires = "%s"\\n'
    for expires in ("7d", "5d"):
        answer(scene, f'printf \'{said}\' "$(cat one.pub)" "$(cat two.pub)" {expires} | sed \'s/ "/"/g\' > said')
        answer(scene, r"sed -i -e '/^\[approval\]/,/^\[/{/^[rae]/d}' -e '/^\[approval\]/r said' ofsted/handover.toml")
        yield str(json.loads(answer(scene, "handover --home ofsted approval policy --propose --json"))["order"])
    order = json.loads(answer(scene, "handover --home ofsted approval list --json"))[-1]["order"]
    answer(
        scene,
        f"handover --home ofsted approval show {order} | ssh-keygen -q -Y sign -n approve@handover -f one > order.sig",
    )


@pytest.fixture(scope="module")
def documents(scene: Runner) -> dict[str, Done]:
    """What each command of the tables prints with --json."""
    rows = json.loads(answer(scene, "handover --home lgsco list --all --json"))
    by_state = {row["state"]: row["id"] for row in rows}
    keys = json.loads(answer(scene, "handover --home lgsco keys list --json"))
    answer(scene, "handover --home lgsco ledger prove 7 -o 7.proof")
    placed = json.loads(answer(scene, f"handover --home lgsco hold {by_state['held']} --reason audit --json"))
    card = answer(scene, "handover --home lgsco partner card -o lgsco.toml")
    words = {
        "id": by_state["acknowledged"],
        "held": by_state["held"],
        "waiting": by_state["accepted"],
        "hold": placed["hold"],
        "key": next(key["public"] for key in keys if key["purpose"] == "ledger"),
        "transport": next(key["fingerprint"] for key in keys if key["purpose"] == "transport"),
        "fingerprint": card.removeprefix("fingerprint: ").strip(),
        **dict(zip(("to_reject", "to_sign"), proposed(scene), strict=True)),
    }
    at_lgsco = {name: f"handover --home lgsco {name} --json {rest}" for name, rest in PRINTS_JSON.items()}
    at_lgsco |= {name: f"handover {name} --json {PRINTS_JSON[name]}" for name in ("ledger check", "authority find")}
    at_ofsted = {name: f"handover --home ofsted {name} --json {rest}" for name, rest in AT_OFSTED.items()}
    found: dict[str, Done] = {}
    with ThreadPoolExecutor(2) as pool:
        for calls in (at_lgsco, at_ofsted):  # one after the other: Ofsted opens what LGSCO sealed
            done = pool.map(lambda call: scene.run(call.format(**words), []), calls.values())
            found |= dict(zip(calls, done, strict=True))
    return found


@pytest.fixture(scope="module")
def helps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Done, Done]]:
    """What each command says to --help, and to an option that it does not have."""
    runner = Runner(tmp_path_factory.mktemp("helps"))
    with ThreadPoolExecutor(2) as pool:
        shown = pool.map(lambda name: runner.run(f"handover {name} --help", []), COMMANDS)
        wrong = pool.map(lambda name: runner.run(f"handover {name} --frobnicate", []), COMMANDS)
        return dict(zip(COMMANDS, zip(shown, wrong, strict=True), strict=True))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_the_command_does_with_an_example(name: str, helps: dict[str, tuple[Done, Done]]) -> None:
    done, _ = helps[name]
    assert (done.exit, done.err) == (0, "")
    assert done.out.startswith(f"Usage: handover {name} ")
    words = " ".join(done.out.split())
    assert f"Example: handover {name}" in words
    assert str(COMMANDS[name].help).split("\n")[0] in words


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_that_is_not_there_is_answered_in_two_lines(name: str, helps: dict[str, tuple[Done, Done]]) -> None:
    _, done = helps[name]
    assert (done.exit, done.out) == (2, "")
    error, hint = done.err.splitlines()
    assert error == "error: no such option '--frobnicate'"
    assert hint.endswith(f"see 'handover {name} --help'")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_for(name: str) -> None:
    for parameter in COMMANDS[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.opts
            assert parameter.help.endswith("."), parameter.opts


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_in_the_help_parses(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = COMMANDS[name]
    program, *arguments = shlex.split(str(command.epilog).removeprefix("Example: "))
    ends = [arguments.index(sign) for sign in (">", "&&") if sign in arguments]
    arguments = arguments[len(name.split()) : min(ends, default=None)]
    assert program == "handover"
    for argument in arguments:
        if "." in argument and "/" not in argument:
            Path(argument).touch()
    command.make_context(name, arguments)


def test_every_command_prints_json_or_says_why_not() -> None:
    assert {name for name, command in COMMANDS.items() if not has_json(command)} == set(NO_JSON)


def test_every_command_that_prints_json_is_tried() -> None:
    assert {name for name, command in COMMANDS.items() if has_json(command)} == {*PRINTS_JSON, *AT_OFSTED}


@pytest.mark.parametrize("name", [*PRINTS_JSON, *AT_OFSTED])
def test_json_is_one_document_and_nothing_else(name: str, documents: dict[str, Done]) -> None:
    done = documents[name]
    assert done.exit == 0, done.err
    assert isinstance(json.loads(done.out), (dict, list))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_thin(name: str) -> None:
    """At most 15 lines: parse, call one function, print one result."""
    callback = COMMANDS[name].callback
    assert callback is not None
    [function] = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(callback)))).body
    assert isinstance(function, ast.FunctionDef)
    body = function.body[1:]  # without the docstring
    lines = body[-1].end_lineno or 0
    assert lines - body[0].lineno + 1 <= 15


@pytest.mark.parametrize("name", COMMANDS)
def test_the_first_line_of_help_is_a_sentence(name: str) -> None:
    assert str(COMMANDS[name].help).split("\n")[0].strip().endswith((".", "!", ":"))
