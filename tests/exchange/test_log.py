"""The service's log: ids only, and nothing ends because a line cannot be written."""

import contextlib
import io
import json
from pathlib import Path

from exchange.service.log import json_log


def test_text_that_is_no_id_is_withheld() -> None:
    stream = io.StringIO()
    json_log(stream)("round.failed", worker="in:lgsco", about="Kim Example.pdf", seq=7, nothing=None)
    line = json.loads(stream.getvalue())
    assert line.pop("at")
    assert line == {"event": "round.failed", "worker": "in:lgsco", "about": "(withheld)", "seq": 7}


def test_a_disk_that_is_full_costs_lines_and_nothing_else() -> None:
    lines = 0
    # closing it fails; what matters is that nothing before did
    with contextlib.suppress(OSError), Path("/dev/full").open("w") as stream:
        log = json_log(stream)
        for _ in range(1000):
            log("daemon.ready", organisation="lgsco")
            lines += 1
    assert lines == 1000
