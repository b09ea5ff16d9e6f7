"""What the ledger says of a partner that cannot be used: an outage is two entries, however many files, attempts and
connections there are, and one more when people have to look for something else:

    partner.unreachable        a connection failed; detail.cause says how
    partner.still-unreachable  it fails in another way than what was said last
    partner.reachable          each connection that failed works again
    partner.reached            the first contact, where nothing was sent yet

Where connections fail in different ways, another host key is said, which is what people must hear of, or else the
newest that they can mend. A server that is silent after it showed another key has not shown the right one. Each way is
said once an hour at most, but for that one. A connection that waited in vain while another one worked has waited since
before that, for an outage that may be over: it is tried once more.
"""

import threading

from exchange import seldom
from exchange.landing import ConnectionLost, HostKeyChanged, Unreachable
from exchange.parts import Parts
from ledger.entry import Draft
from ledger.query import outage, reachability
from ledger.store import Transaction

_SILENCE = (ConnectionLost.__name__, Unreachable.__name__)
"""What may be noticed long after it happened, and for people is the same."""


class Outage:
    """Which of the rounds towards one partner fail; several threads tell it."""

    def __init__(self, partner: str) -> None:
        self.partner = partner
        self._failing: dict[str, str] = {}
        self._excused: set[str] = set()
        self._contacts = 0
        self._lock = threading.Lock()

    @property
    def contacts(self) -> int:
        """How often the partner was there; only grows."""
        return self._contacts

    def failed(self, parts: Parts, worker: str, cause: str, began: int | None = None) -> None:
        """Record that the outage began, or what it is about now. `began`: `contacts` when the attempt did."""
        with self._lock:
            if began not in (None, self._contacts) and cause in _SILENCE and self._is_first(worker):
                self._excused.add(worker)
                return
            self._failing.pop(worker, None)
            self._failing[worker] = cause
            self._tell(parts, self._gravest())

    def worked(self, parts: Parts, worker: str) -> None:
        """Record that the outage is over, if it is, or that this is the first contact and nothing else says so."""
        with self._lock:
            self._contacts += 1
            self._failing.pop(worker, None)
            self._excused.discard(worker)

            def end(tx: Transaction) -> None:
                event = {"unreachable": "partner.reachable", "unknown": "partner.reached"}
                if (now := reachability(tx, self.partner)) in event:
                    tx.append(self._draft(event[now], {}))

            if not self._failing and reachability(parts.ledger, self.partner) != "reachable":
                parts.ledger.write(end)
            if self._failing:
                self._tell(parts, self._gravest())

    def lasts_for(self, parts: Parts, worker: str) -> bool:
        """Whether the rounds of `worker` failed, or, since the start, nothing has tried a partner that was away."""
        with self._lock:
            if self._failing:
                return worker in self._failing
        return outage(parts.ledger, self.partner) is not None

    def _is_first(self, worker: str) -> bool:
        return not self._failing and worker not in self._excused

    def _gravest(self) -> str:
        causes = list(reversed(self._failing.values()))
        if HostKeyChanged.__name__ in causes:
            return HostKeyChanged.__name__
        return next((cause for cause in causes if cause not in _SILENCE), causes[0])

    def _tell(self, parts: Parts, cause: str) -> None:
        before = outage(parts.ledger, self.partner)
        if before is None:
            begun = self._draft("partner.unreachable", {"cause": cause})
            parts.ledger.write(lambda tx: tx.append(begun))
        elif _kind(cause) != _kind(before) and not (before == HostKeyChanged.__name__ and cause in _SILENCE):
            changed = self._draft("partner.still-unreachable", {"cause": cause})
            if cause == HostKeyChanged.__name__:
                parts.ledger.write(lambda tx: tx.append(changed))
            else:
                seldom.append(parts, changed, "cause")

    def _draft(self, event: str, detail: dict[str, str]) -> Draft:
        return Draft(event=event, actor="daemon", partner=self.partner, detail=detail)


def _kind(cause: str) -> str:
    return "silence" if cause in _SILENCE else cause
