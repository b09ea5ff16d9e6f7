"""Fetch many small files at once, and remove many, at most 32 of them under way.

    OPEN -> READ… of as much as the listing says, READ of one byte behind it, CLOSE, sent together -> the content
    REMOVE

What a line with 20 ms of delay costs is waiting; here 32 files wait together. A file comes out of here only if every
answer is what the listing lets expect: each read answered whole, and the end of the file right behind the last one.
Whatever else is answered (it grew, it was exchanged, it is refused, it is cut into smaller answers) is no failure here:
the file is left out, and whoever wants it fetches it alone, where each case has its own words. But an answer of more
bytes than were asked for is no SFTP: it ends the conversation, and nothing of it is kept.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from exchange.landing import LandingError
from exchange.sftp import packets as say
from exchange.sftp.requests import UNASKED, Conversation, is_ok

FILES_IN_FLIGHT = 32
"""Files under way at once, at most: more is no quicker, and servers hand out few handles."""

BYTES_IN_FLIGHT = 2 * 1024 * 1024
"""Bytes asked for and not yet come after which no further file is begun: as much as the channel takes ahead of us."""


def fetch_many(
    talk: Conversation,
    listed: Sequence[tuple[str, int]],
    path_of: Callable[[str], bytes],
    done: Callable[[str, bytes], None],
) -> None:
    """Call `done` with name and content of each listed (name, size) that is there just so; leaves the others out.

    All of a file is held in memory while it comes. Raises ConnectionLost only.
    """
    try:
        _Batch(talk, path_of, done).run(listed)
    except LandingError:
        raise
    except BaseException:
        # Answers under way stay unread, so nobody may go on with this conversation.
        talk.close()
        raise


def remove_many(
    talk: Conversation, names: Collection[str], path_of: Callable[[str], bytes], done: Callable[[str], None]
) -> None:
    """Delete files; `done` is called for each that is not there any more. Raises ConnectionLost only."""
    waiting = iter(names)
    under_way: dict[int, str] = {}
    while True:
        while len(under_way) < FILES_IN_FLIGHT and (name := next(waiting, None)) is not None:
            request = say.Remove(talk.next_id(), path_of(name))
            under_way[request.id] = name
            talk.post(request)
        if not under_way:
            return
        for reply in talk.collect(wait=True):
            if reply.id not in under_way:
                talk.lost(UNASKED)
            name = under_way.pop(reply.id)
            if is_ok(reply) or (isinstance(reply, say.Status) and reply.code == say.NO_SUCH_FILE):
                done(name)


@dataclass(slots=True)
class _File:
    name: str
    size: int
    waits: int = 0
    failed: bool = False
    pieces: dict[int, bytes] = field(default_factory=dict)
    """What came, by its offset."""


class _Batch:
    """Requests under way by their numbers. Always: every number belongs to exactly one file."""

    def __init__(self, talk: Conversation, path_of: Callable[[str], bytes], done: Callable[[str, bytes], None]) -> None:
        self._talk = talk
        self._path_of = path_of
        self._done = done
        self._under_way: dict[int, tuple[_File, say.Request]] = {}
        self._files = 0
        self._bytes = 0

    def run(self, listed: Sequence[tuple[str, int]]) -> None:
        waiting = iter(listed)
        while True:
            while self._files < FILES_IN_FLIGHT and self._bytes < BYTES_IN_FLIGHT:
                following = next(waiting, None)
                if following is None:
                    break
                self._begin(_File(*following))
            if not self._under_way:
                return
            for reply in self._talk.collect_reads():
                self._take(reply)

    def _begin(self, file: _File) -> None:
        self._files += 1
        self._bytes += file.size
        self._post(file, say.Open(self._talk.next_id(), self._path_of(file.name), say.READ))

    def _post(self, file: _File, request: say.Request) -> None:
        self._under_way[request.id] = file, request
        file.waits += 1
        self._talk.post(request)

    def _take(self, reply: say.Reply) -> None:
        if reply.id not in self._under_way:
            self._talk.lost(UNASKED)
        file, request = self._under_way.pop(reply.id)
        file.waits -= 1
        match request, reply:
            case say.Read(length=length), say.Data(data=data) if len(data) > length:
                self._talk.lost("it answered with more than was asked for")
            case say.Open(), say.Handle(handle=handle):
                self._ask_for(file, handle)
            case say.Read(offset=offset, length=length), say.Data(data=data) if offset + length <= file.size:
                if len(data) != length:
                    file.failed = True
                elif not file.failed:
                    file.pieces[offset] = data
            case say.Read(offset=offset), say.Status(code=say.EOF) if offset == file.size:
                pass
            case say.Close(), _ if is_ok(reply):
                pass
            case _:
                file.failed = True
        if file.failed:
            # nobody will want them
            file.pieces.clear()
        if file.waits == 0:
            self._end(file)

    def _ask_for(self, file: _File, handle: bytes) -> None:
        talk, offset = self._talk, 0
        while offset < file.size:
            length = min(talk.read_length, file.size - offset)
            self._post(file, say.Read(talk.next_id(), handle, offset, length))
            offset += length
        self._post(file, say.Read(talk.next_id(), handle, file.size, 1))
        self._post(file, say.Close(talk.next_id(), handle))

    def _end(self, file: _File) -> None:
        self._files -= 1
        self._bytes -= file.size
        if not file.failed:
            self._done(file.name, b"".join(file.pieces[offset] for offset in sorted(file.pieces)))
