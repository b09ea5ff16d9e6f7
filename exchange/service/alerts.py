"""Tells people that something needs them: a command and a webhook, both given an event and ids, never a name.

    command    is run with three more arguments: event, handover id or "-", partner or "-"
    webhook    gets a POST of {"event": …, "handover": …, "partner": …, "organisation": …}

An alert is made of a ledger entry, so it can be repeated but not invented. One that cannot be delivered is logged and
does not hold up anything: the ledger and `handover status` still say what is wrong.

While an alert waits for a slow hook, further ones of its kind about the same partner become one with it, which then
names no handover. So nobody who makes us record a thousand refusals keeps people from being told of anything else.
"""

import json
import subprocess
import threading
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from exchange.service.keycheck import UNFIT
from exchange.service.log import Log
from exchange.troubles import UNUSABLE

TIMEOUT = 30.0
"""Seconds that a command or a webhook may take."""

EVENTS = frozenset(
    {
        "receipt.overdue",
        "held",
        "rejected",
        "withdrawal.crossed",
        "quarantined",
        "envelope.quarantined",
        "quarantine.full",
        "receipt.refused",
        "message.refused",
        "gap.contradicted",
        "partner.unreachable",
        "partner.still-unreachable",
        "partner.reachable",
        "witness.conflict",
        "witness.rolled-back",
        "witness.closed",
        "witness.former-ledger",
        "partner.key-waiting",
        "partner.key-refused",
        "key.discarded",
        "key.revoked",
        "key.expiring",
        UNFIT,
        "approval.asked",
        "approval.bypassed",
        "approval.failed",
        "approval.policy",
        "partner.key-expiring",
        "disk.full",
        "disk.room",
        "folders.apart",
        "folders.together",
        "folders.closed",
        "folders.opened",
        "clock.wrong",
        "clock.right",
        "clock.jumped",
        "clock.disagrees",
        "watch.incomplete",
        "watch.complete",
        UNUSABLE,
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
    """Delivers alerts from a thread of its own, in order; there is none as long as there is nothing to tell."""

    def __init__(self, command: Sequence[str], webhook: str | None, log: Log) -> None:
        self._command = tuple(command)
        self._webhook = webhook
        self._log = log
        self._waiting: dict[tuple[str, str | None], Alert] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def tell(self, alert: Alert) -> None:
        """Deliver `alert` if it is of a kind that people are told of, and anybody wants to be told."""
        if alert.event not in EVENTS or not (self._command or self._webhook):
            return
        with self._changed:
            kind = (alert.event, alert.partner)
            several = kind in self._waiting and self._waiting[kind] != alert
            self._waiting[kind] = replace(alert, handover=None) if several else alert
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._deliver_all, name="alerts", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Deliver what waits, for at most TIMEOUT seconds, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(TIMEOUT)

    def _deliver_all(self) -> None:
        while (alert := self._next()) is not None:
            for deliver in (self._run, self._post):
                try:
                    deliver(alert)
                except Exception as problem:
                    # whatever a hook or the server of a webhook does, the next alert is delivered
                    self._log("alert.failed", about=alert.event, error=type(problem).__name__)

    def _next(self) -> Alert | None:
        """The alert that has waited longest; None when there is none left and no more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return self._waiting.pop(next(iter(self._waiting))) if self._waiting else None

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
