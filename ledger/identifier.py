"""Handover ids: UUIDv7 (RFC 9562 5.7), so that they sort by time and name nothing.

>>> from datetime import datetime, timezone
>>> new_id(datetime(2026, 11, 23, tzinfo=timezone.utc), lambda n: bytes(n))
'01a205b3-d000-7000-8000-000000000000'
>>> is_id('01a205b3-d000-7000-8000-000000000000'), is_id('../etc')
(True, False)
"""

import re
import uuid
from collections.abc import Callable
from datetime import datetime

Random = Callable[[int], bytes]
"""Gives that many unpredictable bytes. Passed in, so that the simulation can be repeated from a seed."""

ID_LENGTH = 36
"""Characters of an id."""

_FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII)


def new_id(now: datetime, random: Random) -> str:
    """A fresh id: 48 bits of milliseconds, 74 bits from `random`."""
    # SPEC: RFC 9562 5.7: unix_ts_ms (48) | ver 0111 | rand_a (12) | var 10 | rand_b (62)
    milliseconds = int(now.timestamp() * 1000)
    noise = int.from_bytes(random(10), "big")
    time_and_version = (milliseconds & (1 << 48) - 1) << 80 | 7 << 76
    return str(uuid.UUID(int=time_and_version | (noise >> 62 & 0xFFF) << 64 | 2 << 62 | noise & (1 << 62) - 1))


def is_id(text: str) -> bool:
    """Whether `text` is a UUIDv7 in its one canonical spelling."""
    return _FORM.fullmatch(text) is not None
