"""A partner's landing zone over SFTP.

`connect` logs in at the one server that the partner's card names (`exchange.sftp.login`); what comes back does what a
`Landing` must. Every answer of the server is looked at, every wait ends, and every failure is a LandingError of its own
kind. A connection belongs to one thread.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import BinaryIO

from exchange.landing import Address, Agreed, Landing, Progress, Small
from exchange.sftp import folder as sftp_folder
from exchange.sftp.batch import upload_many
from exchange.sftp.download import download
from exchange.sftp.fetch import fetch_many, remove_many
from exchange.sftp.login import log_in
from exchange.sftp.requests import Conversation
from exchange.sftp.resume import resume_offset
from exchange.sftp.upload import upload
from exchange.sftp.wire import text

__all__ = ["Address", "Landing", "SftpLanding", "Small", "connect"]


def connect(address: Address, *keys: bytes, timeout: float, keepalive: float, hybrid: bool = False) -> "SftpLanding":
    """Log in with the first of `keys` that is taken; raises a LandingError. `timeout`: the longest wait for any one
    answer; both in seconds. `hybrid`: only by a key exchange that resists quantum computers."""
    channel, agreed = log_in(address, *keys, timeout=timeout, keepalive=keepalive, hybrid=hybrid)
    return SftpLanding(Conversation(channel, address.place), address.path, agreed)


class SftpLanding:
    """One folder on an SFTP server, as `Landing` describes it."""

    def __init__(self, talk: Conversation, path: str, agreed: Agreed) -> None:
        self.agreed = agreed
        self._talk = talk
        self._folder = path or "."

    def put(self, source: BinaryIO, size: int, name: str, *, offset: int = 0, progress: Progress | None = None) -> None:
        """See Landing."""
        upload(self._talk, source, size, self._path(name), offset=offset, progress=progress)

    def put_many(
        self, files: Iterable[Small], done: Callable[[Small], None] | None = None, *, sync: bool = True
    ) -> None:
        """See Landing."""
        upload_many(self._talk, files, self._path, done, sync=sync)

    def resume_offset(self, source: BinaryIO, size: int, name: str) -> int:
        """See Landing."""
        return resume_offset(self._talk, source, size, self._path(name))

    def rename(self, old: str, new: str) -> None:
        """See Landing."""
        sftp_folder.rename(self._talk, self._path(old), self._path(new))

    def list(self) -> list[tuple[str, int]]:
        """See Landing."""
        return sftp_folder.list_files(self._talk, text(self._folder))

    def size(self, name: str) -> int | None:
        """See Landing."""
        return sftp_folder.size_of(self._talk, self._path(name))

    def remove(self, name: str) -> None:
        """See Landing."""
        sftp_folder.remove(self._talk, self._path(name))

    def get(
        self, name: str, dst: BinaryIO, *, most: int | None = None, progress: Callable[[int], None] | None = None
    ) -> int:
        """See Landing."""
        return download(self._talk, self._path(name), dst, most, progress)

    def get_many(self, listed: Sequence[tuple[str, int]], done: Callable[[str, bytes], None]) -> None:
        """See Landing."""
        fetch_many(self._talk, listed, self._path, done)

    def remove_many(self, names: Collection[str], done: Callable[[str], None]) -> None:
        """See Landing."""
        remove_many(self._talk, names, self._path, done)

    def close(self) -> None:
        """See Landing."""
        self._talk.close()

    def _path(self, name: str) -> bytes:
        if not name or "/" in name or "\0" in name or name in (".", ".."):
            raise ValueError("the name of a file in a landing zone is a plain name")
        return text(f"{self._folder.rstrip('/')}/{name}")
