"""Download one file with several reads under way, written in order.

    OPEN   (FSTAT READ… when going on)   READ READ READ …  (each answered by what was asked, less, or EOF)   CLOSE

An answer that is shorter than asked is followed by a read of the rest, as the protocol demands. What answers to reads
behind the end hold does not count: a file may grow meanwhile. Constant memory; and no size that the server states is
believed, only what came is counted.
"""

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from exchange.landing import ConnectionLost, LandingError, TooLong
from exchange.sftp import packets as say
from exchange.sftp.requests import UNASKED, Conversation
from exchange.sftp.resume import begins_with

READS_IN_FLIGHT = 8
"""Reads under way at once: with 255 KiB each, just under the 2 MiB that the channel takes ahead of us."""


def download(
    talk: Conversation,
    path: bytes,
    dst: BinaryIO,
    most: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write the whole file to `dst`, behind what is there already if that is its beginning; returns its size.

    Ends with TooLong as soon as more than `most` bytes have come. `progress` is told the length of `dst`: first how
    much stays, then after each write.
    """
    opened = talk.ask(say.Open(talk.next_id(), path, say.READ))
    if not isinstance(opened, say.Handle):
        raise talk.refusal(opened)
    try:
        start = _go_on_at(talk, opened.handle, dst)
        size = _Flow(talk, opened.handle, dst, start, most, progress or _tell_nobody).run()
    except LandingError as problem:
        if not isinstance(problem, ConnectionLost):
            talk.ask(say.Close(talk.next_id(), opened.handle))
        raise
    except BaseException:
        # Our own disk, or an interrupt: answers under way stay unread, so nobody may go on with this conversation.
        talk.close()
        raise
    talk.do(say.Close(talk.next_id(), opened.handle))
    return size


def _tell_nobody(_size: int) -> None:
    pass


def _go_on_at(talk: Conversation, handle: bytes, dst: BinaryIO) -> int:
    """How many bytes of `dst` may stay; the others are cut off, and what comes is written behind these."""
    held = dst.seek(0, os.SEEK_END)
    if held and begins_with(talk, handle, dst, held):
        return dst.seek(held)
    dst.truncate(0)
    return dst.seek(0)


@dataclass(slots=True)
class _Piece:
    id: int
    offset: int
    length: int
    reply: say.Reply | None = None


class _Flow:
    def __init__(
        self,
        talk: Conversation,
        handle: bytes,
        dst: BinaryIO,
        start: int,
        most: int | None,
        progress: Callable[[int], None],
    ) -> None:
        self._talk = talk
        self._handle = handle
        self._dst = dst
        self._next = start
        self._most = most
        self._progress = progress
        self._at_end = False
        self._under_way: deque[_Piece] = deque()

    def run(self) -> int:
        size, refused = self._next, None
        self._progress(size)
        while self._under_way or not self._at_end:
            while not self._at_end and len(self._under_way) < READS_IN_FLIGHT:
                length = self._talk.read_length
                self._under_way.append(self._post(self._next, length))
                self._next += length
            piece = self._oldest()
            match piece.reply:
                case say.Data(data=data) if 0 < len(data) <= piece.length:
                    if self._at_end:
                        continue
                    self._dst.write(data)
                    size += len(data)
                    self._progress(size)
                    self._at_end = self._is_too_long(size)
                    if len(data) < piece.length and not self._at_end:
                        rest = self._post(piece.offset + len(data), piece.length - len(data))
                        self._under_way.appendleft(rest)
                case say.Status(code=say.EOF):
                    self._at_end = True
                case other:
                    assert other is not None
                    refused = refused or other
                    self._at_end = True
        if refused is not None:
            raise self._talk.refusal(refused)
        if self._is_too_long(size):
            raise TooLong(self._talk.place)
        return size

    def _is_too_long(self, size: int) -> bool:
        return self._most is not None and size > self._most

    def _post(self, offset: int, length: int) -> _Piece:
        piece = _Piece(self._talk.next_id(), offset, length)
        self._talk.post(say.Read(piece.id, self._handle, offset, length))
        return piece

    def _oldest(self) -> _Piece:
        """Wait until the first read under way is answered, and take it out."""
        while self._under_way[0].reply is None:
            for reply in self._talk.collect_reads():
                for piece in self._under_way:
                    if piece.id == reply.id:
                        piece.reply = reply
                        break
                else:
                    self._talk.lost(UNASKED)
        return self._under_way.popleft()
