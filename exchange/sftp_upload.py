"""Uploads that keep the line full, and count a byte as sent only when the server has said so.

One big file, at most 4 MiB under way:

    OPEN  FSTAT (and FSETSTAT) when resuming   WRITE WRITE WRITE …   FSYNC  FSTAT  CLOSE
          each answered OK, or the upload failed                     the length must be the file's

Many small files, at most 32 under way, each going through these steps on its own:

    OPEN -> WRITE… FSYNC FSTAT CLOSE -> posix-rename -> done

A server answers a failed write like a good one, only with another number in it. A client that sends ahead and does not
look at each answer loses exactly the files that matter: those that did not fit any more. After a failure nothing more
is sent, what is under way is waited for, and the reason is looked for (`exchange.sftp_blame`).
"""

from collections.abc import Callable, Iterable
from typing import BinaryIO

from exchange import sftp_packets as say
from exchange.landing import LandingError, LandingFailed, Progress, Small, SourceChanged, UnfinishedChanged
from exchange.sftp_blame import Target, why_not
from exchange.sftp_requests import Conversation, is_ok
from exchange.sftp_wire import write_header

IN_FLIGHT = 4 * 1024 * 1024
"""Bytes sent and not yet acknowledged, at most: fills a gigabit line at 30 ms."""

FILES_IN_FLIGHT = 32
"""Small files under way at once, at most; more is no quicker, and servers hand out few handles."""

SYNC_PATIENCE = 10
"""How many times the usual wait a server may take to write a file out to its disk."""

_CREATE = say.WRITE | say.CREATE
_NEW = _CREATE | say.TRUNCATE


def upload(
    talk: Conversation, source: BinaryIO, size: int, path: bytes, *, offset: int = 0, progress: Progress | None = None
) -> None:
    """Write `source[offset:size]` to `path` behind its first `offset` bytes; see `Landing.put` for what then holds."""
    handle = _open(talk, path, say.WRITE if offset else _NEW, size)
    failure: LandingError | SourceChanged | None = None
    try:
        if offset:
            _cut_back(talk, handle, offset)
        source.seek(offset)
        _send_all(talk, Target(path, handle), source, offset, size, progress)
    except (LandingError, SourceChanged) as problem:
        failure = problem
    _finish(talk, handle, size, failure)


def _open(talk: Conversation, path: bytes, flags: int, size: int) -> bytes:
    number = talk.next_id()
    reply = talk.ask(say.Open(number, path, flags, say.Attributes(permissions=0o660)))
    if not isinstance(reply, say.Handle):
        raise why_not(talk, reply, Target(path, None), size)
    return reply.handle


def _cut_back(talk: Conversation, handle: bytes, offset: int) -> None:
    """Make the file end where the upload goes on; raises UnfinishedChanged if it is shorter."""
    reply = talk.ask(say.Fstat(talk.next_id(), handle))
    if not isinstance(reply, say.Attrs) or reply.attributes.size is None:
        raise talk.refusal(reply)
    if reply.attributes.size < offset:
        raise UnfinishedChanged(talk.place)
    if reply.attributes.size > offset:
        talk.do(say.Fsetstat(talk.next_id(), handle, say.Attributes(size=offset)))


def _send_all(
    talk: Conversation, target: Target, source: BinaryIO, offset: int, size: int, progress: Progress | None
) -> None:
    assert target.handle is not None
    under_way: dict[int, tuple[int, int]] = {}
    in_flight, acknowledged = 0, offset
    refused: tuple[say.Reply, int] | None = None
    short = False
    while under_way or (offset < size and refused is None and not short):
        if offset < size and in_flight < IN_FLIGHT and refused is None and not short:
            piece = _read_exactly(source, min(talk.abilities.write, size - offset))
            short = len(piece) < min(talk.abilities.write, size - offset)
            if piece:
                number = talk.next_id()
                talk.post_bytes(write_header(number, target.handle, offset, len(piece)) + piece)
                under_way[number] = (offset, len(piece))
                offset += len(piece)
                in_flight += len(piece)
        may_send = offset < size and in_flight < IN_FLIGHT and refused is None and not short
        for reply in talk.collect(wait=bool(under_way) and not may_send):
            start, length = _claim(talk, under_way, reply)
            in_flight -= length
            if is_ok(reply):
                acknowledged += length
                if progress is not None and refused is None:
                    progress(acknowledged)
            elif refused is None:
                refused = reply, start
    if refused is not None:
        reply, start = refused
        raise why_not(talk, reply, target, size - start)
    if short:
        raise SourceChanged("a file is shorter than it was when its upload began")


def _claim(talk: Conversation, under_way: dict[int, tuple[int, int]], reply: say.Reply) -> tuple[int, int]:
    if reply.id not in under_way:
        raise talk.lost("it answered what nobody asked")
    return under_way.pop(reply.id)


def _read_exactly(source: BinaryIO, length: int) -> bytes:
    piece = source.read(length)
    while len(piece) < length and (more := source.read(length - len(piece))):
        piece += more
    return piece


def _finish(talk: Conversation, handle: bytes, size: int, failure: LandingError | SourceChanged | None) -> None:
    """Sync, check the length, close; every answer counts, and an earlier failure is what is raised."""
    last = _Ending(talk, handle, size)
    if failure is None:
        last.post_checks()
    last.post_close()
    while last.waits:
        for reply in talk.collect(wait=True, patience=SYNC_PATIENCE):
            failure = last.take(reply) or failure
    if failure is not None:
        raise failure


class _Ending:
    """FSYNC, FSTAT and CLOSE of one handle, under way together."""

    def __init__(self, talk: Conversation, handle: bytes, size: int) -> None:
        self._talk = talk
        self._handle = handle
        self._size = size
        self.waits: dict[int, say.Request] = {}

    def post_checks(self) -> None:
        talk = self._talk
        if say.FSYNC in talk.abilities.extensions:
            # SPEC: OpenSSH PROTOCOL 4.6 fsync: string handle
            payload = len(self._handle).to_bytes(4, "big") + self._handle
            self._post(say.Extended(talk.next_id(), say.FSYNC, payload))
        self._post(say.Fstat(talk.next_id(), self._handle))

    def post_close(self) -> None:
        self._post(say.Close(self._talk.next_id(), self._handle))

    def _post(self, request: say.Request) -> None:
        self.waits[request.id] = request
        self._talk.post(request)

    def take(self, reply: say.Reply) -> LandingError | None:
        """The failure that this answer to one of the three means, if any."""
        request = self.waits.pop(reply.id, None)
        match request, reply:
            case None, _:
                raise self._talk.lost("it answered what nobody asked")
            case say.Fstat(), say.Attrs(attributes=say.Attributes(size=found)):
                return None if found == self._size else LandingFailed(self._talk.place, "a file has the wrong length")
            case say.Extended(), say.Status(code=say.UNSUPPORTED):
                return None  # announced, but this file system has nothing to sync
            case (say.Extended() | say.Close()), say.Status(code=say.OK):
                return None
        return self._talk.refusal(reply)
