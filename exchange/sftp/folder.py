"""What is done with whole files of a landing folder: list, size, remove, rename.

Each may be repeated after a connection was lost before the answer came: what is done already counts as done.
"""

import stat

from exchange.sftp import packets as say
from exchange.sftp.requests import Conversation, is_ok
from exchange.sftp.wire import name

MOST_NAMES = 10_000
"""Lines of a listing after which no more is asked for: a server can go on for ever."""

MOST_BYTES = 16 * 1024 * 1024
"""Bytes of a listing after which it is none: so many lines of the longest names that any file system has need less."""

LONGEST_NAME = 255
"""Bytes of the longest name that is kept; ours are shorter."""


def list_files(talk: Conversation, directory: bytes) -> list[tuple[str, int]]:
    """Name and size of every regular file among the first MOST_NAMES entries, sorted by name.

    Names longer than LONGEST_NAME are left out. Raises ConnectionLost after MOST_BYTES.
    """
    opened = talk.ask(say.Opendir(talk.next_id(), directory))
    if not isinstance(opened, say.Handle):
        raise talk.refusal(opened)
    found: list[tuple[str, int]] = []
    seen = length = 0
    while isinstance(reply := talk.ask(say.Readdir(talk.next_id(), opened.handle)), say.Names) and seen < MOST_NAMES:
        if not reply.names:
            talk.lost("it lists without end")
        seen += len(reply.names)
        length += sum(map(_length, reply.names))
        if length > MOST_BYTES:
            talk.lost("it lists more bytes than any folder needs")
        for line in reply.names:
            if len(line.name) > LONGEST_NAME:
                continue
            permissions, size = line.attributes.permissions, line.attributes.size
            if permissions is not None and stat.S_ISREG(permissions) and size is not None:
                found.append((name(line.name), size))
    talk.do(say.Close(talk.next_id(), opened.handle))
    if not isinstance(reply, say.Names) and not (isinstance(reply, say.Status) and reply.code == say.EOF):
        raise talk.refusal(reply)
    return sorted(found)


def _length(line: say.Name) -> int:
    extended = line.attributes.extended or ()
    return len(line.name) + len(line.long_name) + sum(len(kind) + len(data) for kind, data in extended)


def size_of(talk: Conversation, path: bytes) -> int | None:
    """The size of a file; None if there is none."""
    reply = talk.ask(say.Lstat(talk.next_id(), path))
    if isinstance(reply, say.Attrs):
        return reply.attributes.size
    if isinstance(reply, say.Status) and reply.code == say.NO_SUCH_FILE:
        return None
    raise talk.refusal(reply)


def remove(talk: Conversation, path: bytes) -> None:
    """Delete a file that may be gone already."""
    reply = talk.ask(say.Remove(talk.next_id(), path))
    if not is_ok(reply) and not (isinstance(reply, say.Status) and reply.code == say.NO_SUCH_FILE):
        raise talk.refusal(reply)


def rename(talk: Conversation, old: bytes, new: bytes) -> None:
    """Give a file its final name, replacing one of that name."""
    request = rename_request(talk, old, new)
    reply = talk.ask(request)
    if is_ok(reply):
        return
    new_exists = size_of(talk, new) is not None
    if new_exists and size_of(talk, old) is None:
        return  # done by an earlier attempt whose answer was lost
    if new_exists and isinstance(request, say.Rename):
        talk.do(say.Remove(talk.next_id(), new))
        talk.do(say.Rename(talk.next_id(), old, new))
        return
    raise talk.refusal(reply)


def rename_request(talk: Conversation, old: bytes, new: bytes) -> say.Extended | say.Rename:
    """The rename that replaces in one step where the server has it; the protocol's own refuses to replace."""
    if say.POSIX_RENAME in talk.abilities.extensions:
        # SPEC: OpenSSH PROTOCOL 4.3 posix-rename: string oldpath, string newpath
        payload = b"".join(len(path).to_bytes(4, "big") + path for path in (old, new))
        return say.Extended(talk.next_id(), say.POSIX_RENAME, payload)
    return say.Rename(talk.next_id(), old, new)
