"""What the service says is kept in the journal: no file name of a case gets there, whatever goes wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.organisations import CASE
from tests.system.daemons import Running, exchange


@pytest.fixture
def both(tmp_path: Path) -> Iterator[dict[str, Running]]:
    with exchange(tmp_path) as running:
        yield running


def test_a_folder_that_cannot_be_made_is_not_named(both: dict[str, Running]) -> None:
    lgsco, ofsted = both["lgsco"], both["ofsted"]
    lgsco.drop(b"x", f"{CASE} Kim Example.pdf")
    assert lgsco.command("run", "--once").returncode == 0
    # where a folder should be there is a file
    (ofsted.home.inbound / "lgsco").mkdir(exist_ok=True)
    (ofsted.home.inbound / "lgsco" / "upheld-decision").touch()
    failed = ofsted.command("run", "--once")
    assert failed.returncode == 3
    assert failed.stderr == "error: a file cannot be used: not a directory\nhint: 'handover list' shows what waits\n"
    for secret in ("Kim", CASE, "Birmingham", str(ofsted.home.root)):
        assert secret not in failed.stdout + failed.stderr
