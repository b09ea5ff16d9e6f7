"""How much of an unfinished upload, or download, may stay: only what is the beginning of the whole file.

The same name is the same sealed object, so what can go wrong is an accident: a server that lost the end of the file in
a crash, zeros where blocks never reached its disk, or a file of another attempt. So the first and the last megabyte are
read back, and blocks spread over all between them; whatever else is different, the partner's check of the envelope
finds. Reading all of it back would take as long as sending it again.
"""

import time
from typing import BinaryIO

from exchange.sftp import packets as say
from exchange.sftp.requests import Conversation

EDGE = 1024 * 1024
"""Bytes compared at both ends: more than a server's file system loses between two of its own writes."""

SAMPLES = 32
SAMPLE = 32 * 1024
"""Blocks compared in between, and their size."""


def resume_offset(talk: Conversation, source: BinaryIO, size: int, path: bytes) -> int:
    """How many bytes of `source` lie at `path` already; 0 if there is no such file, or it is not a beginning of it."""
    opened = talk.ask(say.Open(talk.next_id(), path, say.READ))
    if not isinstance(opened, say.Handle):
        return 0
    reply = talk.ask(say.Fstat(talk.next_id(), opened.handle))
    there = reply.attributes.size if isinstance(reply, say.Attrs) else None
    same = there is not None and there <= size and _same(talk, opened.handle, source, there)
    talk.do(say.Close(talk.next_id(), opened.handle))
    return there if same and there is not None else 0


def spots(length: int) -> list[tuple[int, int]]:
    """Which (offset, length) to compare of `length` bytes: within it, in order, ends included, all of it if short.

    >>> spots(100)
    [(0, 100)]
    >>> spots(10 * EDGE)[0], spots(10 * EDGE)[-1]
    ((0, 1048576), (9437184, 1048576))
    """
    if length <= 2 * EDGE + SAMPLES * SAMPLE:
        return [(0, length)] if length else []
    between = length - 2 * EDGE - SAMPLE
    middle = [(EDGE + between * n // (SAMPLES - 1), SAMPLE) for n in range(SAMPLES)]
    return [(0, EDGE), *middle, (length - EDGE, EDGE)]


def read_at(talk: Conversation, handle: bytes, offset: int, length: int) -> bytes:
    """Bytes of an open file; fewer than `length` only at its end. On a slow line they are asked for in small pieces."""
    found = b""
    while len(found) < length:
        wanted = min(length - len(found), talk.read_length)
        began = time.monotonic()
        reply = talk.ask(say.Read(talk.next_id(), handle, offset + len(found), wanted))
        waited = time.monotonic() - began
        if isinstance(reply, say.Status) and reply.code == say.EOF:
            break
        if not isinstance(reply, say.Data) or not 0 < len(reply.data) <= wanted:
            raise talk.refusal(reply)
        talk.pace.answered(waited, len(reply.data))
        found += reply.data
    return found


def begins_with(talk: Conversation, handle: bytes, ours: BinaryIO, length: int) -> bool:
    """Whether an open file there begins with our first `length` bytes, as far as is looked at."""
    reply = talk.ask(say.Fstat(talk.next_id(), handle))
    there = reply.attributes.size if isinstance(reply, say.Attrs) else None
    return there is not None and there >= length and _same(talk, handle, ours, length)


def _same(talk: Conversation, handle: bytes, source: BinaryIO, length: int) -> bool:
    for offset, count in spots(length):
        source.seek(offset)
        if read_at(talk, handle, offset, count) != source.read(count):
            return False
    return True
