"""Why a server refused to write: SFTP version 3 has one code, FAILURE, for a full disk and for everything else.

1  PERMISSION_DENIED, NO_SUCH_FILE         says it itself
2  statvfs@openssh.com                     read-only, no room for what is left, or no inode left
3  the same write once more                refused again: full by another name (a quota, a limit of size)
   otherwise                               a failure that nobody explains
"""

from dataclasses import dataclass

from exchange.landing import LandingError, LandingFailed, LandingFull, LandingReadOnly
from exchange.sftp import packets as say
from exchange.sftp.requests import Conversation, is_ok

_READ_ONLY = 0x1


@dataclass(frozen=True, slots=True)
class Room:
    """What a server's file system has left for us."""

    bytes: int
    files: int
    read_only: bool


def why_not(
    talk: Conversation, reply: say.Reply, path: bytes, missing: int, again: say.Write | None = None
) -> LandingError:
    """The error for a refused OPEN or WRITE at `path` when `missing` bytes were still to come.

    Nothing else may be under way. `again` is the refused write under a new number, to be tried once more.
    """
    if not isinstance(reply, say.Status) or reply.code != say.FAILURE:
        return talk.refusal(reply)
    room = room_at(talk, path.rpartition(b"/")[0] or b".")
    if room is not None and room.read_only:
        return LandingReadOnly(talk.place)
    if room is not None and (room.bytes < missing or room.files == 0):
        return LandingFull(talk.place, f"{missing} bytes are still to be sent, {room.bytes} are free")
    if again is not None and not is_ok(talk.ask(again)):
        return LandingFull(talk.place, "it takes no more bytes, perhaps because of a quota")
    return LandingFailed(talk.place, "it refused to write and does not say why")


def room_at(talk: Conversation, directory: bytes) -> Room | None:
    """What is left where `directory` lies; None if the server does not say."""
    if say.STATVFS not in talk.abilities.extensions:
        return None
    payload = len(directory).to_bytes(4, "big") + directory
    reply = talk.ask(say.Extended(talk.next_id(), say.STATVFS, payload))
    # SPEC: OpenSSH PROTOCOL 4.4 statvfs: bsize frsize blocks bfree bavail files ffree favail fsid flag namemax, uint64
    if not isinstance(reply, say.ExtendedReply) or len(reply.payload) != 11 * 8:
        return None
    numbers = [int.from_bytes(reply.payload[at : at + 8], "big") for at in range(0, 88, 8)]
    # A file system that counts no files says so with no total.
    return Room(
        bytes=numbers[4] * numbers[1],
        files=numbers[7] if numbers[5] else 1,
        read_only=bool(numbers[9] & _READ_ONLY),
    )
