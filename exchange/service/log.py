"""The service's log: one JSON object a line on stdout, made of event names, ids and numbers only.

No function here takes free text, so no file name, complaint reference or message of another program can get in.
"""

import contextlib
import re
from collections.abc import Callable
from typing import TextIO

import structlog

Log = Callable[..., None]
"""log(event, **ids): `event` is a constant of the program; values are ids, codes, numbers or truth values."""

_SAFE = re.compile(r"[A-Za-z0-9_.:@/+=-]{0,200}", re.ASCII)


def json_log(stream: TextIO) -> Log:
    """A log that writes to `stream`."""
    logger = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.JSONRenderer(),
        ],
    )

    def log(event: str, **ids: str | float | bool | None) -> None:
        # a full disk or a reader that went away costs log lines, not the thread that writes them: the ledger has all
        with contextlib.suppress(OSError):
            logger.info(event, **{key: _checked(value) for key, value in ids.items() if value is not None})

    return log


def _checked(value: str | float | bool) -> str | float | bool:
    """Text that is no id is replaced: a log line must not carry what somebody else wrote."""
    if isinstance(value, str) and not _SAFE.fullmatch(value):
        return "(withheld)"
    return value


def where(error: BaseException) -> str:
    """The innermost line of ours or others in which an unexpected error arose, as `module.py:123`."""
    trace = error.__traceback__
    place = "unknown"
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
