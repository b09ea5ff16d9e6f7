"""Fixtures that several rooms' tests share, and the choice of the topology in which two organisations exchange.

A test of two organisations runs with a landing zone on either side, in those topologies that its mark names, or in
those that are asked for: `pytest --topology ofsted-hosts --topology lgsco-hosts` (`make test-collect`). One that is
about a single topology is marked `only=True`, and always runs in that; one that says nothing of a topology, `but` that.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.organisations import TOPOLOGIES, Pair, Template

EITHER = ("push",)

LONG = (
    "simulation/test_simulation.py", "rotation/test_storm.py", "system/test_transcripts.py", "system/test_network.py",
    "faults/test_faults.py", "powerloss/test_powerloss.py", "system/test_collect.py", "system/test_token_exchange.py",
    "exchange/test_rounds_crash.py", "system/test_exchange.py", "faults/test_daemons.py",
    "system/test_key_rotation.py", "system/test_commands.py", "soak/test_soak.py",
    "rotation/test_killed_commands.py", "exchange/test_approval_crash.py",
)  # fmt: skip
"""Files of a minute and more, which begin first: no process is to be left alone with one at the end."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--topology", action="append", choices=list(TOPOLOGIES), help="run tests of two organisations in this topology"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "topologies(*names, only=False, but=None): in which topologies a test of two organisations runs"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "topology" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("topologies")
    asked = metafunc.config.getoption("--topology")
    named = mark.args if mark and (mark.kwargs.get("only") or not asked) else ()
    but = mark.kwargs.get("but") if mark else None
    names = tuple(name for name in named or asked or EITHER if name != but) or EITHER
    if names != EITHER:
        metafunc.parametrize("topology", names, indirect=True, scope="session")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    first = {Path(__file__).parent / name: number for number, name in enumerate(LONG)}
    assert all(path.is_file() for path in first), "LONG names a file that is not there"
    items.sort(key=lambda item: first.get(item.path, len(first)))


# how long an example takes says nothing about whether it holds: the machine may be busy
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def topology(request: pytest.FixtureRequest) -> str:
    """Who has an SFTP server: one of TOPOLOGIES."""
    return str(getattr(request, "param", *EITHER))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, topology: str) -> Template:
    """Two introduced homes to copy."""
    return Template(tmp_path_factory.mktemp("template"), topology)


@pytest.fixture
def pair(template: Template, tmp_path: Path) -> Iterator[Pair]:
    """Two running organisations, their landing zones and pick-up folders being folders."""
    with template.pair(tmp_path / "pair") as running:
        yield running
