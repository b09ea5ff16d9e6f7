"""Upload one file so that the line stays full, and count a byte as sent only when the server has said so.

    OPEN   FSTAT (FSETSTAT) when resuming   WRITE WRITE WRITE …               FSYNC FSTAT CLOSE
                                            at most 4 MiB not yet answered    the length must be the file's

A server answers a failed write like a good one, only with another number in it. A client that sends ahead and does not
look at each answer loses exactly the files that matter: those that did not fit any more. After a refusal nothing more
is sent, what is under way is waited for, the reason is looked for (`exchange.sftp.blame`), and the file is cut back to
the bytes that are surely there, so that the next attempt can go on behind them.

Whether the server still answers can only be told if an answer is due soon. So little is sent ahead at first, twice as
much with each round of quick answers, and less again when they become slow: a line of one KiB a second is no lost one.
"""

import time
from dataclasses import dataclass, field
from typing import BinaryIO

from exchange.landing import ConnectionLost, LandingError, Progress, SourceChanged, UnfinishedChanged
from exchange.sftp import packets as say
from exchange.sftp.blame import why_not
from exchange.sftp.ending import Ending
from exchange.sftp.pace import QUICK
from exchange.sftp.requests import UNASKED, Conversation, is_ok
from exchange.sftp.wire import write_header

IN_FLIGHT = 4 * 1024 * 1024
"""Bytes sent and not yet acknowledged, at most: fills a gigabit line at 30 ms."""

FIRST_IN_FLIGHT = 32 * 1024
LEAST_IN_FLIGHT = 16 * 1024
"""The same at first, and at least: on a slow line every write must be answered within the timeout."""

SLOW = 1 / 4
"""Part of the timeout after which an answer lets less be sent ahead."""

NEW_FILE = say.WRITE | say.CREATE | say.TRUNCATE
MODE = say.Attributes(permissions=0o660)
"""Of new files: the group fetches what arrives. The server's umask may take from it."""


def upload(
    talk: Conversation, source: BinaryIO, size: int, path: bytes, *, offset: int = 0, progress: Progress | None = None
) -> None:
    """Write `source[offset:size]` to `path` behind its first `offset` bytes; see `Landing.put` for what then holds."""
    opened = talk.ask(say.Open(talk.next_id(), path, say.WRITE if offset else NEW_FILE, MODE))
    if not isinstance(opened, say.Handle):
        raise why_not(talk, opened, path, size)
    ending = Ending(talk, opened.handle, size)
    try:
        _cut_back(talk, opened.handle, offset)
        source.seek(offset)
        _Flow(talk, opened.handle, path, source, offset, size, progress).run()
    except (LandingError, SourceChanged) as problem:
        if not isinstance(problem, ConnectionLost):
            ending.abandon()
        raise
    except BaseException:
        # Our own disk, or an interrupt: answers under way stay unread, so nobody may go on with this conversation.
        talk.close()
        raise
    ending.run()


def _cut_back(talk: Conversation, handle: bytes, offset: int) -> None:
    """Make the file end where the upload goes on; raises UnfinishedChanged if it is shorter."""
    if offset == 0:
        return
    reply = talk.ask(say.Fstat(talk.next_id(), handle))
    if not isinstance(reply, say.Attrs) or reply.attributes.size is None:
        raise talk.refusal(reply)
    if reply.attributes.size < offset:
        raise UnfinishedChanged(talk.place)
    if reply.attributes.size > offset:
        talk.do(say.Fsetstat(talk.next_id(), handle, say.Attributes(size=offset)))


@dataclass(slots=True)
class _Flow:
    """The writes of one upload. Always: acknowledged + in_flight + refused bytes == next - start,
    and in_flight < ahead + one write."""

    talk: Conversation
    handle: bytes
    path: bytes
    source: BinaryIO
    next: int
    size: int
    progress: Progress | None
    acknowledged: int = 0
    in_flight: int = 0
    ahead: int = FIRST_IN_FLIGHT
    under_way: dict[int, tuple[int, int, float]] = field(default_factory=dict)
    refused: list[tuple[int, int, say.Reply]] = field(default_factory=list)
    short: bool = False

    def run(self) -> None:
        self.acknowledged = self.next
        while self.under_way or self._may_send():
            if self._may_send():
                self._send_one()
            for reply in self.talk.collect(wait=bool(self.under_way) and not self._may_send()):
                self._take(reply)
        if self.refused:
            raise self._explain()
        if self.short:
            raise SourceChanged("a file is shorter than it was when its upload began")

    def _may_send(self) -> bool:
        return self.next < self.size and self.in_flight < self.ahead and not self.refused and not self.short

    def _send_one(self) -> None:
        length = min(self.talk.abilities.write, self.size - self.next, max(self.ahead // 2, LEAST_IN_FLIGHT))
        piece = _read_exactly(self.source, length)
        self.short = len(piece) < length
        if piece:
            number = self.talk.next_id()
            self.talk.post_bytes(write_header(number, self.handle, self.next, len(piece)) + piece)
            self.under_way[number] = self.next, len(piece), time.monotonic()
            self.next += len(piece)
            self.in_flight += len(piece)

    def _take(self, reply: say.Reply) -> None:
        if reply.id not in self.under_way:
            self.talk.lost(UNASKED)
        start, length, posted = self.under_way.pop(reply.id)
        self.in_flight -= length
        self._pace(length, time.monotonic() - posted)
        if not is_ok(reply):
            self.refused.append((start, length, reply))
            return
        self.acknowledged += length
        if self.progress is not None and not self.refused:
            self.progress(self.acknowledged)

    def _pace(self, length: int, took: float) -> None:
        if took < QUICK * self.talk.timeout:
            self.ahead = min(IN_FLIGHT, self.ahead + length)
        elif took > SLOW * self.talk.timeout:
            self.ahead = max(LEAST_IN_FLIGHT, self.ahead - length)

    def _explain(self) -> LandingError:
        start, length, reply = min(self.refused, key=lambda one: one[0])
        self.source.seek(start)
        again = say.Write(self.talk.next_id(), self.handle, start, _read_exactly(self.source, length))
        error = why_not(self.talk, reply, self.path, self.size - start, again)
        # Writes behind the refused one may have found room: a gap would look like bytes of ours.
        self.talk.ask(say.Fsetstat(self.talk.next_id(), self.handle, say.Attributes(size=start)))
        return error


def _read_exactly(source: BinaryIO, length: int) -> bytes:
    piece = source.read(length)
    while len(piece) < length and (more := source.read(length - len(piece))):
        piece += more
    return piece
