"""The service: a few threads, each repeating one round, and a supervisor that watches them.

    drop        takes complete files from the outbound folders
    in:X        takes what partner X has put into its landing zone
    co:X        fetches what partner X has for us, where we collect
    out:X       seals and sends what is for partner X
    re:X        sends the receipts, and other messages without a payload, that X is owed
    overdue     notices handovers whose receipt is late
    retention   destroys originals whose time is over, and what people ordered to be destroyed
    ledger      verifies the ledger when something has changed in its file
    machine     notices full disks and a clock that is wrong
    watch       sees to it that events of the folders wake the others
    supervisor  signals, systemd, the log (the tail of the ledger), work that commands have recorded

A round that fails for a reason that may pass (NotNow, a full disk) is repeated with growing pauses and keeps nobody
else waiting. Evidence of tampering stops the whole service: it never repairs.
"""

import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType

from config.errors import HandoverError, NotNow, Tampered
from exchange import embedded, key_desk, key_expiry, retention, rounds
from exchange.collect import PickUp, collect
from exchange.drop import Completeness
from exchange.overdue import note_overdue
from exchange.partner_trust import agreements_with, confirmed_cards_of
from exchange.parts import Parts
from exchange.quarantine import OVERTAKEN
from exchange.retry import Backoff
from exchange.rounds import Connection
from exchange.service import log as logs
from exchange.service.alerts import Alert, Alerts
from exchange.service.keycheck import UNFIT, check_keys
from exchange.service.log import Log
from exchange.service.notify import notify, starting, watchdog_interval
from exchange.service.ordered import Ordered
from exchange.service.outage import Outage
from exchange.service.outgoing import Outgoing
from exchange.service.scrape import answering
from exchange.service.selfcheck import SelfCheck
from exchange.service.watcher import Watcher
from exchange.service.worker import Worker
from exchange.troubles import Troubles

TICK = 1.0
"""Seconds between two looks of the supervisor: so long may a command's order wait."""

GRACE = 5.0
"""Seconds that rounds under way get to finish when the service is stopped."""


class Daemon:
    """Supervises the workers of one organisation."""

    def __init__(
        self,
        parts: Parts,
        log: Log,
        environment: Mapping[str, str],
        launch: Callable[[Worker], None] = lambda worker: worker.start(),
    ) -> None:
        """`launch` sets a worker going; the simulation takes its turns itself, without threads."""
        self.parts = parts
        self.log = log
        self.workers: dict[str, Worker] = {}
        self._launch = launch
        self.stopping = threading.Event()
        self.error: HandoverError | None = None
        self._environment = environment
        self._outgoing: list[Outgoing[Connection] | Outgoing[PickUp]] = []
        watch = parts.home.settings.watch
        self._rescan = watch.rescan.total_seconds()
        self._longest = parts.home.settings.retry.max.total_seconds()
        self._completeness = Completeness(watch.quiet.total_seconds(), parts.effects.monotonic)
        self._logged = parts.ledger.size
        self._ordered = Ordered(parts)
        self._ordering = threading.Lock()
        self._failing: dict[str, str] = {}
        self._watcher = Watcher(self._hint_failed)
        self._self_check = SelfCheck()
        self._troubles = Troubles()
        wanted = parts.home.settings.alerts
        self._alerts = Alerts(wanted.command, wanted.webhook, log)

    # --- life ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until SIGTERM, SIGINT or a failure; raises the Tampered that stopped it, if one did."""
        self._install_signals()
        server = scrape = None
        try:
            with starting(self._environment):
                for unfit in check_keys(self.parts):
                    self.log(UNFIT, **unfit.ids())
                    self._alerts.tell(Alert(self.parts.me, UNFIT, None, None))
                self._self_check.check(self.parts)
                rounds.recover(self.parts, self.stopping.is_set)
            if self.stopping.is_set():
                return
            self._learn_partners()
            if self.parts.home.settings.landing.embedded:
                server = embedded.serve(self.parts, lambda: self.parts.trust)
            scrape = answering(lambda: self.parts, self.log)
            if not self.parts.home.settings.watch.polling:
                self._watcher.watch(self.parts.home.outbound, self.dropped)
                self._watcher.watch(self.parts.home.landing, self.landed)
                self._start("watch", self._watch_round)
            self._start("ledger", self._ledger_round)
            self.begin()
            notify(self._environment, "READY=1")
            self.log("daemon.ready", organisation=self.parts.me, partners=len(self.parts.agreements))
            self._supervise()
        except Tampered as problem:
            self.fail(problem)
        finally:
            notify(self._environment, "STOPPING=1")
            self.stopping.set()
            self._end_workers()
            self._watcher.close()
            for listener in (server, scrape):
                if listener is not None:
                    listener.close()
            self._look(self._log_tail)
            self._alerts.close()
            self.log("daemon.stopped", organisation=self.parts.me)
        if self.error is not None:
            raise self.error

    def begin(self) -> None:
        """Set the workers going."""
        with self._ordering:
            self._start_workers()

    def look(self) -> None:
        """What the supervisor does between two pauses: tell what was recorded, and see what people have ordered."""
        self._look(self._log_tail)
        self._look(self._take_orders)

    def _end_workers(self) -> None:
        """Let rounds under way finish; then cut long uploads, which go on after the next start.

        What does not end even then (sealing a very large file) ends with the process: every step is safe to kill.
        """
        for worker in list(self.workers.values()):
            worker.hurry()
        self._join(GRACE)
        for outgoing in self._outgoing:
            outgoing.close()
        self._join(GRACE)

    def _join(self, seconds: float) -> None:
        deadline = self.parts.effects.monotonic() + seconds
        for worker in list(self.workers.values()):
            worker.join(max(0.0, deadline - self.parts.effects.monotonic()))

    def fail(self, problem: HandoverError) -> None:
        """Stop everything because of evidence of tampering."""
        self.error = self.error or problem
        self.log("daemon.tampered", error=type(problem).__name__)
        self.stopping.set()

    def stop(self) -> None:
        """Stop after the rounds under way; calling it again changes nothing."""
        self.stopping.set()

    def _install_signals(self) -> None:
        def on_signal(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)
        # a lease that we ask about may be broken by a writer: the kernel's notice must not end the process
        signal.signal(signal.SIGIO, signal.SIG_IGN)

    def _supervise(self) -> None:
        heartbeat = watchdog_interval(self._environment, os.getpid())
        last_beat = self.parts.effects.monotonic()
        while not self.stopping.wait(min(TICK, heartbeat or TICK)):
            self.look()
            if all(worker.is_alive() for worker in list(self.workers.values())):
                now = self.parts.effects.monotonic()
                if heartbeat is not None and now - last_beat >= heartbeat / 2:
                    notify(self._environment, "WATCHDOG=1")
                    last_beat = now
            elif not self.stopping.is_set():  # else they ended because they were told to, while this looked elsewhere
                self.log("daemon.worker-died")
                self.error = NotNow("a part of the daemon ended unexpectedly", hint="start it again; see its log")
                self.stopping.set()

    def _look(self, look: Callable[[], None]) -> None:
        """What fails is logged once and tried again with the next tick; evidence of tampering stops everything."""
        try:
            look()
        except Tampered as problem:
            self.fail(problem)
        except Exception as problem:
            said = f"{type(problem).__name__} {logs.where(problem)}"
            if self._failing.get(look.__name__) != said:
                self._failing[look.__name__] = said
                self.log("look.failed", error=type(problem).__name__, at_line=logs.where(problem))
        else:
            self._failing.pop(look.__name__, None)

    def _log_tail(self) -> None:
        for entry in self.parts.ledger.entries(self._logged, self.parts.ledger.size):
            self.log(entry.event, seq=entry.seq, handover=entry.handover, partner=entry.partner)
            if (entry.event, entry.detail.get("reason")) != ("quarantined", OVERTAKEN):
                self._alerts.tell(Alert(self.parts.me, entry.event, entry.handover, entry.partner))
            self._logged = entry.seq + 1

    def _take_orders(self) -> None:
        """If another process wrote to the ledger: learn new partners, and try at once what a person may have meant."""
        with self._ordering:
            self._ordered.look(self.parts, self._learn)

    def _learn(self) -> None:
        self._learn_partners()
        self._start_workers()
        for worker in list(self.workers.values()):
            worker.hurry()

    def _learn_partners(self) -> None:
        cards = confirmed_cards_of(self.parts.home, self.parts.ledger)
        self.parts = replace(self.parts, cards=cards, agreements=agreements_with(self.parts.home, cards))

    # --- workers ------------------------------------------------------------------------------------------------

    def _start_workers(self) -> None:
        self._start("drop", self._drop_round)
        self._start("overdue", self._overdue_round)
        self._start("retention", self._retention_round)
        self._start("machine", self._machine_round)
        for partner in self.parts.agreements:
            if f"in:{partner}" in self.workers:
                continue
            self._start(f"in:{partner}", partial(self._landing_round, partner))
            outage = Outage(partner)
            self._start_outgoing(Outgoing(self, f"out:{partner}", outage, rounds.send_files, Connection))
            self._start_outgoing(Outgoing(self, f"re:{partner}", outage, rounds.send_messages, Connection))
            every = partial(self._until_next_look, partner)
            self._start_outgoing(Outgoing(self, f"co:{partner}", outage, self._collect, PickUp, every))

    def _start_outgoing(self, outgoing: Outgoing[Connection] | Outgoing[PickUp]) -> None:
        self._outgoing.append(outgoing)
        self._start(outgoing.name, outgoing, self._longest)

    def _start(self, name: str, round_: Callable[[], float], longest: float | None = None) -> None:
        """What fails on this machine is looked at again with every rescan, unless something else is the `longest`."""
        if name in self.workers:
            return
        first = self.parts.home.settings.retry.first.total_seconds()
        backoff = Backoff(first, longest or self._rescan, self.parts.effects.jitter)
        worker = Worker(name, round_, self, backoff)
        # first started, then listed: the supervisor takes a listed worker that does not run for a dead one
        self._launch(worker)
        self.workers[name] = worker

    def _wake(self, kind: str) -> None:
        for name, worker in list(self.workers.items()):
            if name.startswith(kind):
                worker.wake()

    def dropped(self, path: Path | None) -> None:
        """A hint: a file was written or renamed into an outbound folder; None if it is not known which."""
        if path is not None:
            self._completeness.closed(path)
        self._wake("drop")

    def landed(self, _path: Path | None) -> None:
        """A hint: something came into a landing zone."""
        self._wake("in:")

    def _drop_round(self) -> float:
        # whoever added a partner may drop a file for it at once
        self._look(self._take_orders)
        size = self.parts.ledger.size
        try:
            rounds.take_dropped(self.parts, self._completeness)
        finally:
            # one file that cannot be taken keeps the others from nothing
            if self.parts.ledger.size != size:
                self._wake("out:")
        waiting = self._completeness.waiting()
        return self._rescan if waiting is None else min(self._rescan, max(waiting, 0.05))

    def _watch_round(self) -> float:
        before = self._watcher.is_complete
        if self._watcher.renew():
            # what came while nobody watched
            self._wake("drop")
            self._wake("in:")
        if self._watcher.is_complete != before:
            self._wake("machine")
        return self._rescan

    def _ledger_round(self) -> float:
        return self._self_check.round(self.parts, self._rescan)

    def _machine_round(self) -> float:
        for event in self._troubles.note(self.parts, self._watcher.is_complete):
            self.log(event)
            self._alerts.tell(Alert(self.parts.me, event, None, None))
        return self._rescan

    def _hint_failed(self, problem: Exception) -> None:
        self.log("hint.failed", error=type(problem).__name__, at_line=logs.where(problem))

    def _overdue_round(self) -> float:
        note_overdue(self.parts)
        key_desk.tend(self.parts)
        key_expiry.tell(self.parts)
        return self._rescan

    def _retention_round(self) -> float:
        # first: a clock that has jumped since the last look is in doubt before anything is destroyed by it
        self._machine_round()
        retention.retain(self.parts)
        return self._rescan

    def _collect(self, parts: Parts, pickup: PickUp) -> int:
        collect(parts, pickup, arrived=partial(self._wake, "in:"))
        return int(pickup.landing is not None)

    def _until_next_look(self, partner: str) -> float:
        every = self.parts.home.settings.partner(partner).collect.every
        return every.total_seconds() * self.parts.effects.jitter()

    def _landing_round(self, partner: str) -> float:
        own, size = self.parts.own, self.parts.ledger.size
        try:
            rounds.receive_landed(self.parts, partner)
        finally:
            # one envelope that cannot be taken keeps no other from its answer
            if self.parts.ledger.size != size:
                self._wake("re:")
            if self.parts.own is not own:
                # a partner has accepted a key of ours: what waited for that can go
                self._wake("out:")
        return self._rescan
