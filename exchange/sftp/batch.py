"""Upload many small files at once, each on its own way through a few steps, at most 32 of them under way.

    OPEN -> WRITE… FSYNC FSTAT CLOSE, sent together -> posix-rename -> done

What a line with 20 ms of delay costs is waiting; here 32 files wait together. Each answer is looked at, and a file is
done when its final name exists. A refusal stops no other file that is under way, but no new one is begun; then the
refused file is tried once more alone, which either works or finds out why it does not.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO

from exchange.landing import LandingError, Small
from exchange.sftp import packets as say
from exchange.sftp.ending import SYNC_PATIENCE, Ending
from exchange.sftp.folder import rename, rename_request
from exchange.sftp.requests import UNASKED, Conversation, is_ok
from exchange.sftp.upload import IN_FLIGHT, MODE, NEW_FILE, upload

FILES_IN_FLIGHT = 32
"""Files under way at once, at most: more is no quicker, and servers hand out few handles."""


def upload_many(
    talk: Conversation,
    files: Iterable[Small],
    path_of: Callable[[str], bytes],
    done: Callable[[Small], None] | None = None,
    *,
    sync: bool = True,
) -> None:
    """Upload and rename all; `done` is called for each that is finished; raises the first failure after the others."""
    try:
        _Batch(talk, path_of, done, sync=sync).run(files)
    except LandingError:
        raise
    except BaseException:
        # Answers under way stay unread, so nobody may go on with this conversation.
        talk.close()
        raise


@dataclass(slots=True)
class _File:
    small: Small
    waits: int = 0
    failed: bool = False
    renaming: bool = False


class _Batch:
    """Requests under way by their numbers. Always: every number belongs to exactly one file."""

    def __init__(
        self,
        talk: Conversation,
        path_of: Callable[[str], bytes],
        done: Callable[[Small], None] | None,
        *,
        sync: bool,
    ) -> None:
        self._talk = talk
        self._sync = sync
        self._path_of = path_of
        self._done = done
        self._under_way: dict[int, tuple[_File, say.Request, Ending | None]] = {}
        self._files = 0
        self._bytes = 0
        self._failed: list[Small] = []

    def run(self, files: Iterable[Small]) -> None:
        waiting = iter(files)
        while True:
            while not self._failed and self._files < FILES_IN_FLIGHT and self._bytes < IN_FLIGHT:
                small = next(waiting, None)
                if small is None:
                    break
                self._begin(_File(small))
            if self._under_way:
                for reply in self._talk.collect(wait=True, patience=self._patience()):
                    self._take(reply)
            elif self._failed:
                self._retry(self._failed.pop(0))
            else:
                return

    def _patience(self) -> int:
        syncing = any(ending is not None for _, _, ending in self._under_way.values())
        return SYNC_PATIENCE if syncing else 1

    def _begin(self, file: _File) -> None:
        self._files += 1
        self._bytes += len(file.small.data)
        self._post(file, say.Open(self._talk.next_id(), self._path_of(file.small.name), NEW_FILE, MODE))

    def _post(self, file: _File, request: say.Request) -> None:
        self._expect(file, request, None)
        self._talk.post(request)

    def _expect(self, file: _File, request: say.Request, ending: Ending | None) -> None:
        self._under_way[request.id] = file, request, ending
        file.waits += 1

    def _take(self, reply: say.Reply) -> None:
        if reply.id not in self._under_way:
            self._talk.lost(UNASKED)
        file, request, ending = self._under_way.pop(reply.id)
        file.waits -= 1
        if ending is not None:
            file.failed |= ending.take(reply) is not None
        elif isinstance(request, say.Open) and isinstance(reply, say.Handle):
            self._fill(file, reply.handle)
        else:
            file.failed |= not is_ok(reply)
        if file.waits == 0:
            self._step(file)

    def _fill(self, file: _File, handle: bytes) -> None:
        talk, data = self._talk, file.small.data
        for start in range(0, len(data), talk.abilities.write):
            piece = data[start : start + talk.abilities.write]
            self._post(file, say.Write(talk.next_id(), handle, start, piece))
        ending = Ending(talk, handle, len(data))
        ending.post(sync=self._sync)
        for request in ending.under_way.values():
            self._expect(file, request, ending)

    def _step(self, file: _File) -> None:
        """Everything that was asked for this file is answered: go on with its rename, or end it."""
        if not file.failed and not file.renaming:
            file.renaming = True
            small = file.small
            self._post(file, rename_request(self._talk, self._path_of(small.name), self._path_of(small.final)))
            return
        self._files -= 1
        self._bytes -= len(file.small.data)
        if file.failed:
            self._failed.append(file.small)
        elif self._done is not None:
            self._done(file.small)

    def _retry(self, small: Small) -> None:
        """Once more, alone: a file that cannot be uploaded fails here with its reason."""
        upload(self._talk, BytesIO(small.data), len(small.data), self._path_of(small.name))
        rename(self._talk, self._path_of(small.name), self._path_of(small.final))
        if self._done is not None:
            self._done(small)
