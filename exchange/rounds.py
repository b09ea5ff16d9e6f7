"""One round of each of the daemon's tasks, without threads: `run --once`, the daemon and the simulation share them.

recover         after a start: finish what a crash interrupted
take_dropped    outbound folders -> accepted or held
seal_and_send   accepted -> sealed -> sent, and receipts and other messages that are due, for one partner
receive_landed  landing zone -> delivered, acknowledged, rejected or quarantined, for one partner
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from config.errors import NotNow
from config.home import MARKER
from exchange import (
    absences,
    approval_acts,
    clerk,
    crossed,
    files,
    half_copy,
    intake,
    key_desk,
    landed,
    messages,
    orders,
    overtaken,
    receiver,
    reseal,
    sender,
    strays,
    taken_back,
    uploads,
)
from exchange.drop import Candidate, Completeness, scan
from exchange.failures import Failures
from exchange.landed import Arrival
from exchange.landing import Landing
from exchange.parts import Parts
from exchange.quarantine import QuarantineFull, Room, note_unrecorded
from exchange.retry import Backoff, Pauses
from ledger.handover import Handover, State

AT_ONCE = 1000
"""Files after which a round ends: the first of ten thousand are sent, and a stop is heeded, before all are taken."""

AT_ONCE_IN_TROUBLE = 5 * AT_ONCE
"""The same where one of them keeps failing."""

BATCH = 100
"""Files that are taken together: they share what a disk is slow at, syncing and the ledger's commit."""


class MarkerMissing(NotNow):
    """The outbound folder may be an unmounted share."""


@dataclass(slots=True)
class Connection:
    """The one connection to a partner's landing zone; opened when there is something to send.

    `pauses` says which files the partner refused a moment ago; by itself, none waits. `asked` says when it was last
    looked whether a message of a kind is owed.
    """

    partner: str
    landing: Landing | None = None
    pauses: Pauses = field(default_factory=lambda: Pauses(lambda: Backoff(0.0, 0.0, lambda: 1.0), lambda: 0.0))
    asked: dict[str, float] = field(default_factory=dict)

    def open(self, parts: Parts) -> Landing:
        """The open connection; raises NotNow."""
        if self.landing is None:
            self.landing = self._connect(parts)
        return self.landing

    def _connect(self, parts: Parts) -> Landing:
        return parts.effects.connect(parts.trust.card(self.partner))

    def close(self) -> None:
        """Drop the connection; the next `open` makes a new one."""
        landing, self.landing = self.landing, None
        if landing is not None:
            landing.close()


def recover(parts: Parts, stopping: Callable[[], bool] = lambda: False) -> None:
    """Bring the spool into agreement with the ledger; to be called once, before anything else runs.

    Ends early, between two handovers, when it finds that the service is `stopping`: then nothing else may run.

    Envelopes that were taken in are left to the first `receive_landed`: they may be many, and the service is ready
    before they are delivered.
    """
    parts.spool.create()
    parts.spool.clear_work_files()
    parts.spool.unfinished.update(parts.spool.outgoing())
    with Failures().kept():
        # what was signed, and not carried out because of a crash
        approval_acts.carry_out(parts)
    with Failures().kept():
        # a key that was ordered while the service was stopped, or whose making a crash cut off
        key_desk.tend(parts)
    with Failures().kept():
        note_unrecorded(parts)
        overtaken.set_all_right(parts)
    with Failures().kept():
        half_copy.clear(parts.home.outbound)
    with Failures().kept():
        # what cannot be finished now (disk full) is tried again by every round
        _finish(parts, stopping)
    for partner, path in list(parts.spool.incoming()):
        if stopping():
            return
        with Failures().kept():
            receiver.forget_decided(parts, Arrival(partner, path, recovered=True))


def _finish(parts: Parts, stopping: Callable[[], bool] = lambda: False) -> None:
    """Go on with claims that a crash, or a failure of this machine, left half done; raises the first failure."""
    failures = Failures()
    for identifier in sorted(parts.spool.unfinished):
        if stopping():
            break
        with failures.kept():
            _go_on(parts, identifier)
            parts.spool.unfinished.discard(identifier)
    failures.raise_first()


def _go_on(parts: Parts, identifier: str) -> None:
    claim = parts.spool.read_claim(identifier)
    handover = parts.ledger.find_one_or_none("out", identifier)
    if not parts.spool.holds(identifier):
        if handover is None or handover.is_final or handover.state == "held":
            parts.spool.clear(identifier)
    elif claim is None:
        if handover is None or not handover.is_final:
            raise NotNow(f"the spool's note on handover {identifier} is missing", hint="restore it")
        parts.spool.clear(identifier)
    elif handover is not None:
        intake.remove_sidecar(parts, claim)
        sender.settle(parts, handover)
    elif parts.spool.note(identifier).exists() or parts.spool.was_touched(claim):
        parts.spool.put_back(claim, parts.home.outbound.joinpath(*claim.folders))
    else:
        intake.admit(parts, claim)


def take_dropped(parts: Parts, completeness: Completeness) -> int:
    """Take complete files from the outbound folders until AT_ONCE are taken; returns how many. Raises NotNow if the
    folders are not ours."""
    if not parts.home.marker.is_file():
        raise MarkerMissing(
            "the outbound folder has lost its marker file, so it may be an unmounted share: nothing is taken from it",
            hint=f"mount it again, or create {MARKER} in it if it is the right folder",
        )
    parts.spool.require()
    _require_ledger(parts)
    failures = Failures()
    for go_on in (_finish, clerk.about_held, crossed.bring_home, taken_back.notice, strays.put_aside):
        with failures.kept():
            go_on(parts)
    seen: set[Path] = set()
    quiet: list[Candidate] = []
    for candidate in scan(parts.home.outbound):
        seen.add(candidate.path)
        if completeness.is_quiet(candidate):
            quiet.append(candidate)
    completeness.keep_only(seen)
    taken = 0
    for some in _batches(quiet):
        _require_ledger(parts)
        batch = [one for one in some if completeness.is_finished(one) and not strays.keeps_back(parts, one)]
        for candidate in batch:
            completeness.forget(candidate.path)
        with failures.kept():
            taken += len(intake.take_all(parts, taken_back.only_files(parts, batch, failures), failures))
        # the pause after a round in which something failed is long
        if taken >= (AT_ONCE if failures.first is None else AT_ONCE_IN_TROUBLE):
            break
    failures.raise_first()
    return taken


def _require_ledger(parts: Parts) -> None:
    """Nothing is moved that could not be recorded: raises what keeps the ledger from being written."""
    parts.require_ledger()
    files.require_room(parts.home.ledger.parent, 0, "what is recorded")


def _batches(candidates: Sequence[Candidate]) -> Iterator[Sequence[Candidate]]:
    for first in range(0, len(candidates), BATCH):
        yield candidates[first : first + BATCH]


def seal_accepted(parts: Parts, partner: str) -> int:
    """Seal what was accepted for a partner; returns how many."""
    accepted = parts.ledger.handovers(partner=partner, direction="out", states=("accepted",))
    _each(accepted, partial(sender.seal_next, parts))
    return len(accepted)


def send_sealed(parts: Parts, connection: Connection) -> int:
    """Upload what is sealed for a partner, and once more what was sent long ago without an answer, or never came as the
    partner says; small ones side by side. Returns how many. Raises LandingError."""
    failures = Failures()
    partner = connection.partner
    void = reseal.renew(parts, partner, _under_way(parts, partner, "sealed", "sent"), failures)
    # where a withdrawal could not be carried out now, or was ordered a moment ago, the file waits for it
    back = void | orders.being_withdrawn(parts.ledger)
    sealed = [one for one in _under_way(parts, partner, "sealed") if one.id not in back]
    sealed = [handover for handover in sealed if not sender.is_unfinished_by_hand(parts, handover)]
    waiting = [one for one in _under_way(parts, partner, "sent") if one.id not in void]
    again = {handover.id for handover in absences.wanted(parts, partner)} if waiting else set()
    due = sealed + [h for h in waiting if h.id in again or sender.needs_resending(parts, h)]
    connection.pauses.keep_only({handover.id for handover in due})
    due = [handover for handover in due if connection.pauses.over(handover.id)]
    with failures.kept():
        if due:
            uploads.upload_all(parts, connection.open(parts), due, connection.pauses)
    failures.raise_first()
    return len(due)


def _under_way(parts: Parts, partner: str, *states: State) -> list[Handover]:
    return parts.ledger.handovers(partner=partner, direction="out", states=states)


def send_messages(parts: Parts, connection: Connection) -> int:
    """Answer, ask and tell a partner whatever it is owed; returns how many messages went. Raises LandingError."""
    parts.spool.require()
    return messages.send(parts, connection.partner, partial(connection.open, parts), connection.asked)


def seal_and_send(parts: Parts, connection: Connection) -> int:
    """Everything that one partner is owed, receipts and the like first; returns how many messages went. Raises
    LandingError."""
    return _all(
        partial(send_messages, parts, connection),
        partial(send_files, parts, connection),
    )


def send_files(parts: Parts, connection: Connection) -> int:
    """Seal and upload; what cannot be sealed does not keep the others. Raises LandingError."""
    parts.spool.require()
    return _all(
        partial(clerk.about_outgoing, parts, connection.partner, partial(connection.open, parts)),
        partial(_only_seal, parts, connection.partner),
        partial(send_sealed, parts, connection),
    )


def _only_seal(parts: Parts, partner: str) -> int:
    seal_accepted(parts, partner)
    return 0


def _all(*tasks: Callable[[], int]) -> int:
    """Do each task even if one before it failed; returns the sum, or raises the gravest failure at the end."""
    done, failures = 0, Failures()
    for task in tasks:
        with failures.kept():
            done += task()
    failures.raise_first()
    return done


def _each(handovers: Sequence[Handover], act: Callable[[Handover], None]) -> None:
    """Act on all; one that fails does not keep the next from its turn. The first failure is raised at the end."""
    failures = Failures()
    for handover in handovers:
        with failures.kept():
            act(handover)
    failures.raise_first()


def receive_landed(parts: Parts, partner: str) -> int:
    """Everything that lies in one partner's landing zone or was left in the spool; returns how many.

    A failure of this machine (disk full) with one envelope does not keep the others from being tried; the first
    such failure is raised at the end. Nothing lands in the spool while the partner's quarantine is full.
    """
    parts.spool.require()
    parts.require_ledger()
    failures = Failures(QuarantineFull)
    room = Room(parts, partner)
    count = 0
    with failures.kept():
        landed.clear_unfinished(parts, partner)
    with failures.kept():
        overtaken.try_again(parts, partner)
    with failures.kept():
        count += clerk.about_incoming(parts, partner)
    waiting: list[Arrival | Path] = [
        Arrival(p, path, recovered=True) for p, path in parts.spool.incoming() if p == partner
    ]
    for one in [*waiting, *landed.landed(parts, partner)]:
        with failures.kept():
            if not isinstance(one, Arrival):
                room.check()
            arrival = one if isinstance(one, Arrival) else landed.take_in(parts, partner, one)
            if arrival is not None:
                count += 1
                overtaken.expect(parts, partner, arrival.path.stem)
                receiver.receive(parts, arrival)
                overtaken.set_right(parts, partner, arrival.path.stem)
    failures.raise_first()
    return count
