"""One conversation with an SFTP server: numbered requests out, answers in, none of them unread.

A server answers in any order, so whoever has several requests under way keeps a table of their numbers and hands out
what `collect` returns. Everything that breaks the conversation (the connection, a wait that is too long, an answer
nobody asked for, bytes that are no SFTP) is a ConnectionLost, after which the conversation is closed for good.
"""

import time
from collections import deque
from dataclasses import dataclass
from typing import NoReturn, cast

import paramiko

from exchange.landing import (
    ConnectionLost,
    LandingError,
    LandingFailed,
    NotThere,
    PermissionDenied,
)
from exchange.sftp import packets as say
from exchange.sftp import ssh
from exchange.sftp.hearing import CountingSocket, Hearing
from exchange.sftp.pace import Pace
from exchange.sftp.wire import Splitter, WireError, encode

LARGEST_WRITE = 261_120
"""Bytes in one write at most: what OpenSSH allows, and enough that larger ones are no quicker."""

SMALLEST_WRITE = 32_768
"""Bytes in one read or write that every server must take (draft-ietf-secsh-filexfer-02, 3)."""

UNASKED = "it answered what nobody asked"

MOST_AT_ONCE = 4 * 1024 * 1024
"""Bytes of answers after which they are looked at: a server can send without end, faster than they are taken. It is
more than the channel takes ahead of us."""

_RECEIVE = 1 << 16


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a server said that it can do beyond the protocol, and how long one read or write may be."""

    extensions: frozenset[bytes]
    read: int = SMALLEST_WRITE
    write: int = SMALLEST_WRITE


class Conversation:
    """An open SFTP session on a channel; one thread uses it, any thread may close it."""

    def __init__(self, channel: paramiko.Channel, place: str) -> None:
        self.place = place
        self._channel = channel
        # what `exchange.sftp.login` has made
        self._line = cast(CountingSocket, channel.get_transport().sock)
        self.timeout = channel.gettimeout() or 0.0
        """Seconds: the longest wait for an answer."""
        self.pace = Pace(self.timeout)
        """How long the next reads may be."""
        self._splitter = Splitter()
        self._came: deque[say.Packet] = deque()
        self._last_id = 0
        self.abilities = Abilities(frozenset())
        self.abilities = self._greet()

    def next_id(self) -> int:
        """A number for a request, not in use."""
        self._last_id = self._last_id % 0xFFFFFFFF + 1
        return self._last_id

    def post(self, request: say.Request | say.Init) -> None:
        """Send a request without waiting for its answer."""
        self.post_bytes(encode(request))

    def post_bytes(self, packet: bytes) -> None:
        """Send a packet that was encoded already."""
        rest = memoryview(packet)
        try:
            while rest:
                # The channel takes any buffer, copies what fits into one SSH packet, and says how much that was.
                sent = self._channel.send(cast(bytes, rest))
                if sent == 0:
                    self.lost("it was closed by the server")
                rest = rest[sent:]
        except (OSError, EOFError, paramiko.SSHException) as problem:
            self.lost("nothing more went out" if isinstance(problem, TimeoutError) else "it broke")

    def collect(self, *, wait: bool, patience: int = 1) -> list[say.Reply]:
        """Answers that came; with `wait`, at least one, for which `patience` times the usual wait is allowed."""
        self._channel.settimeout(self.timeout * patience)
        taken = 0
        while (self._channel.recv_ready() and taken < MOST_AT_ONCE) or (wait and not self._came):
            taken += self._receive()
        self._channel.settimeout(self.timeout)
        found = [reply for reply in self._came if isinstance(reply, say.Reply)]
        if len(found) != len(self._came):
            self.lost("it answered with a request")
        self._came.clear()
        return found

    def collect_reads(self) -> list[say.Reply]:
        """At least one answer, where nothing is under way but reads and what is as quick: so it tells the pace."""
        began = time.monotonic()
        replies = self.collect(wait=True)
        waited = time.monotonic() - began
        for reply in replies:
            if isinstance(reply, say.Data):
                self.pace.answered(waited, len(reply.data))
                waited = 0.0
        return replies

    @property
    def read_length(self) -> int:
        """Bytes that one read may ask for now."""
        return min(self.pace.length, self.abilities.read)

    def ask(self, request: say.Request) -> say.Reply:
        """Send a request and wait for its answer; nothing else may be under way."""
        self.post(request)
        replies = self.collect(wait=True)
        if len(replies) != 1 or replies[0].id != request.id:
            self.lost(UNASKED)
        return replies[0]

    def do(self, request: say.Request) -> None:
        """Ask, and raise unless the answer is OK."""
        reply = self.ask(request)
        if not is_ok(reply):
            raise self.refusal(reply)

    def refusal(self, reply: say.Reply) -> LandingError:
        """The error for an answer that is not the one hoped for. The server's own words are left out."""
        if not isinstance(reply, say.Status) or reply.code == say.OK:
            self.lost("it answered with the wrong kind of packet")
        match reply.code:
            case say.NO_SUCH_FILE:
                return NotThere(self.place)
            case say.DENIED:
                return PermissionDenied(self.place)
            case say.NO_CONNECTION | say.CONNECTION_LOST:
                return ConnectionLost(self.place, "the server says so")
            case _:
                return LandingFailed(self.place, f"status {reply.code}")

    def close(self) -> None:
        """End the connection."""
        ssh.end(self._channel.get_transport())

    def _greet(self) -> Abilities:
        self.post(say.Init(say.VERSION_NUMBER))
        while not self._came:
            self._receive()
        version = self._came.popleft()
        if not isinstance(version, say.Version) or version.version < say.VERSION_NUMBER or self._came:
            self.lost("it does not speak SFTP version 3")
        extensions = frozenset(name for name, _ in version.extensions)
        if say.LIMITS not in extensions:
            return Abilities(extensions)
        number = self.next_id()
        reply = self.ask(say.Extended(number, say.LIMITS, b""))
        # SPEC: OpenSSH PROTOCOL 4.8 limits: uint64 packet, read, write, handles; 0 means "no particular limit"
        if not isinstance(reply, say.ExtendedReply) or len(reply.payload) < 32:
            return Abilities(extensions)
        read, write = (int.from_bytes(reply.payload[at : at + 8], "big") for at in (8, 16))
        return Abilities(extensions, _length(read), _length(write))

    def _receive(self) -> int:
        """Take what came, at least a byte; returns how many."""
        patience, hearing = self._channel.gettimeout() or 0.0, Hearing(self._line)
        data = None
        while data is None:
            try:
                data = self._channel.recv(_RECEIVE)
            except TimeoutError:
                if not hearing.goes_on(patience):
                    self.lost(f"no answer within {patience:g} seconds")
            except (OSError, EOFError, paramiko.SSHException):
                self.lost("it broke")
        if not data:
            self.lost("it was closed by the server")
        try:
            self._came.extend(self._splitter.feed(data))
        except WireError as problem:
            self.lost(problem.message)
        return len(data)

    def lost(self, how: str) -> NoReturn:
        """Give the conversation up; raises ConnectionLost."""
        self.close()
        raise ConnectionLost(self.place, how) from None


def is_ok(reply: say.Reply) -> bool:
    """Whether a request was done."""
    return isinstance(reply, say.Status) and reply.code == say.OK


def _length(limit: int) -> int:
    return min(limit or SMALLEST_WRITE, LARGEST_WRITE)
