"""`handover run`: the one process that works on a home, as the daemon or for one pass.

Whatever it prints is kept in the journal, so nothing may be printed that names a case file: not by an error of the
operating system, and not by a thread that ends unexpectedly.
"""

import threading
from collections.abc import Callable, Mapping
from typing import TextIO

from config.errors import NotNow
from config.home import Home
from exchange.parts import Parts
from exchange.service.daemon import Daemon
from exchange.service.log import json_log
from exchange.service.once import run_once
from exchange.service.pid_file import only_one


def serve(
    home: Home, assemble: Callable[[], Parts], output: TextIO, environment: Mapping[str, str], once: bool
) -> None:
    """Run until a signal, or `once` until nothing moves; raises what went wrong, in words without a file's name."""
    log = json_log(output)
    threading.excepthook = lambda ended: log("thread.broken", error=ended.exc_type.__name__)
    with only_one(home.pid_file):
        parts = assemble()
        try:
            if once:
                run_once(parts, log)
            else:
                Daemon(parts, log, environment).run()
        except OSError as problem:
            said = (problem.strerror or type(problem).__name__).lower()
            raise NotNow(f"a file cannot be used: {said}", hint="'handover list' shows what waits") from None
