"""One round of each of the daemon's tasks, without threads: `run --once`, the daemon and the simulation share them.

recover         after a start: finish what a crash interrupted
take_dropped    outbound folders -> accepted or held
seal_and_send   accepted -> sealed -> sent, and receipts that are due, for one partner
receive_landed  landing zone -> delivered, acknowledged, rejected or quarantined, for one partner
"""

from dataclasses import dataclass
from pathlib import Path

from config.errors import HandoverError, NotNow
from config.home import MARKER
from exchange import intake, receiver, sender
from exchange.drop import Candidate, Completeness, scan
from exchange.parts import Parts
from exchange.receiver import Arrival
from exchange.sftp import Landing


@dataclass(slots=True)
class Connection:
    """The one connection to a partner's landing zone; opened when there is something to send."""

    partner: str
    landing: Landing | None = None

    def open(self, parts: Parts) -> Landing:
        """The open connection; raises NotNow."""
        if self.landing is None:
            self.landing = parts.effects.connect(self.partner)
        return self.landing

    def close(self) -> None:
        """Drop the connection; the next `open` makes a new one."""
        landing, self.landing = self.landing, None
        if landing is not None:
            landing.close()


def recover(parts: Parts) -> None:
    """Bring the spool into agreement with the ledger; to be called once, before anything else runs."""
    parts.spool.create()
    parts.spool.clear_receipts()
    for claim in list(parts.spool.claims()):
        handover = parts.ledger.find_one_or_none("out", claim.id)
        if handover is None:
            intake.admit(parts, claim)
        else:
            sender.settle(parts, handover)
    for identifier in list(parts.spool.abandoned()):
        handover = parts.ledger.find_one_or_none("out", identifier)
        if handover is None or handover.is_final:
            parts.spool.clear(identifier)
    for partner, path in list(parts.spool.incoming()):
        receiver.receive(parts, Arrival(partner, path, recovered=True))


def take_dropped(parts: Parts, completeness: Completeness) -> int:
    """Take every complete file from the outbound folders; returns how many. Raises NotNow if they are not ours."""
    if not parts.home.marker.is_file():
        raise NotNow(
            "the outbound folder has lost its marker file, so it may be an unmounted share: nothing is taken from it",
            hint=f"mount it again, or create {MARKER} in it if it is the right folder",
        )
    seen: set[Path] = set()
    complete: list[Candidate] = []
    for candidate in scan(parts.home.outbound):
        seen.add(candidate.path)
        if completeness.judge(candidate):
            complete.append(candidate)
    completeness.keep_only(seen)
    taken = 0
    for candidate in complete:
        completeness.forget(candidate.path)
        taken += intake.take(parts, candidate) is not None
    return taken


def seal_and_send(parts: Parts, connection: Connection) -> int:
    """Everything that one partner is owed, in order; returns how many messages went. Raises NotNow."""
    partner = connection.partner
    for handover in parts.ledger.handovers(partner=partner, direction="out", states=("accepted",)):
        sender.seal_next(parts, handover)
    sealed = parts.ledger.handovers(partner=partner, direction="out", states=("sealed",))
    due = parts.ledger.handovers(partner=partner, direction="in", receipt="due")
    if not sealed and not due:
        return 0
    landing = connection.open(parts)
    for handover in due:
        sender.upload_receipt(parts, landing, handover)
    for handover in sealed:
        sender.upload(parts, landing, handover)
    return len(sealed) + len(due)


def receive_landed(parts: Parts, partner: str) -> int:
    """Everything that lies in one partner's landing zone or was left in the spool; returns how many.

    A failure of this machine (disk full) with one envelope does not keep the others from being tried; the first
    such failure is raised at the end.
    """
    waiting = [Arrival(p, path, recovered=True) for p, path in parts.spool.incoming() if p == partner]
    arrivals = waiting + receiver.collect_landed(parts, partner)
    failure: OSError | HandoverError | None = None
    for arrival in arrivals:
        try:
            receiver.receive(parts, arrival)
        except (OSError, NotNow) as problem:
            failure = failure or problem
    if failure is not None:
        raise failure
    return len(arrivals)
