"""How an upload ends: FSYNC, FSTAT and CLOSE of its handle, sent together, each answer looked at.

The length is asked for by the handle, not by the name: a server may move a file away as soon as it is closed. A CLOSE
can fail too (a network disk that finds only then that it is full).
"""

from exchange.landing import LandingError, LandingFailed
from exchange.sftp import packets as say
from exchange.sftp.requests import UNASKED, Conversation

SYNC_PATIENCE = 10
"""How many times the usual wait a server may take to write a file out to its disk."""


class Ending:
    """The last requests for one handle; a caller with other requests under way posts, and passes on the answers."""

    def __init__(self, talk: Conversation, handle: bytes, size: int) -> None:
        self._talk = talk
        self._handle = handle
        self._size = size
        self.under_way: dict[int, say.Request] = {}

    def run(self) -> None:
        """Post all and wait; raises the first failure."""
        self.post()
        self._wait()

    def abandon(self) -> None:
        """Only close, because something failed before; what CLOSE answers no longer matters."""
        self._post(say.Close(self._talk.next_id(), self._handle))
        self._talk.collect(wait=True, patience=SYNC_PATIENCE)

    def post(self, *, sync: bool = True) -> None:
        """Send the three requests (two without `sync`, or where the server cannot)."""
        talk = self._talk
        if sync and say.FSYNC in talk.abilities.extensions:
            # SPEC: OpenSSH PROTOCOL 4.6 fsync: string handle
            payload = len(self._handle).to_bytes(4, "big") + self._handle
            self._post(say.Extended(talk.next_id(), say.FSYNC, payload))
        self._post(say.Fstat(talk.next_id(), self._handle))
        self._post(say.Close(talk.next_id(), self._handle))

    def take(self, reply: say.Reply) -> LandingError | None:
        """The failure that an answer to one of the three means, if any."""
        match self.under_way.pop(reply.id, None), reply:
            case None, _:
                self._talk.lost(UNASKED)
            case say.Fstat(), say.Attrs(attributes=attributes):
                right = attributes.size == self._size
                return None if right else LandingFailed(self._talk.place, "a file has not the length that was sent")
            case say.Extended(), say.Status(code=say.UNSUPPORTED):
                return None  # announced, but this file system has nothing to sync
            case ((say.Extended() | say.Close()), say.Status(code=say.OK)):
                return None
        return self._talk.refusal(reply)

    def _post(self, request: say.Request) -> None:
        self.under_way[request.id] = request
        self._talk.post(request)

    def _wait(self) -> None:
        failure: LandingError | None = None
        while self.under_way:
            for reply in self._talk.collect(wait=True, patience=SYNC_PATIENCE):
                found = self.take(reply)
                failure = failure or found
        if failure is not None:
            raise failure
