"""Times as they are written everywhere: ISO 8601, UTC, always with `Z`, milliseconds.

>>> from datetime import datetime, timezone
>>> to_text(datetime(2026, 11, 23, 10, 15, 0, 123456, tzinfo=timezone.utc))
'2026-11-23T10:15:00.123Z'
>>> from_text('2026-11-23T10:15:00Z').isoformat()
'2026-11-23T10:15:00+00:00'
>>> to_text(later(from_text('9999-12-31T00:00:00Z'), timedelta(days=30)))
'9999-12-31T23:59:59.000Z'
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from config.errors import Refused

Clock = Callable[[], datetime]
"""Tells the time, aware and in UTC. Passed in, so that tests and the simulation own it."""

_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", re.ASCII)


END = datetime.max.replace(microsecond=0, tzinfo=UTC)
"""The last second that can be written."""


class BadTime(Refused):
    """A text that is not a UTC time in our form."""

    reason = "bad-time"


def system_clock() -> datetime:
    """The machine's own clock."""
    return datetime.now(UTC)


def to_text(moment: datetime) -> str:
    """`2026-11-23T10:15:00.123Z`; truncates below the millisecond."""
    moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def from_text(text: str) -> datetime:
    """Read a time, with or without milliseconds; raises BadTime."""
    if not _FORM.fullmatch(text):
        raise BadTime("a time is not in the form 2026-11-23T10:15:00.123Z")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise BadTime("a time names a day or an hour that does not exist") from None


def later(moment: datetime, amount: timedelta) -> datetime:
    """So much later; END where no time is that late, because whoever wrote `moment` could write any."""
    return moment + amount if amount <= END - moment else END
