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

pytest_plugins = ("tests.sharing", "tests.hanging")


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
