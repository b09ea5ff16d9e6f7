"""Download one file with several reads under way, written in order.

    OPEN   READ READ READ …  (each answered by as much as asked, less, or EOF)   CLOSE

An answer that is shorter than asked is followed by a read of the rest, as the protocol demands. Constant memory.
"""

import time
from collections import deque
from dataclasses import dataclass
from typing import BinaryIO

from exchange import sftp_packets as say
from exchange.landing import ConnectionLost, LandingError
from exchange.sftp_requests import QUICK, SMALLEST_WRITE, UNASKED, Conversation

READS_IN_FLIGHT = 8
"""Reads under way at once: with 255 KiB each, just under the 2 MiB that the channel takes ahead of us."""


def download(talk: Conversation, path: bytes, dst: BinaryIO) -> int:
    """Write the whole file to `dst`; returns its size."""
    opened = talk.ask(say.Open(talk.next_id(), path, say.READ))
    if not isinstance(opened, say.Handle):
        raise talk.refusal(opened)
    try:
        size = _Flow(talk, opened.handle, dst).run()
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


def read_at(talk: Conversation, handle: bytes, offset: int, length: int) -> bytes:
    """Bytes of an open file; fewer than `length` only at its end. On a slow line they are asked for in small pieces."""
    found = b""
    piece = SMALLEST_WRITE
    while len(found) < length:
        wanted = min(length - len(found), piece, talk.abilities.read)
        began = time.monotonic()
        reply = talk.ask(say.Read(talk.next_id(), handle, offset + len(found), wanted))
        if time.monotonic() - began < QUICK * talk.timeout:
            piece *= 2
        if isinstance(reply, say.Status) and reply.code == say.EOF:
            break
        if not isinstance(reply, say.Data) or not 0 < len(reply.data) <= wanted:
            raise talk.refusal(reply)
        found += reply.data
    return found


@dataclass(slots=True)
class _Piece:
    id: int
    offset: int
    length: int
    reply: say.Reply | None = None


class _Flow:
    def __init__(self, talk: Conversation, handle: bytes, dst: BinaryIO) -> None:
        self._talk = talk
        self._handle = handle
        self._dst = dst
        self._next = 0
        self._at_end = False
        self._under_way: deque[_Piece] = deque()

    def run(self) -> int:
        size, refused = 0, None
        while self._under_way or not self._at_end:
            while not self._at_end and len(self._under_way) < READS_IN_FLIGHT:
                self._under_way.append(self._post(self._next, self._talk.abilities.read))
                self._next += self._talk.abilities.read
            piece = self._oldest()
            match piece.reply:
                case say.Data(data=data) if not self._at_end and 0 < len(data) <= piece.length:
                    self._dst.write(data)
                    size += len(data)
                    if len(data) < piece.length:
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
        return size

    def _post(self, offset: int, length: int) -> _Piece:
        piece = _Piece(self._talk.next_id(), offset, length)
        self._talk.post(say.Read(piece.id, self._handle, offset, length))
        return piece

    def _oldest(self) -> _Piece:
        """Wait until the first read under way is answered, and take it out."""
        while self._under_way[0].reply is None:
            for reply in self._talk.collect(wait=True):
                for piece in self._under_way:
                    if piece.id == reply.id:
                        piece.reply = reply
                        break
                else:
                    self._talk.lost(UNASKED)
        return self._under_way.popleft()
