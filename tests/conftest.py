"""Fixtures that several rooms' tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.organisations import Pair, Template

# how long an example takes says nothing about whether it holds: the machine may be busy
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Two introduced homes to copy."""
    return Template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def pair(template: Template, tmp_path: Path) -> Iterator[Pair]:
    """Two running organisations, their landing zones being folders."""
    with template.pair(tmp_path / "pair") as running:
        yield running
