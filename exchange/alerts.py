"""Tells people that something needs them: a command and a webhook, both given an event and ids, never a name.

    command    is run with three more arguments: event, handover id or "-", partner or "-"
    webhook    gets a POST of {"event": …, "handover": …, "partner": …, "organisation": …}

An alert is made of a ledger entry, so it can be repeated but not invented. One that cannot be delivered is logged and
does not hold up anything: the ledger and `handover status` still say what is wrong.
"""

import json
import subprocess
import threading
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from queue import Empty, Full, Queue

from exchange.log import Log

TIMEOUT = 30.0
"""Seconds that a command or a webhook may take."""

MAX_WAITING = 1000
"""Alerts that wait for a slow hook; more are dropped, and the log says so."""

EVENTS = frozenset(
    {
        "receipt.overdue",
        "rejected",
        "quarantined",
        "envelope.quarantined",
        "receipt.refused",
        "partner.unreachable",
        "partner.reachable",
        "witness.conflict",
        "witness.rolled-back",
    }
)
"""Entries that people are told of."""


@dataclass(frozen=True, slots=True)
class Alert:
    """What is told."""

    organisation: str
    event: str
    handover: str | None
    partner: str | None


class Alerts:
    """Delivers alerts from a thread of its own, in order."""

    def __init__(self, command: Sequence[str], webhook: str | None, log: Log) -> None:
        self._command = tuple(command)
        self._webhook = webhook
        self._log = log
        self._queue: Queue[Alert | None] = Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._deliver_all, name="alerts", daemon=True)
        self._thread.start()

    def tell(self, alert: Alert) -> None:
        """Deliver `alert` if it is of a kind that people are told of, and anybody wants to be told."""
        if alert.event not in EVENTS or not (self._command or self._webhook):
            return
        try:
            self._queue.put_nowait(alert)
        except Full:
            self._log("alert.dropped", about=alert.event)

    def close(self) -> None:
        """Deliver what waits, for at most TIMEOUT seconds, and end."""
        try:
            self._queue.put(None, timeout=1)
        except Full:
            return
        self._thread.join(TIMEOUT)

    def _deliver_all(self) -> None:
        while True:
            try:
                alert = self._queue.get(timeout=1)
            except Empty:
                continue
            if alert is None:
                return
            for deliver in (self._run, self._post):
                try:
                    deliver(alert)
                except (OSError, subprocess.SubprocessError, ValueError) as problem:
                    self._log("alert.failed", about=alert.event, error=type(problem).__name__)

    def _run(self, alert: Alert) -> None:
        if self._command:
            arguments = [*self._command, alert.event, alert.handover or "-", alert.partner or "-"]
            subprocess.run(
                arguments,
                check=True,
                timeout=TIMEOUT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def _post(self, alert: Alert) -> None:
        if self._webhook:
            body = json.dumps(asdict(alert)).encode()
            request = urllib.request.Request(self._webhook, body, {"Content-Type": "application/json"}, method="POST")
            with urllib.request.urlopen(request, timeout=TIMEOUT):
                pass
