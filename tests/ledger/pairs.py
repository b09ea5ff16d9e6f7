"""Two real ledgers that talk to each other: what the tests of witnessing share."""

from dataclasses import dataclass

from ledger.canonical import Json
from ledger.entry import Draft
from ledger.store import Ledger
from ledger.witness import Outcome, Statement, compose, receive
from tests.ledger.ledgers import START, Organisation, add

NOTE = Draft(event="partner.added", actor="operator", partner="ofsted")


@dataclass
class Side:
    """One organisation with its ledger, seen from the other."""

    me: Organisation
    partner: Organisation
    ledger: Ledger

    def say(self) -> Statement:
        return Statement.from_json(compose(self.ledger, self.partner.name).to_json())

    def hear(self, statement: Statement, sequence: int | None = None, handover: str | None = None) -> Outcome:
        return receive(
            self.ledger,
            self.partner.name,
            statement,
            ledger_verifiers=[self.partner.verifier],
            witness_verifiers=[self.partner.witness_verifier],
            cosigners=[self.me.cosigner],
            sequence=sequence,
            now=START,
            handover=handover,
        )

    def grow(self, number: int = 1) -> None:
        add(self.ledger, *[NOTE] * number)

    def seen(self) -> int:
        known = self.ledger.witnessed(self.partner.name)
        return 0 if known is None else known.size

    def conflicts(self) -> list[Json]:
        entries = self.ledger.entries(0, self.ledger.size)
        return [e.detail["reason"] for e in entries if e.event == "witness.conflict"]

    def events(self) -> list[str]:
        return [e.event for e in self.ledger.entries(0, self.ledger.size)]


@dataclass
class Pair:
    a: Side
    b: Side

    def swap(self) -> None:
        """One message each way, and what it needs to be heard."""
        assert self.b.hear(self.a.say()).conflict is None
        assert self.a.hear(self.b.say()).conflict is None
