"""What a landing zone is to those who send: an address, a few operations, and what can go wrong, each in its own words.

A landing zone is one folder on a partner's server. Its files are named by ids only, so nothing here has a name to hide,
and no message repeats what a server said: what another program writes does not belong into our log.

>>> address = Address("sftp.lgsco.example", 22, "ofsted", "ofsted", ("ssh-ed25519 AAAA",))
>>> address.place
'sftp.lgsco.example:22'
>>> ConnectionLost(address.place).for_people()
'error: the connection to sftp.lgsco.example:22 was lost\\nhint: nothing is lost; it is tried again'
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from config.errors import NotNow, Refused

Progress = Callable[[int], None]
"""Told how many bytes of the whole file the server has acknowledged; numbers only grow, the last one is the size."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a landing zone is, and which host keys (OpenSSH lines) prove it."""

    host: str
    port: int
    user: str
    path: str
    host_keys: tuple[str, ...]

    @property
    def place(self) -> str:
        """`host:port`, for messages."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Small:
    """A whole small file: uploaded as `name`, then renamed to `final`."""

    data: bytes
    name: str
    final: str


@dataclass(frozen=True, slots=True)
class Agreed:
    """What SSH has agreed on for one connection, in its own names."""

    key_exchange: str
    cipher: str


def agreed(landing: object) -> dict[str, str]:
    """The same of a landing zone, for the ledger; nothing where there is no SSH, as in a pick-up folder of ours."""
    found = getattr(landing, "agreed", None)
    return {"key_exchange": found.key_exchange, "cipher": found.cipher} if isinstance(found, Agreed) else {}


class Landing(Protocol):
    """A partner's landing zone, used by one thread; every operation raises a LandingError."""

    def put(self, source: BinaryIO, size: int, name: str, *, offset: int = 0, progress: Progress | None = None) -> None:
        """Upload `source` (`size` bytes in all) as `name`, leaving out the `offset` bytes that are there already.

        On return the server has acknowledged every byte, its file is `size` bytes long and, if it can, synced.
        """

    def put_many(
        self, files: Iterable[Small], done: Callable[[Small], None] | None = None, *, sync: bool = True
    ) -> None:
        """Upload and rename many small files at once; `done` is called for each when its final name exists.

        A file that fails does not stop those under way; the first failure is raised after them. Without `sync` it is
        several times as quick on a server with a slow disk, and a power cut there may leave empty files behind.
        """

    def resume_offset(self, source: BinaryIO, size: int, name: str) -> int:
        """How many bytes of `source` need not be uploaded again, because `name` begins with them; 0 if in doubt."""

    def rename(self, old: str, new: str) -> None:
        """Give a file its final name, replacing one of that name; done already is done."""

    def list(self) -> list[tuple[str, int]]:
        """Name and size of every regular file, sorted by name."""

    def size(self, name: str) -> int | None:
        """The size of a file; None if there is none."""

    def remove(self, name: str) -> None:
        """Delete a file; a file that is not there counts as deleted."""

    def get(
        self, name: str, dst: BinaryIO, *, most: int | None = None, progress: Callable[[int], None] | None = None
    ) -> int:
        """Download a file; returns its size. Raises TooLong when it has more than `most` bytes.

        What `dst` holds already stays, if the file begins with it: so a download that broke off goes on. `progress` is
        told how many bytes `dst` holds, first how many stay, before anything is written.
        """

    def get_many(self, listed: Sequence[tuple[str, int]], done: Callable[[str, bytes], None]) -> None:
        """Download many small files at once; `done` is given name and content of each that is as (name, size) says.

        All others are left out. Raises ConnectionLost; what came before is done.
        """

    def remove_many(self, names: Collection[str], done: Callable[[str], None]) -> None:
        """Delete many files at once; `done` is told of each that is not there any more. Raises ConnectionLost."""

    def close(self) -> None:
        """End the connection; any thread may do this, and the one at work gets ConnectionLost."""


class LandingError(NotNow):
    """Something about a partner's landing zone keeps us from using it now; `reason` may be recorded."""

    reason = "landing"
    of_one_file = False
    """Whether it says nothing about other files: the next one may be taken."""
    said = "the landing zone at {place} cannot be used"
    advice = ""

    def __init__(self, place: str, detail: str = "", *, hint: str = "") -> None:
        message = self.said.format(place=place)
        super().__init__(f"{message}: {detail}" if detail else message, hint=hint or self.advice)


class Unreachable(LandingError):
    """No SSH server answers there."""

    reason = "unreachable"
    said = "{place} cannot be reached"
    advice = "it is tried again; check the address, the network and the firewall if it lasts"


class KeyExchangeTooWeak(LandingError):
    """The server agrees on no key exchange that resists quantum computers, and one is required."""

    reason = "key-exchange-too-weak"
    said = "{place} agrees on no post-quantum key exchange, and require_pq asks for one"
    advice = "nothing was sent; ask the partner to run OpenSSH 9.9 or later, or take 'key-exchange' out of require_pq"


class HostKeyChanged(LandingError):
    """The server is not the one that the partner's card names. Transfers stop until a person has looked."""

    reason = "host-key-changed"
    said = "the host key of {place} is not the one that the partner's card names"
    advice = (
        "nothing was sent; somebody may pose as the partner: ask them by phone,"
        " and add a new card only if they confirm the new key"
    )


class AuthenticationRefused(LandingError):
    """The server does not accept our transport key for this user."""

    reason = "authentication-refused"
    said = "the landing zone at {place} refused our key"
    advice = "ask the partner to run 'handover partner landing' again with our newest card"


class LandingFull(LandingError):
    """The server's disk is full, or our quota there is used up."""

    reason = "landing-full"
    of_one_file = True
    said = "the landing zone at {place} is full"
    advice = "tell the partner; what was not sent is kept and sent again"


class LandingReadOnly(LandingError):
    """The file system of the landing zone is mounted read-only."""

    reason = "landing-read-only"
    said = "the landing zone at {place} is read-only"
    advice = "tell the partner; what was not sent is kept and sent again"


class PermissionDenied(LandingError):
    """The user may not do this in the landing zone."""

    reason = "permission-denied"
    of_one_file = True
    said = "the landing zone at {place} does not let us do this"
    advice = "ask the partner to check owner and mode of our folder"


class NotThere(LandingError):
    """A file, or the landing folder itself, does not exist."""

    reason = "not-there"
    of_one_file = True
    said = "the landing zone at {place} has no such file or folder"
    advice = "if nothing arrives at all, ask the partner whether our landing folder exists"


class LandingFailed(LandingError):
    """The server answered that something failed, and not why."""

    reason = "landing-failed"
    of_one_file = True
    said = "the landing zone at {place} failed to do what was asked"
    advice = "it is tried again; the partner's server log may say more"


class TooLong(LandingError):
    """A file that is collected has more bytes than are taken, whatever its server said of its size."""

    reason = "too-long"
    of_one_file = True
    said = "a file at {place} is larger than is taken"
    advice = "it is put aside as every file that is too large"


class NoPickup(LandingError):
    """What a partner has for us cannot be listed: the folder does not exist, or is not ours to read."""

    reason = "no-pickup"
    said = "the pick-up folder at {place} is not there, or not for us to read"
    advice = "ask the partner to make it for our user; check 'path' and 'user' of the partner's collect settings"


class NotRemovable(LandingError):
    """What was collected could not be removed from the partner's server, so it lies there still."""

    reason = "not-removable"
    of_one_file = True
    said = "the pick-up folder at {place} lets us remove nothing"
    advice = "ask the partner to check owner and mode of our pick-up folder; what was collected is not collected again"


class PickupUnusable(LandingError):
    """Our own pick-up folder for a partner is missing, read-only, or not ours to write in."""

    reason = "pickup-unusable"
    said = "our pick-up folder for {place} cannot be used"
    advice = "check that it exists and that the service may write there; nothing is lost"


class PickupFull(LandingFull):
    """The disk on which our pick-up folder lies is full, or the partner has used up its quota there."""

    reason = "pickup-full"
    said = "our pick-up folder for {place} is full"
    advice = "make room on its disk; what was not placed is kept, and placed then"


class PickupOccupied(LandingFailed):
    """Something that is no file of ours lies in our pick-up folder, under a name that we need."""

    reason = "pickup-occupied"
    said = "something in our pick-up folder for {place} is in the way"
    advice = "the partner has put it there: look what it is, and remove it"


class UnfinishedChanged(LandingError):
    """The part of a file that was uploaded earlier is not what it was."""

    reason = "unfinished-changed"
    of_one_file = True
    said = "the unfinished file at {place} changed since it was uploaded"
    advice = "it is uploaded anew from its beginning"


class ConnectionLost(LandingError):
    """The connection broke, stalled, or carried something that is not SFTP."""

    reason = "connection-lost"
    said = "the connection to {place} was lost"
    advice = "nothing is lost; it is tried again"


class SourceChanged(Refused):
    """Our own file is not as long as it was said to be."""

    reason = "file-changed"
